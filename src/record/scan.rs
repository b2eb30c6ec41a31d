//! Reads transfers and states of nodes from line protocol, as in the archive.
//!
//! The files may be damaged or untrusted. A line that is not understood is counted and left out, and does not affect
//! the others.

use jiff::Timestamp;

use super::{
    columns::column_of_line,
    conform::FOREIGN,
    line::MAX_LINE,
    node_point::NodePoint,
    parse::{TOO_LONG, fault, parse},
    reasons::Reasons,
    schema::{self, node, transfer},
    transfer_point::TransferPoint,
};

/// An iterator over the points in lines that the analysis needs. It passes on the errors of the reader.
#[derive(Debug)]
pub struct Scan<I> {
    lines: I,
    seen: LineCounts,
    reasons: Reasons,
}

/// Numbers of lines by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Transfers.
    pub transfers: u64,
    /// States of nodes.
    pub states: u64,
    /// Points of other measurements, of bandprobe or not.
    pub others: u64,
    /// Lines that were not understood.
    pub damaged: u64,
}

/// A point that the analysis needs.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyPoint {
    /// A transfer.
    Transfer(Box<TransferPoint>),
    /// The state of a node.
    Node(Box<NodePoint>),
}

/// The kind of one line.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A point that the analysis needs.
    Point(AnyPoint),
    /// A point of another measurement of bandprobe.
    Other,
    /// A point of a measurement that bandprobe does not write.
    Foreign,
    /// A comment or an empty line.
    Blank,
    /// A line that is not understood.
    Damaged,
}

impl AnyPoint {
    /// When the transfer started, or when the node was asked.
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
        Self { lines: lines.into_iter(), seen: LineCounts::default(), reasons: Reasons::default() }
    }

    /// The lines read so far, by kind.
    pub const fn seen(&self) -> LineCounts {
        self.seen
    }

    /// Why lines so far were left out, because they are foreign or not understood.
    pub const fn reasons(&self) -> &Reasons {
        &self.reasons
    }
}

impl<I, L, E> Iterator for Scan<I>
where
    I: Iterator<Item = Result<L, E>>,
    L: AsRef<[u8]>,
{
    type Item = Result<AnyPoint, E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.lines.next()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            match read(line.as_ref()) {
                Line::Point(found) => {
                    let seen = match found {
                        AnyPoint::Transfer(_) => &mut self.seen.transfers,
                        AnyPoint::Node(_) => &mut self.seen.states,
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
                    self.reasons.count(problem(line.as_ref()));
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
    let column = |name: &'static str| column_of_line(&point, name);
    let found = if point.measurement == transfer::MEASUREMENT.name {
        TransferPoint::from_columns(point.time, column).map(|point| AnyPoint::Transfer(Box::new(point)))
    } else if point.measurement == node::MEASUREMENT.name {
        NodePoint::from_columns(point.time, column).map(|point| AnyPoint::Node(Box::new(point)))
    } else {
        let is_ours = schema::ALL.iter().any(|known| known.name == point.measurement);
        return if is_ours { Line::Other } else { Line::Foreign };
    };
    found.map_or(Line::Damaged, Line::Point)
}

/// Why a line is not understood, in few words. Lines with the same fault have the same text.
#[must_use]
pub fn problem(line: &[u8]) -> String {
    let line = line.trim_ascii();
    if line.len() > MAX_LINE {
        return TOO_LONG.to_owned(); // checked first, because such a line may be cut in the middle of a character
    }
    let Ok(text) = std::str::from_utf8(line) else { return "not UTF-8".to_owned() };
    match parse(text) {
        None => fault(text).to_owned(),
        Some(point) => {
            let column = |name: &'static str| column_of_line(&point, name);
            let wrong = if point.measurement == transfer::MEASUREMENT.name {
                TransferPoint::from_columns(point.time, column).err()
            } else {
                NodePoint::from_columns(point.time, column).err()
            };
            wrong.map_or_else(String::new, |wrong| wrong.to_string())
        }
    }
}
