//! The worker owns every task, channel and permit. It starts them, and drains them at the end.
//!
//! [`discovery`] finds the nodes. [`rounds`] schedules runs, and [`availability`] schedules status rounds. [`pipeline`]
//! is everything between a probe and the database.

mod admission;
pub mod availability;
pub mod descriptors;
pub mod discovery;
mod health;
pub mod lookups;
pub mod measuring;
mod overload;
pub mod pipeline;
mod recorder;
mod restarts;
pub mod rounds;
pub mod service;
mod shipping;
mod state_writer;
pub mod tally;

pub use recorder::OnRecorded;
pub use shipping::Reread;
