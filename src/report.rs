//! The analysis: from transfer points, out of the archive or the database, to what a person reads.
//!
//! ```text
//! archive ── scan ──┐
//! InfluxDB ─ query ─┼─> TransferPoint ──> Standard ──> Summary ── table | json ──> text
//! Point ────────────┘
//! ```
//!
//! Everything here is pure: whoever calls brings lines and answers, and prints the text.

pub mod columns;
pub mod ink;
pub mod json;
pub mod query;
pub mod scan;
pub mod standard;
pub mod table;
pub mod transfer_point;
pub mod wrap;

use self::{standard::Standard, table::Look, transfer_point::TransferPoint};

/// The table of the points.
#[must_use]
pub fn summary(points: impl IntoIterator<Item = TransferPoint>, look: Look) -> String {
    let mut standard = Standard::default();
    points.into_iter().for_each(|point| standard.add(&point));
    table::render(&standard.summary(), look)
}
