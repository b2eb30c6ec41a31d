//! The responses of Argus, Joystream's distributor node: paths, headers, error bodies, and the life cycle of the cache.
//!
//! They match what the real handlers sent when they were run. Tracing and logs are left out, because no client can rely
//! on them.

use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::time::Instant;

use crate::model::sample::CacheState;

use super::{
    answer::{Answer, JSON, empty, head_response, json, text, validation_error},
    delay,
    memory_body::{BodyFault, MemoryBody},
    plan::{Behaviour, Fault, PREFIX},
    range::Span,
    response_body::ResponseBody,
    status::{self, NodeReport},
    store::{ObjectInfo, ObjectRequest, ObjectStatus, Store},
};

/// The `Cache-Control` of an object that is not completely cached yet. The age is short, because the object could still
/// turn out to be wrong.
const PENDING_AGE: &str = "max-age=180, must-revalidate";

/// The idle timeout that the node announces to clients, in seconds. The server in `node` enforces it.
pub(super) const KEEP_ALIVE_SECS: u64 = 5;

/// One Argus node, shared by all its connections.
pub(super) struct Argus {
    /// Whether a TLS proxy is in front of the node.
    tls: bool,
    behaviour: Behaviour,
    /// What the node reports about itself.
    pub(super) reports: NodeReport,
    pub(super) store: Store,
    pub(super) started: Instant,
    /// Makes the entity tags of nodes differ from each other.
    etag_seed: u64,
    downloads: AtomicUsize,
}

impl Argus {
    pub(super) fn new(tls: bool, behaviour: Behaviour, reports: NodeReport, store: Store, etag_seed: u64) -> Self {
        Self { tls, behaviour, reports, store, started: Instant::now(), etag_seed, downloads: AtomicUsize::new(0) }
    }

