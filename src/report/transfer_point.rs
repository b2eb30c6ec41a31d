//! A point of `bandprobe_transfer` read back: what the analysis needs of it, checked.

use std::sync::Arc;

use jiff::Timestamp;

use super::reading::{Columns, Id, Misfit, of_point};
use crate::{
    model::{
        flag::Flags,
        outcome::Outcome,
        probe::PartName,
        sample::{CacheState, Conn},
        target::AssetKind,
        units::{BitRate, Micros},
    },
    record::{
        parse::Raw,
        point::Point,
        schema::{Field, Tag, transfer as schema},
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
    /// Was the whole run good? On the transfer that decides its run, and on no other.
    pub run_ok: Option<bool>,
    /// t0 → first response byte.
    pub ttfb: Option<Micros>,
    /// Rate of the body.
    pub goodput: Option<BitRate>,
    /// Reasons for distrust, those that we know.
    pub flags: Flags,
    /// The probe that asked, where the columns have it.
    pub probe: Option<Arc<str>>,
    /// What was sent in `traceparent`, where the columns have it.
    pub trace_id: Option<Id>,
    /// What was sent in `x-request-id`, where the columns have it.
    pub request_id: Option<Id>,
}

/// The tags that [`TransferPoint`] is read from.
pub const TAGS: [Tag; 7] =
    [schema::VANTAGE, schema::NODE, schema::KIND, schema::PART, schema::CONN, schema::CACHE, schema::OUTCOME];

/// The fields that [`TransferPoint`] is read from.
pub const FIELDS: [Field; 6] =
    [schema::VALID, schema::HIT, schema::RUN_OK, schema::TTFB, schema::GOODPUT, schema::FLAGS];

/// What tells one transfer from the others of its kind: asked for where single ones are shown.
pub const IDS: [Field; 2] = [schema::TRACE_ID, schema::REQUEST_ID];

impl TransferPoint {
    /// Reads a point from its columns by name.
    ///
    /// # Errors
    /// When a column that every point has is missing, or one holds what the schema does not allow.
    pub fn from_columns<'a>(at: Timestamp, column: impl Fn(&'static str) -> Option<Raw<'a>>) -> Result<Self, Misfit> {
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
                .ok_or(Misfit::Unknown(schema::CACHE.0))?,
            outcome: outcome(&columns.tag(schema::OUTCOME)?).ok_or(Misfit::Unknown(schema::OUTCOME.0))?,
            valid: columns.yes_or_no(schema::VALID)?.ok_or(Misfit::Missing(schema::VALID.name))?,
            hit: columns.yes_or_no(schema::HIT)?,
            run_ok: columns.yes_or_no(schema::RUN_OK)?,
            ttfb: columns.amount(schema::TTFB)?.map(Micros),
            goodput: columns.amount(schema::GOODPUT)?.map(BitRate),
            flags: columns.flags(schema::FLAGS)?,
            probe: columns.name(schema::PROBE).ok(),
            trace_id: columns.id(schema::TRACE_ID),
            request_id: columns.id(schema::REQUEST_ID),
        })
    }

    /// Reads a point that we made ourselves; `None` when it is of another measurement.
    #[must_use]
    pub fn from_point(point: &Point) -> Option<Self> {
        if *point.measurement() != schema::MEASUREMENT {
            return None;
        }
        Self::from_columns(point.time(), |name| of_point(point, name)).ok()
    }
}

const CACHE_STATES: [CacheState; 4] = [CacheState::Hit, CacheState::Pending, CacheState::Miss, CacheState::Unknown];
