//! What the scripts send over HTTP/2 (RFC 9113), frame by frame.

use super::server::Step::{self, Hold, Http2Request, Send};

/// A server's SETTINGS, empty (§6.5).
pub(super) const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
/// PING (§6.7).
pub(super) const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Kinds of frames (§6).
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const CONTINUATION: u8 = 9;
/// Their flags.
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
/// Error codes (§7).
pub(super) const NO_ERROR: u8 = 0;
pub(super) const INTERNAL_ERROR: u8 = 2;
pub(super) const REFUSED_STREAM: u8 = 7;
pub(super) const ENHANCE_YOUR_CALM: u8 = 11;

/// `:status`, indexed in HPACK's static table (RFC 7541 §6.1, appendix A).
const STATUS_200: [u8; 1] = [0x80 | 8];
pub(super) const STATUS_206: [u8; 1] = [0x80 | 10];
/// Indices of names in the same table.
pub(super) const CONTENT_LENGTH: u8 = 28;
pub(super) const CONTENT_RANGE: u8 = 30;
pub(super) const CONTENT_TYPE: u8 = 31;
pub(super) const TRANSFER_ENCODING: u8 = 57;
const STATUS: u8 = 8;

/// An interim answer, `:status` written out (RFC 7541 §6.2.2).
pub(super) fn status_103() -> Vec<u8> {
    [&[STATUS, 3][..], b"103"].concat()
}

/// SETTINGS of these identifiers and values (§6.5.1).
pub(super) fn http2_settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        values.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    http2_frame(4, 0, 0, &payload)
}

/// The right answer to the range, as a HEADERS frame.
pub(super) fn http2_head(stream: u8) -> Vec<u8> {
    http2_block(stream, &[right_without_length(), literal(CONTENT_LENGTH, "1024")].concat())
}

/// The same with its length written as in `length`, a field or several.
pub(super) fn http2_head_with(stream: u8, length: &[u8]) -> Vec<u8> {
    http2_block(stream, &[right_without_length(), length.to_vec()].concat())
}

/// The length twice in one field, added to the dynamic table (RFC 7541 §6.2.1).
pub(super) const LENGTH_TWICE: &[u8] = b"\x5c\x0a1024, 1024";
/// The newest entry of the dynamic table (RFC 7541 §2.3.3).
pub(super) const NEWEST_ENTRY: u8 = 0x80 | 62;

/// The same without a length: the body ends with its stream.
pub(super) fn http2_head_without_length(stream: u8) -> Vec<u8> {
    http2_block(stream, &right_without_length())
}

/// A 200 to a request without a range that announces no length.
pub(super) fn http2_head_of_unsized(stream: u8) -> Vec<u8> {
    http2_block(stream, &[STATUS_200.to_vec(), literal(CONTENT_TYPE, "image/webp")].concat())
}

pub(super) fn right_without_length() -> Vec<u8> {
    [STATUS_206.to_vec(), literal(CONTENT_RANGE, "bytes 1000-2023/65536"), literal(CONTENT_TYPE, "image/webp")].concat()
}

/// A valid head and this number of frames of 16 KiB with further headers.
pub(super) fn http2_large_head(stream: u8, frames: usize) -> Vec<Vec<u8>> {
    let further = literal(CONTENT_TYPE, &"y".repeat(120)).repeat((16 << 10) / 123);
    let mut head = vec![http2_frame(HEADERS, 0, stream, &right_without_length())];
    head.extend(
        (1..=frames)
            .map(|nth| http2_frame(CONTINUATION, if nth == frames { END_HEADERS } else { 0 }, stream, &further)),
    );
    head
}

/// A literal header field that is not indexed, its name from the static table (RFC 7541 §6.2.2).
pub(super) fn literal(name: u8, value: &str) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap();
    assert!(name >= 15 && length < 127, "one byte each");
    [&[0x0f, name - 15, length], value.as_bytes()].concat()
}

/// A whole header block in one HEADERS frame (§6.2).
pub(super) fn http2_block(stream: u8, block: &[u8]) -> Vec<u8> {
    http2_frame(HEADERS, END_HEADERS, stream, block)
}

/// A DATA frame (§6.1).
pub(super) fn http2_data(stream: u8, body: &[u8], ends: bool) -> Vec<u8> {
    http2_frame(DATA, if ends { END_STREAM } else { 0 }, stream, body)
}

/// RST_STREAM (§6.4).
pub(super) fn http2_rst(stream: u8, code: u8) -> Vec<u8> {
    http2_frame(3, 0, stream, &[0, 0, 0, code])
}

/// GOAWAY (§6.8).
pub(super) fn http2_goaway(last: u8, code: u8) -> Vec<u8> {
    http2_frame(7, 0, 0, &[0, 0, 0, last, 0, 0, 0, code])
}

pub(super) fn http2_frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [.., a, b, c] = payload.len().to_be_bytes();
    [&[a, b, c, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A server that answers the first request with these frames.
pub(super) fn http2(frames: &[Vec<u8>]) -> Vec<Step> {
    vec![Send(SETTINGS.to_vec()), Http2Request, Send(frames.concat()), Hold]
}
