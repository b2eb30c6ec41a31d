//! The values of header fields: lists over several lines, and numbers.

use http::{HeaderMap, header::HeaderName};

use super::MAX_HEADER_TEXT;

/// Splits a text outside of quoted strings. An escaped quote (`\"`) does not end such a string (RFC 9110 §5.6.4, RFC
/// 9651 §3.3.3).
pub(super) fn split(text: &str, at: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|c: char| {
        let ends = !quoted && c == at;
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        ends
    })
    .collect()
}

/// The tokens in all lines of a header, in order and in lower case, without their parameters. Empty elements are
/// skipped (RFC 9110 §5.6.1).
pub(super) fn tokens(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase());
    let token = |element: &str| cut(element.split(';').next().unwrap_or_default().trim());
    let tokens = lines.flat_map(|line| line.split(',').map(token).collect::<Vec<_>>());
    tokens.filter(|token| !token.is_empty()).collect()
}

/// Digits only: Rust's own parser would accept a sign.
pub(super) fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The beginning of a text, as long as a field can hold.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(MAX_HEADER_TEXT).collect()
}
