//! Tracks the position in a stream of frames by their lengths alone. Nothing is decoded.
//!
//! Decoders hand frames over as a whole: a TLS record after its authentication tag, an HTTP/2 frame when it is
//! complete. So the start of a frame that a socket read brought may have to wait for its end. [`FrameWalk`] shows how
//! much that is.

/// The kind of header before each frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Length, type, flags, stream (RFC 9113 §4.1).
    Http2,
    /// Type, version, length (RFC 8446 §5.1).
    TlsRecord,
}

/// A position in a stream of frames.
#[derive(Debug)]
pub(super) struct FrameWalk {
    framing: Framing,
    header: [u8; HTTP2_HEADER],
    filled: usize,
    /// Bytes until the next header.
    skip: usize,
    /// The current frame. `None` before the first one, and in the bytes that are skipped before it.
    frame: Option<Frame>,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    /// Zero for TLS records, which have no flags.
    pub(super) flags: u8,
    /// The length of the payload in bytes.
    pub(super) length: usize,
}

impl Frame {
    /// How many of the first `seen` payload bytes are not part of the last `tail` bytes.
    pub(super) const fn without_tail(self, seen: usize, tail: usize) -> usize {
        let before = self.length.saturating_sub(tail);
        if seen < before { seen } else { before }
    }
}

impl FrameWalk {
    /// A walk over a stream whose frames begin after `skip` bytes.
    pub(super) const fn new(framing: Framing, skip: usize) -> Self {
        Self { framing, header: [0; HTTP2_HEADER], filled: 0, skip, frame: None }
    }

    /// Moves on by these bytes. Calls `ended` for each frame that ends in them.
    pub(super) fn walk(&mut self, mut bytes: &[u8], mut ended: impl FnMut(Frame)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if self.skip == 0 {
                self.frame.take().into_iter().for_each(&mut ended);
            }
            if bytes.is_empty() {
                return;
            }
            let length = self.framing.header();
            let taken = (length - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == length {
                let frame = self.framing.parse(self.header);
                (self.filled, self.skip, self.frame) = (0, frame.length, Some(frame));
            }
        }
    }

    /// The current frame, and how many bytes of its payload have passed.
    pub(super) fn under_way(&self) -> Option<(Frame, usize)> {
        self.frame.map(|frame| (frame, frame.length - self.skip))
    }
}

impl Framing {
    const fn header(self) -> usize {
        match self {
            Self::Http2 => HTTP2_HEADER,
            Self::TlsRecord => TLS_HEADER,
        }
    }

    fn parse(self, header: [u8; HTTP2_HEADER]) -> Frame {
        let [a, b, c, d, e, ..] = header;
        match self {
            Self::Http2 => {
                let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                Frame { kind: d, flags: e, length }
            }
            Self::TlsRecord => Frame { kind: a, flags: 0, length: usize::from(u16::from_be_bytes([d, e])) },
        }
    }
}

const HTTP2_HEADER: usize = 9;
const TLS_HEADER: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_the_bytes_are_split() {
        let http2 = [
            &[0, 0, 4, 1, 5, 0, 0, 0, 1][..],
            b"head",
            &[0, 0, 0, 4, 0, 0, 0, 0, 0],
            &[0, 0, 9, 0, 1, 0, 0, 0, 1],
            b"da",
        ];
        let records = [&[22, 3, 1, 0, 3][..], b"abc", &[23, 3, 3, 0, 0], &[23, 3, 3, 1, 0], b"defgh"];
        for (framing, skip, parts, kinds, under_way) in [
            (Framing::Http2, 0, &http2[..], vec![1, 4], Some((0, 2))),
            (Framing::Http2, 13, &http2[..], vec![4], Some((0, 2))),
            (Framing::Http2, 0, &http2[..1], vec![], Some((1, 0))),
            (Framing::Http2, 0, &http2[..3], vec![1, 4], None),
            (Framing::TlsRecord, 0, &records[..], vec![22, 23], Some((23, 5))),
            (Framing::TlsRecord, 0, &records[..2], vec![22], None),
        ] {
            let bytes = parts.concat();
            for step in [1, 2, 3, 7, bytes.len()] {
                let mut walk = FrameWalk::new(framing, skip);
                let mut ended = vec![];
                bytes.chunks(step).for_each(|piece| walk.walk(piece, |frame| ended.push(frame.kind)));
                let found = walk.under_way().map(|(frame, seen)| (frame.kind, seen));
                assert_eq!((&ended, found), (&kinds, under_way), "{framing:?} by {step}");
            }
        }
    }
}
