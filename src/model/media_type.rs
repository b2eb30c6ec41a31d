//! Media types, as servers send them and as users write them.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Type and subtype, in lower case, without parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MediaType {
    /// The part before the slash.
    pub kind: String,
    /// The part after the slash.
    pub subtype: String,
}

/// What a probe accepts: one media type, or all subtypes of a type (`video/*`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MediaRange(MediaType);

/// The text is not a [`MediaRange`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a media type such as `video/mp4` or `image/*`")]
pub struct MediaRangeError(String);

impl MediaType {
    /// Parses the value of a `content-type` header as browsers do (WHATWG MIME Sniffing §4.4): parameters are dropped,
    /// and case does not matter. `None` when it names no type.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.trim_matches(SPACE).split_once('/')?;
        let subtype = rest.split(';').next().unwrap_or_default().trim_end_matches(SPACE);
        (is_token(kind) && is_token(subtype))
            .then(|| Self { kind: kind.to_ascii_lowercase(), subtype: subtype.to_ascii_lowercase() })
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.subtype)
    }
}

impl MediaRange {
    /// Whether the range contains this media type.
    #[must_use]
    pub fn contains(&self, other: &MediaType) -> bool {
        self.0.kind == other.kind && (self.0.subtype == "*" || self.0.subtype == other.subtype)
    }
}

impl fmt::Display for MediaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MediaRange {
    type Err = MediaRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let range = MediaType::parse(text).filter(|range| range.kind != "*" && !text.contains(';'));
        range.map(Self).ok_or_else(|| MediaRangeError(text.to_owned()))
    }
}

/// Whether the text is a token of RFC 9110 §5.6.2. A token is never empty.
fn is_token(text: &str) -> bool {
    let is_in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_in_token)
}

/// HTTP whitespace, as defined by WHATWG Fetch.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_browsers_read_them() {
        for (text, read) in [
            ("video/mp4", Some("video/mp4")),
            (" Video/MP4 ; codecs=\"avc1.64001f, mp4a.40.2\"", Some("video/mp4")),
            ("image/svg+xml;charset=utf-8", Some("image/svg+xml")),
            ("*/*", Some("*/*")),
            ("video/mp4;", Some("video/mp4")),
            ("", None),
            ("video", None),
            ("video/", None),
            ("/mp4", None),
            ("video /mp4", None),
            ("video/mp4 x", None),
            ("video/m\u{e4}", None),
        ] {
            assert_eq!(MediaType::parse(text).map(|read| read.to_string()).as_deref(), read, "{text}");
        }
    }

    #[test]
    fn a_range_holds_one_type_or_all_of_a_kind() {
        for (range, given, holds) in [
            ("video/mp4", "video/mp4", true),
            ("Video/MP4", "video/mp4", true),
            ("video/mp4", "video/webm", false),
            ("video/*", "video/webm", true),
            ("video/*", "image/webp", false),
        ] {
            let (range, given) = (range.parse::<MediaRange>().unwrap(), MediaType::parse(given).unwrap());
            assert_eq!(range.contains(&given), holds, "{range} {given}");
        }
        for text in ["", "mp4", "*/*", "video/", "video/mp4; codecs=avc1", "video/mp4, video/webm"] {
            assert!(text.parse::<MediaRange>().is_err(), "{text}");
        }
    }
}
