//! X.509 rules that a certificate or its chain breaks (RFC 5280). rustls reports them as webpki errors.

use rustls::CertificateError;
use webpki::Error;

use super::{FaultKind, TlsFault};

/// The rule that is broken, if the error is about one.
pub(super) fn broken(error: &CertificateError) -> Option<TlsFault> {
    let CertificateError::Other(other) = error else { return None };
    let (kind, words) = match other.0.downcast_ref()? {
        Error::NameConstraintViolation => (
            FaultKind::Untrusted,
            "one of the node's authorities may not issue certificates for this name (name constraints)",
        ),
        Error::PathLenConstraintViolated => (
            FaultKind::Untrusted,
            "the chain of the node's certificate is longer than one of its authorities allows (path length)",
        ),
        Error::UnsupportedCertVersion => (
            FaultKind::Failed,
            "a certificate of the node is not of X.509 version 3: its operator should get a new one",
        ),
        Error::UnsupportedCriticalExtension => {
            (FaultKind::Unsupported, "a certificate of the node has a critical extension that our client does not know")
        }
        _ => return None,
    };
    Some(TlsFault { kind, words: words.to_owned() })
}
