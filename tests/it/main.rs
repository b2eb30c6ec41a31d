//! The integration tests: one binary, one file a topic.

mod architecture;
mod archive;
mod config;
mod dashboard;
mod deliver;
mod demo;
mod deploy;
mod fault;
mod influxd;
mod measure;
mod net;
mod pipeline;
mod probe;
mod process;
mod readme;
mod record;
mod report;
mod schedule;
mod terminal;
