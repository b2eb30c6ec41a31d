//! What a failure means: the only function that maps a phase and a cause to an outcome.

use std::{error::Error, io};

use crate::{
    model::{outcome::Outcome, phase::Phase},
    net::{
        errno::is_local,
        failure::{Cause, Failure},
        resolve::LookupError,
        tls,
    },
};

/// The outcome of a transfer that ended with this failure.
#[must_use]
pub fn outcome(failure: &Failure) -> Outcome {
    match &failure.cause {
        Cause::Deadline(_) => deadline(failure.phase),
        Cause::Stall(_) => Outcome::Stalled,
        Cause::Blocked { .. } | Cause::BlockedPort(_) => Outcome::Blocked,
        Cause::NoAddress(_) => Outcome::DnsNotFound,
        Cause::NoRoute(_) => Outcome::LocalFailed,
        Cause::NoHttp2 | Cause::CertificateWanted => Outcome::TlsFailed,
        Cause::Tls(fault) => tls(fault.kind),
        Cause::Lookup(LookupError::NotFound(_)) => Outcome::DnsNotFound,
        Cause::Lookup(LookupError::Timeout(_)) => Outcome::DnsTimeout,
        Cause::Lookup(LookupError::Failed(_)) => Outcome::DnsFailed,
        Cause::Lookup(LookupError::Local(_)) => Outcome::LocalFailed,
        Cause::Io(error) => socket(failure.phase, error),
        Cause::EndedByReset => Outcome::Reset,
        Cause::Http(error) => http(failure.phase, error),
    }
}

/// Did the peer close the connection? An HTTP/2 reset of the stream alone counts as an answer, unless it says that the
/// request was not processed (RFC 9113 §8.7).
#[must_use]
pub fn is_close(failure: &Failure) -> bool {
    match &failure.cause {
        Cause::Http(error) => match source::<h2::Error>(error) {
            // The library reports errors that it raised itself with the same frames; they say nothing about the peer.
            Some(error) if error.is_remote() => {
                error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM)
            }
            Some(error) => error.is_io(),
            None => outcome(failure) == Outcome::Reset,
        },
        _ => false,
    }
}

/// Did the connection or the name lookup break off? A peer may drop a client that was frozen for a while. So after a
/// freeze such a failure says nothing about the node. Our own deadlines and wrong answers are different.
#[must_use]
pub fn broke_off(failure: &Failure) -> bool {
    match (&failure.cause, outcome(failure)) {
        (Cause::Deadline(_) | Cause::Stall(_), _) => false,
        (Cause::Io(error), Outcome::TlsFailed) => error.get_ref().is_none_or(|inner| !inner.is::<rustls::Error>()),
        (_, outcome) => matches!(
            outcome,
            Outcome::DnsTimeout
                | Outcome::DnsFailed
                | Outcome::ConnectRefused
                | Outcome::ConnectTimeout
                | Outcome::ConnectFailed
                | Outcome::Reset
                | Outcome::Truncated
        ),
    }
}

/// Did an HTTP/2 body end before its announced length, or did its connection end before the body? The library reports
/// the first as its own protocol error.
#[must_use]
pub fn ended_short(failure: &Failure) -> bool {
    let Cause::Http(error) = &failure.cause else { return false };
    source::<h2::Error>(error).is_some_and(|error| {
        let early = error.is_library() && error.reason() == Some(h2::Reason::PROTOCOL_ERROR);
        let kind = error.get_io().map(io::Error::kind);
        early || matches!(kind, Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe))
    })
}

const fn deadline(phase: Phase) -> Outcome {
    match phase {
        Phase::Dns => Outcome::DnsTimeout,
        Phase::Connect => Outcome::ConnectTimeout,
        Phase::Tls => Outcome::TlsTimeout,
        Phase::Send | Phase::Wait => Outcome::HeadersTimeout,
        Phase::Receive => Outcome::BodyTimeout,
    }
}

fn socket(phase: Phase, error: &io::Error) -> Outcome {
    if is_local(error) {
        return Outcome::LocalFailed;
    }
    match phase {
        Phase::Dns => Outcome::DnsFailed,
        Phase::Connect => match error.kind() {
            io::ErrorKind::ConnectionRefused => Outcome::ConnectRefused,
            io::ErrorKind::TimedOut => Outcome::ConnectTimeout,
            _ => Outcome::ConnectFailed,
        },
        Phase::Tls => Outcome::TlsFailed,
        Phase::Send | Phase::Wait | Phase::Receive => Outcome::Reset,
    }
}

const fn tls(kind: tls::FaultKind) -> Outcome {
    match kind {
        tls::FaultKind::Untrusted => Outcome::TlsUntrusted,
        tls::FaultKind::Expired => Outcome::TlsExpired,
        tls::FaultKind::WrongName => Outcome::TlsWrongName,
        tls::FaultKind::Unsupported => Outcome::TlsUnsupported,
        tls::FaultKind::Failed => Outcome::TlsFailed,
    }
}

fn http(phase: Phase, error: &hyper::Error) -> Outcome {
    let io = source::<io::Error>(error);
    if io.is_some_and(is_local) {
        return Outcome::LocalFailed;
    }
    if let Some(error) = source::<h2::Error>(error) {
        return http2(phase, error);
    }
    match phase {
        Phase::Receive if io.is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof) => Outcome::Truncated,
        Phase::Receive if error.is_incomplete_message() => Outcome::Truncated,
        // hyper reports errors of chunked framing as InvalidInput or InvalidData.
        Phase::Receive if io.is_some_and(is_framing) || error.is_parse() => Outcome::BodyInvalid,
        _ if error.is_parse_too_large() => Outcome::HeadersTooLarge,
        _ if error.is_parse() => Outcome::HeadersInvalid,
        _ => Outcome::Reset,
    }
}

fn http2(phase: Phase, error: &h2::Error) -> Outcome {
    match phase {
        _ if error.is_io() || error.is_remote() => Outcome::Reset,
        Phase::Receive => Outcome::BodyInvalid,
        // The h2 library reports this for a header block that is too large or has too many frames.
        _ if error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM) => Outcome::HeadersTooLarge,
        _ => Outcome::HeadersInvalid,
    }
}

/// A record that TLS cannot decrypt is not a framing error of the body: the connection underneath broke.
fn is_framing(error: &io::Error) -> bool {
    let is_tls = error.get_ref().is_some_and(|error| error.is::<rustls::Error>());
    !is_tls && matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
}

fn source<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        source = error.source();
    }
    None
}
