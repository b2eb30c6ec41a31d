//! The bytes that the scripts send over HTTP/1.1.

use super::{
    cases::{FIRST, LAST, SIZE},
    server::Step::{self, Request, Send},
};

/// The asset.
pub(crate) fn asset() -> Vec<u8> {
    bytes(0, SIZE - 1)
}

/// Bytes of the asset, both ends inclusive.
pub(crate) fn bytes(first: u64, last: u64) -> Vec<u8> {
    (first..=last).map(|offset| (offset % 251).to_le_bytes()[0]).collect()
}

pub(super) const RIGHT_RANGE: &str = "content-range: bytes 1000-2023/65536";
pub(super) const IMAGE: &str = "content-type: image/png";
pub(super) const JSON: &str = "content-type: application/json; charset=utf-8";
pub(super) const LENGTH: &str = "content-length: 1024";
pub(super) const FULL_LENGTH: &str = "content-length: 65536";

/// A head of HTTP/1.1.
pub(super) fn head(status: &str, lines: &[&str]) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{}\r\n", lines.iter().map(|line| format!("{line}\r\n")).collect::<String>()).into()
}

pub(super) fn part() -> Vec<u8> {
    bytes(FIRST, LAST)
}

pub(super) fn half() -> Vec<u8> {
    part()[..512].to_vec()
}

/// The part as S3's uploads frame it, each chunk signed.
pub(super) fn signed_chunk() -> Vec<u8> {
    let head = |length: usize| format!("{length:x};chunk-signature={}\r\n", "ad80".repeat(16)).into_bytes();
    [head(part().len()), part(), b"\r\n".to_vec(), head(0), b"\r\n".to_vec()].concat()
}

/// The head of the right answer to the range.
pub(super) fn right() -> Vec<u8> {
    head("206 Partial Content", &[IMAGE, RIGHT_RANGE, LENGTH])
}

/// A head without the empty line at its end.
pub(super) fn open_ended(mut head: Vec<u8>) -> Vec<u8> {
    head.truncate(head.len() - 2);
    head
}

/// The same head in HTTP/1.0.
pub(super) fn in_1_0(head: Vec<u8>) -> Vec<u8> {
    String::from_utf8_lossy(&head).replacen("HTTP/1.1", "HTTP/1.0", 1).into()
}

/// Reads the request, then sends a head and a body.
pub(super) fn answer(status: &str, lines: &[&str], body: &[u8]) -> Vec<Step> {
    vec![Request, Send([&head(status, lines), body].concat())]
}

/// A 206 with these lines next to the type.
pub(super) fn partial(lines: &[&str], body: &[u8]) -> Vec<Step> {
    answer("206 Partial Content", &[&[IMAGE], lines].concat(), body)
}

/// An error with a body of its type and length.
pub(super) fn error(status: &str, kind: &str, body: &str) -> Vec<Step> {
    answer(status, &[kind, &format!("content-length: {}", body.len())], body.as_bytes())
}

pub(super) fn sound() -> Vec<Step> {
    vec![Request, Send([right(), part()].concat())]
}

/// The right answer to each of two requests on one connection.
pub(super) fn sound_twice() -> Vec<Step> {
    [sound(), sound()].concat()
}

/// The chunk that ends a body (RFC 9112 §7.1).
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Framing of RFC 9112 §7.1, in pieces of 400 bytes.
pub(super) fn chunks(body: &[u8]) -> Vec<u8> {
    body.chunks(400).flat_map(|piece| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).collect()
}

/// A chunked 206 whose body is framed like this.
pub(super) fn chunked(framed: &[u8]) -> Vec<Step> {
    partial(&[RIGHT_RANGE, "transfer-encoding: chunked"], framed)
}

pub(super) fn and(mut script: Vec<Step>, then: Step) -> Vec<Step> {
    script.push(then);
    script
}

pub(super) const HTML: &str = "<!doctype html><title>Welcome</title><p>Please log in.";

/// A TLS record of application data (RFC 8446 §5.2) that no key opens.
pub(super) fn corrupt_record() -> Vec<u8> {
    [&[23, 3, 3, 0, 64][..], &[0xa5; 64]].concat()
}
