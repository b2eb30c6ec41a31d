//! Transfer points out of lines of line protocol, as the archive holds them.
//!
//! The files may be damaged or a stranger's: a line that we do not understand is counted and left out, never more.

use super::transfer_point::TransferPoint;
use crate::record::{
    parse::{Raw, parse},
    schema::transfer as schema,
};

/// The transfer points of lines; passes the reader's own errors on.
#[derive(Debug)]
pub struct Scan<I> {
    lines: I,
    seen: Seen,
}

/// What the lines were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Transfers.
    pub transfers: u64,
    /// Points of other measurements.
    pub others: u64,
    /// Lines that we did not understand.
    pub damaged: u64,
}

/// What one line is.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A transfer.
    Transfer(Box<TransferPoint>),
    /// A point of another measurement.
    Other,
    /// A comment, or nothing.
    Blank,
    /// Nothing that we understand.
    Damaged,
}

impl<I> Scan<I> {
    /// Reads these lines, each with or without its newline.
    pub fn new(lines: impl IntoIterator<IntoIter = I>) -> Self {
        Self { lines: lines.into_iter(), seen: Seen::default() }
    }

    /// What the lines were, up to now.
    pub const fn seen(&self) -> Seen {
        self.seen
    }
}

impl<I, L, E> Iterator for Scan<I>
where
    I: Iterator<Item = Result<L, E>>,
    L: AsRef<[u8]>,
{
    type Item = Result<TransferPoint, E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.lines.next()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            match read(line.as_ref()) {
                Line::Transfer(point) => {
                    self.seen.transfers += 1;
                    return Some(Ok(*point));
                }
                Line::Other => self.seen.others += 1,
                Line::Blank => {}
                Line::Damaged => self.seen.damaged += 1,
            }
        }
    }
}

/// Reads one line.
#[must_use]
pub fn read(line: &[u8]) -> Line {
    let Ok(line) = std::str::from_utf8(line) else { return Line::Damaged };
    let line = line.trim_end_matches(['\n', '\r']);
    if line.is_empty() || line.starts_with('#') {
        return Line::Blank;
    }
    let Some(point) = parse(line) else { return Line::Damaged };
    if point.measurement != schema::MEASUREMENT.name {
        return Line::Other;
    }
    let column = |name: &str| {
        let tag = point.tags.iter().find(|(key, _)| key == name).map(|(_, value)| Raw::Text(value.clone()));
        tag.or_else(|| Some(point.fields.iter().find(|(key, _)| key == name)?.1.clone()))
    };
    match TransferPoint::from_columns(point.time, column) {
        Ok(point) => Line::Transfer(Box::new(point)),
        Err(_) => Line::Damaged,
    }
}
