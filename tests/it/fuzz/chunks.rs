//! `chunked_bodies`: any bytes as a body after a valid head that announces chunks.
//!
//! The first byte of an input selects how the rest is split into reads. A body that the reference parser finds complete
//! must be received to the last byte. One that it does not must never lead to a successful transfer.

use bandprobe::model::{flag::Flag, outcome::Outcome, sample::HttpVersion};

use super::{
    node::{Ask, Manner, asked},
    reference::chunked,
};

/// The target.
pub(super) fn chunked_bodies(input: &[u8]) {
    let [how, body @ ..] = input else { return };
    let (manner, answer) = (Manner::of(*how), [HEAD, body].concat());
    let sample = asked(HttpVersion::Http1, Ask::Unsized, manner, &answer);
    let content = chunked(body);
    let is_partial = sample.flags.contains(Flag::Partial);
    if content.is_strict && content.bytes > 0 && manner.is_swift(answer.len()) {
        assert_eq!((sample.outcome, sample.bytes), (Outcome::Ok, Some(content.bytes)), "{sample:?}");
    }
    if sample.outcome.is_ok() {
        assert!(content.is_whole || is_partial, "{content:?}: {sample:?}");
    }
    assert!(sample.bytes.is_none_or(|bytes| bytes <= content.bytes), "{content:?}: {sample:?}");
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: image/webp\r\ntransfer-encoding: chunked\r\n\r\n";
