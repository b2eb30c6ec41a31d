//! The bytes that a part means, with or without a known size of the asset.

use crate::model::{probe::Extent, size::Size, units::Bytes};

/// The bytes that a request asks for. Offsets are inclusive, as in HTTP (RFC 9110 §14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedBytes {
    /// The whole asset, without a `range` header.
    Whole,
    /// The bytes between two offsets.
    Range {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte.
        last: u64,
    },
    /// The last N bytes of an asset of unknown size.
    Suffix(u64),
}

impl RequestedBytes {
    /// Turns a part's extent into a request. `None` when it needs an unknown size, or when the asset is empty. Extents
    /// are clipped at the size when it is known exactly. A rounded size has no certain end: the node clips the range,
    /// and a seek is a fraction of the smallest size that it can mean.
    #[must_use]
    pub fn of(extent: Extent, size: Option<Size>) -> Option<Self> {
        let exact = size.and_then(Size::exact);
        let end = match exact {
            Some(Bytes(size)) => size.checked_sub(1)?,
            None => u64::MAX,
        };
        let range = |first: u64, bytes: u64| Self::Range { first, last: first.saturating_add(bytes - 1).min(end) };
        match extent {
            Extent::Full => Some(Self::Whole),
            Extent::First(Bytes(bytes)) => Some(range(0, bytes)),
            Extent::Last(Bytes(bytes)) => {
                Some(exact.map_or(Self::Suffix(bytes), |size| range(size.0.saturating_sub(bytes), bytes)))
            }
            #[expect(clippy::cast_possible_truncation, reason = "a fraction of a u64 fits a u64")]
            Extent::From { at, bytes } => size.map(|size| range((size.least().0 as f64 * at) as u64, bytes.0)),
            // A range that the user typed is sent unchanged: the node's answer is the result.
            Extent::Exactly { first, last } => Some(Self::Range { first, last }),
        }
    }

    /// The offset of the first byte that is requested. `None` for a suffix.
    #[must_use]
    pub const fn first(self) -> Option<u64> {
        match self {
            Self::Whole => Some(0),
            Self::Range { first, .. } => Some(first),
            Self::Suffix(_) => None,
        }
    }

    /// The value of the `range` header. `None` for the whole asset.
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
        let range = |first, last| Some(RequestedBytes::Range { first, last });
        for (extent, size, wanted) in [
            (Extent::Full, None, Some(RequestedBytes::Whole)),
            (first, None, range(0, 99)),
            (first, Some(1_000), range(0, 99)),
            (first, Some(60), range(0, 59)),
            (last, None, Some(RequestedBytes::Suffix(100))),
            (last, Some(1_000), range(900, 999)),
            (last, Some(60), range(0, 59)),
            (seek, Some(1_000), range(500, 599)),
            (seek, Some(150), range(75, 149)),
            (seek, None, None),
            (first, Some(0), None),
            (Extent::Exactly { first: 5, last: 9 }, Some(3), range(5, 9)),
        ] {
            let size = size.map(|size| Bytes(size).into());
            assert_eq!(RequestedBytes::of(extent, size), wanted, "{extent:?} of {size:?}");
        }
        // 950 to 1,050 bytes: each of these ranges begins inside the asset, whatever its exact size.
        let rounded = Some("1.0 kB".parse().unwrap());
        for (extent, wanted) in [
            (Extent::Full, Some(RequestedBytes::Whole)),
            (Extent::First(Bytes(2_000)), range(0, 1_999)),
            (last, Some(RequestedBytes::Suffix(100))),
            (seek, range(475, 574)),
            (Extent::From { at: 0.99, bytes: Bytes(100) }, range(940, 1_039)),
        ] {
            assert_eq!(RequestedBytes::of(extent, rounded), wanted, "{extent:?} of a rounded size");
        }
        assert_eq!(RequestedBytes::Range { first: 0, last: 1023 }.header().as_deref(), Some("bytes=0-1023"));
        assert_eq!(RequestedBytes::Suffix(7).header().as_deref(), Some("bytes=-7"));
    }
}
