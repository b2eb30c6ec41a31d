//! Why a transfer ended early: the phase, and the error as it came. What it *means* is decided by `probe::classify`.

use std::{io, net::IpAddr};

use thiserror::Error;

use super::{
    resolve::LookupError,
    tls::{self, Fault, fault::WANTS_OURS},
};
use crate::model::{phase::Phase, units::Micros};

mod http;

/// A transfer that ended early. Not an error of ours: it becomes a sample.
#[derive(Debug, Error)]
#[error("{}: {cause}{}", phase.label(), other_family(chosen.as_deref()))]
pub struct Failure {
    /// The phase that was under way.
    pub phase: Phase,
    /// What ended it.
    #[source]
    pub cause: Cause,
    /// The address that could not be connected to.
    pub chosen: Option<Box<Chosen>>,
}

/// The address that is dialled for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The address itself.
    pub address: IpAddr,
    /// An address of the other family that the name also has, and that is not tried.
    pub untried: Option<IpAddr>,
}

/// What ended a transfer, as the layer below reported it.
#[derive(Debug, Error)]
pub enum Cause {
    /// The phase's own deadline came.
    #[error("deadline of {0:?} passed")]
    Deadline(std::time::Duration),
    /// No body byte for the stall time.
    #[error("no byte for {}", Micros::from(*.0))]
    Stall(std::time::Duration),
    /// Our own address policy.
    #[error("refused to dial {address}: {reason}")]
    Blocked {
        /// The address that the name resolved to.
        address: IpAddr,
        /// Why it is not dialled.
        reason: &'static str,
    },
    /// Our own port policy.
    #[error("refused to dial port {0}: only 80, 443 and those above 1023 are open to discovered nodes")]
    BlockedPort(u16),
    /// The name has no address of the wanted family.
    #[error("`{0}` has no address of the wanted family")]
    NoAddress(String),
    /// This host has no route to any of the addresses.
    #[error("this host has no route to {0}")]
    NoRoute(IpAddr),
    /// HTTP/2 alone was asked for.
    #[error("the node does not offer HTTP/2")]
    NoHttp2,
    /// No address for the name.
    #[error("{0}")]
    Lookup(#[source] LookupError),
    /// The operating system's answer.
    #[error("{}", of_socket(.0))]
    Io(#[source] io::Error),
    /// The TLS handshake failed.
    #[error("{}", .0.words)]
    Tls(Fault),
    /// The node asked for a client certificate in the handshake, and refused us for lack of one. In TLS 1.3 that shows only when
    /// the request is sent.
    #[error("{}", WANTS_OURS)]
    CertificateWanted,
    /// The peer ended its HTTP/2 stream by a reset without an error (RFC 9113 §8.1), before the end of the body.
    #[error("the stream was reset before the end of the body")]
    EndedByReset,
    /// HTTP's answer.
    #[error("{}", http::words(.0))]
    Http(#[source] hyper::Error),
}

impl Chosen {
    /// Chooses one of all addresses of a name.
    #[must_use]
    pub fn of(address: IpAddr, all: &[IpAddr]) -> Self {
        let untried = all.iter().copied().find(|other| other.is_ipv4() != address.is_ipv4());
        Self { address, untried }
    }
}

/// Says which family was tried: the node may be reachable over the other one.
fn other_family(chosen: Option<&Chosen>) -> String {
    let family = |address: &IpAddr| if address.is_ipv4() { "IPv4" } else { "IPv6" };
    match chosen {
        Some(Chosen { address, untried: Some(untried) }) => {
            let (tried, other) = (family(address), family(untried));
            format!("; {address} ({tried}) was tried, {untried} ({other}) was not")
        }
        _ => String::new(),
    }
}

impl Cause {
    /// Puts the cause into its phase.
    #[must_use]
    pub const fn during(self, phase: Phase) -> Failure {
        Failure { phase, cause: self, chosen: None }
    }
}

/// Our own fault: no descriptors, memory, ports or route (errno(3)).
#[must_use]
pub fn is_local(error: &io::Error) -> bool {
    const OURS: [i32; 8] = [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::ENOBUFS,
        libc::EADDRNOTAVAIL,
        libc::ENETUNREACH,
        libc::EACCES,
        libc::EPERM,
    ];
    error.raw_os_error().is_some_and(|errno| OURS.contains(&errno))
}

/// Is it the alert of a node that requires a client certificate?
#[must_use]
pub fn wants_ours(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let io = error.downcast_ref::<h2::Error>().map_or_else(|| error.downcast_ref(), h2::Error::get_io);
        if io.and_then(tls::inner).is_some_and(tls::fault::wants_ours) {
            return true;
        }
        source = error.source();
    }
    false
}

/// What rustls reports travels in an error of the socket; it gets words of ours.
fn of_socket(error: &io::Error) -> String {
    match tls::inner(error) {
        Some(error) => tls::fault::words(error),
        None if tls::is_cut(error) => {
            "the node closed the connection without ending TLS first (no close_notify)".to_owned()
        }
        None => error.to_string(),
    }
}
