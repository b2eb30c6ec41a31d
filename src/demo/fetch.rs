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

use super::{answer::text, content::BrokenOff};

/// The path prefix of every storage node.
pub(super) const STORAGE_PREFIX: &str = "/storage";

/// The user agent of a distributor that fetches from a storage node.
pub(super) const DISTRIBUTOR: &str = "distributor-node";

/// A request to a storage node.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// The id of the object.
    pub(super) id: String,
    /// The first and the last offset, both inclusive; `None` means the whole object.
    pub(super) range: Option<(u64, u64)>,
    /// The `traceparent` header of the client's request.
    pub(super) trace: Option<HeaderValue>,
}

/// A body from another server, and the connection that carries it.
pub(super) struct Passed {
    body: Incoming,
    _connection: JoinSet<()>,
}

/// Why a storage node did not send an object.
#[derive(Debug, Error)]
pub(super) enum OrderError {
    #[error("no connection to the storage node")]
    Connect(#[from] io::Error),
    #[error("the exchange with the storage node broke")]
    Http(#[from] hyper::Error),
    #[error("the storage node answers {0}")]
    Refused(StatusCode),
}

/// Fetches from the first of these storage nodes that has the object. The object's id decides which node is asked
/// first.
pub(super) async fn from_any(storage: &[SocketAddr], order: &Order) -> Result<Passed, OrderError> {
    let first = order.id.bytes().map(usize::from).sum::<usize>() % storage.len().max(1);
    let mut last = OrderError::Refused(StatusCode::NOT_FOUND);
    for address in storage[first..].iter().chain(&storage[..first]) {
        match from(*address, order).await {
            Ok(passed) => return Ok(passed),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn from(address: SocketAddr, order: &Order) -> Result<Passed, OrderError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(connect(address).await?)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // A failed connection also ends the body with an error.
        let _ = connection.await;
    });
    let response = sender.send_request(request(address, order)).await?;
    if !response.status().is_success() {
        return Err(OrderError::Refused(response.status()));
    }
    Ok(Passed::new(response, driver))
}

fn request(address: SocketAddr, order: &Order) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    let path = format!("{STORAGE_PREFIX}/api/v1/files/{}", order.id);
    *request.uri_mut() = path.parse().expect("invariant: ids of objects are digits");
    let headers = request.headers_mut();
    headers.insert(header::HOST, text(address.to_string()));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(DISTRIBUTOR));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some((first, last)) = order.range {
        headers.insert(header::RANGE, text(format!("bytes={first}-{last}")));
    }
    if let Some(trace) = &order.trace {
        headers.insert("traceparent", trace.clone());
    }
    request
}

impl Passed {
    fn new(response: Response<Incoming>, connection: JoinSet<()>) -> Self {
        Self { body: response.into_body(), _connection: connection }
    }

    /// As [`Body::poll_frame`].
    pub(super) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Pin::new(&mut self.body).poll_frame(context).map(|frame| frame.map(|frame| frame.map_err(|_| BrokenOff)))
    }

    /// As [`Body::is_end_stream`].
    pub(super) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    /// As [`Body::size_hint`].
    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
