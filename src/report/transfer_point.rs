//! A point of `bandprobe_transfer` read back: what the analysis needs of it, checked.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use thiserror::Error;

use crate::{
    model::{
        flag::{Flag, Flags},
        outcome::Outcome,
        probe::PartName,
        sample::{CacheState, Conn},
        target::AssetKind,
        text::printable,
        units::{BitRate, Micros},
    },
    record::{
        parse::Raw,
        point::{Point, TAG_CHARS, Value},
        schema::{Field, NONE, Tag, transfer as schema},
        transfer::outcome,
    },
};

/// One transfer, as far as the analysis asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferPoint {
    /// When it started.
    pub at: Timestamp,
    /// Where it was measured from.
    pub vantage: Arc<str>,
    /// Whom it asked.
    pub node: Arc<str>,
    /// What was asked for.
    pub kind: Option<AssetKind>,
    /// Which part of it.
    pub part: Option<PartName>,
    /// New connection or reused.
    pub conn: Option<Conn>,
    /// What the node said of its cache.
    pub cache: CacheState,
    /// How it ended.
    pub outcome: Outcome,
    /// Are its rates to be believed?
    pub valid: bool,
    /// Did the node hold the object, where it told?
    pub hit: Option<bool>,
    /// t0 → first response byte.
    pub ttfb: Option<Micros>,
    /// Rate of the body.
    pub goodput: Option<BitRate>,
    /// Reasons for distrust, those that we know.
    pub flags: Flags,
}

/// Why columns are no transfer that we understand.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotATransfer {
    /// A tag or field that every point has.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// Another type or range than the schema has, or a word that we do not know.
    #[error("`{0}` has a value that we do not understand")]
    Unknown(&'static str),
}

/// The tags that [`TransferPoint`] is read from.
pub const TAGS: [Tag; 7] =
    [schema::VANTAGE, schema::NODE, schema::KIND, schema::PART, schema::CONN, schema::CACHE, schema::OUTCOME];

/// The fields that [`TransferPoint`] is read from.
pub const FIELDS: [Field; 5] = [schema::VALID, schema::HIT, schema::TTFB, schema::GOODPUT, schema::FLAGS];

impl TransferPoint {
    /// Reads a point from its columns by name.
    ///
    /// # Errors
    /// When a column that every point has is missing, or one holds what the schema does not allow.
    pub fn from_columns<'a>(
        at: Timestamp,
        column: impl Fn(&'static str) -> Option<Raw<'a>>,
    ) -> Result<Self, NotATransfer> {
        let columns = Columns(column);
        Ok(Self {
            at,
            vantage: columns.name(schema::VANTAGE)?,
            node: columns.name(schema::NODE)?,
            kind: columns.word(schema::KIND, &[AssetKind::Image, AssetKind::Video], AssetKind::label)?,
            part: columns.word(schema::PART, &PartName::ALL, PartName::label)?,
            conn: columns.word(schema::CONN, &[Conn::Cold, Conn::Warm], Conn::label)?,
            cache: columns
                .word(schema::CACHE, &CACHE_STATES, CacheState::label)?
                .ok_or(NotATransfer::Unknown(schema::CACHE.0))?,
            outcome: outcome(&columns.tag(schema::OUTCOME)?).ok_or(NotATransfer::Unknown(schema::OUTCOME.0))?,
            valid: columns.yes_or_no(schema::VALID)?.ok_or(NotATransfer::Missing(schema::VALID.name))?,
            hit: columns.yes_or_no(schema::HIT)?,
            ttfb: columns.amount(schema::TTFB)?.map(Micros),
            goodput: columns.amount(schema::GOODPUT)?.map(BitRate),
            flags: columns.flags()?,
        })
    }

    /// Reads a point that we made ourselves; `None` when it is of another measurement.
    #[must_use]
    pub fn from_point(point: &Point) -> Option<Self> {
        if *point.measurement() != schema::MEASUREMENT {
            return None;
        }
        let column = |name: &str| {
            let tag = point.tags().find(|(tag, _)| tag.0 == name).map(|(_, value)| Raw::Text(value.into()));
            tag.or_else(|| {
                let (_, value) = point.fields().iter().find(|(field, _)| field.name == name)?;
                Some(match value {
                    Value::Integer(integer) => Raw::Integer(*integer),
                    Value::Float(float) => Raw::Float(*float),
                    Value::Text(text) => Raw::Text(text.into()),
                })
            })
        };
        Self::from_columns(point.time(), column).ok()
    }
}

struct Columns<F>(F);

impl<'a, F: Fn(&'static str) -> Option<Raw<'a>>> Columns<F> {
    fn tag(&self, tag: Tag) -> Result<Cow<'a, str>, NotATransfer> {
        match (self.0)(tag.0) {
            Some(Raw::Text(text)) => Ok(text),
            Some(_) => Err(NotATransfer::Unknown(tag.0)),
            None => Err(NotATransfer::Missing(tag.0)),
        }
    }

    /// A tag of any content. Its like goes to a terminal, and it may come from a stranger's file.
    fn name(&self, tag: Tag) -> Result<Arc<str>, NotATransfer> {
        let text = self.tag(tag)?;
        let clean = text.chars().take(TAG_CHARS).map(|c| printable(c, char::REPLACEMENT_CHARACTER));
        Ok(clean.collect::<String>().into())
    }

    /// A tag of few words.
    fn word<T: Copy>(&self, tag: Tag, all: &[T], label: fn(T) -> &'static str) -> Result<Option<T>, NotATransfer> {
        let text = self.tag(tag)?;
        if text == NONE {
            return Ok(None);
        }
        let known = all.iter().copied().find(|word| label(*word) == text);
        known.map(Some).ok_or(NotATransfer::Unknown(tag.0))
    }

    fn amount(&self, field: Field) -> Result<Option<u64>, NotATransfer> {
        match (self.0)(field.name) {
            None => Ok(None),
            Some(Raw::Integer(integer)) => {
                u64::try_from(integer).map(Some).map_err(|_| NotATransfer::Unknown(field.name))
            }
            Some(_) => Err(NotATransfer::Unknown(field.name)),
        }
    }

    fn yes_or_no(&self, field: Field) -> Result<Option<bool>, NotATransfer> {
        match self.amount(field)? {
            None => Ok(None),
            Some(0) => Ok(Some(false)),
            Some(1) => Ok(Some(true)),
            Some(_) => Err(NotATransfer::Unknown(field.name)),
        }
    }

    fn flags(&self) -> Result<Flags, NotATransfer> {
        match (self.0)(schema::FLAGS.name) {
            None => Ok(Flags::NONE),
            Some(Raw::Text(text)) => {
                let known = |label| Flag::ALL.iter().copied().find(|flag| flag.label() == label);
                Ok(text.split(',').filter_map(known).collect())
            }
            Some(_) => Err(NotATransfer::Unknown(schema::FLAGS.name)),
        }
    }
}

const CACHE_STATES: [CacheState; 4] = [CacheState::Hit, CacheState::Pending, CacheState::Miss, CacheState::Unknown];
