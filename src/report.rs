//! The analysis: from points, out of the archive or the database, to what a person reads.
//!
//! ```text
//! archive ── scan ──┐                      ┌─> Standard ─────┐
//! InfluxDB ─ query ─┼─> TransferPoint ─────┼─> Slowest ──────┼─ table | json ──> text
//! Point ────────────┘   NodePoint ─────────┴─> Availability ─┘
//! ```
//!
//! Everything here is pure: whoever calls brings lines and answers, and prints the text.

pub mod availability;
pub mod best;
pub mod columns;
pub mod ink;
pub mod json;
pub mod node_point;
pub mod query;
pub mod reading;
pub mod scan;
pub mod slowest;
pub mod standard;
pub mod table;
pub mod transfer_point;
pub mod wrap;

use self::{
    availability::Availability,
    node_point::NodePoint,
    reading::Reasons,
    scan::Found,
    slowest::Slowest,
    standard::{Standard, Summary},
    table::Look,
    transfer_point::TransferPoint,
    wrap::wrap,
};
use crate::config::trace_url::TraceUrl;

/// All that is told of a time, in bounded memory.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// The transfers against the standard.
    pub standard: Standard,
    /// Those that are looked at one by one.
    pub slowest: Slowest,
    /// The states of the nodes.
    pub availability: Availability,
    /// Lines and rows that were not understood.
    pub left_out: Reasons,
}

impl Analysis {
    /// Takes one transfer.
    pub fn add(&mut self, point: &TransferPoint) {
        self.standard.add(point);
        self.slowest.add(point);
    }

    /// Takes one round of one node.
    pub fn add_node(&mut self, point: &NodePoint) {
        self.availability.add(point);
    }

    /// Takes what a scan found.
    pub fn add_found(&mut self, found: &Found) {
        match found {
            Found::Transfer(point) => self.add(point),
            Found::Node(point) => self.add_node(point),
        }
    }

    /// The figures of all nodes, each with what the last status round said of it.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = self.standard.summary();
        for row in &mut summary.rows {
            if let Some(last) = self.availability.last(&row.vantage, &row.node) {
                (row.role, row.state) = (last.role.clone().into(), Some(last.state));
            }
        }
        summary
    }

    /// As plain text, its last newline included: the states, the standard, the slowest and failed transfers.
    #[must_use]
    pub fn render(&self, look: Look, trace_url: Option<&TraceUrl>) -> String {
        let states = availability::render(&self.availability, look);
        let summary = self.summary();
        let left_out = match self.left_out.total() {
            0 => String::new(),
            total => {
                format!("\n{}\n", wrap(&format!("{total} not understood and left out: {}", self.left_out), look.width))
            }
        };
        if summary.rows.is_empty() && !states.is_empty() {
            return states + &left_out; // nothing is missing: nobody asked for more
        }
        let standard = table::render(&summary, look);
        let slowest = self.slowest.render(look, trace_url);
        let gap = if slowest.is_empty() { "" } else { "\n" };
        format!("{states}{standard}{gap}{slowest}{left_out}")
    }
}

/// The text of the points.
#[must_use]
pub fn summary(points: impl IntoIterator<Item = TransferPoint>, look: Look) -> String {
    let mut analysis = Analysis::default();
    points.into_iter().for_each(|point| analysis.add(&point));
    analysis.render(look, None)
}
