//! Opens a connection for a URL in the phases dns, connect and tls, each with its own deadline and timestamp.

use std::{net::IpAddr, sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use url::{Host, Url};

use crate::{
    config::{FamilyChoice, HttpChoice, Network},
    model::{phase::Phase, probe::Deadlines, sample::HttpVersion, units::Micros},
};

use super::{
    connect::connect,
    failure::{Cause, ChosenAddress, Failure},
    guard::Guard,
    meter::{
        Meter, Metered,
        socket::{Socket, keep_stamping},
    },
    records::buffered,
    resolve::{Reservation, Resolver, source_address, threads::LookupPurpose},
    run_clock::RunClock,
    tcp_info::KernelCounters,
    timing::Timing,
    tls::{Tls, TrustError, chose_http2, expiry, version},
};

/// Opens connections according to the config.
#[derive(Clone)]
pub struct Dialer {
    resolver: Resolver,
    family: FamilyChoice,
    tls: Tls,
    http: HttpChoice,
    guard: Guard,
    clock: RunClock,
    #[expect(dead_code, reason = "held for what the kernel does meanwhile")]
    stamping: Option<Arc<socket2::Socket>>,
}

/// Why no dialer could be created.
#[derive(Debug, Error)]
pub enum DialerError {
    /// The trusted certificates cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// An open connection, before HTTP.
pub struct OpenConnection {
    /// The stream that carries HTTP, metered by `meter` at the socket.
    pub stream: BoxedStream,
    /// The meter on its socket.
    pub meter: Arc<Meter>,
    /// The facts about the connection.
    pub info: ConnectionInfo,
    /// The clock that measures its deadlines.
    pub clock: RunClock,
}

/// The facts about a connection.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// The HTTP version to use.
    pub http: HttpVersion,
    /// The address that was dialled.
    pub remote: IpAddr,
    /// `1.2` or `1.3`; `None` without TLS.
    pub tls_version: Option<&'static str>,
    /// When the peer's own certificate expires, in seconds since the epoch; `None` without TLS. The other certificates
    /// of the chain are ignored: servers often send outdated ones that no client needs.
    pub cert_expires: Option<i64>,
    /// Whether the node asked for a client certificate. It got none and may refuse the connection for that reason.
    pub wants_client_certificate: bool,
    /// The duration of the TCP handshake: an upper bound of the path's round-trip time.
    pub handshake: Micros,
    /// Access to the kernel's counters of the connection.
    pub kernel: KernelCounters,
}

/// The stream below HTTP: a socket, TLS over a socket, or a simulated link.
pub type BoxedStream = Box<dyn ByteStream>;

/// A byte stream in both directions, below HTTP.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

impl Dialer {
    /// Creates a dialer with the system's trusted certificates and those of the config.
    ///
    /// # Errors
    /// When the certificates of `network.ca-file` cannot be used.
    pub fn new(network: &Network, resolver: Resolver) -> Result<Self, DialerError> {
        let tls = Tls::new(network.http, network.extra_ca.as_deref())?;
        Ok(Self {
            resolver,
            family: network.family,
            tls,
            http: network.http,
            guard: Guard::new(network.allow_private.clone()),
            clock: RunClock::default(),
            stamping: keep_stamping(),
        })
    }

    /// Replaces the clock that measures the deadlines of its connections.
    #[must_use]
    pub fn with_clock(self, clock: RunClock) -> Self {
        Self { clock, ..self }
    }

    /// The clock that measures the deadlines of its connections.
    #[must_use]
    pub const fn clock(&self) -> &RunClock {
        &self.clock
    }

    /// Waits for the resources that the lookup of the host of `url` needs. Call it before the clock of a transfer
    /// starts.
    pub async fn reserve(&self, url: &Url, purpose: LookupPurpose, patience: Duration) -> Reservation {
        match host(url) {
            Host::Domain(name) => self.resolver.reserve(name, purpose, patience).await,
            Host::Ipv4(_) | Host::Ipv6(_) => Reservation::unneeded(),
        }
    }

    /// Like [`Self::reserve`], for a status check. If no thread becomes free within `patience`, but the system has
    /// answered a lookup of a check within `limit`, it goes on waiting for `limit`.
    pub async fn reserve_in_round(&self, url: &Url, patience: Duration, limit: Duration) -> Reservation {
        let reserved = self.reserve(url, LookupPurpose::Other, patience).await;
        if reserved.has_failed() && self.resolver.has_answered_within(limit, LookupPurpose::Other) {
            return self.reserve(url, LookupPurpose::Other, limit).await;
        }
        reserved
    }

    /// Whether the system gave no answer to the last lookup of the host of `url`.
    #[must_use]
    pub fn is_silent(&self, url: &Url) -> bool {
        matches!(host(url), Host::Domain(name) if self.resolver.is_silent(name))
    }

    /// The address to dial for the host of `url`: the first one to which this machine has a route. With
    /// `is_untrusted`, the address guard applies. Ends the phase `dns`, unless the host is already an address.
    ///
    /// # Errors
    /// When there is no address, when the guard refuses one, or when there is no route to any.
    pub async fn look_up(
        &self,
        url: &Url,
        reserved: Reservation,
        is_untrusted: bool,
        deadline: Duration,
        timing: &mut Timing,
    ) -> Result<ChosenAddress, Failure> {
        let port = port(url);
        if is_untrusted && self.guard.refuses_port(port) {
            return Err(Cause::BlockedPort(port).during(Phase::Dns));
        }
        let candidates = self.addresses(url, reserved, deadline, timing).await?;
        if is_untrusted {
            // Check every address, so that a name cannot mix a public address with an internal one.
            let refused = candidates.iter().find_map(|&address| Some((address, self.guard.refuses(address)?)));
            if let Some((address, reason)) = refused {
                return Err(Cause::Blocked { address, reason }.during(Phase::Connect));
            }
        }
        if let [only] = candidates[..] {
            // With a single address there is no choice. Connecting shows whether there is a route.
            return Ok(ChosenAddress { address: only, untried: None });
        }
        let with_route = candidates.iter().copied().find(|&address| source_address(address).is_some());
        let chosen = with_route.map(|address| ChosenAddress::of(address, &candidates));
        chosen.ok_or_else(|| {
            let cause =
                candidates.first().map_or_else(|| Cause::NoAddress(host(url).to_string()), |&a| Cause::NoRoute(a));
            cause.during(Phase::Connect)
        })
    }

    /// Opens a connection to the host of `url` at the address that [`Self::look_up`] found. Ends the phases `connect`
    /// and `tls` in `timing`, up to the one before the phase that failed.
    ///
    /// # Errors
    /// The phase that failed, and its cause.
    pub async fn open(
        &self,
        url: &Url,
        chosen: ChosenAddress,
        deadlines: &Deadlines,
        meter: Arc<Meter>,
        timing: &mut Timing,
    ) -> Result<OpenConnection, Failure> {
        let open = self.open_at(url, chosen.address, deadlines, meter, timing).await;
        open.map_err(|failure| Failure { chosen: Some(Box::new(chosen)), ..failure })
    }

    /// Like [`Self::open`], for an address that was not chosen among several.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) async fn open_at(
        &self,
        url: &Url,
        address: IpAddr,
        deadlines: &Deadlines,
        meter: Arc<Meter>,
        timing: &mut Timing,
    ) -> Result<OpenConnection, Failure> {
        let port = port(url);
        let began = timing.last();
        let clock = self.clock.clone();
        let socket = within(&clock, deadlines.connect, began, Phase::Connect, async {
            connect((address, port).into()).await.map(Arc::new).map_err(Cause::Io)
        })
        .await?;
        timing.end(Phase::Connect, Instant::now());
        let handshake = Micros::from(timing.last() - began);
        let kernel = KernelCounters::of(&socket);
        let socket = Socket::new(socket, meter.clone());

        let http = HttpVersion::Http1;
        let info = ConnectionInfo {
            http,
            remote: address,
            tls_version: None,
            cert_expires: None,
            wants_client_certificate: false,
            handshake,
            kernel,
        };
        if url.scheme() != "https" {
            return Ok(OpenConnection { stream: Box::new(Metered::new(socket, meter.clone())), meter, info, clock });
        }
        let name = server_name(&host(url));
        let began = timing.last();
        let (stream, wants_client_certificate) = within(&clock, deadlines.tls, began, Phase::Tls, async {
            let (stream, wants_client_certificate) = self.tls.handshake(name?, buffered(socket, meter.clone())).await?;
            match (self.http, chose_http2(&stream)) {
                (HttpChoice::Http2, false) => Err(Cause::NoHttp2),
                _ => Ok((stream, wants_client_certificate)),
            }
        })
        .await?;
        timing.end(Phase::Tls, Instant::now());
        let http = if chose_http2(&stream) { HttpVersion::Http2 } else { HttpVersion::Http1 };
        let info = ConnectionInfo {
            http,
            tls_version: version(&stream),
            cert_expires: expiry(&stream),
            wants_client_certificate,
            ..info
        };
        Ok(OpenConnection { stream: Box::new(stream), meter, info, clock })
    }

    /// All addresses of the host of `url`, in the order in which to try them. Ends the phase `dns`.
    ///
    /// # Errors
    /// When there is none of the wanted family.
    pub(super) async fn addresses(
        &self,
        url: &Url,
        reserved: Reservation,
        deadline: Duration,
        timing: &mut Timing,
    ) -> Result<Vec<IpAddr>, Failure> {
        let name = match host(url) {
            Host::Ipv4(address) => return self.literal(address.into()),
            Host::Ipv6(address) => return self.literal(address.into()),
            Host::Domain(name) => name,
        };
        let look_up = self.resolver.look_up(name, self.family, reserved, deadline, &self.clock);
        let found = self.clock.within(timing.t0(), deadline, look_up).await;
        let found = found.map_or(Err(Cause::Deadline(deadline)), |found| found.map_err(Cause::Lookup));
        let found = found.map_err(|cause| cause.during(Phase::Dns))?;
        timing.end(Phase::Dns, Instant::now());
        Ok(found)
    }

    /// The address itself, if it is of the wanted family.
    fn literal(&self, address: IpAddr) -> Result<Vec<IpAddr>, Failure> {
        if self.family.admits(&address) {
            Ok(vec![address])
        } else {
            Err(Cause::NoAddress(address.to_string()).during(Phase::Dns))
        }
    }
}

fn host(url: &Url) -> Host<&str> {
    url.host().expect("invariant: endpoints have hosts")
}

fn port(url: &Url) -> u16 {
    url.port_or_known_default().expect("invariant: http and https have default ports")
}

/// Awaits the work of one phase until its deadline, counted from the start of the phase.
async fn within<T>(
    clock: &RunClock,
    deadline: Duration,
    began: Instant,
    phase: Phase,
    work: impl Future<Output = Result<T, Cause>>,
) -> Result<T, Failure> {
    let done = clock.within(began, deadline, work).await;
    done.unwrap_or(Err(Cause::Deadline(deadline))).map_err(|cause| cause.during(phase))
}

fn server_name(host: &Host<&str>) -> Result<ServerName<'static>, Cause> {
    match *host {
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::V4(address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::V6(address))),
        Host::Domain(name) => ServerName::try_from(name.to_owned())
            .map_err(|error| Cause::Io(std::io::Error::new(std::io::ErrorKind::InvalidInput, error))),
    }
}
