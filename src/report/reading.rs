//! Reads points column by column, from any source: a line, a row of the database, or a point of this process.
//!
//! The values are printed on a terminal and may be untrusted. So control characters in texts are replaced, and long
//! texts are cut.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use thiserror::Error;

use crate::{
    model::{
        flag::{Flag, Flags},
        text::printable,
    },
    record::{
        parse::{Parsed, Raw},
        point::{Point, TAG_CHARS, Value},
        schema::{Field, NONE, Tag},
    },
};

/// Why columns are not a valid point.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Misfit {
    /// A tag or field that every point has is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A value has a type or range that the schema does not allow, or an unknown word.
    #[error("`{0}` has a value that we do not understand")]
    Unknown(&'static str),
}

/// Lines or rows that were not understood, counted by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons(BTreeMap<String, u64>);

/// An id that bandprobe gave a request. It is shown as 32 lower-case hex digits (W3C Trace Context §3.2.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(u128);

/// The columns of one point: a function from name to value.
pub(super) struct Columns<F>(pub(super) F);

/// A column of a line.
pub(super) fn of_line<'a>(line: &Parsed<'a>, name: &str) -> Option<Raw<'a>> {
    let tag = line.tags.iter().find(|(key, _)| key == name).map(|(_, value)| Raw::Text(value.clone()));
    tag.or_else(|| Some(line.fields.iter().find(|(key, _)| key == name)?.1.clone()))
}

/// A column of a point of this process.
pub(super) fn of_point<'a>(point: &'a Point, name: &str) -> Option<Raw<'a>> {
    let tag = point.tags().find(|(tag, _)| tag.0 == name).map(|(_, value)| Raw::Text(value.into()));
    tag.or_else(|| {
        let (_, value) = point.fields().iter().find(|(field, _)| field.name == name)?;
        Some(match value {
            Value::Integer(integer) => Raw::Integer(*integer),
            Value::Float(float) => Raw::Float(*float),
            Value::Text(text) => Raw::Text(text.into()),
        })
    })
}

impl Reasons {
    /// Counts one more of this reason.
    pub fn count(&mut self, reason: String) {
        *self.0.entry(reason).or_default() += 1;
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(reason, count)| *self.0.entry(reason.clone()).or_default() += count);
    }

    /// The reasons in alphabetical order, each with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(reason, count)| (reason.as_str(), *count))
    }

    /// The sum of all counts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// `2 not line protocol, 1 no time at its end`.
impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (reason, count)) in self.iter().enumerate() {
            write!(f, "{}{count} {reason}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Id {
    /// Reads 32 hex digits. `None` for any other text.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl<'a, F: Fn(&'static str) -> Option<Raw<'a>>> Columns<F> {
    pub(super) fn tag(&self, tag: Tag) -> Result<Cow<'a, str>, Misfit> {
        match (self.0)(tag.0) {
            Some(Raw::Text(text)) => Ok(text),
            Some(_) => Err(Misfit::Unknown(tag.0)),
            None => Err(Misfit::Missing(tag.0)),
        }
    }

    /// A tag with any content.
    pub(super) fn name(&self, tag: Tag) -> Result<Arc<str>, Misfit> {
        self.tag(tag).map(|text| clean(&text))
    }

    /// A tag with one of the words in `all`. `None` when the tag says that there is none.
    pub(super) fn word<T: Copy>(&self, tag: Tag, all: &[T], label: fn(T) -> &'static str) -> Result<Option<T>, Misfit> {
        let text = self.tag(tag)?;
        if text == NONE {
            return Ok(None);
        }
        let known = all.iter().copied().find(|word| label(*word) == text);
        known.map(Some).ok_or(Misfit::Unknown(tag.0))
    }

    /// A text field. `None` when absent.
    pub(super) fn text(&self, field: Field) -> Result<Option<Arc<str>>, Misfit> {
        match (self.0)(field.name) {
            None => Ok(None),
            Some(Raw::Text(text)) => Ok(Some(clean(&text))),
            Some(_) => Err(Misfit::Unknown(field.name)),
        }
    }

    pub(super) fn whole(&self, field: Field) -> Result<Option<i64>, Misfit> {
        match (self.0)(field.name) {
            None => Ok(None),
            Some(Raw::Integer(integer)) => Ok(Some(integer)),
            Some(_) => Err(Misfit::Unknown(field.name)),
        }
    }

    /// An integer field that is not negative. `None` when absent.
    pub(super) fn amount(&self, field: Field) -> Result<Option<u64>, Misfit> {
        let whole = self.whole(field)?;
        whole.map(|integer| u64::try_from(integer).map_err(|_| Misfit::Unknown(field.name))).transpose()
    }

    pub(super) fn yes_or_no(&self, field: Field) -> Result<Option<bool>, Misfit> {
        match self.whole(field)? {
            None => Ok(None),
            Some(0) => Ok(Some(false)),
            Some(1) => Ok(Some(true)),
            Some(_) => Err(Misfit::Unknown(field.name)),
        }
    }

    pub(super) fn id(&self, field: Field) -> Option<Id> {
        match (self.0)(field.name)? {
            Raw::Text(text) => Id::read(&text),
            _ => None,
        }
    }

    /// The known flags in a field. Unknown flags are ignored.
    pub(super) fn flags(&self, field: Field) -> Result<Flags, Misfit> {
        match (self.0)(field.name) {
            None => Ok(Flags::NONE),
            Some(Raw::Text(text)) => {
                let known = |label| Flag::ALL.iter().copied().find(|flag| flag.label() == label);
                Ok(text.split(',').filter_map(known).collect())
            }
            Some(_) => Err(Misfit::Unknown(field.name)),
        }
    }
}

fn clean(text: &str) -> Arc<str> {
    text.chars().take(TAG_CHARS).map(|c| printable(c, char::REPLACEMENT_CHARACTER)).collect::<String>().into()
}
