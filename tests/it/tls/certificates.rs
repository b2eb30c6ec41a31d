//! Certificates for real servers: from rcgen, or from openssl where *ring* cannot make them.

use std::{fs, path::Path, process::Command};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

/// What a server is given: its chain and its key, in PEM.
pub(super) struct Made {
    pub(super) chain: String,
    pub(super) key: String,
}

impl Made {
    /// Signed by itself, as `openssl req -x509` does it: an authority, too.
    pub(super) fn self_signed() -> Self {
        let (mut params, key) = (params(&Leaf::default()), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { chain: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    }
}

/// How a node's certificate differs from a sound one.
#[derive(Clone, Copy)]
pub(super) struct Leaf {
    pub(super) names: &'static [&'static str],
    /// Valid from the first day of one year to that of another.
    pub(super) years: (i32, i32),
    /// It says where the certificate of its issuer can be fetched (RFC 5280 §4.2.2.1).
    pub(super) has_issuer_url: bool,
}

impl Default for Leaf {
    fn default() -> Self {
        Self { names: &["127.0.0.1"], years: (2020, 4000), has_issuer_url: false }
    }
}

pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(super) fn root(name: &str, organization: &str) -> Self {
        let (params, key) = authority(name, organization);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(super) fn intermediate(&self, name: &str, organization: &str) -> Self {
        self.intermediate_with(name, organization, |_| {})
    }

    /// One that differs from a usual intermediate.
    pub(super) fn intermediate_with(
        &self,
        name: &str,
        organization: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let (mut params, key) = authority(name, organization);
        change(&mut params);
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// A node's certificate, and what it sends along.
    pub(super) fn sign(&self, leaf: Leaf, along: &[&str]) -> Made {
        self.sign_with(leaf, along, |_| {})
    }

    /// One that differs from a usual certificate.
    pub(super) fn sign_with(&self, leaf: Leaf, along: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Made {
        let (mut params, key) = (params(&leaf), KeyPair::generate().unwrap());
        change(&mut params);
        let own = params.signed_by(&key, &self.issuer).unwrap().pem();
        Made { chain: [&[own.as_str()], along].concat().concat(), key: key.serialize_pem() }
    }
}

fn authority(name: &str, organization: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    if !organization.is_empty() {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (params, KeyPair::generate().unwrap())
}

fn params(leaf: &Leaf) -> CertificateParams {
    let mut params =
        CertificateParams::new(leaf.names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(leaf.years.0, 1, 1), date_time_ymd(leaf.years.1, 1, 1));
    params.distinguished_name.push(DnType::CommonName, "node");
    if leaf.has_issuer_url {
        // SEQUENCE of one AccessDescription: caIssuers, and the URL `http://ca/i`.
        let access = [0x30, 0x17, 0x30, 0x15, 6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2, 0x86, 9];
        let content = [&access[..], b"http://ca"].concat();
        params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content));
    }
    params
}

/// Certificates that *ring* cannot make, each as `NAME.pem` and `NAME.key`, and the authority above them.
pub(super) struct Folder {
    dir: TempDir,
    pub(super) ca: String,
}

impl Folder {
    pub(super) fn made(&self, name: &str) -> Made {
        let read = |extension| fs::read_to_string(self.dir.path().join(format!("{name}.{extension}"))).unwrap();
        Made { chain: read("pem"), key: read("key") }
    }
}

pub(super) fn by_openssl() -> Folder {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    fs::write(at.join("leaf.ext"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let root = |name: &str, key: &[&str]| {
        let (pem, private, subject) = (format!("{name}.pem"), format!("{name}.key"), format!("/CN={name}"));
        let usual = ["-nodes", "-keyout", &private, "-out", &pem, "-days", "99", "-subj", &subject];
        let constraints = ["-addext", "basicConstraints=critical,CA:TRUE"];
        openssl(at, &[&["req", "-x509", "-newkey"], key, &usual, &constraints].concat());
    };
    let leaf = |name: &str, issuer: &str, key: &[&str], digest: &str| {
        let [pem, private, request] = ["pem", "key", "csr"].map(|extension| format!("{name}.{extension}"));
        openssl(
            at,
            &[&["req", "-newkey"], key, &["-nodes", "-keyout", &private, "-out", &request, "-subj", "/CN=node"]]
                .concat(),
        );
        let (ca, ca_key) = (format!("{issuer}.pem"), format!("{issuer}.key"));
        let signed = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-days", "90"];
        openssl(at, &[&signed[..], &["-extfile", "leaf.ext", digest, "-out", &pem]].concat());
    };
    let ec: fn(&'static str) -> [&'static str; 3] = |curve| ["ec", "-pkeyopt", curve];
    root("root", &["rsa:2048"]);
    root("large", &ec("ec_paramgen_curve:P-521"));
    leaf("good", "root", &["rsa:2048"], "-sha256");
    leaf("weak", "root", &["rsa:1024"], "-sha256");
    leaf("sha1", "root", &["rsa:2048"], "-sha1");
    leaf("p521", "root", &ec("ec_paramgen_curve:P-521"), "-sha256");
    leaf("byp521", "large", &["rsa:2048"], "-sha512");
    // Sent along, so that it is seen whose key it is.
    let large = fs::read_to_string(at.join("large.pem")).unwrap();
    let own = fs::read_to_string(at.join("byp521.pem")).unwrap();
    fs::write(at.join("byp521.pem"), own + &large).unwrap();
    let ca = fs::read_to_string(at.join("root.pem")).unwrap() + &large;
    Folder { dir, ca }
}

fn openssl(at: &Path, arguments: &[&str]) {
    let ended = Command::new("openssl").args(arguments).current_dir(at).output().unwrap();
    assert!(ended.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
}
