//! One query to a GraphQL API, and its answer, which may have any content.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value, json};
use url::Url;

use super::error::DiscoverError;
use crate::{model::text::made_printable, net::fetch::Fetcher};

/// An answer with data. If it also has errors, some of the data is missing.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) data: Map<String, Value>,
    /// Empty when there are none.
    pub(super) errors: String,
}

impl Reply {
    /// The errors as text for people.
    pub(super) fn said(&self) -> &str {
        if self.errors.is_empty() { "without an error message" } else { &self.errors }
    }

    /// The rows of a list, if the answer has that list.
    pub(super) fn rows(&self, list: &str) -> Option<&[Value]> {
        self.data.get(list).and_then(Value::as_array).map(Vec::as_slice)
    }
}

/// Sends `query` with `variables`. Servers send errors with different status codes (Apollo Server refuses
/// introspection with 400, GraphQL over HTTP §6.4 allows others), so a GraphQL body counts whatever its status.
pub(super) async fn ask(fetcher: &Fetcher, url: &Url, query: &str, variables: Value) -> Result<Reply, DiscoverError> {
    let question = json!({ "query": query, "variables": variables }).to_string();
    let answer = fetcher.post_json(url, question.into_bytes(), MAX_ANSWER, PATIENCE).await?;
    match read(answer.status, &answer.body) {
        Err(DiscoverError::NotJson(_) | DiscoverError::NotGraphql(_)) if answer.status != StatusCode::OK => {
            Err(answer.refused().into())
        }
        read => read,
    }
}

fn read(status: StatusCode, answer: &[u8]) -> Result<Reply, DiscoverError> {
    let Ok(value) = serde_json::from_slice(answer) else {
        return Err(DiscoverError::NotJson(beginning(&String::from_utf8_lossy(answer))));
    };
    let Value::Object(mut object) = value else {
        return Err(DiscoverError::NotGraphql(beginning(&String::from_utf8_lossy(answer))));
    };
    let errors = match object.get("errors") {
        None | Some(Value::Null) => String::new(),
        Some(Value::Array(errors)) => errors.iter().take(MAX_ERRORS).map(message).collect::<Vec<_>>().join("; "),
        Some(other) => message(other),
    };
    match object.remove("data") {
        Some(Value::Object(data)) => Ok(Reply { data, errors }),
        _ if !errors.is_empty() => Err(DiscoverError::Refused { said: errors, status }),
        _ => Err(DiscoverError::NotGraphql(beginning(&String::from_utf8_lossy(answer)))),
    }
}

fn message(error: &Value) -> String {
    let message = error.get("message").or(Some(error)).and_then(Value::as_str);
    message.map_or_else(|| beginning(&error.to_string()), beginning)
}

/// The beginning of untrusted text, made printable.
pub(super) fn beginning(text: &str) -> String {
    made_printable(&text.trim().chars().take(MAX_SHOWN_CHARS).collect::<String>())
}

/// The most bytes of an answer that are read. A page of 1,000 operators has about 0.5 MB.
const MAX_ANSWER: u64 = 4 << 20;
/// The time limit of one query, so that a hanging registry does not delay a round for long. Real registries take one
/// or two seconds.
const PATIENCE: Duration = Duration::from_secs(20);
const MAX_ERRORS: usize = 5;
const MAX_SHOWN_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_used_or_refused_with_the_reason() {
        for (answer, errors) in [
            (r#"{"data":{"a":[]}}"#, ""),
            (r#"{"data":{"a":[]},"errors":null}"#, ""),
            (r#"{"data":{"a":[]},"errors":[]}"#, ""),
            (
                r#"{"data":{"a":[]},"errors":[{"message":"half of it"},{"message":"\u001b[2J"}]}"#,
                "half of it; \u{fffd}[2J",
            ),
            (r#"{"data":{"a":[]},"errors":["plain"]}"#, "plain"),
            (r#"{"data":{"a":[]},"errors":{"message":7}}"#, r#"{"message":7}"#),
        ] {
            let reply = read(StatusCode::OK, answer.as_bytes()).unwrap();
            assert_eq!(
                (reply.errors.as_str(), reply.rows("a").map(<[_]>::len), reply.rows("b")),
                (errors, Some(0), None)
            );
        }
        for (answer, said) in [
            ("<html><title>502 Bad Gateway", "not JSON but begins with `<html>"),
            ("", "not JSON"),
            (r#"{"data":{"a":"#, "not JSON"),
            ("[1, 2]", "neither `data` nor `errors`"),
            (r#"{"data":null}"#, "neither `data` nor `errors`"),
            (r#"{"data":[]}"#, "neither `data` nor `errors`"),
            (r#"{"data":null,"errors":[{"message":"timeout"}]}"#, "only errors: timeout"),
            (r#"{"errors":[{"message":"Cannot query field \"x\""}]}"#, "only errors: Cannot query field"),
            (&"[".repeat(100_000), "not JSON"),
        ] {
            let error = read(StatusCode::OK, answer.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said) && error.len() < 600, "{answer:.100}: {error}");
        }
    }
}
