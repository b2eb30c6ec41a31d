//! The records that are written and read back: the schema of the database, and the pure conversion between samples,
//! points and lines of text.
//!
//! ```text
//! Sample ── transfer ──> Point ── line ──> line protocol (archive, InfluxDB) ── parse ──> csv
//!    │                     └───── json ──> NDJSON                                └─ scan ──> TransferPoint, NodePoint
//!    └──── window ── histogram ──> Points of `bandprobe_window`
//! Checked ── node ──> Point of `bandprobe_node`
//! ```
//!
//! A [`point::Point`] holds only values that both outputs can represent in the same way, so the database and NDJSON
//! agree field by field.

pub mod columns;
pub mod conform;
pub mod csv;
pub mod histogram;
pub mod json;
pub mod line;
pub mod node;
pub mod node_point;
pub mod parse;
pub mod point;
pub mod reasons;
pub mod scan;
pub mod schema;
pub mod transfer;
pub mod transfer_point;
pub mod window;
pub mod worker;
