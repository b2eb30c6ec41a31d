//! The analysis: turns points from the archive or the database into a report.
//!
//! ```text
//! archive ── record::scan ─┐                  ┌─> Standard ──────┐
//! InfluxDB ─ database ─────┼─> TransferPoint ─┼─> Slowest ───────┼─ table | json ──> text
//! Point ───────────────────┘   NodePoint ─────┴─> HealthHistory ─┘
//! ```
//!
//! Everything but [`database`] is pure: the caller supplies the lines, and prints the text.

pub mod best;
pub mod database;
pub mod health;
pub mod json;
pub mod newest;
pub mod query;
pub mod slowest;
pub mod standard;
pub mod table;

use self::{
    health::HealthHistory,
    slowest::Slowest,
    standard::{Standard, Summary},
};
use crate::{
    config::trace_url::TraceUrl,
    record::{node_point::NodePoint, reasons::Reasons, scan::AnyPoint, transfer_point::TransferPoint},
    term::{Look, wrap::wrap},
};

/// The report's data for a period, in bounded memory.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// The figures of the performance standard.
    pub standard: Standard,
    /// The transfers that are listed one by one.
    pub slowest: Slowest,
    /// The states of the nodes.
    pub health: HealthHistory,
    /// Lines and rows that were not understood, by reason.
    pub left_out: Reasons,
}

impl Analysis {
    /// Adds one transfer.
    pub fn add(&mut self, point: &TransferPoint) {
        self.standard.add(point);
        self.slowest.add(point);
    }

    /// Adds one status round of one node.
    pub fn add_node(&mut self, point: &NodePoint) {
        self.health.add(point);
    }

    /// Adds a point that a scan yields.
    pub fn add_any(&mut self, point: &AnyPoint) {
        match point {
            AnyPoint::Transfer(point) => self.add(point),
            AnyPoint::Node(point) => self.add_node(point),
        }
    }

    /// The figures of all nodes, each with its role and state in the last status round.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = self.standard.summary();
        for row in &mut summary.rows {
            if let Some(last) = self.health.last(&row.vantage, &row.node) {
                (row.role, row.state) = (last.role.clone().into(), Some(last.state));
            }
        }
        summary
    }

    /// The report as plain text, with a final newline: the states, the standard, the slowest and failed transfers.
    #[must_use]
    pub fn render(&self, look: Look, trace_url: Option<&TraceUrl>) -> String {
        let states = health::render(&self.health, look);
        let summary = self.summary();
        let left_out = match self.left_out.total() {
            0 => String::new(),
            total => {
                format!("\n{}\n", wrap(&format!("{total} not understood and left out: {}", self.left_out), look.width))
            }
        };
        if summary.rows.is_empty() && !states.is_empty() {
            return states + &left_out; // no transfers were asked for, so their absence is not reported
        }
        let standard = table::render(&summary, look);
        let slowest = self.slowest.render(look, trace_url);
        let gap = if slowest.is_empty() { "" } else { "\n" };
        format!("{states}{standard}{gap}{slowest}{left_out}")
    }
}

/// The report of these transfers as plain text.
#[must_use]
pub fn summary(points: impl IntoIterator<Item = TransferPoint>, look: Look) -> String {
    let mut analysis = Analysis::default();
    points.into_iter().for_each(|point| analysis.add(&point));
    analysis.render(look, None)
}
