//! A point of `bandprobe_transfer`, read and checked. It has only the columns that the analysis needs.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{
    flag::Flags,
    outcome::Outcome,
    probe::PartName,
    sample::{CacheState, ConnectionKind},
    target::AssetKind,
    units::{BitRate, Micros},
};

use super::{
    columns::{Columns, HexId, SchemaError, column_of_point},
    parse::ColumnValue,
    point::Point,
    schema::{Field, Tag, transfer as schema},
    transfer::outcome,
};

/// One transfer.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferPoint {
    /// When it started.
    pub at: Timestamp,
    /// The vantage that made it.
    pub vantage: Arc<str>,
    /// The id of the node.
    pub node: Arc<str>,
    /// Kind of the asset. `None` when the probe expects none.
    pub kind: Option<AssetKind>,
    /// Part of the probe. `None` for a run without a transfer.
    pub part: Option<PartName>,
    /// New or reused connection. `None` for a run without a transfer.
    pub conn: Option<ConnectionKind>,
    /// The cache state that the node reported.
    pub cache: CacheState,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether its rates are valid.
    pub valid: bool,
    /// Whether the node held the object. `None` when the transfer does not count for the hit ratio.
    pub hit: Option<bool>,
    /// Whether the whole run was good. Only the last transfer of a run has it.
    pub run_ok: Option<bool>,
    /// Time from the start (t0) to the first response byte.
    pub ttfb: Option<Micros>,
    /// Rate of the body.
    pub goodput: Option<BitRate>,
    /// The known flags. Unknown ones are ignored.
    pub flags: Flags,
    /// Name of the probe. `None` when the source does not include this column.
    pub probe: Option<Arc<str>>,
    /// The trace id that was sent in `traceparent`. `None` when the source does not include this column.
    pub trace_id: Option<HexId>,
    /// The id that was sent in `x-request-id`. `None` when the source does not include this column.
    pub request_id: Option<HexId>,
}

/// The tags that [`TransferPoint`] is read from.
pub const TAGS: [Tag; 7] =
    [schema::VANTAGE, schema::NODE, schema::KIND, schema::PART, schema::CONN, schema::CACHE, schema::OUTCOME];

/// The fields that [`TransferPoint`] is read from.
pub const FIELDS: [Field; 6] =
    [schema::VALID, schema::HIT, schema::RUN_OK, schema::TTFB, schema::GOODPUT, schema::FLAGS];

/// The fields that identify a transfer. They are requested only for transfers that are listed one by one.
pub const IDS: [Field; 2] = [schema::TRACE_ID, schema::REQUEST_ID];

impl TransferPoint {
    /// Reads a point. `column` returns the value of a column by name.
    ///
    /// # Errors
    /// When a column that every point has is missing, or when a value is not allowed by the schema.
    pub fn from_columns<'a>(
        at: Timestamp,
        column: impl Fn(&'static str) -> Option<ColumnValue<'a>>,
    ) -> Result<Self, SchemaError> {
        let columns = Columns(column);
        Ok(Self {
            at,
            vantage: columns.name(schema::VANTAGE)?,
            node: columns.name(schema::NODE)?,
            kind: columns.word(schema::KIND, &[AssetKind::Image, AssetKind::Video], AssetKind::label)?,
            part: columns.word(schema::PART, &PartName::ALL, PartName::label)?,
            conn: columns.word(schema::CONN, &[ConnectionKind::Cold, ConnectionKind::Warm], ConnectionKind::label)?,
            cache: columns
                .word(schema::CACHE, &CACHE_STATES, CacheState::label)?
                .ok_or(SchemaError::Unknown(schema::CACHE.0))?,
            outcome: outcome(&columns.tag(schema::OUTCOME)?).ok_or(SchemaError::Unknown(schema::OUTCOME.0))?,
            valid: columns.yes_or_no(schema::VALID)?.ok_or(SchemaError::Missing(schema::VALID.name))?,
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

    /// Reads a point that this process made. `None` when it belongs to another measurement.
    #[must_use]
    pub fn from_point(point: &Point) -> Option<Self> {
        if *point.measurement() != schema::MEASUREMENT {
            return None;
        }
        Self::from_columns(point.time(), |name| column_of_point(point, name)).ok()
    }
}

const CACHE_STATES: [CacheState; 4] = [CacheState::Hit, CacheState::Pending, CacheState::Miss, CacheState::Unknown];
