//! When runs are due, which slots are missed, and what the day's bytes allow.
//!
//! Time is an offset since the worker's start ([`crate::model::units::Micros`]); whoever holds the clock and the dice
//! hands them in. A run never starts early, never overlaps another one of its entry, and is never made up for later.

pub mod budget;
pub mod queue;
pub mod spacing;
