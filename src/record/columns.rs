//! Reads points column by column, from any source: a line, a row of the database, or a point of this process.
//!
//! The values are printed on a terminal and may be untrusted. So control characters in texts are replaced, and long
//! texts are cut.

use std::{borrow::Cow, fmt, sync::Arc};

use thiserror::Error;

use crate::model::{
    flag::{Flag, Flags},
    text::printable,
};

use super::{
    parse::{ColumnValue, ParsedLine},
    point::{Point, TAG_CHARS, Value},
    schema::{Field, NONE, Tag},
};

/// Why columns are not a valid point.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// A tag or field that every point has is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A value has a type or range that the schema does not allow, or an unknown word.
    #[error("`{0}` has a value that is not understood")]
    Unknown(&'static str),
}

/// A trace id or request id that bandprobe gave a request. It is shown as 32 lower-case hex digits (W3C Trace Context §3.2.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HexId(u128);

/// The columns of one point: a function from name to value.
pub(crate) struct Columns<F>(pub(crate) F);

/// A column of a line.
pub(crate) fn column_of_line<'a>(line: &ParsedLine<'a>, name: &str) -> Option<ColumnValue<'a>> {
    let tag = line.tags.iter().find(|(key, _)| key == name).map(|(_, value)| ColumnValue::Text(value.clone()));
    tag.or_else(|| Some(line.fields.iter().find(|(key, _)| key == name)?.1.clone()))
}

/// A column of a point of this process.
pub(crate) fn column_of_point<'a>(point: &'a Point, name: &str) -> Option<ColumnValue<'a>> {
    let tag = point.tags().find(|(tag, _)| tag.0 == name).map(|(_, value)| ColumnValue::Text(value.into()));
    tag.or_else(|| {
        let (_, value) = point.fields().iter().find(|(field, _)| field.name == name)?;
        Some(match value {
            Value::Integer(integer) => ColumnValue::Integer(*integer),
            Value::Float(float) => ColumnValue::Float(*float),
            Value::Text(text) => ColumnValue::Text(text.into()),
        })
    })
}

impl HexId {
    /// Reads 32 hex digits. `None` for any other text.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for HexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl<'a, F: Fn(&'static str) -> Option<ColumnValue<'a>>> Columns<F> {
    pub(crate) fn tag(&self, tag: Tag) -> Result<Cow<'a, str>, SchemaError> {
        match (self.0)(tag.0) {
            Some(ColumnValue::Text(text)) => Ok(text),
            Some(_) => Err(SchemaError::Unknown(tag.0)),
            None => Err(SchemaError::Missing(tag.0)),
        }
    }

    /// A tag with any content.
    pub(crate) fn name(&self, tag: Tag) -> Result<Arc<str>, SchemaError> {
        self.tag(tag).map(|text| clean(&text))
    }

    /// A tag with one of the words in `all`. `None` when the tag says that there is none.
    pub(crate) fn word<T: Copy>(
        &self,
        tag: Tag,
        all: &[T],
        label: fn(T) -> &'static str,
    ) -> Result<Option<T>, SchemaError> {
        let text = self.tag(tag)?;
        if text == NONE {
            return Ok(None);
        }
        let known = all.iter().copied().find(|word| label(*word) == text);
        known.map(Some).ok_or(SchemaError::Unknown(tag.0))
    }

    /// A text field. `None` when absent.
    pub(crate) fn text(&self, field: Field) -> Result<Option<Arc<str>>, SchemaError> {
        match (self.0)(field.name) {
            None => Ok(None),
            Some(ColumnValue::Text(text)) => Ok(Some(clean(&text))),
            Some(_) => Err(SchemaError::Unknown(field.name)),
        }
    }

    pub(crate) fn whole(&self, field: Field) -> Result<Option<i64>, SchemaError> {
        match (self.0)(field.name) {
            None => Ok(None),
            Some(ColumnValue::Integer(integer)) => Ok(Some(integer)),
            Some(_) => Err(SchemaError::Unknown(field.name)),
        }
    }

    /// An integer field that is not negative. `None` when absent.
    pub(crate) fn amount(&self, field: Field) -> Result<Option<u64>, SchemaError> {
        let whole = self.whole(field)?;
        whole.map(|integer| u64::try_from(integer).map_err(|_| SchemaError::Unknown(field.name))).transpose()
    }

    pub(crate) fn yes_or_no(&self, field: Field) -> Result<Option<bool>, SchemaError> {
        match self.whole(field)? {
            None => Ok(None),
            Some(0) => Ok(Some(false)),
            Some(1) => Ok(Some(true)),
            Some(_) => Err(SchemaError::Unknown(field.name)),
        }
    }

    pub(crate) fn id(&self, field: Field) -> Option<HexId> {
        match (self.0)(field.name)? {
            ColumnValue::Text(text) => HexId::read(&text),
            _ => None,
        }
    }

    /// The known flags in a field. Unknown flags are ignored.
    pub(crate) fn flags(&self, field: Field) -> Result<Flags, SchemaError> {
        match (self.0)(field.name) {
            None => Ok(Flags::NONE),
            Some(ColumnValue::Text(text)) => {
                let known = |label| Flag::ALL.iter().copied().find(|flag| flag.label() == label);
                Ok(text.split(',').filter_map(known).collect())
            }
            Some(_) => Err(SchemaError::Unknown(field.name)),
        }
    }
}

fn clean(text: &str) -> Arc<str> {
    text.chars().take(TAG_CHARS).map(|c| printable(c, char::REPLACEMENT_CHARACTER)).collect::<String>().into()
}
