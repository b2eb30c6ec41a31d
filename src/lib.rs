//! bandprobe: a synthetic bandwidth probe worker for content-delivery nodes.
//!
//! A worker stands at one vantage, downloads sample images and byte ranges of videos from each node on a schedule,
//! measures latency by phase and goodput over time, and delivers every result to InfluxDB.
//!
//! The modules are layers, and imports point down only (`tests/it/architecture.rs` holds this):
//!
//! ```text
//! shell    cli telemetry                             arguments, files named on the command line, exit codes, logs
//! worker   worker                                    owns every task, channel and permit; start and drain; plan
//! edges    discover  probe  deliver  report  demo    the outside world, one room per protocol or product
//! base     net  archive                              outgoing probe sockets; the data directory
//! logic    schedule  measure  record  config         pure: no clock, no dice, no file, no socket, no async
//! model    model                                     plain data and its invariants
//! ```

pub mod archive;
pub mod cli;
pub mod config;
pub mod deliver;
pub mod demo;
pub mod discover;
pub mod measure;
pub mod model;
pub mod net;
pub mod probe;
pub mod record;
pub mod report;
pub mod schedule;
pub mod telemetry;
pub mod worker;
