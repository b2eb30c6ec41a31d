//! The worker owns every task, channel and permit. It starts them, and drains them at the end.
//!
//! [`discovery`] finds the nodes. [`runs`] schedules runs, and [`status_rounds`] schedules status rounds. [`pipeline`] is
//! everything between a probe and the database.

mod admission;
pub mod descriptors;
pub mod discovery;
mod histories;
mod log_throttle;
pub mod measuring;
mod outbox;
mod overload_log;
pub mod pipeline;
mod recorder;
pub mod resolver;
mod restarts;
pub mod runs;
pub mod service;
pub mod start_error;
mod state_writer;
pub mod status_rounds;
pub mod tally;
mod threads;

pub use outbox::Reread;
pub use recorder::OnRecorded;
