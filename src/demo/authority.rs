//! A certificate authority for one process. Its key exists only in memory, and nothing outside the demo trusts it.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::DemoError;

/// The names and addresses in the demo's server certificate.
const NAMES: [&str; 3] = ["127.0.0.1", "::1", "localhost"];

pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// Makes an authority with a new key.
    pub(super) fn new() -> Result<Self, DemoError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "bandprobe demo, throwaway");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// The CA certificate as PEM, for clients that connect to the demo.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// A TLS acceptor with a new certificate for the loopback names. It offers HTTP/2 and HTTP/1.1 by ALPN.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, DemoError> {
        let mut params = CertificateParams::new(NAMES.map(String::from))?;
        params.distinguished_name.push(DnType::CommonName, "bandprobe demo node");
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
