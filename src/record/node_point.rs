//! A point of `bandprobe_node`, read and checked. It has only the columns that the analysis needs.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::model::{health::HealthState, units::Micros};

use super::{
    columns::{Columns, SchemaError, column_of_point},
    parse::ColumnValue,
    point::Point,
    schema::{Field, Tag, node as schema},
};

/// The result of one round of the status probe for a node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodePoint {
    /// When the node was asked.
    pub at: Timestamp,
    /// The vantage that asked.
    pub vantage: Arc<str>,
    /// The id of the node.
    pub node: Arc<str>,
    /// The role of the node: `distributor`, `storage` or `http`.
    pub role: Arc<str>,
    /// The state that the round found.
    pub state: HealthState,
    /// Why it has this state, as text for people.
    pub reason: Arc<str>,
    /// Whether it answered as a node does. `None` when that cannot be determined.
    pub up: Option<bool>,
    /// Latency of its status answer.
    pub latency: Option<Micros>,
    /// Blocks that it has processed less than the others. Negative when it has processed more.
    pub blocks_behind: Option<i64>,
    /// Time since its process started.
    pub uptime: Option<Duration>,
    /// Version of its software.
    pub version: Option<Arc<str>>,
}

/// The tags that [`NodePoint`] is read from.
pub const TAGS: [Tag; 3] = [schema::VANTAGE, schema::NODE, schema::ROLE];

/// The fields that [`NodePoint`] is read from.
pub const FIELDS: [Field; 7] = [
    schema::STATE_CODE,
    schema::REASON,
    schema::UP,
    schema::LATENCY,
    schema::BLOCKS_BEHIND,
    schema::UPTIME,
    schema::VERSION,
];

impl NodePoint {
    /// Reads a point. `column` returns the value of a column by name.
    ///
    /// # Errors
    /// When a column that every point has is missing, or when a value is not allowed by the schema.
    pub fn from_columns<'a>(
        at: Timestamp,
        column: impl Fn(&'static str) -> Option<ColumnValue<'a>>,
    ) -> Result<Self, SchemaError> {
        let columns = Columns(column);
        let code = columns.amount(schema::STATE_CODE)?.ok_or(SchemaError::Missing(schema::STATE_CODE.name))?;
        Ok(Self {
            at,
            vantage: columns.name(schema::VANTAGE)?,
            node: columns.name(schema::NODE)?,
            role: columns.name(schema::ROLE)?,
            state: state_of_code(code).ok_or(SchemaError::Unknown(schema::STATE_CODE.name))?,
            reason: columns.text(schema::REASON)?.unwrap_or_default(),
            up: columns.yes_or_no(schema::UP)?,
            latency: columns.amount(schema::LATENCY)?.map(Micros),
            blocks_behind: columns.whole(schema::BLOCKS_BEHIND)?,
            uptime: columns.amount(schema::UPTIME)?.map(Duration::from_secs),
            version: columns.text(schema::VERSION)?,
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

/// The state with this code. `None` when there is none.
pub(crate) fn state_of_code(code: u64) -> Option<HealthState> {
    HealthState::ALL.into_iter().find(|state| state.code() == code)
}
