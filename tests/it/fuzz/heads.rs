//! `response_heads`: any bytes as the answer of an HTTP/1.1 node.
//!
//! The first byte of an input selects the request, and the second how the rest is split into reads. The reference
//! parser must agree that a successful transfer is valid, and find the same number of bytes.

use bandprobe::model::{
    flag::Flag,
    sample::{HttpVersion, Sample},
};

use super::{
    node::{Ask, FIRST, LAST, Manner, SIZE, asked},
    reference::head,
};

/// The target.
pub(super) fn response_heads(input: &[u8]) {
    let &[what, how, ref answer @ ..] = input else { return };
    let (ask, manner) = (Ask::of(what), Manner::of(how));
    let sample = asked(HttpVersion::Http1, ask, manner, answer);
    if sample.outcome.is_ok() {
        confirm(ask, manner, answer, &sample);
    }
}

fn confirm(ask: Ask, manner: Manner, answer: &[u8], sample: &Sample) {
    let head = head(answer).unwrap_or_else(|| panic!("a malformed head: {sample:?}"));
    let expected = if ask == Ask::Range { 206 } else { 200 };
    assert_eq!((head.status, sample.status), (expected, Some(expected)), "{sample:?}");
    if ask == Ask::Range {
        let range = format!("bytes {FIRST}-{LAST}/{SIZE}");
        let fits = |said: &str| [&range, &format!("bytes {FIRST}-{LAST}/*")].iter().any(|range| is_same(said, range));
        assert!(head.values("content-range").all(fits), "{sample:?}");
        assert!(head.values("content-range").next().is_some(), "{sample:?}");
    }
    let body = head.body(manner.closes()).unwrap_or_else(|| panic!("a malformed length: {sample:?}"));
    let wanted = match ask {
        Ask::Head => return assert_eq!(sample.bytes, None, "{sample:?}"),
        Ask::Range => LAST - FIRST + 1,
        Ask::Full => SIZE,
        Ask::Unsized => u64::MAX,
    };
    if sample.flags.contains(Flag::Partial) {
        assert!(sample.bytes <= Some(body.bytes.min(wanted)), "{body:?}: {sample:?}");
        return;
    }
    assert_eq!(sample.bytes, Some(body.bytes.min(wanted)), "{body:?}: {sample:?}");
    assert!(body.is_whole || body.bytes >= wanted, "{body:?}: {sample:?}");
}

/// But for letter case and spaces.
fn is_same(said: &str, expected: &str) -> bool {
    let bare = |text: &str| text.to_ascii_lowercase().replace([' ', '\t'], "");
    bare(said) == bare(expected)
}
