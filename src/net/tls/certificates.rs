//! Examines the certificates that a node sent for what can be wrong with them (RFC 5280).

use std::net::IpAddr;

use rustls::{RootCertStore, pki_types::CertificateDer};
use x509_cert::{
    Certificate,
    der::{Decode, Encode, oid::ObjectIdentifier},
    ext::pkix::{AuthorityInfoAccessSyntax, BasicConstraints, SubjectAltName, name::GeneralName},
    name::Name,
    spki::SubjectPublicKeyInfoOwned,
};

/// The certificates that can be parsed, the node's own first.
pub(super) struct Chain(Vec<Certificate>);

/// A key or signature that the TLS client cannot or will not verify.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unverifiable {
    /// It is no longer secure.
    Weak(String),
    /// The client does not implement it.
    Unsupported(String),
}

/// Where the path from the node's own certificate upwards ends.
pub(super) enum ChainTop<'a> {
    /// At the node's own certificate, which is self-signed.
    SelfSigned,
    /// At a root certificate that the node sent.
    Root(&'a Name),
    /// At a certificate whose issuer the node did not send.
    Open {
        /// The last certificate of the path.
        last: &'a Certificate,
        /// Whether it is the node's own.
        is_alone: bool,
    },
}

impl Chain {
    pub(super) fn read(certificates: &[CertificateDer<'_>]) -> Self {
        Self(certificates.iter().filter_map(|der| Certificate::from_der(der).ok()).collect())
    }

    /// The node's own certificate.
    pub(super) fn own(&self) -> Option<&Certificate> {
        self.0.first()
    }

    /// The certificates from the node's own upwards, and where the path ends.
    pub(super) fn path(&self) -> (Vec<&Certificate>, Option<ChainTop<'_>>) {
        let Some(own) = self.own() else { return (vec![], None) };
        let (mut path, mut last) = (vec![own], own);
        while !is_self_issued(last) {
            let issuer = last.tbs_certificate().issuer();
            let above = self.0.iter().find(|c| c.tbs_certificate().subject() == issuer && !path.contains(c));
            let Some(above) = above else {
                return (path.clone(), Some(ChainTop::Open { last, is_alone: path.len() == 1 }));
            };
            path.push(above);
            last = above;
        }
        let top = if path.len() == 1 { ChainTop::SelfSigned } else { ChainTop::Root(last.tbs_certificate().subject()) };
        (path, Some(top))
    }

    /// The first key or signature on the path that cannot be verified.
    pub(super) fn unfit(&self) -> Option<Unverifiable> {
        let (path, _) = self.path();
        path.iter().enumerate().find_map(|(nth, certificate)| {
            let whose = match nth {
                0 => "the node's certificate".to_owned(),
                _ => format!("the certificate of its authority `{}`", called(certificate.tbs_certificate().subject())),
            };
            let signature = || if is_self_issued(certificate) { None } else { signature(certificate, &whose) };
            key(certificate.tbs_certificate().subject_public_key_info(), &whose).or_else(signature)
        })
    }

    /// The first certificate on the path that is not valid at `now`, and its name unless it is the node's own.
    pub(super) fn outdated(&self, now: u64) -> Option<(&Certificate, Option<String>)> {
        let (path, _) = self.path();
        path.into_iter().enumerate().find_map(|(nth, certificate)| {
            let (begin, end) = validity(certificate);
            let name = (nth > 0).then(|| called(certificate.tbs_certificate().subject()));
            (!(begin..=end).contains(&now)).then_some((certificate, name))
        })
    }
}

/// First and last second of the validity, in seconds since the epoch.
pub(super) fn validity(certificate: &Certificate) -> (u64, u64) {
    let validity = certificate.tbs_certificate().validity();
    (validity.not_before.to_unix_duration().as_secs(), validity.not_after.to_unix_duration().as_secs())
}

/// The DNS names and IP addresses that the certificate is valid for.
pub(super) fn names(certificate: &Certificate) -> Vec<String> {
    let Ok(Some((_, names))) = certificate.tbs_certificate().get_extension::<SubjectAltName>() else { return vec![] };
    let name = |name: GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
        GeneralName::IpAddress(address) => address_of(address.as_bytes()).map(|address| address.to_string()),
        _ => None,
    };
    names.0.into_iter().filter_map(name).collect()
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// Whether the certificate may sign others.
pub(super) fn is_authority(certificate: &Certificate) -> bool {
    matches!(certificate.tbs_certificate().get_extension::<BasicConstraints>(), Ok(Some((_, constraints))) if constraints.ca)
}

/// Whether the certificate says where its issuer's certificate can be fetched. The certificates of public authorities
/// always do.
pub(super) fn names_its_issuer(certificate: &Certificate) -> bool {
    let Ok(Some((_, access))) = certificate.tbs_certificate().get_extension::<AuthorityInfoAccessSyntax>() else {
        return false;
    };
    access.0.iter().any(|access| access.access_method == CA_ISSUERS)
}

/// The usual name of an authority: its common name, or its full name if it has none.
pub(super) fn called(name: &Name) -> String {
    match name.common_name() {
        Ok(Some(name)) => name.value().into_owned(),
        _ => name.to_string(),
    }
}

/// Whether an authority of this name is trusted.
pub(super) fn is_trusted(name: &Name, roots: &RootCertStore) -> bool {
    let Ok(der) = name.to_der() else { return false };
    let Some((content, _)) = value(&der) else { return false };
    roots.roots.iter().any(|root| *root.subject == *content)
}

/// Whether a root of the same organisation is trusted. An unknown issuer is then an intermediate of that organisation.
pub(super) fn has_trusted_root_of(name: &Name, roots: &RootCertStore) -> bool {
    let organization = |name: &Name| name.organization().ok().flatten().map(|name| name.value().into_owned());
    let Some(wanted) = organization(name) else { return false };
    roots.roots.iter().any(|root| {
        let subject = Name::from_der(&sequence(&root.subject));
        subject.is_ok_and(|subject| organization(&subject).is_some_and(|organization| organization == wanted))
    })
}

fn is_self_issued(certificate: &Certificate) -> bool {
    certificate.tbs_certificate().issuer() == certificate.tbs_certificate().subject()
}

fn key(key: &SubjectPublicKeyInfoOwned, whose: &str) -> Option<Unverifiable> {
    let algorithm = key.algorithm.oid;
    if algorithm == RSA {
        let bits = rsa_bits(key.subject_public_key.raw_bytes())?;
        return match bits {
            ..MIN_RSA_BITS => Some(Unverifiable::Weak(format!(
                "the key of {whose} is too weak: RSA with {bits} bits, {MIN_RSA_BITS} are needed"
            ))),
            MIN_RSA_BITS..=MAX_RSA_BITS => None,
            _ => Some(Unverifiable::Unsupported(format!(
                "the key of {whose} has {bits} bits, our client supports up to {MAX_RSA_BITS}"
            ))),
        };
    }
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.decode_as().ok());
    let name = match curve.filter(|_| algorithm == EC) {
        Some(P256 | P384) => return None,
        Some(curve) => format!("on the curve {}", known(curve)),
        None if algorithm == ED25519 => return None,
        None => format!("of the kind {}", known(algorithm)),
    };
    Some(Unverifiable::Unsupported(format!("the key of {whose} is {name}, which our client does not support")))
}

