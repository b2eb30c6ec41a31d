//! Discovery: the nodes that a registry lists, the assets that each must serve, and the last good list.
//!
//! ```text
//! graphql ── row ── screen ── fleet ── samples ── joystream     one query; its rows; endpoints; nodes; their assets
//! known                                                         how a new list replaces the last good one
//! ```
//!
//! Operators write arbitrary values into the registry, and it may give any answer. So every value may be missing or
//! wrong, and a bad value affects only itself. Endpoints are screened here. The address guard checks them again when
//! they are dialled, because a name has an address only then. Every query and every list has a limit.
//!
//! The text of each query is in its `.graphql` file. Tests check every query against the schemas that it is sent to.

pub mod error;
mod fleet;
mod graphql;
pub mod joystream;
pub mod known;
pub mod naming;
mod row;
mod samples;
mod screen;
