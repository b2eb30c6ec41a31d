//! Records what a handshake shows, so that its failure can be explained. rustls reports only the last problem and
//! discards the certificates.
//!
//! Nothing is decided here: rustls's own verifier checks the certificates, and no client certificate is ever sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        ResolvesClientCert, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
};

use super::fault::HandshakeRecord;

/// The record of one handshake.
#[derive(Clone, Debug, Default)]
pub(super) struct HandshakeRecorder(Arc<Mutex<HandshakeRecord>>);

impl HandshakeRecorder {
    /// What was recorded so far.
    pub(super) fn seen(&self) -> MutexGuard<'_, HandshakeRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// rustls's verifier, with a witness.
#[derive(Debug)]
pub(super) struct RecordingVerifier {
    /// `None` when no authority is trusted. No certificate is then accepted.
    pub(super) verifier: Option<Arc<WebPkiServerVerifier>>,
    pub(super) witness: HandshakeRecorder,
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.verifier.as_ref().map_or_else(
            || Err(CertificateError::UnknownIssuer.into()),
            |verifier| verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
        );
        if verified.is_err() {
            let mut seen = self.witness.seen();
            seen.now = now.as_secs();
            let sent = std::iter::once(end_entity).chain(intermediates.iter().take(MAX_CERTIFICATES));
            seen.chain = sent.map(|certificate| certificate.clone().into_owned()).collect();
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verifier = self.verifier.as_ref().ok_or(Error::NoCertificatesPresented)?;
        self.note_signature(cert, verifier.verify_tls12_signature(message, cert, dss))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verifier = self.verifier.as_ref().ok_or(Error::NoCertificatesPresented)?;
        self.note_signature(cert, verifier.verify_tls13_signature(message, cert, dss))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.as_ref().map_or_else(
            || ring::default_provider().signature_verification_algorithms.supported_schemes(),
            |verifier| verifier.supported_verify_schemes(),
        )
    }
}

impl RecordingVerifier {
    fn note_signature(
        &self,
        cert: &CertificateDer<'_>,
        verified: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        if verified.is_err() {
            let mut seen = self.witness.seen();
            seen.chain = vec![cert.clone().into_owned()];
            seen.is_unsigned = true;
        }
        verified
    }
}

impl ResolvesClientCert for HandshakeRecorder {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.seen().wants_client_certificate = true;
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// The most intermediate certificates that are kept for the explanation. No valid chain is longer.
const MAX_CERTIFICATES: usize = 20;
