//! Explains why a TLS handshake failed, in words that lead to the cause.
//!
//! Every rustls error that a person may read passes through here, because rustls's own texts contain Rust debug output.

use rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};

use self::alert::alerted;
use super::certificates::{
    Chain, ChainTop, Unverifiable, called, has_trusted_root_of, is_authority, is_trusted, names, names_its_issuer,
    validity,
};

mod alert;
mod rule;

/// The kind of a TLS failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The certificate is not trusted: no trusted authority signed it, it was revoked, or the node does not have its
    /// key.
    Untrusted,
    /// The certificate is expired or not valid yet.
    Expired,
    /// The certificate is for another host.
    WrongName,
    /// The node requires something that the TLS client does not support.
    Unsupported,
    /// Anything else.
    Failed,
}

/// A failed handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFault {
    /// The kind of failure.
    pub kind: FaultKind,
    /// One sentence for a person, without a full stop.
    pub words: String,
}

/// What a handshake showed before it failed.
#[derive(Debug, Default)]
pub(super) struct HandshakeRecord {
    /// The certificates that were not accepted.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// When they were checked, in seconds since the epoch.
    pub(super) now: u64,
    /// The node asked for a client certificate.
    pub(super) wants_client_certificate: bool,
    /// The chain is valid, but the node did not prove that it has the key.
    pub(super) is_unsigned: bool,
}

impl TlsFault {
    /// The connection ended before the handshake did.
    pub(super) fn closed() -> Self {
        Self { kind: FaultKind::Failed, words: "the node closed the connection during the TLS handshake".to_owned() }
    }
}

impl From<Unverifiable> for TlsFault {
    fn from(unfit: Unverifiable) -> Self {
        match unfit {
            Unverifiable::Weak(words) => Self { kind: FaultKind::Failed, words },
            Unverifiable::Unsupported(words) => Self { kind: FaultKind::Unsupported, words },
        }
    }
}

/// Describes a rustls error when nothing else is known about the connection.
#[must_use]
pub fn words(error: &Error) -> String {
    let nobody = ServerName::try_from("node").expect("invariant: a host name");
    fault(error, &HandshakeRecord::default(), &nobody, &RootCertStore::empty()).words
}

/// Whether the error means that the node requires a client certificate. In TLS 1.3, nodes report this after the
/// handshake.
#[must_use]
pub const fn wants_client_certificate(error: &Error) -> bool {
    matches!(error, Error::AlertReceived(AlertDescription::CertificateRequired))
}

/// Explains an error of this handshake with a node called `name`.
pub(super) fn fault(error: &Error, seen: &HandshakeRecord, name: &ServerName<'_>, roots: &RootCertStore) -> TlsFault {
    let failed = |words: &str| TlsFault { kind: FaultKind::Failed, words: words.to_owned() };
    match error {
        Error::InvalidCertificate(error) => certificate(error, seen, name, roots),
        Error::AlertReceived(alert) => alerted(*alert, seen),
        Error::PeerIncompatible(lack) => TlsFault { kind: FaultKind::Unsupported, words: lacking(lack).to_owned() },
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            failed("the node does not speak TLS on this port: it may speak plain HTTP")
        }
        Error::InvalidMessage(_) => failed("the node sent a TLS message that cannot be read"),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            failed("the node sent an unexpected TLS message")
        }
        Error::PeerMisbehaved(_) => failed("the node violated the TLS protocol"),
        Error::DecryptError => {
            failed("a TLS record of the node cannot be decrypted: it was damaged or forged on the way")
        }
        Error::PeerSentOversizedRecord => failed("the node sent a TLS record that is too large"),
        Error::NoCertificatesPresented => failed("the node sent no certificate"),
        Error::NoApplicationProtocol => failed("the node supports none of the protocols that we offered"),
        Error::UnsupportedNameType => failed("no certificate can be checked against this kind of name"),
        Error::FailedToGetCurrentTime | Error::FailedToGetRandomBytes => {
            failed("this machine has no clock or no random numbers for TLS")
        }
        _ => failed("the TLS client failed for an unknown reason"),
    }
}

