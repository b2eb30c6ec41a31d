//! bandprobe: a synthetic bandwidth probe worker for content-delivery nodes.
//!
//! A worker runs at one vantage. It downloads sample images and byte ranges of videos from each node on a schedule,
//! measures the latency of each phase and the goodput over time, and delivers every result to InfluxDB.
//!
//! The modules form layers, and imports point down only (enforced by `tests/it/architecture.rs`):
//!
//! ```text
//! shell    cli telemetry                             arguments, files named on the command line, exit codes, logs
//! worker   worker                                    owns every task, channel and permit; start and drain
//! edges    discover  probe  deliver  report  demo    the outside world, one module per protocol or product
//! base     net  archive                              outgoing probe sockets; the data directory
//! logic    schedule  measure  record  config  plan  term
//!                                                   pure: no clock, no randomness, no file, no socket, no async
//! model    model                                     plain data and its invariants
//! ```
//!
//! This crate is the inside of the `bandprobe` binary: internal, with no promise of stability.

#[cfg(not(unix))]
compile_error!("bandprobe runs on Linux, and with fewer measurements on other Unix systems such as macOS");

pub mod archive;
pub mod cli;
pub mod config;
pub mod deliver;
pub mod demo;
pub mod discover;
pub mod measure;
pub mod model;
pub mod net;
pub mod plan;
pub mod probe;
pub mod record;
pub mod report;
pub mod schedule;
pub mod telemetry;
pub mod term;
pub mod worker;
