//! The identity of bandprobe in every request: a user agent that names it, and ids that identify a request in the
//! node's logs and traces.

use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, ACCEPT_ENCODING, HeaderName, USER_AGENT},
};
use rand::RngExt;

/// The ids of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestIds {
    /// 32 hex digits: the trace id of `traceparent`.
    pub trace_id: String,
    /// 32 hex digits: `x-request-id`.
    pub request_id: String,
    span_id: String,
}

/// The value of the `user-agent` header: `bandprobe/VERSION (+contact)`.
#[must_use]
pub fn user_agent(contact: Option<&str>) -> String {
    let name = concat!("bandprobe/", env!("CARGO_PKG_VERSION"));
    match contact {
        Some(contact) => format!("{name} (+{contact})"),
        None => name.to_owned(),
    }
}

impl RequestIds {
    /// Random ids. The all-zero ids that W3C Trace Context forbids do not occur in practice (1 in 2^64).
    #[must_use]
    pub fn draw(rng: &mut impl rand::Rng) -> Self {
        Self {
            trace_id: format!("{:032x}", rng.random::<u128>()),
            request_id: format!("{:032x}", rng.random::<u128>()),
            span_id: format!("{:016x}", rng.random::<u64>()),
        }
    }

    /// Adds the ids, the user agent, `accept: */*` and `accept-encoding: identity` to a request. Every browser sends an
    /// `accept`, and some firewalls refuse requests without one. No `cache-control` and no conditional header is sent:
    /// viewers send none, and caches treat such requests specially.
    pub fn put_on(&self, headers: &mut HeaderMap, agent: &str) {
        // W3C Trace Context §3.2: version 00, sampled
        let traceparent = format!("00-{}-{}-01", self.trace_id, self.span_id);
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for (name, value) in [
            (USER_AGENT, agent),
            (HeaderName::from_static("x-request-id"), &self.request_id),
            (HeaderName::from_static("traceparent"), &traceparent),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_can_be_found_in_the_nodes_logs() {
        let ids = RequestIds::draw(&mut rand::rng());
        let mut headers = HeaderMap::new();
        ids.put_on(&mut headers, &user_agent(Some("https://example.net/probe")));
        let traceparent = headers["traceparent"].to_str().unwrap();
        assert_eq!(traceparent.len(), 55);
        assert!(traceparent.starts_with(&format!("00-{}-", ids.trace_id)) && traceparent.ends_with("-01"));
        assert_eq!(headers["x-request-id"], ids.request_id.as_str());
        assert!(headers["user-agent"].to_str().unwrap().ends_with(" (+https://example.net/probe)"));
        assert_eq!(
            (&headers["accept"], &headers["accept-encoding"]),
            (&"*/*".parse().unwrap(), &"identity".parse().unwrap())
        );
        assert_ne!(RequestIds::draw(&mut rand::rng()), ids);
    }
}
