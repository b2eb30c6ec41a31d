//! Delivery: sealed files go from the spool to InfluxDB until the database has every point of them.
//!
//! At least once, and idempotent: a point that is sent twice has the same tags and time, and so is one point. Nothing
//! here blocks probing, and nothing here spawns: the worker runs [`drain::Drain`].
//!
//! [`influx`] sends and tells what came back, [`policy`] says what an answer means, [`drain`] does it, one request on its
//! way at a time and within the configured rate, and [`event`] is what it tells. [`clock`] compares clocks.

pub mod clock;
pub mod drain;
pub mod event;
pub mod influx;
pub mod policy;
mod sending;
mod words;
