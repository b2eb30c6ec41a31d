//! The Grafana dashboard: every query of it is run against a real InfluxDB and compared with the samples, and what can be
//! told from the file alone is held.

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
