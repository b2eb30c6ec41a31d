//! The worker: owns every task, channel and permit; starts them, and drains them in the end.
//!
//! [`discovery`] knows whom to ask; [`rounds`] decides when runs are made, [`availability`] when all nodes are asked how they
//! fare; [`pipeline`] is everything between a probe and the database; [`plan`] says beforehand what runs will cost.

mod allowance;
pub mod availability;
pub mod descriptors;
pub mod discovery;
mod health;
mod keeper;
pub mod lookups;
pub mod measuring;
mod overload;
pub mod pipeline;
pub mod plan;
mod recorder;
mod restarts;
pub mod rounds;
pub mod service;
mod settled;
mod shipping;
pub mod tally;

pub use recorder::OnRecorded;
pub use shipping::Reread;
