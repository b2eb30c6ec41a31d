//! The alerts with which a node ends a TLS connection (RFC 8446 §6).

use rustls::AlertDescription;

use super::{FaultKind, HandshakeRecord, NO_VERSION, TlsFault, WANTS_CLIENT_CERTIFICATE};

/// Explains an alert of the node, given what the handshake showed before it.
pub(super) fn alerted(alert: AlertDescription, seen: &HandshakeRecord) -> TlsFault {
    use AlertDescription as Alert;
    let fault = |kind, words: &str| TlsFault { kind, words: words.to_owned() };
    let about_ours = matches!(
        alert,
        Alert::HandshakeFailure
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
    );
    match alert {
        Alert::CertificateRequired => fault(FaultKind::Failed, WANTS_CLIENT_CERTIFICATE),
        _ if seen.wants_client_certificate && about_ours => fault(FaultKind::Failed, WANTS_CLIENT_CERTIFICATE),
        Alert::HandshakeFailure => fault(
            FaultKind::Unsupported,
            "the node refused the handshake (handshake_failure): it has no cipher suite, curve or signature algorithm in common with \
             bandprobe, or no certificate for this name",
        ),
        Alert::InsufficientSecurity => fault(
            FaultKind::Unsupported,
            "the node requires stronger cipher suites or keys than bandprobe supports (insufficient_security)",
        ),
        Alert::ProtocolVersion => fault(FaultKind::Unsupported, NO_VERSION),
        Alert::InternalError => fault(
            FaultKind::Failed,
            "the node failed in the TLS handshake (internal_error): some servers, such as Caddy, do so when they have no certificate for \
             this name",
        ),
        Alert::UnrecognisedName => {
            fault(FaultKind::Failed, "the node does not serve this host name (unrecognized_name)")
        }
        Alert::NoApplicationProtocol => fault(
            FaultKind::Failed,
            "the node supports none of the protocols that bandprobe offers (no_application_protocol)",
        ),
        other => TlsFault {
            kind: FaultKind::Failed,
            words: format!("the node ended the TLS connection with the alert {}", label(other)),
        },
    }
}

/// The name of an alert in RFC 8446 §6, or its number.
fn label(alert: AlertDescription) -> String {
    let number = u8::from(alert);
    let name = ALERTS.iter().find(|(known, _)| *known == number);
    name.map_or_else(|| format!("number {number}"), |(_, name)| (*name).to_owned())
}

const ALERTS: &[(u8, &str)] = &[
    (0, "close_notify"),
    (10, "unexpected_message"),
    (20, "bad_record_mac"),
    (21, "decryption_failed"),
    (22, "record_overflow"),
    (30, "decompression_failure"),
    (40, "handshake_failure"),
    (41, "no_certificate"),
    (42, "bad_certificate"),
    (43, "unsupported_certificate"),
    (44, "certificate_revoked"),
    (45, "certificate_expired"),
    (46, "certificate_unknown"),
    (47, "illegal_parameter"),
    (48, "unknown_ca"),
    (49, "access_denied"),
    (50, "decode_error"),
    (51, "decrypt_error"),
    (60, "export_restriction"),
    (70, "protocol_version"),
    (71, "insufficient_security"),
    (80, "internal_error"),
    (86, "inappropriate_fallback"),
    (90, "user_canceled"),
    (100, "no_renegotiation"),
    (109, "missing_extension"),
    (110, "unsupported_extension"),
    (111, "certificate_unobtainable"),
    (112, "unrecognized_name"),
    (113, "bad_certificate_status_response"),
    (114, "bad_certificate_hash_value"),
    (115, "unknown_psk_identity"),
    (116, "certificate_required"),
    (120, "no_application_protocol"),
    (121, "ech_required"),
];
