//! The answers of Argus, Joystream's distributor node, to one request: paths, heads, error bodies, cache life cycle.
//!
//! The real handlers were run to find them. What no client can rely on is left out: tracing and logs.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::time::Instant;

use super::{
    content::{Content, Pace, Turn},
    delay,
    plan::{Behaviour, ELSEWHERE_ID, Fault, NodePlan, PREFIX},
    range::Span,
    shelf::{Object, Shelf, Standing},
    status,
};

/// The piece that a pending object is read in, from disk to client: the end of a range is only looked at after it.
const PENDING_STEP: u64 = 1 << 20;

/// How long an answer may be kept whose object is still on its way: it could turn out to be wrong.
const PENDING_AGE: &str = "max-age=180, must-revalidate";

const JSON: &str = "application/json; charset=utf-8";

/// What the node tells a client of its idle limit, in seconds; `node` holds it.
pub(super) const KEEP_ALIVE_SECS: u64 = 5;

/// One Argus, shared by all its connections.
pub(super) struct Argus {
    pub(super) plan: NodePlan,
    pub(super) shelf: Shelf,
    pub(super) started: Instant,
    /// Distinguishes the entity tags of nodes.
    etag_seed: u64,
    downloads: AtomicUsize,
}

/// An answer, and whether the connection is to end in a reset when its body breaks off.
pub(super) struct Answer {
    pub(super) response: Response<Content>,
    pub(super) reset: bool,
}

impl Argus {
    pub(super) fn new(plan: NodePlan, shelf: Shelf, etag_seed: u64) -> Self {
        Self { plan, shelf, started: Instant::now(), etag_seed, downloads: AtomicUsize::new(0) }
    }

