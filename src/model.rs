//! Plain data and its invariants: one type for each word of the project.
//!
//! | word | type |
//! |---|---|
//! | vantage, node, asset | [`target`] |
//! | probe, part | [`probe`] |
//! | phase, and the boundaries between phases | [`phase`] |
//! | outcome | [`outcome`] |
//! | flag | [`flag`] |
//! | sample (the result of one transfer) | [`sample`] |
//! | status answer, health of a node | [`health`] |
//! | stated size of an asset, with its precision | [`size`] |
//! | media type | [`media_type`] |
//! | bytes, bit/s, µs | [`units`] |

mod coordinates;
pub mod curve;
pub mod endpoint;
mod exclude;
pub mod flag;
pub mod health;
pub mod media_type;
pub mod multihash;
pub mod outcome;
pub mod phase;
pub mod probe;
pub mod sample;
pub mod size;
pub mod tag;
pub mod target;
pub mod text;
pub mod units;
