//! The worker owns every task, channel and permit. It starts them, and drains them at the end.
//!
//! [`discovery`] finds the nodes. [`rounds`] schedules runs, and [`availability`] schedules status rounds. [`pipeline`]
//! is everything between a probe and the database.

mod admission;
pub mod availability;
pub mod descriptors;
pub mod discovery;
mod health;
mod log_throttle;
pub mod lookups;
pub mod measuring;
mod outbox;
mod overload;
pub mod pipeline;
mod recorder;
mod restarts;
pub mod rounds;
pub mod service;
pub mod start_error;
mod state_writer;
pub mod tally;
mod threads;

pub use outbox::Reread;
pub use recorder::OnRecorded;
