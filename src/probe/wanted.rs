//! Which bytes a part means, once the size of the asset is known or not.

use crate::model::{probe::Extent, units::Bytes};

/// What a request asks for. Offsets are inclusive, as in HTTP (RFC 9110 §14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The whole asset, without a range.
    Whole,
    /// From one offset to another.
    Range {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte.
        last: u64,
    },
    /// The last so many bytes of an asset of unknown size.
    Suffix(u64),
}

impl Wanted {
    /// Turns a part's extent into a request; `None` when it needs the size and that is not known, or when the asset is
    /// empty. Extents are clipped at the size.
    #[must_use]
    pub fn of(extent: Extent, size: Option<Bytes>) -> Option<Self> {
        let end = match size {
            Some(Bytes(size)) => size.checked_sub(1)?,
            None => u64::MAX,
        };
        let range = |first: u64, bytes: u64| Self::Range { first, last: first.saturating_add(bytes - 1).min(end) };
        match (extent, size) {
            (Extent::Full, _) => Some(Self::Whole),
            (Extent::First(Bytes(bytes)), _) => Some(range(0, bytes)),
            (Extent::Last(Bytes(bytes)), Some(Bytes(size))) => Some(range(size.saturating_sub(bytes), bytes)),
            (Extent::Last(Bytes(bytes)), None) => Some(Self::Suffix(bytes)),
            #[expect(clippy::cast_possible_truncation, reason = "a fraction of a u64 fits a u64")]
            (Extent::From { at, bytes }, Some(Bytes(size))) => Some(range((size as f64 * at) as u64, bytes.0)),
            (Extent::From { .. }, None) => None,
            // What a person asked for goes out as it is: the node's answer is the result.
            (Extent::Exactly { first, last }, _) => Some(Self::Range { first, last }),
        }
    }

    /// The value of the `range` header.
    #[must_use]
    pub fn header(self) -> Option<String> {
        match self {
            Self::Whole => None,
            Self::Range { first, last } => Some(format!("bytes={first}-{last}")),
            Self::Suffix(bytes) => Some(format!("bytes=-{bytes}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_become_ranges() {
        let first = Extent::First(Bytes(100));
        let last = Extent::Last(Bytes(100));
        let seek = Extent::From { at: 0.5, bytes: Bytes(100) };
        let range = |first, last| Some(Wanted::Range { first, last });
        for (extent, size, wanted) in [
            (Extent::Full, None, Some(Wanted::Whole)),
            (first, None, range(0, 99)),
            (first, Some(1_000), range(0, 99)),
            (first, Some(60), range(0, 59)),
            (last, None, Some(Wanted::Suffix(100))),
            (last, Some(1_000), range(900, 999)),
            (last, Some(60), range(0, 59)),
            (seek, Some(1_000), range(500, 599)),
            (seek, Some(150), range(75, 149)),
            (seek, None, None),
            (first, Some(0), None),
            (Extent::Exactly { first: 5, last: 9 }, Some(3), range(5, 9)),
        ] {
            assert_eq!(Wanted::of(extent, size.map(Bytes)), wanted, "{extent:?} of {size:?}");
        }
        assert_eq!(Wanted::Range { first: 0, last: 1023 }.header().as_deref(), Some("bytes=0-1023"));
        assert_eq!(Wanted::Suffix(7).header().as_deref(), Some("bytes=-7"));
    }
}
