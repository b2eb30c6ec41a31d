//! The records that are written: the schema of the database, and the pure conversion of a sample to points and lines of
//! text.
//!
//! ```text
//! Sample ── transfer ──> Point ── line ──> line protocol (archive, InfluxDB) ── parse ──> csv
//!    │                     └───── json ──> NDJSON
//!    └──── window ── histogram ──> Points of `bandprobe_window`
//! Checked ── availability ──> Point of `bandprobe_node`
//! ```
//!
//! A [`point::Point`] holds only values that both outputs can represent in the same way, so the database and NDJSON
//! agree field by field.

pub mod availability;
pub mod conform;
pub mod csv;
pub mod histogram;
pub mod json;
pub mod line;
pub mod parse;
pub mod point;
pub mod schema;
pub mod transfer;
pub mod window;
pub mod worker;
