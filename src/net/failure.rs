//! Why a transfer ended early: the phase, and the error as it was reported. `probe::classify` decides what it means.

use std::{io, net::IpAddr};

use thiserror::Error;

use super::{
    resolve::LookupError,
    tls::{self, HandshakeError, TlsFault, fault::WANTS_CLIENT_CERTIFICATE},
};
use crate::model::{phase::Phase, units::Micros};

mod http;

/// A transfer that ended early. This is not an error of bandprobe: it becomes a sample.
#[derive(Debug, Error)]
#[error("{}: {cause}{}", phase.label(), other_family(chosen.as_deref()))]
pub struct Failure {
    /// The phase in progress.
    pub phase: Phase,
    /// Why the transfer ended.
    #[source]
    pub cause: Cause,
    /// The address that was dialled, when connecting or the TLS handshake failed in
    /// [`Dialer::open`](super::dial::Dialer::open).
    pub chosen: Option<Box<ChosenAddress>>,
}

/// The address that is dialled for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChosenAddress {
    /// The address itself.
    pub address: IpAddr,
    /// An address of the other family that the name also has and that is not tried.
    pub untried: Option<IpAddr>,
}

/// Why a transfer ended, as the layer below reported it.
#[derive(Debug, Error)]
pub enum Cause {
    /// The deadline of the phase passed.
    #[error("deadline of {0:?} passed")]
    Deadline(std::time::Duration),
    /// No body byte arrived for this time.
    #[error("no byte for {}", Micros::from(*.0))]
    Stall(std::time::Duration),
    /// The address guard refuses the address.
    #[error("refused to dial {address}: {reason}")]
    Blocked {
        /// The address that the name resolved to.
        address: IpAddr,
        /// Why it is not dialled.
        reason: &'static str,
    },
    /// The address guard refuses the port.
    #[error("refused to dial port {0}: discovered nodes may use only 80, 443 and ports above 1023")]
    BlockedPort(u16),
    /// The name has no address of the wanted family.
    #[error("`{0}` has no address of the wanted family")]
    NoAddress(String),
    /// This machine has no route to any address of the name; the value is the first one.
    #[error("this host has no route to {0}")]
    NoRoute(IpAddr),
    /// The config requires HTTP/2, and the node does not offer it.
    #[error("the node does not offer HTTP/2")]
    NoHttp2,
    /// The lookup of the name failed.
    #[error("{0}")]
    Lookup(#[source] LookupError),
    /// The operating system reported an error.
    #[error("{}", of_socket(.0))]
    Io(#[source] io::Error),
    /// The TLS handshake failed.
    #[error("{}", .0.words)]
    Tls(TlsFault),
    /// The node asked for a client certificate in the handshake and refused the connection because it got none. In TLS
    /// 1.3 that shows only when the request is sent.
    #[error("{}", WANTS_CLIENT_CERTIFICATE)]
    CertificateWanted,
    /// The peer ended its HTTP/2 stream with a NO_ERROR reset (RFC 9113 §8.1) before the end of the body.
    #[error("the stream was reset before the end of the body")]
    EndedByReset,
    /// The HTTP exchange failed.
    #[error("{}", http::words(.0))]
    Http(#[source] hyper::Error),
}

impl ChosenAddress {
    /// Records the chosen address, and the first address of the other family among all addresses of the name.
    #[must_use]
    pub fn of(address: IpAddr, all: &[IpAddr]) -> Self {
        let untried = all.iter().copied().find(|other| other.is_ipv4() != address.is_ipv4());
        Self { address, untried }
    }
}

impl From<HandshakeError> for Cause {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Tls(fault) => Self::Tls(fault),
            HandshakeError::Io(error) => Self::Io(error),
        }
    }
}

/// Names the family that was tried: the node may be reachable over the other one.
fn other_family(chosen: Option<&ChosenAddress>) -> String {
    let family = |address: &IpAddr| if address.is_ipv4() { "IPv4" } else { "IPv6" };
    match chosen {
        Some(ChosenAddress { address, untried: Some(untried) }) => {
            let (tried, other) = (family(address), family(untried));
            format!("; {address} ({tried}) was tried, {untried} ({other}) was not")
        }
        _ => String::new(),
    }
}

impl Cause {
    /// Combines the cause with its phase.
    #[must_use]
    pub const fn during(self, phase: Phase) -> Failure {
        Failure { phase, cause: self, chosen: None }
    }
}

/// Whether the error is the alert of a node that requires a client certificate.
#[must_use]
pub fn wants_client_certificate(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let io = error.downcast_ref::<h2::Error>().map_or_else(|| error.downcast_ref(), h2::Error::get_io);
        if io.and_then(tls::inner).is_some_and(tls::fault::wants_client_certificate) {
            return true;
        }
        source = error.source();
    }
    false
}

/// An error of rustls arrives inside a socket error. It is described in bandprobe's own words.
fn of_socket(error: &io::Error) -> String {
    match tls::inner(error) {
        Some(error) => tls::fault::words(error),
        None if tls::is_cut(error) => {
            "the node closed the connection without ending TLS first (no close_notify)".to_owned()
        }
        None => error.to_string(),
    }
}
