//! A point of `bandprobe_node` read back: what the analysis needs of it, checked.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::reading::{Columns, Misfit, of_point};
use crate::{
    model::{availability::State, units::Micros},
    record::{
        parse::Raw,
        point::Point,
        schema::{Field, Tag, node as schema},
    },
};

/// What one round of the status probe found of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodePoint {
    /// When it was asked.
    pub at: Timestamp,
    /// Where it was seen from.
    pub vantage: Arc<str>,
    /// Which node.
    pub node: Arc<str>,
    /// What it is for.
    pub role: Arc<str>,
    /// How it was judged.
    pub state: State,
    /// Why, in words.
    pub reason: Arc<str>,
    /// Did it answer as a node does? `None` where it cannot be told.
    pub up: Option<bool>,
    /// Of its status answer.
    pub latency: Option<Micros>,
    /// Blocks that it has processed less than the others; negative when more.
    pub blocks_behind: Option<i64>,
    /// Since its start.
    pub uptime: Option<Duration>,
    /// What it runs.
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
    /// Reads a point from its columns by name.
    ///
    /// # Errors
    /// When a column that every point has is missing, or one holds what the schema does not allow.
    pub fn from_columns<'a>(at: Timestamp, column: impl Fn(&'static str) -> Option<Raw<'a>>) -> Result<Self, Misfit> {
        let columns = Columns(column);
        let code = columns.amount(schema::STATE_CODE)?.ok_or(Misfit::Missing(schema::STATE_CODE.name))?;
        Ok(Self {
            at,
            vantage: columns.name(schema::VANTAGE)?,
            node: columns.name(schema::NODE)?,
            role: columns.name(schema::ROLE)?,
            state: of_code(code).ok_or(Misfit::Unknown(schema::STATE_CODE.name))?,
            reason: columns.text(schema::REASON)?.unwrap_or_default(),
            up: columns.yes_or_no(schema::UP)?,
            latency: columns.amount(schema::LATENCY)?.map(Micros),
            blocks_behind: columns.whole(schema::BLOCKS_BEHIND)?,
            uptime: columns.amount(schema::UPTIME)?.map(Duration::from_secs),
            version: columns.text(schema::VERSION)?,
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

/// The state that has this code.
pub(super) fn of_code(code: u64) -> Option<State> {
    State::ALL.into_iter().find(|state| state.code() == code)
}