fn certificate(
    error: &CertificateError,
    seen: &HandshakeRecord,
    name: &ServerName<'_>,
    roots: &RootCertStore,
) -> TlsFault {
    let chain = Chain::read(&seen.chain);
    let fault = |kind, words: &str| TlsFault { kind, words: words.to_owned() };
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            TlsFault { kind: FaultKind::Expired, words: out_of_date(&chain, seen.now) }
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFault { kind: FaultKind::WrongName, words: wrong_name(&chain, name) }
        }
        CertificateError::Revoked => fault(FaultKind::Untrusted, "the node's certificate was revoked by its authority"),
        CertificateError::BadEncoding => fault(FaultKind::Failed, "the node's certificate cannot be read"),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            fault(FaultKind::Failed, "the node's certificate is not meant for servers")
        }
        CertificateError::UnhandledCriticalExtension => fault(
            FaultKind::Unsupported,
            "the node's certificate has a critical extension that our client does not know",
        ),
        _ if seen.is_unsigned => match chain.unfit() {
            Some(unfit) => unfit.into(),
            None => fault(FaultKind::Untrusted, "the node cannot prove that it holds the key of its certificate"),
        },
        _ => unproven(&chain, error, roots),
    }
}

/// No path to a trusted authority could be verified. The certificates show why; the error only describes the last
/// attempt.
fn unproven(chain: &Chain, error: &CertificateError, roots: &RootCertStore) -> TlsFault {
    let untrusted = |words: String| TlsFault { kind: FaultKind::Untrusted, words };
    let (path, top) = chain.path();
    let Some(top) = top else { return untrusted("the node's certificate is not trusted".to_owned()) };
    if roots.is_empty() {
        return untrusted(NO_ROOTS.to_owned());
    }
    if matches!(top, ChainTop::SelfSigned) {
        let is_trusted = chain.own().is_some_and(|own| is_trusted(own.tbs_certificate().subject(), roots));
        return untrusted(if is_trusted { TRUSTED_AUTHORITY } else { SELF_SIGNED }.to_owned());
    }
    if let Some(unfit) = chain.unfit() {
        return unfit.into();
    }
    if is_unknown_algorithm(error) {
        let words = "a certificate of the node is signed in a way that our client does not support".to_owned();
        return TlsFault { kind: FaultKind::Unsupported, words };
    }
    if let Some(fault) = rule::broken(error) {
        return fault;
    }
    if chain.own().is_some_and(is_authority) {
        return untrusted(
            "the node uses the certificate of an authority (CA:TRUE) as its own, which our client does not accept"
                .to_owned(),
        );
    }
    if let Some(other) = path.iter().skip(1).find(|certificate| !is_authority(certificate)) {
        let name = called(other.tbs_certificate().subject());
        return untrusted(format!(
            "the node's certificate is signed by `{name}`, which is not an authority (no CA:TRUE)"
        ));
    }
    untrusted(match top {
        ChainTop::SelfSigned => String::new(), // answered above
        ChainTop::Root(root) if is_trusted(root, roots) => unproven_by(&called(root), error),
        ChainTop::Root(root) => {
            format!("the root `{}` of the node's certificate is not a trusted authority here", called(root))
        }
        ChainTop::Open { last, is_alone } => {
            let issuer = last.tbs_certificate().issuer();
            if is_trusted(issuer, roots) || matches!(error, CertificateError::BadSignature) {
                unproven_by(&called(issuer), error)
            } else {
                let is_known = names_its_issuer(last) || has_trusted_root_of(issuer, roots);
                unsent(&called(issuer), is_known, is_alone)
            }
        }
    })
}

const fn is_unknown_algorithm(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
    )
}

