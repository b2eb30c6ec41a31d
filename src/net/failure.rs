//! Why a transfer ended early: the phase, and the error as it came. What it *means* is decided by `probe::classify`.

use std::{io, net::IpAddr};

use thiserror::Error;

use super::tls::{self, Fault, fault::WANTS_OURS};
use crate::model::{phase::Phase, units::Micros};

use super::resolve::LookupError;

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

/// The address of a name that is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// It.
    pub address: IpAddr,
    /// One of the other family that the name has too, and that is not tried.
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
    /// The node asked for a certificate of ours in the handshake, and gave us up when there was none. In TLS 1.3 that shows only with
    /// the request.
    #[error("{}", WANTS_OURS)]
    CertificateWanted,
    /// The peer ended its HTTP/2 stream by a reset without an error (RFC 9113 §8.1), before the end of the body.
    #[error("the stream was reset before the end of the body")]
    EndedByReset,
    /// HTTP's answer.
    #[error("{}", chain(.0))]
    Http(#[source] hyper::Error),
}

impl Chosen {
    /// An address out of all that a name has.
    #[must_use]
    pub fn of(address: IpAddr, all: &[IpAddr]) -> Self {
        let untried = all.iter().copied().find(|other| other.is_ipv4() != address.is_ipv4());
        Self { address, untried }
    }
}

/// A node may be well over the other family: only one is tried, and a reader should know which.
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

/// Is it the alert of a node that insists on a certificate of ours?
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

/// What rustls reports travels in an error of the socket, and goes by words of ours.
fn of_socket(error: &io::Error) -> String {
    match tls::inner(error) {
        Some(error) => tls::fault::words(error),
        None if tls::is_cut(error) => {
            "the node closed the connection without ending TLS first (no close_notify)".to_owned()
        }
        None => error.to_string(),
    }
}

/// hyper's own text names only its outer kind; the reason is in its sources.
fn chain(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {}", reason(error));
        source = error.source();
    }
    text
}

/// One of the sources. Those of TLS and HTTP/2 hold Rust's debug output.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    match (error.downcast_ref::<io::Error>(), error.downcast_ref::<h2::Error>()) {
        (Some(error), _) => of_socket(error),
        (_, Some(error)) => error.get_io().map_or_else(
            // What a GOAWAY carries beside its reason stands in brackets.
            || error.to_string().split(" (").next().unwrap_or_default().to_owned(),
            of_socket,
        ),
        _ => error.to_string(),
    }
}
