//! TLS with full handshakes only.

use std::{io, sync::Arc};

pub use self::fault::{FaultKind, TlsFault};

use rustls::{
    ClientConfig, ProtocolVersion, RootCertStore,
    client::{Resumption, VerifierBuilderError, WebPkiServerVerifier},
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use thiserror::Error;
use tokio_rustls::{TlsConnector, client::TlsStream};
use x509_cert::{Certificate, der::Decode};

use crate::config::HttpChoice;

use self::handshake_record::{HandshakeRecorder, RecordingVerifier};
use super::{meter::socket::Socket, records::Buffered};

mod certificates;
pub mod fault;
mod handshake_record;

/// An open TLS connection.
pub(super) type SecuredStream = TlsStream<Buffered<Socket>>;

/// The trusted certificates and the protocols of all handshakes.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    /// `None` when no authority is trusted.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    roots: Arc<RootCertStore>,
}

/// Why the trusted certificates cannot be used.
#[derive(Debug, Error)]
pub enum TrustError {
    /// The user's CA file contains no certificate.
    #[error("the file with additional CA certificates contains none in PEM format")]
    NoCertificate,
    /// A certificate in it cannot be used.
    #[error("one of the additional CA certificates is not that of an authority, or cannot be read")]
    Unusable(#[source] rustls::Error),
    /// The file is not PEM.
    #[error("the additional CA certificates are not in PEM format")]
    NotPem(#[source] rustls::pki_types::pem::Error),
    /// rustls refuses its own defaults.
    #[error("TLS set-up: {}", fault::words(.0))]
    Setup(#[source] rustls::Error),
    /// rustls refuses the trusted certificates.
    #[error("TLS set-up: the trusted certificates cannot be used")]
    Verifier(#[source] VerifierBuilderError),
}

/// Why a handshake failed.
pub(super) enum HandshakeError {
    /// TLS itself failed, or the peer closed the connection instead of answering.
    Tls(TlsFault),
    /// The connection below TLS failed.
    Io(io::Error),
}

impl Tls {
    /// Trusts the system's certificates and those in `extra_ca` (PEM text).
    ///
    /// # Errors
    /// When `extra_ca` contains no usable certificate.
    pub fn new(http: HttpChoice, extra_ca: Option<&str>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        let (_, ignored) = roots.add_parsable_certificates(system.certs);
        if ignored > 0 || !system.errors.is_empty() {
            let errors: Vec<_> = system.errors.iter().map(ToString::to_string).collect();
            let errors = errors.join("; ");
            tracing::warn!(ignored, errors, "some certificates of the system's trust store are unusable");
        }
        if let Some(pem) = extra_ca {
            add_pem(&mut roots, pem)?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Setup)?
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = match http {
            HttpChoice::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            HttpChoice::Http1 => vec![b"http/1.1".to_vec()],
            HttpChoice::Http2 => vec![b"h2".to_vec()],
        };
        // A resumed handshake is shorter, so the transfer would not be cold.
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        let verifier = (!roots.is_empty())
            .then(|| WebPkiServerVerifier::builder_with_provider(roots.clone(), provider).build())
            .transpose()
            .map_err(TrustError::Verifier)?;
        Ok(Self { config: Arc::new(config), verifier, roots })
    }

    /// Performs the handshake with the node of this name. Also returns whether the node asked for a client certificate.
    pub(super) async fn handshake(
        &self,
        name: ServerName<'static>,
        socket: Buffered<Socket>,
    ) -> Result<(SecuredStream, bool), HandshakeError> {
        let witness = HandshakeRecorder::default();
        let mut config = ClientConfig::clone(&self.config);
        config.client_auth_cert_resolver = Arc::new(witness.clone());
        let watched = RecordingVerifier { verifier: self.verifier.clone(), witness: witness.clone() };
        config.dangerous().set_certificate_verifier(Arc::new(watched));
        let shaken = TlsConnector::from(Arc::new(config)).connect(name.clone(), socket).await;
        let seen = witness.seen();
        match shaken {
            Ok(stream) => Ok((stream, seen.wants_client_certificate)),
            Err(error) => Err(match inner(&error) {
                Some(error) => HandshakeError::Tls(fault::fault(error, &seen, &name, &self.roots)),
                None if error.kind() == io::ErrorKind::UnexpectedEof => HandshakeError::Tls(TlsFault::closed()),
                None => HandshakeError::Io(error),
            }),
        }
    }
}

/// The rustls error inside a socket error, if there is one.
#[must_use]
pub fn inner(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether the connection ended without the alert that ends TLS (RFC 8446 §6.1). rustls reports this as a socket error
/// with a text for programmers.
pub(super) fn is_cut(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof && error.to_string().contains("close_notify")
}

/// `1.2` or `1.3`.
pub(super) fn version(stream: &SecuredStream) -> Option<&'static str> {
    match stream.get_ref().1.protocol_version()? {
        ProtocolVersion::TLSv1_2 => Some("1.2"),
        ProtocolVersion::TLSv1_3 => Some("1.3"),
        _ => None,
    }
}

/// When the peer's own certificate expires, in seconds since the epoch. `None` when it cannot be read.
pub(super) fn expiry(stream: &SecuredStream) -> Option<i64> {
    not_after(stream.get_ref().1.peer_certificates()?.first()?)
}

/// The end of a certificate's validity (RFC 5280 §4.1.2.5).
fn not_after(certificate: &CertificateDer<'_>) -> Option<i64> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let not_after = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    i64::try_from(not_after.as_secs()).ok()
}

/// Whether the peer chose HTTP/2.
pub(super) fn chose_http2(stream: &SecuredStream) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

fn add_pem(roots: &mut RootCertStore, pem: &str) -> Result<(), TrustError> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.map_err(TrustError::NotPem)?).map_err(TrustError::Unusable)?;
    }
    if roots.len() == before { Err(TrustError::NoCertificate) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_expiry_of_a_certificate_is_read() {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        for (year, seconds) in [(2026, 1_767_225_600), (2049, 2_493_072_000), (2051, 2_556_144_000)] {
            params.not_after = date_time_ymd(year, 1, 1);
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            assert_eq!(not_after(certificate.der()), Some(seconds), "{year}");
        }
        assert_eq!(not_after(&CertificateDer::from(b"no certificate".as_slice())), None);
    }
}
