//! One listening server: sockets, TLS, HTTP, and limits so that clients cannot overload it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Request, Response, Version};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::{SockRef, Socket};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

#[cfg(feature = "fleet")]
use super::fleet::{colossus::Colossus, registry::Registry};
use super::{
    answer::Answer,
    argus::{Argus, KEEP_ALIVE_SECS},
    link::{Link, Shaped},
    request_log::RequestLog,
    response_body::ResponseBody,
};

/// The most connections served at once. Further ones wait in the listen queue.
const MAX_CONNECTIONS: usize = 64;

/// The longest request head, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// The most concurrent streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 32;

/// The send buffer of a node with a link, in bytes. It is small, because its content has left the bucket but has not
/// reached the client.
const SHAPED_SEND_BUFFER: usize = 16 << 10;

/// The longest TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The longest life of a connection, so that a client that reads nothing cannot hold its place for longer.
const CONNECTION_LIFE: Duration = Duration::from_secs(600);

/// How long the proxy in front of a TLS node keeps an idle connection: Caddy's default.
const PROXY_IDLE: Duration = Duration::from_secs(300);

/// How long the node waits after a failed accept, for example when it has no file descriptors left.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// A server of the simulated network, ready to serve.
pub(super) struct DemoNode {
    pub(super) role: Role,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) link: Option<Arc<Link>>,
    pub(super) log: Arc<RequestLog>,
}

/// What a server is.
pub(super) enum Role {
    Distributor(Argus),
    #[cfg(feature = "fleet")]
    Storage(Colossus),
    #[cfg(feature = "fleet")]
    Registry(Arc<Registry>),
}

impl Role {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        match self {
            Self::Distributor(argus) => argus.answer(&request).await,
            #[cfg(feature = "fleet")]
            Self::Storage(colossus) => colossus.answer(&request),
            #[cfg(feature = "fleet")]
            Self::Registry(registry) => registry.answer(request).await.into(),
        }
    }
}

impl DemoNode {
    /// A server without TLS and without a link limit.
    #[cfg(feature = "fleet")]
    pub(super) fn plain(role: Role) -> Self {
        Self { role, tls: None, link: None, log: Arc::default() }
    }

    /// Serves until the future is dropped. Then all connections are dropped too.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let place = Arc::clone(&places).acquire_owned().await.expect("invariant: nobody closes the semaphore");
            while connections.try_join_next().is_some() {}
            let Ok((socket, _)) = listener.accept().await else {
                sleep(ACCEPT_REST).await;
                continue;
            };
            let node = Arc::clone(&self);
            connections.spawn(async move {
                // The client notices a failed connection; there is nothing to do here.
                let _ = timeout(CONNECTION_LIFE, node.connection(socket)).await;
                drop(place);
            });
        }
    }

    async fn connection(self: Arc<Self>, socket: TcpStream) -> Option<()> {
        // With Nagle's algorithm, a piece of a shaped body would wait for the acknowledgement of the previous piece.
        socket.set_nodelay(true).ok()?;
        let raw = SockRef::from(&socket);
        if self.link.is_some() {
            raw.set_send_buffer_size(SHAPED_SEND_BUFFER).ok()?;
        }
        let session = Session { socket: Arc::new(raw.try_clone().ok()?), node: Arc::clone(&self) };
        let stream = Shaped::new(socket, self.link.clone());
        let Some(tls) = &self.tls else {
            return session.http1(stream, Duration::from_secs(KEEP_ALIVE_SECS)).await;
        };
        let stream = timeout(HANDSHAKE, tls.accept(stream)).await.ok()?.ok()?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            session.http2(stream).await
        } else {
            session.http1(stream, PROXY_IDLE).await
        }
    }
}

/// One connection and its node.
#[derive(Clone)]
struct Session {
    node: Arc<DemoNode>,
    /// A second handle to the socket, so that its end can become a reset.
    socket: Arc<Socket>,
}

impl Session {
    async fn http1<S: AsyncRead + AsyncWrite + Unpin + 'static>(self, stream: S, idle: Duration) -> Option<()> {
        http1::Builder::new()
            .timer(TokioTimer::new())
            // The timeout counts from the end of the previous response, so it also closes idle connections.
            .header_read_timeout(idle)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), self)
            .await
            .ok()
    }

    async fn http2<S: AsyncRead + AsyncWrite + Unpin + 'static>(self, stream: S) -> Option<()> {
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
            .max_concurrent_streams(MAX_STREAMS)
            .serve_connection(TokioIo::new(stream), self)
            .await
            .ok()
    }

    async fn answer(self, request: Request<Incoming>) -> Response<ResponseBody> {
        let version = request.version();
        self.node.log.note(&request);
        let answer = self.node.role.answer(request).await;
        if answer.reset && version < Version::HTTP_2 {
            // Closing a socket with a linger time of zero sends RST instead of FIN (socket(7)).
            let _ = self.socket.set_linger(Some(Duration::ZERO));
        }
        answer.response
    }
}

impl Service<Request<Incoming>> for Session {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let session = self.clone();
        Box::pin(async move { Ok(session.answer(request).await) })
    }
}