fn signature(certificate: &Certificate, whose: &str) -> Option<Unverifiable> {
    let algorithm = certificate.signature_algorithm().oid;
    if SIGNATURES.contains(&algorithm) {
        return None;
    }
    let name = known(algorithm);
    Some(match WEAK_SIGNATURES.contains(&algorithm) {
        true => Unverifiable::Weak(format!("{whose} is signed with {name}, which is no longer secure")),
        false => Unverifiable::Unsupported(format!("{whose} is signed with {name}, which our client does not support")),
    })
}

/// The length of the modulus in bits. It is the first number in the key (RFC 8017 §A.1.1).
fn rsa_bits(key: &[u8]) -> Option<usize> {
    let (numbers, _) = value(key)?;
    let (modulus, _) = value(numbers)?;
    let first = modulus.iter().position(|byte| *byte != 0)?;
    let modulus = &modulus[first..];
    Some(8 * modulus.len() - modulus[0].leading_zeros() as usize)
}

/// The content of the first value in DER, and the bytes after it (X.690 §8.1).
fn value(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[_, length], rest) = der.split_first_chunk()?;
    let (length, rest) = match usize::from(length) {
        short @ 0..0x80 => (short, rest),
        long => {
            let (length, rest) = rest.split_at_checked(long - 0x80)?;
            let wide =
                length.iter().try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add((*byte).into()))?;
            (wide, rest)
        }
    };
    rest.split_at_checked(length)
}

