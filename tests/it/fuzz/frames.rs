//! `h2_frames`: any bytes after a valid exchange of HTTP/2 settings.
//!
//! The first byte selects the request, and the second how the rest is split into reads. The rest are the frames. A
//! successful transfer must have received a head, and as many bytes of DATA on its stream as it reports.

use bandprobe::model::{flag::Flag, sample::HttpVersion};

use super::node::{Ask, Manner, asked};

/// The target.
pub(super) fn h2_frames(input: &[u8]) {
    let &[what, how, ref answer @ ..] = input else { return };
    let ask = Ask::of(what);
    let sample = asked(HttpVersion::Http2, ask, Manner::of(how), answer);
    if !sample.outcome.is_ok() {
        return;
    }
    let ours = || frames(answer).filter(|frame| frame.stream == 1);
    assert!(ours().any(|frame| frame.kind == HEADERS), "no head: {sample:?}");
    let data: usize = ours().filter(|frame| frame.kind == DATA).map(|frame| frame.payload.len()).sum();
    let bytes = sample.bytes.unwrap_or_default();
    assert!(bytes <= data as u64, "{data} bytes of DATA: {sample:?}");
    let ended = ours().any(|frame| matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0);
    let cut = sample.flags.contains(Flag::Partial) || sample.flags.contains(Flag::Overshoot);
    assert!(ended || cut || ask != Ask::Unsized, "it never ended: {sample:?}");
}

/// A whole frame (RFC 9113 §4.1).
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    flags: u8,
    stream: u32,
    payload: &'a [u8],
}

/// The whole frames in bytes that begin with one.
pub(super) fn frames(bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (&[a, b, c, kind, flags, s, t, u, v], behind) = rest.split_first_chunk()?;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let (payload, next) = behind.split_at_checked(length)?;
        rest = next;
        Some(Frame { kind, flags, stream: u32::from_be_bytes([s & 0x7f, t, u, v]), payload })
    })
}

const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
