//! From a URL to an open connection: dns, connect, tls, each phase with its own deadline and its own stamp.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hickory_resolver::net::NetError;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

use crate::{
    config::{HttpChoice, Network},
    model::{phase::Phase, probe::Deadlines, sample::HttpVersion, units::Micros},
};

use super::{
    connect::connect,
    failure::{Cause, Failure},
    guard,
    meter::{Meter, Metered},
    resolve::{Resolver, preferred, source_address},
    tcp_info::Kernel,
    timing::Timing,
    tls::{Buffered, Tls, TrustError, chose_http2, version},
};

/// Opens connections the way the config says.
#[derive(Clone)]
pub struct Dialer {
    resolver: Resolver,
    tls: Tls,
    http: HttpChoice,
    allow_private: bool,
}

/// Why no dialer could be made.
#[derive(Debug, Error)]
pub enum DialerError {
    /// No resolver.
    #[error("the system's resolver configuration cannot be used: {0}; set `network.resolver` to a list of servers")]
    Resolver(#[source] Box<NetError>),
    /// No trust store.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// An open connection, before HTTP.
#[derive(Debug)]
pub struct Line {
    pub(super) stream: Stream,
    pub(super) meter: Arc<Meter>,
    pub(super) about: About,
}

/// What is known of a connection.
#[derive(Debug)]
pub struct About {
    /// HTTP version to be spoken.
    pub http: HttpVersion,
    /// The address that was dialled.
    pub remote: IpAddr,
    /// `1.2` or `1.3`.
    pub tls_version: Option<&'static str>,
    /// How long the TCP handshake took: an upper bound of the path's round-trip time.
    pub handshake: Micros,
    /// The kernel's view of it.
    pub kernel: Kernel,
}

/// What carries HTTP.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Metered<TcpStream>),
    Tls(Box<TlsStream<Buffered>>),
}

impl Dialer {
    /// # Errors
    /// When the system's resolver configuration or the extra CA cannot be used.
    pub fn new(network: &Network) -> Result<Self, DialerError> {
        let resolver =
            Resolver::new(&network.resolver, network.family).map_err(|error| DialerError::Resolver(Box::new(error)))?;
        let tls = Tls::new(network.http, network.extra_ca.as_deref())?;
        Ok(Self { resolver, tls, http: network.http, allow_private: network.allow_private })
    }

    /// Opens a connection to the host of `url`. `from_stranger` puts the address guard in the way. Boundaries go to
    /// `timing`, the last of them that of the phase before the one that failed.
    ///
    /// # Errors
    /// The phase that failed, and why.
    pub async fn open(
        &self,
        url: &Url,
        from_stranger: bool,
        deadlines: &Deadlines,
        meter: Arc<Meter>,
        timing: &mut Timing,
    ) -> Result<Line, Failure> {
        let guarded = from_stranger && !self.allow_private;
        let port = url.port_or_known_default().expect("invariant: http and https have default ports");
        if guarded && !guard::allows_port(port) {
            return Err(Cause::BlockedPort(port).during(Phase::Dns));
        }
        let host = url.host().expect("invariant: endpoints have hosts");
        let address = self.look_up(&host, guarded, deadlines.dns, timing).await?;

        let began = timing.last();
        let socket = within(deadlines.connect, began, Phase::Connect, async {
            connect((address, port).into()).await.map_err(Cause::Io)
        })
        .await?;
        timing.end(Phase::Connect, Instant::now());
        let handshake = Micros::from(timing.last() - began);
        let kernel = Kernel::of(&socket);
        let socket = Metered::new(socket, meter.clone());

        let about = About { http: HttpVersion::Http1, remote: address, tls_version: None, handshake, kernel };
        if url.scheme() != "https" {
            return Ok(Line { stream: Stream::Plain(socket), meter, about });
        }
        let name = server_name(&host);
        let began = timing.last();
        let stream = within(deadlines.tls, began, Phase::Tls, async {
            let stream = self.tls.handshake(name?, socket).await.map_err(Cause::Io)?;
            match (self.http, chose_http2(&stream)) {
                (HttpChoice::Http2, false) => Err(Cause::NoHttp2),
                _ => Ok(stream),
            }
        })
        .await?;
        timing.end(Phase::Tls, Instant::now());
        let http = if chose_http2(&stream) { HttpVersion::Http2 } else { HttpVersion::Http1 };
        let about = About { http, tls_version: version(&stream), ..about };
        Ok(Line { stream: Stream::Tls(Box::new(stream)), meter, about })
    }

    /// The one address to dial. A host that is an address already has no dns phase.
    async fn look_up(
        &self,
        host: &Host<&str>,
        guarded: bool,
        deadline: Duration,
        timing: &mut Timing,
    ) -> Result<IpAddr, Failure> {
        let candidates = match *host {
            Host::Ipv4(address) => self.resolver.literal(address.into())?,
            Host::Ipv6(address) => self.resolver.literal(address.into())?,
            Host::Domain(name) => {
                let found = timeout_at(timing.t0() + deadline, self.resolver.addresses(name)).await;
                let found = found.unwrap_or_else(|_| Err(Cause::Deadline(deadline).during(Phase::Dns)))?;
                timing.end(Phase::Dns, Instant::now());
                found
            }
        };
        if guarded {
            // Every address, so that a name cannot mix an honest one with one of ours.
            let refused = candidates.iter().find_map(|&address| Some((address, guard::refusal(address)?)));
            if let Some((address, reason)) = refused {
                return Err(Cause::Blocked { address, reason }.during(Phase::Connect));
            }
        }
        let unreachable = candidates.first().copied();
        preferred(&candidates, source_address)
            .ok_or_else(|| match unreachable {
                Some(address) => Cause::NoRoute(address),
                None => Cause::NoAddress(host.to_string()),
            })
            .map_err(|cause| cause.during(Phase::Connect))
    }
}

/// Awaits one phase until its deadline, counted from its beginning.
async fn within<T>(
    deadline: Duration,
    began: Instant,
    phase: Phase,
    work: impl Future<Output = Result<T, Cause>>,
) -> Result<T, Failure> {
    match timeout_at(began + deadline, work).await {
        Ok(done) => done,
        Err(_) => Err(Cause::Deadline(deadline)),
    }
    .map_err(|cause| cause.during(phase))
}

fn server_name(host: &Host<&str>) -> Result<ServerName<'static>, Cause> {
    match *host {
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::V4(address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::V6(address))),
        Host::Domain(name) => ServerName::try_from(name.to_owned())
            .map_err(|error| Cause::Io(std::io::Error::new(std::io::ErrorKind::InvalidInput, error))),
    }
}

/// One match for the three ways in which a stream is polled.
macro_rules! either {
    ($self:ident, $stream:ident => $polled:expr) => {
        match $self.get_mut() {
            Stream::Plain($stream) => $polled,
            Stream::Tls($stream) => $polled,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        either!(self, stream => std::pin::Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        either!(self, stream => std::pin::Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        either!(self, stream => std::pin::Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        either!(self, stream => std::pin::Pin::new(stream).poll_shutdown(cx))
    }
}
