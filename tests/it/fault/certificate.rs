//! Certificates of a throwaway authority: a valid one, and one for each flaw.

use std::sync::{Arc, LazyLock};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    Expired,
    NotYetValid,
    WrongName,
    OtherAuthority,
    SelfSigned,
    /// A valid certificate, and this number of useless ones.
    ExtraCertificates(usize),
    /// This number of certificates, each signed by the next, up to the authority.
    Chain(usize),
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

static TRUSTED: LazyLock<Authority> = LazyLock::new(|| authority("fault tests"));
static OTHER: LazyLock<Authority> = LazyLock::new(|| authority("stranger"));

/// The authority that a client of the fault server trusts.
pub(crate) fn ca_pem() -> &'static str {
    &TRUSTED.pem
}

fn authority(name: &str) -> Authority {
    let (params, key) = authority_params(name);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { issuer: Issuer::new(params, key), pem }
}

fn authority_params(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (params, KeyPair::generate().unwrap())
}

/// The server's end, for 127.0.0.1 unless the flaw is the name.
pub(crate) fn server(flaw: Flaw, alpn: &[&[u8]]) -> Arc<ServerConfig> {
    let name = if flaw == Flaw::WrongName { "elsewhere.example.net" } else { "127.0.0.1" };
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    match flaw {
        Flaw::Expired => params.not_after = date_time_ymd(2020, 1, 1),
        Flaw::NotYetValid => params.not_before = date_time_ymd(4000, 1, 1),
        _ => {}
    }
    let key = KeyPair::generate().unwrap();
    let certificate = match flaw {
        Flaw::SelfSigned => params.self_signed(&key),
        Flaw::OtherAuthority => params.signed_by(&key, &OTHER.issuer),
        Flaw::Chain(length) => return configured(chain(params, &key, length), &key, alpn),
        _ => params.signed_by(&key, &TRUSTED.issuer),
    };
    let mut certificates = vec![certificate.unwrap().der().clone()];
    if let Flaw::ExtraCertificates(others) = flaw {
        let other = CertificateDer::from_pem_slice(OTHER.pem.as_bytes()).unwrap();
        certificates.extend(std::iter::repeat_n(other, others));
    }
    configured(certificates, &key, alpn)
}

/// A leaf and the authorities above it, all but the trusted one.
fn chain(leaf: CertificateParams, key: &KeyPair, length: usize) -> Vec<CertificateDer<'static>> {
    let mut certificates = vec![];
    let mut above: Option<Issuer<'_, KeyPair>> = None;
    for nth in 1..length {
        let (params, key) = authority_params(&format!("link {nth}"));
        let certificate = params.signed_by(&key, above.as_ref().unwrap_or(&TRUSTED.issuer)).unwrap();
        certificates.insert(0, certificate.der().clone());
        above = Some(Issuer::new(params, key));
    }
    let leaf = leaf.signed_by(key, above.as_ref().unwrap_or(&TRUSTED.issuer)).unwrap();
    certificates.insert(0, leaf.der().clone());
    certificates
}

fn configured(certificates: Vec<CertificateDer<'static>>, key: &KeyPair, alpn: &[&[u8]]) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// A client's end that trusts the authority, to test the server with.
pub(super) fn client(alpn: &[&[u8]]) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem().as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    ClientConnection::new(Arc::new(config), ServerName::try_from("127.0.0.1").unwrap()).unwrap()
}
