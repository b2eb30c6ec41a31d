//! Why a registry gave no list.

use std::time::Duration;

use thiserror::Error;

use crate::net::fetch::FetchError;

/// Why a registry gave no list. The last good one stays in use.
#[derive(Debug, Error)]
pub enum DiscoverError {
    /// No answer, or one of another status than 200.
    #[error("the registry cannot be asked: {0}")]
    Fetch(#[from] FetchError),
    /// It drags its answers.
    #[error("the registry is too slow: its list was not there within {} s", .0.as_secs())]
    Late(Duration),
    /// A page of a proxy, or whatever else.
    #[error("its answer is no JSON but begins with `{0}`: is `url` the GraphQL API itself? It often ends in /graphql")]
    NotJson(String),
    /// JSON of another kind.
    #[error("its answer has neither `data` nor `errors` but begins with `{0}`: is `url` the GraphQL API itself?")]
    NotGraphql(String),
    /// GraphQL errors, and no data.
    #[error("the registry answers with errors alone: {0}")]
    Refused(String),
    /// Introspection is switched off.
    #[error("the registry does not tell its schema ({0}): set `dialect` to `hydra`, `orion` or `storage-squid`")]
    NoIntrospection(String),
    /// GraphQL, but nothing of Joystream's.
    #[error("its schema knows no distribution buckets: `url` is none of a query node, Orion or a storage squid")]
    NotARegistry,
    /// Data without the list that was asked for.
    #[error("the registry gives no `{list}` ({said}): is `dialect` right, and is it in order?")]
    NoList {
        /// The list.
        list: &'static str,
        /// Its errors, if any.
        said: String,
    },
    /// Nobody.
    #[error("the registry lists no active operator of a distribution bucket: it may be syncing anew, ask again later")]
    Empty,
}
