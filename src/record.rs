//! What is written down: the schema of the database, and the pure way from a sample to points and lines of text.
//!
//! ```text
//! Sample ── transfer ──> Point ── line ──> line protocol (archive, InfluxDB) ── parse ──> csv
//!    │                     └───── json ──> NDJSON
//!    └──── window ── histogram ──> Points of `bandprobe_window`
//! Checked ── availability ──> Point of `bandprobe_node`
//! ```
//!
//! A [`point::Point`] holds only what both outputs can say alike, so that the database and NDJSON agree field by field.

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
