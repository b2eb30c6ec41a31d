//! (this room is being furnished)

pub mod plan;