    /// Answers one request.
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Answer {
        if let Behaviour::SlowBackEnd(delay) = self.behaviour {
            delay::until(Instant::now() + delay).await;
        }
        let head_only = request.method() == Method::HEAD;
        let wants_close = request.headers().get(header::CONNECTION).is_some_and(|asked| asked == "close");
        let (mut response, reset) = self.route(request).await;
        let headers = response.headers_mut();
        for name in ["access-control-allow-origin", "timing-allow-origin"] {
            headers.insert(name, HeaderValue::from_static("*"));
        }
        if self.tls {
            // Caddy, the TLS proxy, does not forward hop-by-hop headers (RFC 9110 §7.6.1).
            headers.insert(header::SERVER, HeaderValue::from_static("Caddy"));
            headers.insert(header::VIA, HeaderValue::from_static("1.1 Caddy"));
        } else if !wants_close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
            headers.insert("keep-alive", text(format!("timeout={KEEP_ALIVE_SECS}")));
        }
        if head_only {
            response = head_response(response);
        }
        Answer { response, reset }
    }

    async fn route<B>(&self, request: &Request<B>) -> (Response<ResponseBody>, bool) {
        let path = request.uri().path();
        let method = request.method();
        let not_found = || (validation_error(StatusCode::NOT_FOUND, path, "not found"), false);
        let Some(route) = path.strip_prefix(PREFIX).and_then(|path| path.strip_prefix("/api/v1/")) else {
            return not_found();
        };
        let id = route.strip_prefix("assets/");
        if id.is_none() && !matches!(route, "status" | "buckets") {
            return not_found();
        }
        if !matches!(*method, Method::GET | Method::HEAD) || (id.is_none() && *method == Method::HEAD) {
            let message = format!("{method} method not allowed");
            return (validation_error(StatusCode::METHOD_NOT_ALLOWED, path, &message), false);
        }
        match (id, route) {
            (Some(id), _) => self.asset(id, request).await,
            (None, "status") if self.behaviour == Behaviour::FailingStatus => (failed_status(), false),
            (None, "status") => (json(StatusCode::OK, status::document(self, Instant::now())), false),
            (None, _) => (json(StatusCode::OK, self.reports.buckets()), false),
        }
    }

    async fn asset<B>(&self, id: &str, request: &Request<B>) -> (Response<ResponseBody>, bool) {
        if self.behaviour == Behaviour::MuteOnAssets {
            pending::<()>().await;
        }
        if id.is_empty() || !id.bytes().all(|digit| digit.is_ascii_digit()) {
            return (
                validation_error(StatusCode::BAD_REQUEST, "/params/objectId", r#"must match pattern \"^\\d+$\""#),
                false,
            );
        }
        let about = match self.store.known(id) {
            ObjectStatus::Served(about) => about,
            ObjectStatus::Elsewhere => return (not_served(), false),
            ObjectStatus::Unknown => return (unknown_object("Data object does not exist"), false),
            ObjectStatus::NotUploaded => return (unknown_object("Data object has not been uploaded yet"), false),
        };
        if request.method() == Method::HEAD {
            return (Self::head(about, self.store.state(id, Instant::now())), false);
        }
        let (fault, reset) = match self.next_fault() {
            Fault::ServerError => return (failed_download(id), false),
            Fault::ObjectNotFound => return (unknown_object("Data object does not exist"), false),
            Fault::ResetMidBody => (Some(BodyFault::Break), true),
            Fault::TruncatedBody => (Some(BodyFault::Break), false),
            Fault::StallMidBody(pause) => (Some(BodyFault::Pause(pause)), false),
            Fault::None => (self.pauses(), false),
        };
        (self.download(id, about, request).await.map(|body| body.with(fault)), reset)
    }

    /// The fault of this download: each download gets the next fault of the cycle.
    fn next_fault(&self) -> Fault {
        let Behaviour::Failing(cycle) = &self.behaviour else { return Fault::None };
        let turn = self.downloads.fetch_add(1, Ordering::Relaxed);
        cycle.get(turn % cycle.len().max(1)).copied().unwrap_or(Fault::None)
    }

    /// The pauses in every body, if the node is one that stalls.
    fn pauses(&self) -> Option<BodyFault> {
        let Behaviour::Stalling { every, pause } = self.behaviour else { return None };
        Some(BodyFault::Pauses(usize::try_from(every.0).unwrap_or(usize::MAX), pause))
    }

    /// The response to HEAD: cache state and size, without side effects. Only a hit has a content type.
    fn head(about: ObjectInfo, state: CacheState) -> Response<ResponseBody> {
        let mut response = empty(StatusCode::OK);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(about.size));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
        headers.insert("x-cache", HeaderValue::from_static(state.label()));
        let age = if state == CacheState::Hit { "max-age=31536000" } else { PENDING_AGE };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(age));
        if state == CacheState::Hit {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(about.content_type));
        }
        response
    }

    async fn download<B>(&self, id: &str, about: ObjectInfo, request: &Request<B>) -> Response<ResponseBody> {
        let ObjectInfo { size, content_type } = about;
        let now = Instant::now();
        let asked = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok());
        let span = Span::asked(asked, size);
        let (first, last) = match span {
            Span::Part { first, last } => (first, last),
            Span::Unsatisfiable if self.store.state(id, now) == CacheState::Hit => return self.unsatisfiable(size),
            // Argus answers an unsatisfiable range of an object that is not cached yet with the whole object.
            Span::Full | Span::Unsatisfiable => (0, size.saturating_sub(1)),
        };
        let is_part = matches!(span, Span::Part { .. });
        let wanted = ObjectRequest { id, first, last, is_part, trace: request.headers().get("traceparent") };
        let Ok(supply) = self.store.supply(&wanted, now).await else { return failed_download(id) };
        let status = if is_part { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let mut response = self.bare(status, size, supply.state, supply.local);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if is_part {
            headers.insert(header::CONTENT_RANGE, text(format!("bytes {first}-{last}/{size}")));
        }
        *response.body_mut() = supply.body;
        response
    }

    fn unsatisfiable(&self, size: u64) -> Response<ResponseBody> {
        let mut response = self.bare(StatusCode::RANGE_NOT_SATISFIABLE, size, CacheState::Hit, true);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_RANGE, text(format!("bytes */{size}")));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        let body = r#"{"type":"sendstream_error","message":"RangeNotSatisfiableError: Range Not Satisfiable"}"#;
        *response.body_mut() = MemoryBody::of(body.into()).into();
        response
    }

    /// A response with the headers of every download.
    fn bare(&self, status: StatusCode, size: u64, state: CacheState, local: bool) -> Response<ResponseBody> {
        let is_hit = state == CacheState::Hit;
        let mut response = empty(status);
        let headers = response.headers_mut();
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let age = if is_hit { "public, max-age=31536000" } else { PENDING_AGE };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(age));
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
        headers.insert("x-cache", HeaderValue::from_static(state.label()));
        headers.insert("x-data-source", HeaderValue::from_static(if local { "local" } else { "external" }));
        if is_hit {
            headers.insert(header::ETAG, text(format!("W/\"{size:x}-{:x}\"", self.etag_seed)));
        }
        response
    }
}

fn unknown_object(message: &str) -> Response<ResponseBody> {
    json(StatusCode::NOT_FOUND, format!(r#"{{"message":"{message}"}}"#))
}

fn not_served() -> Response<ResponseBody> {
    let body = r#"{"message":"Data object not served by this node"}"#;
    json(StatusCode::MISDIRECTED_REQUEST, body.into())
}

fn failed_status() -> Response<ResponseBody> {
    let body = r#"{"type":"exception","message":"Response not successful: Received status code 502"}"#;
    json(StatusCode::INTERNAL_SERVER_ERROR, body.into())
}

fn failed_download(id: &str) -> Response<ResponseBody> {
    let message = format!("Failed to download object {id} from any available storage provider");
    json(StatusCode::INTERNAL_SERVER_ERROR, format!(r#"{{"type":"exception","message":"{message}"}}"#))
}
