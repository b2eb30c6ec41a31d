//! Every rustls error is described in bandprobe's own words.

use std::time::Duration;

use rustls::{
    CertRevocationListError, ContentType, EncryptedClientHelloError, ExtendedKeyPurpose, HandshakeType,
    InconsistentKeys, OtherError, PeerMisbehaved, pki_types::UnixTime,
};

use super::*;

fn every_certificate_error() -> Vec<CertificateError> {
    let time = UnixTime::since_unix_epoch(Duration::from_secs(1_767_225_600));
    let other = std::sync::Arc::new(std::fmt::Error);
    vec![
        CertificateError::BadEncoding,
        CertificateError::Expired,
        CertificateError::ExpiredContext { time, not_after: time },
        CertificateError::NotValidYet,
        CertificateError::NotValidYetContext { time, not_before: time },
        CertificateError::Revoked,
        CertificateError::UnhandledCriticalExtension,
        CertificateError::UnknownIssuer,
        CertificateError::UnknownRevocationStatus,
        CertificateError::ExpiredRevocationList,
        CertificateError::ExpiredRevocationListContext { time, next_update: time },
        CertificateError::BadSignature,
        CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: vec![1],
            supported_algorithms: vec![],
        },
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: vec![1],
            public_key_algorithm_id: vec![2],
        },
        CertificateError::NotValidForName,
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("a.example").unwrap(),
            presented: vec!["DnsName(\"b.example\")".into()],
        },
        CertificateError::InvalidPurpose,
        CertificateError::InvalidPurposeContext { required: ExtendedKeyPurpose::ServerAuth, presented: vec![] },
        CertificateError::InvalidOcspResponse,
        CertificateError::ApplicationVerificationFailure,
        CertificateError::Other(OtherError(other)),
    ]
}

fn every_error() -> Vec<Error> {
    let mut errors = vec![
        Error::InappropriateMessage { expect_types: vec![ContentType::Alert], got_type: ContentType::Handshake },
        Error::InappropriateHandshakeMessage {
            expect_types: vec![HandshakeType::ClientHello],
            got_type: HandshakeType::Finished,
        },
        Error::InvalidEncryptedClientHello(EncryptedClientHelloError::SniRequired),
        Error::InvalidMessage(InvalidMessage::InvalidContentType),
        Error::InvalidMessage(InvalidMessage::MissingData("Certificate")),
        Error::NoCertificatesPresented,
        Error::UnsupportedNameType,
        Error::DecryptError,
        Error::EncryptError,
        Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
        Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon),
        Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
        Error::PeerIncompatible(PeerIncompatible::NullCompressionRequired),
        Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite),
        Error::InvalidCertRevocationList(CertRevocationListError::BadSignature),
        Error::General("SomeEnum(Variant { field: 1 })".into()),
        Error::FailedToGetCurrentTime,
        Error::FailedToGetRandomBytes,
        Error::HandshakeNotComplete,
        Error::PeerSentOversizedRecord,
        Error::NoApplicationProtocol,
        Error::BadMaxFragmentSize,
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch),
        Error::Other(OtherError(std::sync::Arc::new(std::fmt::Error))),
    ];
    errors.extend(every_certificate_error().into_iter().map(Error::InvalidCertificate));
    errors.extend((0..=u8::MAX).map(|alert| Error::AlertReceived(alert.into())));
    errors
}

#[test]
fn no_debug_output_is_shown() {
    for error in every_error() {
        for wants_client_certificate in [false, true] {
            let seen = HandshakeRecord { wants_client_certificate, ..HandshakeRecord::default() };
            let name = ServerName::try_from("a.example").unwrap();
            let words = fault(&error, &seen, &name, &RootCertStore::empty()).words;
            let debug = format!("{error:?}");
            let is_name =
                |word: &&str| word.chars().skip(1).any(char::is_uppercase) && word.chars().any(char::is_lowercase);
            let leaked: Vec<_> = debug.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_name).collect();
            let leaked: Vec<_> = leaked.into_iter().filter(|word| words.contains(word)).collect();
            assert!(leaked.is_empty(), "{leaked:?} of {debug} in: {words}");
            assert!(!words.contains(['{', '}', '[', ']', '"', '\n']) && words.len() > 10, "{words}");
        }
        assert!(!words(&error).is_empty());
    }
}

/// A field holds 200 characters, some of which the phase takes.
#[test]
fn advice_is_not_cut_off() {
    let issuer = "Some Issuing Authority for Servers G2";
    for (is_known, is_alone) in [(true, true), (false, true), (false, false)] {
        let words = unsent(issuer, is_known, is_alone);
        assert!(words.len() <= 200 - "tls: ".len(), "{}: {words}", words.len());
    }
    assert!(SELF_SIGNED.len().max(TRUSTED_AUTHORITY.len()) <= 195);
}

#[test]
fn alerts_print_their_standard_names() {
    for (alert, name) in [(80, "no certificate for this name"), (112, "unrecognized_name"), (200, "number 200")] {
        let words = words(&Error::AlertReceived(alert.into()));
        assert!(words.contains(name), "{words}");
    }
}

#[test]
fn what_our_tls_client_lacks_is_not_charged_to_nodes() {
    let kind = |error: Error, wants_client_certificate| {
        let seen = HandshakeRecord { wants_client_certificate, ..HandshakeRecord::default() };
        fault(&error, &seen, &ServerName::try_from("a.example").unwrap(), &RootCertStore::empty()).kind
    };
    for alert in
        [AlertDescription::HandshakeFailure, AlertDescription::ProtocolVersion, AlertDescription::InsufficientSecurity]
    {
        assert_eq!(kind(Error::AlertReceived(alert), false), FaultKind::Unsupported, "{alert:?}");
    }
    assert_eq!(kind(Error::AlertReceived(AlertDescription::HandshakeFailure), true), FaultKind::Failed);
    assert_eq!(kind(Error::AlertReceived(AlertDescription::CertificateRequired), false), FaultKind::Failed);
    assert_eq!(kind(Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon), false), FaultKind::Unsupported);
    assert_eq!(kind(Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite), false), FaultKind::Failed);
}
