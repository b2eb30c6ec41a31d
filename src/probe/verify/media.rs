//! Does the answer have a type that its asset can have?
//!
//! A browser looks at the bytes and shows an image or a video under nearly any type. So a type is a fault only where
//! it says that the body is something else: an HTML page, JSON, text, or the other kind of asset. An operator can name
//! the accepted types instead (`asset.types` of a probe).

use http::{HeaderMap, header::CONTENT_TYPE};

use super::{
    Mismatch,
    fields::{cut, split},
    mismatch,
};
use crate::model::{
    media_type::{MediaRange, MediaType},
    outcome::Outcome,
    target::AssetKind,
};

/// What is expected of a `content-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedType<'a> {
    /// The kind of the asset.
    pub kind: AssetKind,
    /// The types that are accepted. When empty, all types that an asset of this kind can have.
    pub types: &'a [MediaRange],
    /// The answer may have no type at all, even if `types` is not empty.
    pub may_lack: bool,
}

impl ExpectedType<'_> {
    pub(super) fn check(self, headers: &HeaderMap) -> Result<(), Mismatch> {
        let kind = self.kind.label();
        let Some(given) = given(headers) else {
            return match self.types {
                [first, ..] if !self.may_lack => mismatch(
                    Outcome::WrongType,
                    format!("no content-type, but the probe accepts only types such as `{first}`"),
                ),
                _ => Ok(()),
            };
        };
        let fits = match self.types {
            [] => can_be(self.kind, &given),
            types => types.iter().any(|range| range.contains(&given)),
        };
        if fits {
            return Ok(());
        }
        let why = if self.types.is_empty() { "" } else { ", which the probe does not accept" };
        let given = cut(&given.to_string());
        mismatch(Outcome::WrongType, format!("content-type `{given}` for an asset of kind {kind}{why}"))
    }
}

/// The type that a browser uses: the last one that can be parsed and is not `*/*` (WHATWG Fetch, "extract a MIME
/// type"). `None` when there is no such type.
fn given(headers: &HeaderMap) -> Option<MediaType> {
    let lines = headers.get_all(CONTENT_TYPE).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    let mut types =
        lines.flat_map(|line| split(&line, ',').into_iter().filter_map(MediaType::parse).collect::<Vec<_>>());
    types.rfind(|given| given.kind != "*")
}

/// Can an asset of this kind have this type?
fn can_be(kind: AssetKind, given: &MediaType) -> bool {
    let (given_kind, subtype) = (&*given.kind, &*given.subtype);
    let is_generic = GENERIC_KINDS.contains(&given_kind) && GENERIC.contains(&subtype);
    let is_own = match kind {
        AssetKind::Image => given_kind == "image",
        AssetKind::Video => given_kind == "video" || VIDEO_CONTAINERS.contains(&(given_kind, subtype)),
    };
    is_own || is_generic
}

/// The types that object stores and upload forms give to unknown content.
const GENERIC_KINDS: &[&str] = &["application", "binary", "content", "unknown"];
const GENERIC: &[&str] = &[
    "octet-stream",
    "x-octet-stream",
    "octetstream",
    "x-octetstream",
    "binary",
    "x-binary",
    "unknown",
    "x-unknown",
    "download",
    "x-download",
    "force-download",
    "x-force-download",
    "x-forcedownload",
];
/// Video containers that also have another type: MP4 (RFC 4337), Ogg (RFC 5334) and WebM, which can contain sound
/// alone, and Matroska, MXF (RFC 4539) and ASF. A playlist (HLS, DASH) is not a container: it is text that names the
/// video.
const VIDEO_CONTAINERS: &[(&str, &str)] = &[
    ("application", "mp4"),
    ("application", "x-mp4"),
    ("application", "ogg"),
    ("application", "x-matroska"),
    ("application", "mxf"),
    ("application", "vnd.ms-asf"),
    ("audio", "mp4"),
    ("audio", "ogg"),
    ("audio", "webm"),
];

#[cfg(test)]
mod tests {
    use AssetKind::{Image, Video};

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (CONTENT_TYPE, line.parse().unwrap())).collect()
    }

    fn check(kind: AssetKind, types: &[MediaRange], lines: &[&str], may_lack: bool, fits: bool) {
        let outcome =
            ExpectedType { kind, types, may_lack }.check(&headers(lines)).map_err(|mismatch| mismatch.outcome);
        assert_eq!(outcome, if fits { Ok(()) } else { Err(Outcome::WrongType) }, "{kind:?} {types:?} {lines:?}");
    }

    #[test]
    fn only_a_contradicting_type_is_wrong() {
        let both =
            |lines: &[&str], fits| [Image, Video].into_iter().for_each(|kind| check(kind, &[], lines, false, fits));
        for generic in [
            "application/octet-stream",
            "binary/octet-stream",
            "Application/Octet-Stream; charset=binary",
            "application/x-download",
            "application/force-download",
            "unknown/unknown",
            "*/*",
            "",
            "video",
            "image/",
            "mp4; charset=utf-8",
        ] {
            both(&[generic], true);
        }
        both(&[], true);
        for other in [
            "text/html",
            "text/html; charset=utf-8",
            "TEXT/HTML",
            "text/plain",
            "text/xml",
            "application/json",
            "application/problem+json",
            "application/xml",
            "application/xhtml+xml",
            "application/javascript",
            "application/vnd.apple.mpegurl",
            "application/dash+xml",
            "application/pdf",
            "audio/mpeg",
            "font/woff2",
            "multipart/byteranges; boundary=x",
        ] {
            both(&[other], false);
        }
        for (given, is_image, is_video) in [
            ("image/webp", true, false),
            ("IMAGE/PNG; x=y", true, false),
            ("image/svg+xml", true, false),
            ("image/x-icon", true, false),
            ("video/mp4", false, true),
            ("Video/MP4;codecs=\"avc1.64001f, mp4a.40.2\"", false, true),
            ("video/webm", false, true),
            ("video/quicktime", false, true),
            ("video/x-m4v", false, true),
            ("video/mp2t", false, true),
            ("video/x-matroska", false, true),
            ("application/mp4", false, true),
            ("application/ogg", false, true),
            ("audio/mp4", false, true),
        ] {
            check(Image, &[], &[given], false, is_image);
            check(Video, &[], &[given], false, is_video);
        }
    }

    #[test]
    fn the_last_readable_type_of_several_counts() {
        for (lines, fits) in [
            (&["video/mp4", "video/mp4"][..], true),
            (&["video/mp4, video/mp4"], true),
            (&["video/mp4; codecs=avc1, mp4a"], true),
            (&["text/html", "video/mp4"], true),
            (&["text/html, video/mp4"], true),
            (&["video/mp4", "text/html"], false),
            (&["video/mp4, text/html"], false),
            (&["video/mp4", "*/*"], true),
            (&["text/html", "no type"], false),
            (&["video/mp4; x=\"a, text/html\""], true),
        ] {
            check(Video, &[], lines, false, fits);
        }
    }

    #[test]
    fn a_probe_may_accept_less() {
        let types = ["video/mp4".parse().unwrap(), "application/*".parse().unwrap()];
        for (lines, fits) in [
            (&["video/mp4"][..], true),
            (&["VIDEO/MP4; codecs=x"], true),
            (&["application/octet-stream"], true),
            (&["video/webm"], false),
            (&["binary/octet-stream"], false),
            (&[], false),
            (&["no type"], false),
        ] {
            check(Video, &types, lines, false, fits);
        }
        check(Video, &types, &[], true, true);
        check(Video, &types, &["text/html"], true, false);
    }
}
