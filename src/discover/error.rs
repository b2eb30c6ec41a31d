//! Why a registry gave no list.

use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use crate::net::fetch::FetchError;

/// Why a registry gave no list. The last good list stays in use.
#[derive(Debug, Error)]
pub enum DiscoverError {
    /// The registry did not answer, or answered with a status other than 200.
    #[error("cannot query the registry: {0}")]
    Fetch(#[from] FetchError),
    /// The whole list took longer than the deadline.
    #[error("the registry is too slow: it sent no list within {} s", .0.as_secs())]
    Late(Duration),
    /// The answer is not JSON, for example a proxy's HTML page. Contains its beginning.
    #[error("its answer is not JSON but begins with `{0}`: is `url` the GraphQL API itself? It often ends in /graphql")]
    NotJson(String),
    /// The answer is JSON, but not from GraphQL. Contains its beginning.
    #[error("its answer has neither `data` nor `errors` but begins with `{0}`: is `url` the GraphQL API itself?")]
    NotGraphql(String),
    /// GraphQL errors without data.
    #[error("the registry returned only errors: {said}{}", with_status(*.status))]
    Refused {
        /// The text of the errors.
        said: String,
        /// The HTTP status of the answer.
        status: StatusCode,
    },
    /// Introspection is switched off. Contains the text of the errors.
    #[error("the registry does not reveal its schema ({0}): set `dialect` to `hydra`, `orion` or `storage-squid`")]
    NoIntrospection(String),
    /// A GraphQL API that is not a Joystream registry.
    #[error("the schema has no distribution buckets: `url` must be a query node, Orion or a storage squid")]
    NotARegistry,
    /// Data without the requested list.
    #[error("the registry returned no `{list}` ({said}): is `dialect` right, and does the registry work?")]
    NoList {
        /// Name of the list.
        list: &'static str,
        /// The text of the errors, if there are any.
        said: String,
    },
    /// The list of distributors is empty.
    #[error("the registry lists no active operator of a distribution bucket: it may still be syncing, try again later")]
    Empty,
}

impl DiscoverError {
    /// Did the registry, or a proxy in front of it, refuse the request because of its size? Then a smaller page may
    /// succeed.
    #[must_use]
    pub(super) fn wants_less(&self) -> bool {
        match self {
            Self::Fetch(FetchError::TooLong(_)) => true,
            Self::Fetch(FetchError::Status { status, .. }) => *status == StatusCode::PAYLOAD_TOO_LARGE,
            Self::Refused { said, status } => *status == StatusCode::PAYLOAD_TOO_LARGE || names_a_size_limit(said),
            Self::NoList { said, .. } => names_a_size_limit(said),
            _ => false,
        }
    }
}

/// Does this message name a limit of a query's size or cost? Squids ("response might exceed the size limit"),
/// complexity plugins and proxies word it differently. Limits of the request rate or of time do not count.
fn names_a_size_limit(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let is_of_rate_or_time = has(&["rate limit", "rate-limit", "too many requests", "time"]);
    !is_of_rate_or_time && has(&["limit", "too large", "too big", "too long", "complex", "cost", "exceed", "too many"])
}

fn with_status(status: StatusCode) -> String {
    if status == StatusCode::OK { String::new() } else { format!(" (status {status})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_limit_on_size_asks_for_smaller_pages() {
        for (said, expected) in [
            ("response might exceed the size limit", true),
            ("Query is too complex: 50000. Maximum allowed complexity: 10000", true),
            ("query cost 90000 is above the maximum", true),
            ("Request Entity Too Large", true),
            ("`limit` must not be greater than 500", true),
            ("Rate limit exceeded", false),
            ("Too many requests, please try again later", false),
            ("canceling statement due to statement timeout", false),
            ("Cannot query field \"x\" on type \"Query\"", false),
            ("", false),
        ] {
            let refused = DiscoverError::Refused { said: said.to_owned(), status: StatusCode::OK };
            let no_list = DiscoverError::NoList { list: "videos", said: said.to_owned() };
            assert_eq!((refused.wants_less(), no_list.wants_less()), (expected, expected), "{said}");
        }
        let status = |status| DiscoverError::Refused { said: "no".to_owned(), status };
        assert!(status(StatusCode::PAYLOAD_TOO_LARGE).wants_less() && !status(StatusCode::BAD_REQUEST).wants_less());
        assert!(DiscoverError::Fetch(FetchError::TooLong(9)).wants_less());
    }
}
