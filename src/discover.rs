//! Who is to be asked: the nodes that a registry lists, what each must serve, and the last good list of them.
//!
//! ```text
//! graphql ── row ── screen ── fleet ── samples ── joystream     one question; its rows; endpoints; nodes; their assets
//! known                                                         what becomes of a list from one time to the next
//! ```
//!
//! Operators write into the registry what they like, and it may answer with anything: every value is read as if it could be
//! missing or wrong, and costs itself alone. Endpoints are screened here, and the address guard stands before them
//! again when they are dialled, because only then a name has an address. Every question and every list has a limit.
//!
//! The text of a query stands in its `.graphql` file alone; tests hold each one against the schemas that it is sent to.

pub mod error;
mod fleet;
mod graphql;
pub mod joystream;
pub mod known;
pub mod naming;
mod row;
mod samples;
mod screen;
