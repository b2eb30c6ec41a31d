//! A point: one row of a measurement, with only values that line protocol and NDJSON can both represent.
//!
//! Values that one of them cannot represent in one line and for every reader are replaced when they are set:
//!
//! | where | what | becomes |
//! |---|---|---|
//! | tag | empty | `none` |
//! | tag | control character, line or paragraph separator | U+FFFD |
//! | tag | `\` (readers treat it differently before `,`, `=` and space, and none accepts it at the end) | `/` |
//! | text | control character, line or paragraph separator | a space |
//! | text | empty | the field is left out |
//! | integer | above 2⁶³ − 1 | 2⁶³ − 1 |
//! | float | NaN, ±∞ | the field is left out |

use jiff::Timestamp;

use super::schema::{Field, Kind, Measurement, NONE, Tag};
use crate::model::text::printable;

/// One row of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    measurement: &'static Measurement,
    /// One value for each tag of the measurement, in the same order.
    tags: Vec<String>,
    /// In the order of the fields of the measurement.
    fields: Vec<(Field, Value)>,
    /// The positions of `fields` in the list of the measurement. A search for each field by name took most of the time
    /// for a point.
    places: Vec<usize>,
    time: Timestamp,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A signed integer.
    Integer(i64),
    /// A finite number.
    Float(f64),
    /// Not empty, one line, without control characters.
    Text(String),
}

/// The longest value of a tag, in characters. Longer ones are cut.
pub const TAG_CHARS: usize = 200;

/// The longest value of a text field, in characters. Longer ones are cut.
pub const TEXT_CHARS: usize = 200;

/// The longest [`Point::blob`], in bytes. InfluxDB accepts string fields of up to 64 KiB.
pub const BLOB_BYTES: usize = 65_535;

impl Point {
    /// Creates a point without fields, with all tags set to `none`.
    #[must_use]
    pub fn new(measurement: &'static Measurement, time: Timestamp) -> Self {
        let tags = vec![NONE.to_owned(); measurement.tags.len()];
        Self {
            measurement,
            tags,
            fields: Vec::with_capacity(measurement.fields.len()),
            places: Vec::with_capacity(measurement.fields.len()),
            time,
        }
    }

    /// Sets a tag of the measurement. Characters that a tag cannot contain are replaced.
    pub fn tag(&mut self, tag: Tag, value: &str) {
        let index = self.measurement.tags.iter().position(|known| *known == tag);
        self.tags[index.expect("invariant: the tag is in the schema of the measurement")] = tag_value(value);
    }

    /// Sets an integer field, if there is a value.
    pub fn integer(&mut self, field: Field, value: Option<u64>) {
        if let Some(value) = value {
            self.set(field, Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)));
        }
    }

    /// Sets an integer field that may be negative, if there is a value.
    pub fn signed(&mut self, field: Field, value: Option<i64>) {
        if let Some(value) = value {
            self.set(field, Value::Integer(value));
        }
    }

    /// Sets a float field, if there is a value and it is finite.
    pub fn float(&mut self, field: Field, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.set(field, Value::Float(value));
        }
    }

    /// Sets a text field, if there is a text and it is not empty. Characters that a text cannot contain are replaced.
    pub fn text(&mut self, field: Field, value: Option<&str>) {
        let text: String = value.unwrap_or_default().chars().take(TEXT_CHARS).map(|c| printable(c, ' ')).collect();
        if !text.is_empty() {
            self.set(field, Value::Text(text));
        }
    }

    /// Sets a text field to encoded bytes, which must not be cut. A value longer than [`BLOB_BYTES`] is left out.
    pub fn blob(&mut self, field: Field, value: String) {
        assert!(!value.contains(|c: char| !c.is_ascii_graphic()), "invariant: a blob is plain ASCII");
        if !value.is_empty() && value.len() <= BLOB_BYTES {
            self.set(field, Value::Text(value));
        }
    }

    /// The measurement that this is a row of.
    #[must_use]
    pub const fn measurement(&self) -> &'static Measurement {
        self.measurement
    }

    /// All tags with their values, in the order of the schema.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = (Tag, &str)> {
        self.measurement.tags.iter().zip(&self.tags).map(|(tag, value)| (*tag, value.as_str()))
    }

    /// The fields that are present, in the order of the schema.
    #[must_use]
    pub fn fields(&self) -> &[(Field, Value)] {
        &self.fields
    }

    /// The time of the point.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    fn set(&mut self, field: Field, value: Value) {
        let kind = match value {
            Value::Integer(_) => Kind::Integer,
            Value::Float(_) => Kind::Float,
            Value::Text(_) => Kind::Text,
        };
        assert_eq!(kind, field.kind, "invariant: {} keeps its type", field.name);
        // Fields are mostly set in the order of the schema, so search after the last one first.
        let (before, after) = self.measurement.fields.split_at(self.places.last().map_or(0, |last| last + 1));
        let place = after.iter().position(|known| *known == field).map(|place| before.len() + place);
        let place = place.or_else(|| before.iter().position(|known| *known == field));
        let place = place.expect("invariant: the field is in the schema of the measurement");
        match self.places.binary_search(&place) {
            Ok(at) => self.fields[at].1 = value,
            Err(at) => {
                self.places.insert(at, place);
                self.fields.insert(at, (field, value));
            }
        }
    }
}

fn tag_value(value: &str) -> String {
    if value.is_empty() {
        return NONE.to_owned();
    }
    let replaced = |c| if c == '\\' { '/' } else { printable(c, char::REPLACEMENT_CHARACTER) };
    value.chars().take(TAG_CHARS).map(replaced).collect()
}
