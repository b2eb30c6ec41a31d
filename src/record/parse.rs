//! Parses lines of line protocol, without knowledge of the schema.
//!
//! The files may be damaged, come from an untrusted source, or be written by a newer version. A line that breaks the
//! syntax is not a point. Names that the schema does not contain are returned too.

use std::borrow::Cow;

use jiff::Timestamp;

use super::line::MAX_LINE;

/// A parsed line, without escapes.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedLine<'a> {
    /// The name of the measurement.
    pub measurement: Cow<'a, str>,
    /// Tags as (key, value), in the order of the line.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Fields as (key, value), in the order of the line.
    pub fields: Vec<(Cow<'a, str>, ColumnValue<'a>)>,
    /// The time at the end of the line.
    pub time: Timestamp,
}

/// A value of a parsed line.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnValue<'a> {
    /// A tag or a string field.
    Text(Cow<'a, str>),
    /// A field with the suffix `i`.
    Integer(i64),
    /// Any other number.
    Float(f64),
}

/// The result of [`fault`] for a line that is longer than [`MAX_LINE`].
pub const TOO_LONG: &str = "longer than 1 MiB";

/// The most tags and fields of a line, counted together.
pub const MAX_COLUMNS: usize = 256;

/// Parses `measurement,tag=value,… field=value,… nanoseconds`, without its newline; `None` for a line that breaks the
/// syntax or the limits.
#[must_use]
pub fn parse(line: &str) -> Option<ParsedLine<'_>> {
    (line.len() <= MAX_LINE).then_some(())?;
    let (measurement, mut rest) = until(line, &[',', ' '])?;
    let (mut tags, mut fields) = (Vec::new(), Vec::new());
    while let Some(pair) = rest.strip_prefix(',') {
        let (key, value) = until(pair, &['=', ',', ' '])?;
        let (value, next) = until(value.strip_prefix('=')?, &['=', ',', ' '])?;
        tags.push((key, value));
        rest = next;
        (tags.len() <= MAX_COLUMNS).then_some(())?;
    }
    rest = rest.strip_prefix(' ')?;
    loop {
        let (key, value) = until(rest, &['=', ',', ' '])?;
        let (value, next) = field(value.strip_prefix('=')?)?;
        fields.push((key, value));
        (tags.len() + fields.len() <= MAX_COLUMNS).then_some(())?;
        match next.strip_prefix(',') {
            Some(more) => rest = more,
            None => {
                let nanoseconds: i64 = next.strip_prefix(' ')?.parse().ok()?;
                let time = Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()?;
                return Some(ParsedLine { measurement, tags, fields, time });
            }
        }
    }
}

/// Why [`parse`] does not accept a line, in a few words.
#[must_use]
pub fn fault(line: &str) -> &'static str {
    if line.len() > MAX_LINE {
        TOO_LONG
    } else if parse(&format!("{line} 0")).is_some() {
        "no time at its end"
    } else {
        "not line protocol"
    }
}

/// Splits off a name or tag value up to one of `ends`, which stays in the rest. A backslash escapes `,`, `=` and space.
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

/// Splits off the value of a field. The comma or space after it stays in the rest.
fn field(text: &str) -> Option<(ColumnValue<'_>, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        return string(quoted);
    }
    let end = text.find([',', ' '])?;
    let (number, rest) = text.split_at(end);
    let value = match number.strip_suffix('i') {
        Some(integer) => ColumnValue::Integer(integer.parse().ok()?),
        None => ColumnValue::Float(number.parse().ok().filter(|number: &f64| number.is_finite())?),
    };
    Some((value, rest))
}

/// Splits off a string, after its opening quote.
fn string(text: &str) -> Option<(ColumnValue<'_>, &str)> {
    let mut unescaped = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let value = unescaped.map_or(Cow::Borrowed(&text[..at]), Cow::Owned);
                return Some((ColumnValue::Text(value), &text[at + 1..]));
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
