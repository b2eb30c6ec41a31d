//! Transfer points out of lines of line protocol, as the archive holds them.
//!
//! The files may be damaged or a stranger's: a line that we do not understand is counted and left out, never more.

use std::borrow::Cow;

use jiff::Timestamp;

use super::transfer_point::{Raw, TransferPoint};
use crate::record::schema::transfer as schema;

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

/// The longest line, in bytes: InfluxDB's longest string, and as much again.
pub const MAX_LINE: usize = 128 * 1024;

/// How many tags and fields a line may have.
pub const MAX_COLUMNS: usize = 256;

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
    if line.len() > MAX_LINE {
        return Line::Damaged;
    }
    let Ok(line) = std::str::from_utf8(line) else { return Line::Damaged };
    let line = line.trim_end_matches(['\n', '\r']);
    if line.is_empty() || line.starts_with('#') {
        return Line::Blank;
    }
    let Some(columns) = columns(line) else { return Line::Damaged };
    if columns.measurement != schema::MEASUREMENT.name {
        return Line::Other;
    }
    let column = |name: &str| columns.named.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    match TransferPoint::from_columns(columns.at, column) {
        Ok(point) => Line::Transfer(Box::new(point)),
        Err(_) => Line::Damaged,
    }
}

/// A line taken apart.
struct Parts<'a> {
    measurement: Cow<'a, str>,
    named: Vec<(Cow<'a, str>, Raw<'a>)>,
    at: Timestamp,
}

/// `measurement,tag=value,… field=value,… nanoseconds`; `None` for whatever breaks the syntax.
fn columns(line: &str) -> Option<Parts<'_>> {
    let (measurement, mut rest) = until(line, &[',', ' '])?;
    let mut named = Vec::new();
    while let Some(tags) = rest.strip_prefix(',') {
        let (key, value) = until(tags, &['=', ',', ' '])?;
        let (value, next) = until(value.strip_prefix('=')?, &['=', ',', ' '])?;
        named.push((key, Raw::Text(value)));
        rest = next;
        (named.len() <= MAX_COLUMNS).then_some(())?;
    }
    rest = rest.strip_prefix(' ')?;
    loop {
        let (key, value) = until(rest, &['=', ',', ' '])?;
        let (value, next) = field(value.strip_prefix('=')?)?;
        named.push((key, value));
        (named.len() <= MAX_COLUMNS).then_some(())?;
        match next.strip_prefix(',') {
            Some(more) => rest = more,
            None => {
                let nanoseconds: i64 = next.strip_prefix(' ')?.parse().ok()?;
                let at = Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()?;
                return Some(Parts { measurement, named, at });
            }
        }
    }
}

/// A name or tag value up to one of `ends`, which stays in the rest. A backslash escapes `,` `=` and space.
fn until<'a>(text: &'a str, ends: &[char]) -> Option<(Cow<'a, str>, &'a str)> {
    let mut unescaped = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if ends.contains(&c) {
            let plain = &text[..at];
            (at > 0).then_some(())?;
            return Some((unescaped.map_or(Cow::Borrowed(plain), Cow::Owned), &text[at..]));
        }
        let escaped = if c == '\\' { chars.next_if(|(_, next)| matches!(next, ',' | '=' | ' ')) } else { None };
        match (escaped, &mut unescaped) {
            (Some((_, special)), _) => unescaped.get_or_insert_with(|| text[..at].to_owned()).push(special),
            (None, Some(unescaped)) => unescaped.push(c),
            (None, None) => {}
        }
    }
    None
}

/// A field's value; the comma or space after it stays in the rest.
fn field(text: &str) -> Option<(Raw<'_>, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        return string(quoted);
    }
    let end = text.find([',', ' '])?;
    let (number, rest) = text.split_at(end);
    let value = match number.strip_suffix('i') {
        Some(integer) => Raw::Integer(integer.parse().ok()?),
        None => Raw::Float(number.parse().ok().filter(|number: &f64| number.is_finite())?),
    };
    Some((value, rest))
}

/// A string from behind its opening quote.
fn string(text: &str) -> Option<(Raw<'_>, &str)> {
    let mut unescaped = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let value = unescaped.map_or(Cow::Borrowed(&text[..at]), Cow::Owned);
                return Some((Raw::Text(value), &text[at + 1..]));
            }
            '\\' => {
                let (_, next) = chars.next()?;
                let unescaped = unescaped.get_or_insert_with(|| text[..at].to_owned());
                if !matches!(next, '"' | '\\') {
                    unescaped.push('\\');
                }
                unescaped.push(next);
            }
            c => {
                if let Some(unescaped) = &mut unescaped {
                    unescaped.push(c);
                }
            }
        }
    }
    None
}
