//! Drives hyper's connection in the task of the transfer itself, one socket read per turn.
//!
//! In a turn, the driver grants one read, polls the connection, and the caller takes out what arrived. Everything taken
//! out in a turn has the timestamp of that turn's read, or of an earlier read if the turn needed none (see
//! `net::meter`).

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
    rt::Executor,
};
use hyper_util::rt::TokioIo;

use crate::model::sample::HttpVersion;

use super::{boundary::BoundaryStream, dial::BoxedStream};

type Io = TokioIo<BoundaryStream<BoxedStream>>;
type Answering = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

/// One HTTP connection of either version.
pub(super) enum Protocol {
    Http1 {
        sender: http1::SendRequest<Full<Bytes>>,
        connection: Option<Box<http1::Connection<Io, Full<Bytes>>>>,
    },
    Http2 {
        sender: http2::SendRequest<Full<Bytes>>,
        connection: Option<Box<http2::Connection<Io, Full<Bytes>, Tasks>>>,
        tasks: Tasks,
    },
}

impl Protocol {
    pub(super) async fn start(stream: BoundaryStream<BoxedStream>, version: HttpVersion) -> hyper::Result<Self> {
        let io = TokioIo::new(stream);
        match version {
            HttpVersion::Http1 => {
                let (sender, connection) = http1::Builder::new()
                    .max_buf_size(READ_BUFFER)
                    .max_header_size(MAX_HEAD)
                    // RFC 9112 §5.2: a user agent must unfold header lines that use obsolete folding.
                    .allow_obsolete_multiline_headers_in_responses(true)
                    .handshake(io)
                    .await?;
                Ok(Self::Http1 { sender, connection: Some(Box::new(connection)) })
            }
            HttpVersion::Http2 => {
                let tasks = Tasks::default();
                let (sender, connection) = http2::Builder::new(tasks.clone())
                    .initial_stream_window_size(WINDOW)
                    .initial_connection_window_size(WINDOW)
                    .max_frame_size(MAX_FRAME)
                    .max_header_list_size(u32::try_from(MAX_HEAD).expect("invariant: a small constant"))
                    .handshake(io)
                    .await?;
                Ok(Self::Http2 { sender, connection: Some(Box::new(connection)), tasks })
            }
        }
    }

    pub(super) fn send(&mut self, request: Request<Full<Bytes>>) -> Answering {
        match self {
            Self::Http1 { sender, .. } => Box::pin(sender.send_request(request)),
            Self::Http2 { sender, .. } => Box::pin(sender.send_request(request)),
        }
    }

    /// Polls the connection. Its end is not reported here: requests and bodies report what it means for them.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Http1 { connection, .. } => {
                if let Some(Poll::Ready(_)) = connection.as_mut().map(|connection| Pin::new(connection).poll(cx)) {
                    *connection = None;
                }
            }
            Self::Http2 { connection, tasks, .. } => {
                if let Some(Poll::Ready(_)) = connection.as_mut().map(|connection| Pin::new(connection).poll(cx)) {
                    *connection = None;
                }
                tasks.poll(cx);
            }
        }
    }

    /// Drops the connection and its background tasks.
    pub(super) fn close(&mut self) {
        match self {
            Self::Http1 { connection, .. } => *connection = None,
            Self::Http2 { connection, tasks, .. } => {
                *connection = None;
                // Drop the tasks without holding the lock: a task that is dropped may add another one.
                drop(std::mem::take(&mut *tasks.lock()));
            }
        }
    }

    /// Whether the connection can take another request now.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Http1 { sender, connection } => connection.is_some() && sender.is_ready(),
            Self::Http2 { sender, connection, .. } => connection.is_some() && sender.is_ready(),
        }
    }
}

/// A pending request is one of the tasks and holds a handle to them. Without this, the tasks and the socket would keep
/// each other alive.
impl Drop for Protocol {
    fn drop(&mut self) {
        self.close();
    }
}

/// The background futures of hyper's HTTP/2. They are polled in the task of the transfer, in each turn.
#[derive(Clone, Default)]
pub(super) struct Tasks(Arc<Mutex<Vec<Task>>>);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Tasks {
    fn poll(&self, cx: &mut Context<'_>) {
        // Take the tasks out of the lock: a task may add another one while it is polled.
        let mut running = std::mem::take(&mut *self.lock());
        running.retain_mut(|task| task.as_mut().poll(cx).is_pending());
        let mut tasks = self.lock();
        running.append(&mut tasks);
        *tasks = running;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Task>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, future: F) {
        self.lock().push(Box::pin(async {
            future.await;
        }));
    }
}

/// The largest response head that is accepted, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// The size of the read buffer for plain HTTP/1.1, in bytes. Fewer, larger reads cost less CPU time per byte, and more
/// memory.
const READ_BUFFER: usize = 256 << 10;
/// The HTTP/2 window, in bytes. It never limits a path of 100 ms × 1 Gbit/s, so the measured rate is that of the path.
///
/// h2 returns window to the peer once the bytes that it has not returned reach half of what the peer has left. That is
/// at W/3 of a window W: the peer then still has 2W/3. The update takes a round trip until more bytes arrive. So 2W/3,
/// not W, must cover bandwidth × delay (12.5 MB) and the bytes in the peer's send buffer and the queue of the
/// bottleneck. 16 MiB would leave 11.2 MB, 32 MiB leave 22.4 MB. A larger window does not need a larger buffer: the
/// bytes of a socket read are taken out before the next one.
const WINDOW: u32 = 32 << 20;
/// The largest frame that a peer may send, in bytes: the smallest limit that HTTP/2 allows (RFC 9113 §6.5.2). A frame
/// is handed over when it is complete, so a large one on a slow path would look like a pause.
const MAX_FRAME: u32 = 16 << 10;
