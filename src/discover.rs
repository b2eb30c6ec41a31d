//! Who is to be asked: the nodes that a registry lists, what each must serve, and the last good list of them.
//!
//! ```text
//! graphql ── row ── screen ── fleet ── samples ── joystream     one question; its rows; endpoints; nodes; their assets
//! known                                                         what becomes of a list from one time to the next
//! ```
//!
//! Operators write into the registry what they like, and it may answer with anything: every value is read as if it could be
//! missing or wrong, and costs itself alone. Endpoints are screened here and the address guard again when they are
//! dialled, because only then a name has an address. Every question and every list has a limit.
//!
//! The text of a query stands in its `.graphql` file alone; tests hold each one against the schemas that it is sent to.

pub mod error;
mod fleet;
mod graphql;
pub mod joystream;
pub mod known;
mod naming;
mod row;
mod samples;
mod screen;

use crate::model::target::Endpoint;

/// Is one of `names` this node's: its id, an operator of it, or its host? Case does not matter.
#[must_use]
pub fn is_named(names: &[String], id: &str, operators: &[std::sync::Arc<str>], endpoint: Option<&Endpoint>) -> bool {
    let host = endpoint.and_then(|endpoint| endpoint.as_url().host_str()).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    names.iter().map(|name| name.trim()).any(|name| {
        let is = |other: &str| !other.is_empty() && name.eq_ignore_ascii_case(other);
        is(id) || is(host) || is(address) || operators.iter().any(|operator| is(operator))
    })
}
