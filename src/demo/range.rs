//! The `Range` request header as Argus reads it (`send` and `range-parser` of Express), which differs from RFC 9110
//! §14.2 in places.

/// The bytes of an object that a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// The whole object: the header is missing, names several ranges, or does not have the form `bytes=…-…`.
    Full,
    /// From the first to the last offset, both inclusive and within the object.
    Part {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte.
        last: u64,
    },
    /// The offsets are invalid, or no byte of the range is within the object.
    Unsatisfiable,
}

impl Span {
    /// Parses the header for an object of `size` bytes. An end beyond the object is clipped.
    pub(super) fn asked(header: Option<&str>, size: u64) -> Self {
        let Some(set) = header.and_then(|header| header.strip_prefix("bytes=")) else { return Self::Full };
        if set.contains(',') {
            return Self::Full;
        }
        let Some((first, last)) = set.trim().split_once('-') else { return Self::Full };
        let (first, last) = match (first.parse::<u64>(), last.parse::<u64>()) {
            // The last `count` bytes. `range-parser` rejects a count that is larger than the object.
            (Err(_), Ok(count)) if first.is_empty() && (1..=size).contains(&count) => (size - count, size - 1),
            (Ok(first), Ok(last)) => (first, last.min(size.saturating_sub(1))),
            (Ok(first), Err(_)) if last.is_empty() => (first, size.saturating_sub(1)),
            _ => return Self::Unsatisfiable,
        };
        if first > last || first >= size { Self::Unsatisfiable } else { Self::Part { first, last } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clipped_at_the_size() {
        for (header, span) in [
            (None, Span::Full),
            (Some("bytes=0-4999999"), Span::Part { first: 0, last: 49_151 }),
            (Some("bytes=0-0"), Span::Part { first: 0, last: 0 }),
            (Some("bytes=49151-"), Span::Part { first: 49_151, last: 49_151 }),
            (Some("bytes=-2"), Span::Part { first: 49_150, last: 49_151 }),
            (Some("bytes=-49152"), Span::Part { first: 0, last: 49_151 }),
            (Some("bytes=-49153"), Span::Unsatisfiable),
            (Some("bytes=-0"), Span::Unsatisfiable),
            (Some("bytes=49152-"), Span::Unsatisfiable),
            (Some("bytes=49152-99999"), Span::Unsatisfiable),
            (Some("bytes=7-3"), Span::Unsatisfiable),
            (Some("bytes=x-3"), Span::Unsatisfiable),
            (Some("bytes=0-1,5-6"), Span::Full),
            (Some("bytes"), Span::Full),
            (Some("lines=0-1"), Span::Full),
        ] {
            assert_eq!(Span::asked(header, 49_152), span, "{header:?}");
        }
        assert_eq!(Span::asked(Some("bytes=0-"), 0), Span::Unsatisfiable);
    }
}
