//! When runs are due, which slots are missed, and what the day's download budgets allow.
//!
//! Time is an offset from the worker's start ([`crate::model::units::Micros`]). The caller passes in the time and the
//! random numbers. A run never starts early, never overlaps another run of the same entry, and is never made up for
//! later.

pub mod budget;
pub mod queue;
pub mod spacing;
