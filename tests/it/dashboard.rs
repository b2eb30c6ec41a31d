//! The Grafana dashboard: every query runs against a real InfluxDB and its answer is compared with the samples. What
//! the file alone can show is checked without a database.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answers;
mod columns;
mod database;
mod file;
mod layout;
mod names;
mod provisioning;
mod queries;
mod questions;
mod rank;
