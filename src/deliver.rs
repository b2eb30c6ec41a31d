//! Delivery: sends sealed files from the spool to InfluxDB until the database has every point.
//!
//! Delivery is at least once and idempotent: a point that is sent twice has the same tags and time, so it is stored
//! once. Nothing here blocks probing or spawns tasks: the worker runs [`drain::Drain`].
//!
//! [`influx`] sends a request and returns the [`answer`], [`policy`] decides what an answer means, and [`drain`] acts on
//! it. It makes one request at a time, within the configured rate, and returns an [`event`] for each step. [`clock`]
//! compares the clocks.

pub mod answer;
pub mod bucket;
mod client_errors;
pub mod clock;
pub mod drain;
pub mod event;
pub mod influx;
mod outgoing_file;
pub mod policy;
