//! Transfers and states of nodes out of lines of line protocol, as the archive holds them.
//!
//! The files may be damaged or a stranger's: a line that we do not understand is counted and left out, never more.

use jiff::Timestamp;

use super::{
    node_point::NodePoint,
    reading::{Reasons, of_line},
    transfer_point::TransferPoint,
};
use crate::record::{
    conform::FOREIGN,
    parse::{MAX_LINE, TOO_LONG, fault, parse},
    schema::{self, node, transfer},
};

/// The points of lines that the analysis asks for; passes the reader's own errors on.
#[derive(Debug)]
pub struct Scan<I> {
    lines: I,
    seen: Seen,
    reasons: Reasons,
}

/// What the lines were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Transfers.
    pub transfers: u64,
    /// States of nodes.
    pub states: u64,
    /// Points of other measurements, bandprobe's or not.
    pub others: u64,
    /// Lines that we did not understand.
    pub damaged: u64,
}

/// A point that the analysis asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A transfer.
    Transfer(Box<TransferPoint>),
    /// The state of a node.
    Node(Box<NodePoint>),
}

/// What one line is.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A point that the analysis asks for.
    Found(Found),
    /// A point of another one of our measurements.
    Other,
    /// A point of a measurement that is none of ours.
    Foreign,
    /// A comment, or nothing.
    Blank,
    /// Nothing that we understand.
    Damaged,
}

impl Found {
    /// When it was measured.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Transfer(point) => point.at,
            Self::Node(point) => point.at,
        }
    }
}

impl<I> Scan<I> {
    /// Reads these lines, each with or without its newline.
    pub fn new(lines: impl IntoIterator<IntoIter = I>) -> Self {
        Self { lines: lines.into_iter(), seen: Seen::default(), reasons: Reasons::default() }
    }

    /// What the lines were, up to now.
    pub const fn seen(&self) -> Seen {
        self.seen
    }

    /// Why lines were left out that are not ours or were not understood, up to now.
    pub const fn reasons(&self) -> &Reasons {
        &self.reasons
    }
}

impl<I, L, E> Iterator for Scan<I>
where
    I: Iterator<Item = Result<L, E>>,
    L: AsRef<[u8]>,
{
    type Item = Result<Found, E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.lines.next()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            match read(line.as_ref()) {
                Line::Found(found) => {
                    let seen = match found {
                        Found::Transfer(_) => &mut self.seen.transfers,
                        Found::Node(_) => &mut self.seen.states,
                    };
                    *seen += 1;
                    return Some(Ok(found));
                }
                Line::Other => self.seen.others += 1,
                Line::Foreign => {
                    self.seen.others += 1;
                    self.reasons.count(FOREIGN.to_owned());
                }
                Line::Blank => {}
                Line::Damaged => {
                    self.seen.damaged += 1;
                    self.reasons.count(why(line.as_ref()));
                }
            }
        }
    }
}

/// Reads one line.
#[must_use]
pub fn read(line: &[u8]) -> Line {
    let Ok(line) = std::str::from_utf8(line) else { return Line::Damaged };
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with('#') {
        return Line::Blank;
    }
    let Some(point) = parse(line) else { return Line::Damaged };
    let column = |name: &'static str| of_line(&point, name);
    let found = if point.measurement == transfer::MEASUREMENT.name {
        TransferPoint::from_columns(point.time, column).map(|point| Found::Transfer(Box::new(point)))
    } else if point.measurement == node::MEASUREMENT.name {
        NodePoint::from_columns(point.time, column).map(|point| Found::Node(Box::new(point)))
    } else {
        let is_ours = schema::ALL.iter().any(|known| known.name == point.measurement);
        return if is_ours { Line::Other } else { Line::Foreign };
    };
    found.map_or(Line::Damaged, Line::Found)
}

/// Why a line is not understood, in few words: the same for all lines that are wrong in the same way.
#[must_use]
pub fn why(line: &[u8]) -> String {
    let line = line.trim_ascii();
    if line.len() > MAX_LINE {
        return TOO_LONG.to_owned(); // and may be cut in the middle of a character
    }
    let Ok(text) = std::str::from_utf8(line) else { return "not UTF-8".to_owned() };
    match parse(text) {
        None => fault(text).to_owned(),
        Some(point) => {
            let column = |name: &'static str| of_line(&point, name);
            let wrong = if point.measurement == transfer::MEASUREMENT.name {
                TransferPoint::from_columns(point.time, column).err()
            } else {
                NodePoint::from_columns(point.time, column).err()
            };
            wrong.map_or_else(String::new, |wrong| wrong.to_string())
        }
    }
}
