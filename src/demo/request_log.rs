//! The requests that a simulated server received, for tests that check what was really sent.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use http::{HeaderMap, Request};

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRequest {
    /// The method, such as `GET`.
    pub method: String,
    /// The path and query.
    pub path: String,
    /// The `range` header.
    pub range: Option<String>,
    /// The `traceparent` header.
    pub traceparent: Option<String>,
    /// The `x-request-id` header.
    pub request_id: Option<String>,
    /// The `user-agent` header.
    pub user_agent: Option<String>,
}

/// The latest requests to one server.
#[derive(Debug, Default)]
pub(super) struct RequestLog(Mutex<VecDeque<LoggedRequest>>);

impl RequestLog {
    /// Adds a request. When the log is full, the oldest request is removed.
    pub(super) fn note<B>(&self, request: &Request<B>) {
        let header = |name: &str| header(request.headers(), name);
        let seen = LoggedRequest {
            method: request.method().to_string(),
            path: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
            range: header("range"),
            traceparent: header("traceparent"),
            request_id: header("x-request-id"),
            user_agent: header("user-agent"),
        };
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == KEPT {
            log.pop_front();
        }
        log.push_back(seen);
    }

    /// All requests in the log, oldest first.
    #[cfg(feature = "fleet")]
    pub(super) fn seen(&self) -> Vec<LoggedRequest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The most requests in a log: a served fleet may run for days.
const KEPT: usize = 10_000;
