//! The responses of Colossus, Joystream's storage node, which holds every object that it serves.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    super::{
        answer::{Answer, empty, head_response, json, text, validation_error},
        memory_body::MemoryBody,
        range::Span,
        response_body::ResponseBody,
        status::{Chain, QueryNode},
        store::slice,
    },
    fetch::STORAGE_PREFIX,
};

/// One storage node, shared by all its connections.
pub(in crate::demo) struct Colossus {
    objects: HashMap<Arc<str>, (Bytes, &'static str)>,
    buckets: Vec<&'static str>,
    started: Instant,
}

/// The document at `/api/v1/status`. The uptime is in seconds, intervals are in minutes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    version: &'static str,
    uptime: u64,
    upload_buckets: &'a [&'static str],
    download_buckets: &'a [&'static str],
    sync: Job,
    cleanup: Job,
    query_node_status: QueryNode,
    node_env: &'static str,
}

#[derive(Serialize)]
struct Job {
    enabled: bool,
    interval: u32,
}

impl Colossus {
    /// A node for these buckets that holds these objects: id, content and content type.
    pub(in crate::demo) fn new(
        objects: impl IntoIterator<Item = (Arc<str>, Bytes, &'static str)>,
        buckets: Vec<&'static str>,
    ) -> Self {
        let objects = objects.into_iter().map(|(id, bytes, content_type)| (id, (bytes, content_type))).collect();
        Self { objects, buckets, started: Instant::now() }
    }

    /// Answers one request.
    pub(in crate::demo) fn answer<B>(&self, request: &Request<B>) -> Answer {
        let mut response = self.route(request);
        response.headers_mut().insert("access-control-allow-origin", HeaderValue::from_static("*"));
        let response = if request.method() == Method::HEAD { head_response(response) } else { response };
        response.into()
    }

    fn route<B>(&self, request: &Request<B>) -> Response<ResponseBody> {
        let path = request.uri().path();
        let Some(route) = path.strip_prefix(STORAGE_PREFIX).and_then(|path| path.strip_prefix("/api/v1/")) else {
            return validation_error(StatusCode::NOT_FOUND, path, "not found");
        };
        match (route.strip_prefix("files/"), request.method()) {
            (Some(id), &Method::GET | &Method::HEAD) => self.file(id, request),
            (None, &Method::GET) if route == "status" => json(StatusCode::OK, self.status()),
            (None, _) if route != "status" => validation_error(StatusCode::NOT_FOUND, path, "not found"),
            (_, method) => {
                validation_error(StatusCode::METHOD_NOT_ALLOWED, path, &format!("{method} method not allowed"))
            }
        }
    }

    fn file<B>(&self, id: &str, request: &Request<B>) -> Response<ResponseBody> {
        let Some((bytes, content_type)) = self.objects.get(id) else { return empty(StatusCode::NOT_FOUND) };
        let size = bytes.len() as u64;
        let asked = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok());
        let (status, part, content_range) = match Span::asked(asked, size) {
            Span::Full => (StatusCode::OK, bytes.clone(), None),
            Span::Part { first, last } => {
                let content_range = format!("bytes {first}-{last}/{size}");
                (StatusCode::PARTIAL_CONTENT, slice(bytes, first, last + 1), Some(content_range))
            }
            Span::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new(), Some(format!("bytes */{size}"))),
        };
        let mut response = empty(status);
        let headers = response.headers_mut();
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=0"));
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.len()));
        if let Some(content_range) = content_range {
            headers.insert(header::CONTENT_RANGE, text(content_range));
        }
        *response.body_mut() = MemoryBody::of(part).into();
        response
    }

    fn status(&self) -> String {
        let uptime = self.started.elapsed();
        let status = Status {
            version: "4.5.0",
            uptime: uptime.as_secs(),
            upload_buckets: &self.buckets,
            download_buckets: &self.buckets,
            sync: Job { enabled: true, interval: 1 },
            cleanup: Job { enabled: true, interval: 360 },
            query_node_status: Chain::default().after(uptime),
            node_env: "production",
        };
        serde_json::to_string(&status).expect("invariant: strings and numbers always serialise")
    }
}
