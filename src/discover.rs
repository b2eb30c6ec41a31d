//! Discovery: the nodes that a registry lists, the assets that each must serve, and the last good list.
//!
//! ```text
//! graphql    one query and its answer              api       the queries and pages of one registry
//! operator   one row of an answer                  vet       may we ask this endpoint?
//! fleet      operators become nodes                naming    ids of nodes
//! samples    the assets that each node must serve  joystream the list of a registry, made of all of these
//! known      how a new list replaces the last good one
//! ```
//!
//! Operators write arbitrary values into the registry, and it may give any answer. So every value may be missing or
//! wrong, and a bad value affects only itself. Endpoints are vetted here. The address guard checks them again when
//! they are dialled, because a name has an address only then. Every query and every list has a limit.
//!
//! The text of each query is in its `.graphql` file. Tests check every query against the schemas that it is sent to.

mod api;
pub mod error;
mod fleet;
mod graphql;
pub mod joystream;
pub mod known;
pub mod naming;
mod operator;
mod samples;
mod vet;
