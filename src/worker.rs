//! The worker: owns every task, channel and permit; starts them, and drains them in the end.
//!
//! [`pipeline`] is everything between a probe and the database; [`rounds`] decides when runs are made,
//! [`availability`] when all nodes are asked how they fare; [`plan`] says beforehand what runs will cost.

mod allowance;
pub mod availability;
pub mod measuring;
pub mod pipeline;
pub mod plan;
mod recorder;
pub mod rounds;
mod shipping;
pub mod tally;

pub use recorder::OnRecorded;
pub use shipping::Reread;