/// The path leads to a trusted authority, but that authority did not sign the node's certificate.
fn unproven_by(issuer: &str, error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("the signature on a certificate of the node is not by `{issuer}`, which it names as its issuer")
        }
        _ => format!("the chain from the node's certificate to its authority `{issuer}` cannot be verified"),
    }
}

/// The issuer's certificate was not sent, and the issuer is not a trusted root. `is_known` means that the last
/// certificate says where to fetch its issuer, as those of public authorities do, or that a root of the same
/// organisation is trusted: the missing certificate can then only be an intermediate.
fn unsent(issuer: &str, is_known: bool, is_alone: bool) -> String {
    match (is_known, is_alone) {
        (true, _) => format!(
            "the node does not send its intermediate certificate, that of `{issuer}`: its operator should serve the whole chain \
             (fullchain.pem)"
        ),
        (false, true) => format!(
            "the node does not send its intermediate certificate, or an unknown authority signed its own: `{issuer}` is not trusted here; \
             its operator should serve fullchain.pem"
        ),
        (false, false) => {
            format!("the chain of the node's certificate ends at the authority `{issuer}`, which is not trusted here")
        }
    }
}

fn out_of_date(chain: &Chain, now: u64) -> String {
    let Some((certificate, authority)) = chain.outdated(now) else {
        return "the node's certificate is out of date".to_owned();
    };
    let whose = authority.map_or_else(
        || "the node's certificate".to_owned(),
        |name| format!("the certificate of `{name}`, which the node sends along,"),
    );
    match validity(certificate) {
        (begin, _) if now < begin => {
            format!("{whose} is not valid before {}; or this machine's clock is wrong", day(begin))
        }
        (_, end) => format!("{whose} expired on {}", day(end)),
    }
}

/// The UTC day of a time in seconds since the epoch.
fn day(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.map_or_else(|| "a day beyond the calendar".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}

fn wrong_name(chain: &Chain, name: &ServerName<'_>) -> String {
    let name = name.to_str();
    let names = chain.own().map(names).unwrap_or_default();
    if names.is_empty() {
        return format!("the node's certificate is not for {name}: it names no host in a subjectAltName");
    }
    if names.iter().any(|other| *other == name) {
        return format!(
            "the node's certificate lists {name} as a DNS name: an address must be listed as an IP address"
        );
    }
    let shown = names.iter().take(SHOWN_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match names.len().saturating_sub(SHOWN_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("the node's certificate is not for {name} but for {shown}{more}")
}

const fn lacking(lack: &PeerIncompatible) -> &'static str {
    match lack {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired => NO_VERSION,
        PeerIncompatible::NoCipherSuitesInCommon => "the node and our client have no cipher suite in common",
        PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NamedGroupsExtensionRequired
        | PeerIncompatible::NoEcPointFormatsInCommon
        | PeerIncompatible::EcPointsExtensionRequired
        | PeerIncompatible::UncompressedEcPointsRequired => "the node and our client have no curve in common",
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired => {
            "the node and our client have no signature algorithm in common"
        }
        _ => "the node requires a part of TLS that our client does not support",
    }
}

/// The message for a node that requires a client certificate.
pub const WANTS_CLIENT_CERTIFICATE: &str = "the node requires a client certificate, and bandprobe has none";
const SELF_SIGNED: &str = "the node's certificate is self-signed: no authority vouches for it, and its operator should get one that is signed";
const TRUSTED_AUTHORITY: &str = "the node uses the certificate of a trusted authority as its own (self-signed, CA:TRUE), which our client \
                                 does not accept: it should use one that this authority signed";
const NO_ROOTS: &str = "this machine trusts no authority: install CA certificates, or set `network.ca-file`";
const NO_VERSION: &str = "the node supports neither TLS 1.2 nor TLS 1.3";
const SHOWN_NAMES: usize = 5;

#[cfg(test)]
mod tests;
