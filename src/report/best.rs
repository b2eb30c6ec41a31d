//! The best node from a vantage, compared with the targets of the working group's standard.
//!
//! Distributors are compared. If no node of a vantage is known to be one (plain web servers, or no status probe), all
//! nodes except storage nodes are compared. A node is excluded if it was dead in the last status round, or if our own
//! policy blocks it.
//!
//! A figure counts only if it rests on enough recent values ([`newest`](super::newest)).

use super::standard::{GOODPUT_TARGET, HIT_TARGET_PERCENT, NodeFigures, TTFB_TARGET};
use crate::{
    model::{health::HealthState, target::Profile},
    record::node::role,
};

/// The figure by which nodes are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Median time to first byte; the lowest is best.
    Ttfb,
    /// Median goodput; the highest is best.
    Goodput,
    /// Hit ratio. The lowest one is selected, because the standard is about the worst node.
    Hits,
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Best<'a> {
    /// No compared node has a value.
    NotMeasured,
    /// No node has enough recent values, except nodes that are dead or blocked.
    NotEnough,
    /// The selected node.
    Node {
        /// The figures of the node.
        row: &'a NodeFigures,
        /// Whether its figure is within the target.
        met: bool,
    },
}

impl Measure {
    /// All figures, in the order of display.
    pub const ALL: [Self; 3] = [Self::Ttfb, Self::Goodput, Self::Hits];

    /// Compares the rows of one vantage.
    #[must_use]
    pub fn best(self, rows: &[NodeFigures]) -> Best<'_> {
        let is_distributor = |row: &NodeFigures| row.role.as_deref() == Some(role(Profile::Argus));
        let is_storage = |row: &NodeFigures| row.role.as_deref() == Some(role(Profile::Colossus));
        let any_distributor = rows.iter().any(is_distributor);
        let competes = |row: &&NodeFigures| if any_distributor { is_distributor(row) } else { !is_storage(row) };
        let measured: Vec<_> = rows.iter().filter(competes).filter(|row| self.count(row) > 0).collect();
        if measured.is_empty() {
            return Best::NotMeasured;
        }
        let is_up = |row: &NodeFigures| !matches!(row.state, Some(HealthState::Dead | HealthState::Blocked));
        let able = measured.into_iter().filter(|row| self.is_current(row) && is_up(row));
        let best = match self {
            Self::Ttfb => able.min_by_key(|row| row.ttfb.p50),
            Self::Goodput => able.max_by_key(|row| row.goodput.p50),
            Self::Hits => {
                able.min_by(|a, b| a.hit_ratio().partial_cmp(&b.hit_ratio()).unwrap_or(std::cmp::Ordering::Equal))
            }
        };
        best.map_or(Best::NotEnough, |row| Best::Node { row, met: self.is_met(row) })
    }

    /// Number of values in the row's figure.
    #[must_use]
    pub const fn count(self, row: &NodeFigures) -> u64 {
        match self {
            Self::Ttfb => row.ttfb.count,
            Self::Goodput => row.goodput.count,
            Self::Hits => row.checks,
        }
    }

    /// Is the row's figure within the target? False when it has no values.
    #[must_use]
    pub fn is_met(self, row: &NodeFigures) -> bool {
        match self {
            Self::Ttfb => row.ttfb.p50.is_some_and(|median| median < TTFB_TARGET),
            Self::Goodput => row.goodput.p50.is_some_and(|median| median > GOODPUT_TARGET),
            Self::Hits => row.hits * 100 > row.checks * HIT_TARGET_PERCENT,
        }
    }

    const fn is_current(self, row: &NodeFigures) -> bool {
        match self {
            Self::Ttfb => row.ttfb.is_current,
            Self::Goodput => row.goodput.is_current,
            Self::Hits => row.hits_are_current,
        }
    }
}