    /// Answers one request.
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Answer {
        if let Behaviour::SlowBackEnd(delay) = self.plan.behaviour {
            delay::until(Instant::now() + delay).await;
        }
        let head_only = request.method() == Method::HEAD;
        let wants_close = request.headers().get(header::CONNECTION).is_some_and(|asked| asked == "close");
        let (mut response, reset) = self.route(request);
        let headers = response.headers_mut();
        for name in ["access-control-allow-origin", "timing-allow-origin"] {
            headers.insert(name, HeaderValue::from_static("*"));
        }
        if self.plan.tls {
            // TLS is the proxy's: Caddy keeps the hop-by-hop headers to itself (RFC 9110 §7.6.1).
            headers.insert(header::SERVER, HeaderValue::from_static("Caddy"));
            headers.insert(header::VIA, HeaderValue::from_static("1.1 Caddy"));
        } else if !wants_close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
            headers.insert("keep-alive", text(format!("timeout={KEEP_ALIVE_SECS}")));
        }
        if head_only {
            let error = response.status().is_client_error() || response.status().is_server_error();
            if error {
                response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
                response.headers_mut().remove(header::CONTENT_TYPE);
            }
            *response.body_mut() = Content::none();
        }
        Answer { response, reset }
    }

    fn route<B>(&self, request: &Request<B>) -> (Response<Content>, bool) {
        let path = request.uri().path();
        let method = request.method();
        let not_found = || (refusal(StatusCode::NOT_FOUND, path, "not found"), false);
        let Some(route) = path.strip_prefix(PREFIX).and_then(|path| path.strip_prefix("/api/v1/")) else {
            return not_found();
        };
        let id = route.strip_prefix("assets/");
        if id.is_none() && !matches!(route, "status" | "buckets") {
            return not_found();
        }
        if !matches!(*method, Method::GET | Method::HEAD) || (id.is_none() && *method == Method::HEAD) {
            let message = format!("{method} method not allowed");
            return (refusal(StatusCode::METHOD_NOT_ALLOWED, path, &message), false);
        }
        match (id, route) {
            (Some(id), _) => self.asset(id, request),
            (None, "status") => (json(StatusCode::OK, status::document(self, Instant::now())), false),
            (None, _) => (json(StatusCode::OK, r#"{"bucketIds":["1:0"]}"#.into()), false),
        }
    }

    fn asset<B>(&self, id: &str, request: &Request<B>) -> (Response<Content>, bool) {
        if id.is_empty() || !id.bytes().all(|digit| digit.is_ascii_digit()) {
            return (refusal(StatusCode::BAD_REQUEST, "/params/objectId", r#"must match pattern \"^\\d+$\""#), false);
        }
        if id == ELSEWHERE_ID {
            let body = r#"{"message":"Data object not served by this node"}"#;
            return (json(StatusCode::MISDIRECTED_REQUEST, body.into()), false);
        }
        let Some(object) = self.shelf.object(id) else { return (unknown_object(), false) };
        let standing = self.shelf.standing(id, Instant::now());
        if request.method() == Method::HEAD {
            return (Self::head(object, standing), false);
        }
        let (turn, reset) = match self.next_fault() {
            Fault::ServerError => return (failed_download(id), false),
            Fault::ObjectNotFound => return (unknown_object(), false),
            Fault::ResetMidBody => (Some(Turn::Break), true),
            Fault::TruncatedBody => (Some(Turn::Break), false),
            Fault::StallMidBody(pause) => (Some(Turn::Pause(pause)), false),
            Fault::None => (self.pauses(), false),
        };
        (self.download(id, object, standing, request).map(|body| body.with(turn)), reset)
    }

    /// The fault whose turn it is: one a download, in a cycle.
    fn next_fault(&self) -> Fault {
        let Behaviour::Failing(cycle) = &self.plan.behaviour else { return Fault::None };
        let turn = self.downloads.fetch_add(1, Ordering::Relaxed);
        cycle.get(turn % cycle.len().max(1)).copied().unwrap_or(Fault::None)
    }

    /// The pauses of every body, if the node is one that stalls.
    fn pauses(&self) -> Option<Turn> {
        let Behaviour::Stalling { every, pause } = self.plan.behaviour else { return None };
        Some(Turn::Pauses(usize::try_from(every.0).unwrap_or(usize::MAX), pause))
    }

    /// Cache state and size, without side effect. The type is told only on a hit.
    fn head(object: &Object, standing: Standing) -> Response<Content> {
        let mut response = Response::new(Content::none());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(object.bytes.len()));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
        headers.insert("x-cache", HeaderValue::from_static(standing.state().label()));
        let age = if standing == Standing::Cached { "max-age=31536000" } else { PENDING_AGE };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(age));
        if standing == Standing::Cached {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(object.content_type));
        }
        response
    }

    fn download<B>(&self, id: &str, object: &Object, standing: Standing, request: &Request<B>) -> Response<Content> {
        let size = object.bytes.len() as u64;
        let asked = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok());
        let span = Span::asked(asked, size);
        let (first, last) = match span {
            Span::Part { first, last } => (first, last),
            Span::Unsatisfiable if standing == Standing::Cached => return self.unsatisfiable(object),
            // Of what is not there yet, a range that makes no sense gets all.
            Span::Full | Span::Unsatisfiable => (0, size.saturating_sub(1)),
        };
        let is_part = matches!(span, Span::Part { .. });
        let now = Instant::now();
        let per_byte = self.shelf.nanos_per_byte(size);
        // What of a fetch is on disk is read from there; what lies beyond, and what is never kept, is passed through
        // from a storage node.
        let on_disk =
            |since: Instant| u64::try_from((now - since).as_nanos() / u128::from(per_byte.max(1))).unwrap_or(u64::MAX);
        let (local, since) = match self.shelf.fetch(id, now) {
            Standing::Cached => (true, None),
            Standing::Absent => (false, None),
            Standing::Fetching(since) => (first <= on_disk(since), Some(since)),
        };
        let status = if is_part { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let mut response = self.bare(status, object, standing, local);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(object.content_type));
        if is_part {
            headers.insert(header::CONTENT_RANGE, text(format!("bytes {first}-{last}/{size}")));
        }
        *response.body_mut() = match since {
            Some(since) if local => {
                // The known defect: whole steps are sent from the start of the range on, whatever its end.
                let end = (first + (last + 1 - first).next_multiple_of(PENDING_STEP)).min(size);
                let from = since + Duration::from_nanos(per_byte.saturating_mul(first));
                Content::fetched(slice(object, first, end), Pace { from, nanos_per_byte: per_byte })
            }
            _ => Content::of(slice(object, first, last + 1)),
        };
        response
    }

    fn unsatisfiable(&self, object: &Object) -> Response<Content> {
        let mut response = self.bare(StatusCode::RANGE_NOT_SATISFIABLE, object, Standing::Cached, true);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_RANGE, text(format!("bytes */{}", object.bytes.len())));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        let body = r#"{"type":"sendstream_error","message":"RangeNotSatisfiableError: Range Not Satisfiable"}"#;
        *response.body_mut() = Content::of(body.into());
        response
    }

    /// The headers that every answer to a download has.
    fn bare(&self, status: StatusCode, object: &Object, standing: Standing, local: bool) -> Response<Content> {
        let age = if standing == Standing::Cached { "public, max-age=31536000" } else { PENDING_AGE };
        let mut response = Response::new(Content::none());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(age));
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
        headers.insert("x-cache", HeaderValue::from_static(standing.state().label()));
        headers.insert("x-data-source", HeaderValue::from_static(if local { "local" } else { "external" }));
        if standing == Standing::Cached {
            headers.insert(header::ETAG, text(format!("W/\"{:x}-{:x}\"", object.bytes.len(), self.etag_seed)));
        }
        response
    }
}

/// Bytes `first..end` of an object, shared.
fn slice(object: &Object, first: u64, end: u64) -> Bytes {
    let within = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(object.bytes.len());
    object.bytes.slice(within(first)..within(end))
}

fn unknown_object() -> Response<Content> {
    json(StatusCode::NOT_FOUND, r#"{"message":"Data object does not exist"}"#.into())
}

fn failed_download(id: &str) -> Response<Content> {
    let message = format!("Failed to download object {id} from any available storage provider");
    json(StatusCode::INTERNAL_SERVER_ERROR, format!(r#"{{"type":"exception","message":"{message}"}}"#))
}

/// What the request validator in front of the handlers answers. `path` and `message` are JSON-escaped already.
fn refusal(status: StatusCode, path: &str, message: &str) -> Response<Content> {
    let path = path.replace(['"', '\\'], "");
    let errors = format!(r#"[{{"path":"{path}","message":"{message}"}}]"#);
    json(status, format!(r#"{{"type":"request_validation","message":"{message}","errors":{errors}}}"#))
}

fn json(status: StatusCode, body: String) -> Response<Content> {
    let mut response = Response::new(Content::of(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

fn text(value: String) -> HeaderValue {
    HeaderValue::try_from(value).expect("invariant: only visible ASCII is written here")
}
