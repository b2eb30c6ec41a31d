//! The values of a section, by type. Each wrong value is reported as a problem and counts as unset.

use std::{fmt::Display, ops::RangeInclusive, time::Duration};

use toml::de::DeValue;

use super::{
    super::problem::SourceLocation,
    section::{Section, name_of},
};
use crate::model::{
    size::Size,
    units::{Bytes, format_duration, parse_duration},
};

/// A value, from the file or from a variable.
pub(super) enum RawValue<'d> {
    Written(&'d DeValue<'d>),
    Variable(&'d str),
}

/// An element of a list of names.
pub(in super::super) enum ListItem<'d> {
    /// A name.
    Text(String, SourceLocation),
    /// A table that contains the name.
    Table(Section<'d>),
}

/// A setting that is on or off as a whole, or on for a list of texts only.
pub(in super::super) enum Switch {
    Whole(bool),
    Texts(Vec<(String, SourceLocation)>),
}

impl<'d> Section<'d> {
    /// A text that `parse` converts. The error of `parse` becomes the message of the problem.
    pub(in super::super) fn parse<T, E: Display>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = match self.find(key)? {
            RawValue::Variable(text) => text,
            RawValue::Written(DeValue::String(text)) => text.as_ref(),
            RawValue::Written(other) => return self.wrong_type(key, "a string in quotes", other),
        };
        parse(text).map_err(|error| self.refuse(key, error.to_string())).ok()
    }

    /// A duration within `range`.
    pub(in super::super) fn duration(&self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        self.parse(key, |text| {
            let duration = parse_duration(text).map_err(|error| error.to_string())?;
            if range.contains(&duration) {
                return Ok(duration);
            }
            let (least, most) = (format_duration(*range.start()), format_duration(*range.end()));
            Err(format!("`{text}` is out of range: it must be {least} to {most}"))
        })
    }

    /// A size of at least one byte.
    pub(in super::super) fn size(&self, key: &'static str) -> Option<Bytes> {
        self.parse(key, |text| match text.parse() {
            Ok(Bytes(0)) => Err(format!("`{text}` must be more than zero")),
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(error.to_string()),
        })
    }

    /// The stated size of an asset: a whole number of bytes, or a text with a unit, which may be rounded.
    pub(in super::super) fn stated_size(&self, key: &'static str) -> Option<Size> {
        let read = |text: &str| match text.parse::<Size>() {
            Ok(size) if size.stated() == Bytes(0) => Err(format!("`{text}` must be more than zero")),
            Ok(size) => Ok(size),
            Err(error) => Err(error.to_string()),
        };
        match self.find(key)? {
            RawValue::Written(DeValue::Integer(_)) => {
                self.whole(key, 1..=i64::MAX.unsigned_abs()).map(|bytes| Bytes(bytes).into())
            }
            RawValue::Written(DeValue::String(_)) | RawValue::Variable(_) => self.parse(key, read),
            RawValue::Written(other) => self.wrong_type(key, "a whole number of bytes, or a string in quotes", other),
        }
    }

    /// A whole number within `range`.
    pub(in super::super) fn whole(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let (number, shown) = match self.find(key)? {
            RawValue::Variable(text) => (text.parse::<i64>().ok(), text.to_owned()),
            RawValue::Written(DeValue::Integer(i)) => (i64::from_str_radix(i.as_str(), i.radix()).ok(), i.to_string()),
            RawValue::Written(other) => return self.wrong_type(key, "a whole number", other),
        };
        let number = number.and_then(|number| u64::try_from(number).ok()).filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = range.into_inner();
            self.refuse(key, format!("`{shown}` is out of range: it must be a whole number from {least} to {most}"));
        }
        number
    }

    /// A finite number, with or without a fraction.
    pub(in super::super) fn number(&self, key: &'static str) -> Option<f64> {
        let text = match self.find(key)? {
            RawValue::Variable(text) => text,
            RawValue::Written(DeValue::Float(float)) => float.as_str(),
            RawValue::Written(DeValue::Integer(integer)) => integer.as_str(),
            RawValue::Written(other) => return self.wrong_type(key, "a number", other),
        };
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        if number.is_none() {
            self.refuse(key, format!("`{text}` is not a number"));
        }
        number
    }

    /// A boolean.
    pub(in super::super) fn yes_or_no(&self, key: &'static str) -> Option<bool> {
        match self.find(key)? {
            RawValue::Variable("true") | RawValue::Written(DeValue::Boolean(true)) => Some(true),
            RawValue::Variable("false") | RawValue::Written(DeValue::Boolean(false)) => Some(false),
            RawValue::Variable(text) => {
                self.refuse(key, format!("`{text}` is neither `true` nor `false`"));
                None
            }
            RawValue::Written(other) => self.wrong_type(key, "`true` or `false`", other),
        }
    }

    /// A boolean, or a list of texts.
    pub(in super::super) fn switch_or_texts(&self, key: &'static str) -> Option<Switch> {
        match self.find(key)? {
            RawValue::Variable("true" | "false") | RawValue::Written(DeValue::Boolean(_)) => {
                self.yes_or_no(key).map(Switch::Whole)
            }
            RawValue::Variable(_) | RawValue::Written(DeValue::String(_) | DeValue::Array(_)) => {
                self.texts(key).map(Switch::Texts)
            }
            RawValue::Written(other) => self.wrong_type(key, "`true`, `false` or a list of strings", other),
        }
    }

    /// One of a few words.
    pub(in super::super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        self.parse(key, |text| {
            choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice).ok_or_else(|| {
                let words: Vec<_> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
                format!("`{text}` is not one of {}", words.join(", "))
            })
        })
    }

    /// A list of texts and tables. A single text with commas is accepted too.
    pub(in super::super) fn items(&self, key: &'static str) -> Option<Vec<ListItem<'d>>> {
        let array = match self.find(key)? {
            RawValue::Written(DeValue::Array(array)) => array,
            RawValue::Written(DeValue::String(text)) => return Some(self.split_items(key, text)),
            RawValue::Variable(text) => return Some(self.split_items(key, text)),
            RawValue::Written(other) => return self.wrong_type(key, "a list of strings or tables", other),
        };
        let items = array.iter().enumerate().filter_map(|(index, item)| {
            let place = self.item_place(key, index, item);
            match item.get_ref() {
                DeValue::String(text) => Some(ListItem::Text(text.to_string(), place)),
                DeValue::Table(table) => Some(ListItem::Table(self.below(place, table))),
                other => {
                    let message = format!("expected a string in quotes or a table, found {}", name_of(other));
                    self.document.refuse(place, message, None);
                    None
                }
            }
        });
        Some(items.collect())
    }

    fn split_items(&self, key: &'static str, text: &str) -> Vec<ListItem<'d>> {
        self.split(key, text).into_iter().map(|(text, place)| ListItem::Text(text, place)).collect()
    }

    /// A list of texts, each with its place. A single text with commas is accepted too.
    pub(in super::super) fn texts(&self, key: &'static str) -> Option<Vec<(String, SourceLocation)>> {
        let array = match self.find(key)? {
            RawValue::Written(DeValue::Array(array)) => array,
            RawValue::Variable(text) => return Some(self.split(key, text)),
            RawValue::Written(DeValue::String(text)) => return Some(self.split(key, text)),
            RawValue::Written(other) => return self.wrong_type(key, "a list of strings", other),
        };
        let texts = array.iter().enumerate().filter_map(|(index, item)| {
            let place = self.item_place(key, index, item);
            match item.get_ref() {
                DeValue::String(text) => Some((text.to_string(), place)),
                other => {
                    self.document.refuse(place, format!("expected a string in quotes, found {}", name_of(other)), None);
                    None
                }
            }
        });
        Some(texts.collect())
    }
}
