//! The rows about TLS: certificates, alerts, ALPN, and connections that break inside TLS.

use super::*;

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    row("tls_expired", Ask::Range, Https(Flaw::Expired), |_| sound(), Outcome::TlsExpired),
    row("tls_not_yet_valid", Ask::Range, Https(Flaw::NotYetValid), |_| sound(), Outcome::TlsExpired),
    row("tls_wrong_name", Ask::Range, Https(Flaw::WrongName), |_| sound(), Outcome::TlsWrongName),
    row("tls_untrusted", Ask::Range, Https(Flaw::OtherAuthority), |_| sound(), Outcome::TlsUntrusted),
    row("tls_self_signed", Ask::Range, Https(Flaw::SelfSigned), |_| sound(), Outcome::TlsUntrusted),
    row("tls_stall", Ask::Range, PlainBehindHttps, |_| vec![Hold], Outcome::TlsTimeout),
    row("tls_closed", Ask::Range, PlainBehindHttps, |_| vec![Anything, Close], Outcome::TlsFailed),
    row("tls_reset", Ask::Range, PlainBehindHttps, |_| vec![Anything, Reset], Outcome::TlsFailed),
    row("http_behind_https", Ask::Range, PlainBehindHttps, |_| vec![Anything, Send(head("400 Bad Request", &["content-length: 0"])), Close], Outcome::TlsFailed),
    row("tls_alert", Ask::Range, PlainBehindHttps, |_| vec![Anything, Send(vec![21, 3, 3, 0, 2, 2, 40]), Hold], Outcome::TlsUnsupported),
    row("tls_other_alert", Ask::Range, PlainBehindHttps, |_| vec![Anything, Send(vec![21, 3, 3, 0, 2, 2, 80]), Hold], Outcome::TlsFailed),
    row("tls_noise", Ask::Range, PlainBehindHttps, |_| vec![Anything, Endless(vec![0xa5; 4 << 10])], Outcome::TlsFailed),
    row("tls_hundred_certificates", Ask::Range, Https(Flaw::ExtraCertificates(99)), |_| sound(), Outcome::Ok),
    row("tls_chain_of_100", Ask::Range, Https(Flaw::Chain(100)), |_| sound(), Outcome::TlsUntrusted),
    row("tls_certificates_over_64_kib", Ask::Range, Https(Flaw::ExtraCertificates(400)), |_| sound(), Outcome::TlsFailed),
    row("alpn_of_http2_alone", Ask::Range, Http2, |_| vec![], Outcome::TlsFailed).over(HttpChoice::Http1),
    row("alpn_of_http1_alone", Ask::Range, Https(Flaw::None), |_| sound(), Outcome::TlsFailed).over(HttpChoice::Http2),
    row("alpn_of_nobody_for_http2", Ask::Range, HttpsWithoutAlpn, |_| sound(), Outcome::TlsFailed).over(HttpChoice::Http2),
    row("alpn_of_nobody", Ask::Range, HttpsWithoutAlpn, |_| sound(), Outcome::Ok),
    row("http2_behind_alpn_of_http1", Ask::Range, Https(Flaw::None), |_| vec![Request, Send(SETTINGS.to_vec()), Hold], Outcome::HeadersInvalid),
    row("http1_behind_alpn_of_http2", Ask::Range, Http2, |_| vec![Http2Request, Send([right(), part()].concat()), Hold], Outcome::HeadersInvalid),
    row("tls_cut_at_the_close", Ask::Full, Https(Flaw::None), |_| and(answer("200 OK", &[IMAGE, "connection: close"], &bytes(0, SIZE / 2 - 1)), Close), Outcome::Truncated),
    row("tls_reset_mid_body", Ask::Range, Https(Flaw::None), |_| vec![Request, Send([right(), half()].concat()), Pause(Duration::from_millis(30)), Reset], Outcome::Reset).failing(Phase::Receive),
    row("tls_cut_mid_body", Ask::Range, Https(Flaw::None), |_| vec![Request, Send([right(), half()].concat()), Close], Outcome::Truncated),
    row("tls_corrupt_record_mid_body", Ask::Range, Https(Flaw::None), |_| vec![Request, Send([right(), half()].concat()), Pause(Duration::from_millis(30)), Raw(corrupt_record())], Outcome::Reset).failing(Phase::Receive),
];
