//! What a server of the fake world was asked: for whoever wants to know what really came down the wire.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use http::{HeaderMap, Request};

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// `GET`, `HEAD`, …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Its `range`.
    pub range: Option<String>,
    /// Its `traceparent`.
    pub traceparent: Option<String>,
    /// Its `x-request-id`.
    pub request_id: Option<String>,
    /// Its `user-agent`.
    pub user_agent: Option<String>,
}

/// The latest requests of one server.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<VecDeque<Seen>>);

impl Log {
    /// Notes a request. Beyond the limit the oldest is forgotten.
    pub(super) fn note<B>(&self, request: &Request<B>) {
        let header = |name: &str| header(request.headers(), name);
        let seen = Seen {
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

    /// All that are remembered, oldest first.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// A served fleet may stand for days.
const KEPT: usize = 10_000;
