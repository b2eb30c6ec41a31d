//! Is the answer of the type that its asset has?

use http::{HeaderMap, header::CONTENT_TYPE};

use super::{Mismatch, cut, mismatch};
use crate::model::{outcome::Outcome, target::AssetKind};

/// What is expected of a `content-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// What the asset is.
    pub kind: AssetKind,
    /// The answer may tell no type at all.
    pub may_lack: bool,
}

impl Expected {
    /// An image has any `image/*`, a video is `video/mp4`: what its bytes mean is taken from MP4. A node that does not know says
    /// `application/octet-stream`. Each type that is said must fit: with two of them, who knows which is meant?
    pub(super) fn check(self, headers: &HeaderMap) -> Result<(), Mismatch> {
        let kind = self.kind.label();
        let mut is_told = false;
        for given in headers.get_all(&CONTENT_TYPE) {
            let given = String::from_utf8_lossy(given.as_bytes());
            let essence = essence(&given);
            if !self.fits(&essence) {
                let detail = format!("content-type `{}` for an asset of kind {kind}", cut(&essence));
                return mismatch(Outcome::WrongType, detail);
            }
            is_told = true;
        }
        if is_told || self.may_lack {
            return Ok(());
        }
        mismatch(Outcome::WrongType, format!("no content-type for an asset of kind {kind}"))
    }

    fn fits(self, essence: &str) -> bool {
        let is_kind = match self.kind {
            AssetKind::Image => essence.strip_prefix("image/").is_some_and(|subtype| !subtype.is_empty()),
            AssetKind::Video => essence == "video/mp4",
        };
        is_kind || essence == "application/octet-stream"
    }
}

/// Type and subtype, without parameters, in lower case: neither's case means anything (RFC 9110 §8.3.1).
fn essence(given: &str) -> String {
    given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_that_of_the_kind() {
        use AssetKind::{Image, Video};
        for (kind, given, fits) in [
            (Image, &["image/webp"][..], true),
            (Image, &["IMAGE/PNG; x=y"], true),
            (Image, &["image/"], false),
            (Image, &["image/ ;x=y"], false),
            (Image, &["image"], false),
            (Image, &["video/mp4"], false),
            (Video, &["video/mp4"], true),
            (Video, &["Video/MP4;codecs=\"avc1.64001f, mp4a.40.2\""], true),
            (Video, &["video/mp4 ; codecs=avc1"], true),
            (Video, &["video/webm"], false),
            (Video, &["video/mp42"], false),
            (Video, &["video/"], false),
            (Video, &["image/webp"], false),
            (Video, &["text/html"], false),
            (Video, &[""], false),
            (Video, &["application/octet-stream"], true),
            (Image, &["application/octet-stream"], true),
            (Image, &["application/json"], false),
            (Image, &["image/webp", "image/webp"], true),
            (Image, &["image/webp", "text/html"], false),
        ] {
            let headers: HeaderMap = given.iter().map(|given| (CONTENT_TYPE, given.parse().unwrap())).collect();
            for may_lack in [true, false] {
                let outcome = Expected { kind, may_lack }.check(&headers).map_err(|mismatch| mismatch.outcome);
                assert_eq!(outcome, if fits { Ok(()) } else { Err(Outcome::WrongType) }, "{kind:?} {given:?}");
            }
        }
    }

    #[test]
    fn only_a_check_may_lack_it() {
        for (may_lack, outcome) in [(true, Ok(())), (false, Err(Outcome::WrongType))] {
            let checked = Expected { kind: AssetKind::Video, may_lack }.check(&HeaderMap::new());
            assert_eq!(checked.map_err(|mismatch| mismatch.outcome), outcome);
        }
    }
}