/// Encodes content as a SEQUENCE in DER.
fn sequence(content: &[u8]) -> Vec<u8> {
    const SEQUENCE: u8 = 0x30;
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut der = vec![SEQUENCE];
    match content.len() {
        short @ 0..0x80 => der.extend(u8::try_from(short)),
        _ => {
            der.extend(u8::try_from(0x80 + length.len()));
            der.extend_from_slice(length);
        }
    }
    der.extend_from_slice(content);
    der
}

/// The usual name of an algorithm or a curve, or else its object identifier.
fn known(oid: ObjectIdentifier) -> String {
    let name = NAMES.iter().find(|(known, _)| *known == oid);
    name.map_or_else(|| oid.to_string(), |(_, name)| (*name).to_owned())
}

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// The key sizes in bits that *ring* verifies.
const MIN_RSA_BITS: usize = 2_048;
const MAX_RSA_BITS: usize = 8_192;
const RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = oid("1.2.840.10045.2.1");
const P256: ObjectIdentifier = oid("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = oid("1.3.132.0.34");
const ED25519: ObjectIdentifier = oid("1.3.101.112");
const CA_ISSUERS: ObjectIdentifier = oid("1.3.6.1.5.5.7.48.2");
/// Signatures that the TLS client verifies: RSA with SHA-2, RSA-PSS, ECDSA with SHA-256 and SHA-384, Ed25519.
const SIGNATURES: [ObjectIdentifier; 7] = [
    oid("1.2.840.113549.1.1.10"),
    oid("1.2.840.113549.1.1.11"),
    oid("1.2.840.113549.1.1.12"),
    oid("1.2.840.113549.1.1.13"),
    oid("1.2.840.10045.4.3.2"),
    oid("1.2.840.10045.4.3.3"),
    ED25519,
];
const MD5_RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.4");
const SHA1_RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.5");
const SHA1_ECDSA: ObjectIdentifier = oid("1.2.840.10045.4.1");
const WEAK_SIGNATURES: [ObjectIdentifier; 3] = [MD5_RSA, SHA1_RSA, SHA1_ECDSA];
const NAMES: &[(ObjectIdentifier, &str)] = &[
    (MD5_RSA, "MD5"),
    (SHA1_RSA, "SHA-1"),
    (SHA1_ECDSA, "SHA-1"),
    (oid("1.2.840.113549.1.1.10"), "RSA-PSS"),
    (oid("1.2.840.113549.1.1.14"), "SHA-224"),
    (oid("1.2.840.10045.4.3.1"), "ECDSA and SHA-224"),
    (oid("1.2.840.10045.4.3.4"), "ECDSA and SHA-512"),
    (oid("1.2.840.10040.4.1"), "DSA"),
    (oid("2.16.840.1.101.3.4.3.2"), "DSA and SHA-256"),
    (oid("1.3.101.113"), "Ed448"),
    (oid("1.3.132.0.35"), "P-521"),
    (oid("1.3.132.0.33"), "P-224"),
    (oid("1.3.132.0.10"), "secp256k1"),
    (oid("1.3.36.3.3.2.8.1.1.7"), "brainpoolP256r1"),
    (oid("1.3.36.3.3.2.8.1.1.11"), "brainpoolP384r1"),
    (oid("2.16.840.1.101.3.4.3.17"), "ML-DSA-44"),
    (oid("2.16.840.1.101.3.4.3.18"), "ML-DSA-65"),
    (oid("2.16.840.1.101.3.4.3.19"), "ML-DSA-87"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn der_values_round_trip_exactly() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let der = sequence(&content);
            assert_eq!(value(&der), Some((&content[..], &[][..])), "{length}");
            assert_eq!(value(&[&der[..], b"more"].concat()).unwrap().1, b"more");
            assert!(length == 0 || value(&der[..der.len() - 1]).is_none());
        }
        for der in [&b""[..], b"\x30", b"\x30\x81", b"\x30\x89\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert_eq!(value(der), None);
        }
    }

    #[test]
    fn key_length_is_the_length_of_the_modulus() {
        let key = |modulus: &[u8]| {
            let number = |bytes: &[u8]| [&[2, u8::try_from(bytes.len()).unwrap()], bytes].concat();
            sequence(&[number(modulus), number(&[1, 0, 1])].concat())
        };
        for (modulus, bits) in
            [(&[0, 0x80, 0][..], Some(16)), (&[0x7f, 0xff], Some(15)), (&[0, 1], Some(1)), (&[0], None)]
        {
            assert_eq!(rsa_bits(&key(modulus)), bits, "{modulus:?}");
        }
        assert_eq!(rsa_bits(b"\x30"), None);
    }
}
