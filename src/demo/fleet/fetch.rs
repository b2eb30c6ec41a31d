//! The client side of a distributor: it fetches objects from storage nodes.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::task::JoinSet;

use crate::net::connect::connect;

use super::super::{answer::text, memory_body::BrokenOff};

/// The path prefix of every storage node.
pub(in crate::demo) const STORAGE_PREFIX: &str = "/storage";

/// The user agent of a distributor that fetches from a storage node.
pub(in crate::demo) const FETCH_USER_AGENT: &str = "distributor-node";

/// A request to a storage node.
#[derive(Clone, Debug)]
pub(in crate::demo) struct FetchRequest {
    /// The id of the object.
    pub(in crate::demo) id: String,
    /// The first and the last offset, both inclusive; `None` means the whole object.
    pub(in crate::demo) range: Option<(u64, u64)>,
    /// The `traceparent` header of the client's request.
    pub(in crate::demo) trace: Option<HeaderValue>,
}

/// A body from another server, and the connection that carries it.
pub(in crate::demo) struct ProxiedBody {
    body: Incoming,
    _connection: JoinSet<()>,
}

/// Why a storage node did not send an object.
#[derive(Debug, Error)]
pub(in crate::demo) enum FetchError {
    #[error("no connection to the storage node")]
    Connect(#[from] io::Error),
    #[error("the exchange with the storage node broke")]
    Http(#[from] hyper::Error),
    #[error("the storage node answers {0}")]
    GraphQlErrors(StatusCode),
}

/// Fetches from the first of these storage nodes that has the object. The object's id decides which node is asked
/// first.
pub(in crate::demo) async fn from_any(storage: &[SocketAddr], order: &FetchRequest) -> Result<ProxiedBody, FetchError> {
    let first = order.id.bytes().map(usize::from).sum::<usize>() % storage.len().max(1);
    let mut last = FetchError::GraphQlErrors(StatusCode::NOT_FOUND);
    for address in storage[first..].iter().chain(&storage[..first]) {
        match from(*address, order).await {
            Ok(passed) => return Ok(passed),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn from(address: SocketAddr, order: &FetchRequest) -> Result<ProxiedBody, FetchError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(connect(address).await?)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // A failed connection also ends the body with an error.
        let _ = connection.await;
    });
    let response = sender.send_request(request(address, order)).await?;
    if !response.status().is_success() {
        return Err(FetchError::GraphQlErrors(response.status()));
    }
    Ok(ProxiedBody::new(response, driver))
}

fn request(address: SocketAddr, order: &FetchRequest) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    let path = format!("{STORAGE_PREFIX}/api/v1/files/{}", order.id);
    *request.uri_mut() = path.parse().expect("invariant: ids of objects are digits");
    let headers = request.headers_mut();
    headers.insert(header::HOST, text(address.to_string()));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(FETCH_USER_AGENT));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some((first, last)) = order.range {
        headers.insert(header::RANGE, text(format!("bytes={first}-{last}")));
    }
    if let Some(trace) = &order.trace {
        headers.insert("traceparent", trace.clone());
    }
    request
}

impl ProxiedBody {
    fn new(response: Response<Incoming>, connection: JoinSet<()>) -> Self {
        Self { body: response.into_body(), _connection: connection }
    }

    /// As [`Body::poll_frame`].
    pub(in crate::demo) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Pin::new(&mut self.body).poll_frame(context).map(|frame| frame.map(|frame| frame.map_err(|_| BrokenOff)))
    }

    /// As [`Body::is_end_stream`].
    pub(in crate::demo) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    /// As [`Body::size_hint`].
    pub(in crate::demo) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
