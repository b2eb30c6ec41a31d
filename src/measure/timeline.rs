//! The number of body bytes that had arrived at any time, in bounded memory for a body of any length.
//!
//! A point is (offset from t0, body bytes so far). It carries the stamp of the *socket read* that completed it, so its
//! bytes arrived before its stamp. The bytes of the first point therefore belong to no measured time, and the timeline
//! starts at that point. From there on, bytes are counted in at most [`BINS`] bins, which are 10 ms wide at first. When
//! a point lies beyond the last bin, neighbouring bins merge and the width doubles. The count is exact at every bin
//! edge and interpolated in between.
//!
//! **How large the interpolation error can be.** Within a bin of b bytes, the true count and ours both lie between the
//! counts at its edges. At the share f of its width they differ by at most max(f, 1 − f)·b. One read just after the
//! left edge, or just before the right one, comes close to that. A window that begins at an edge and ends within a bin
//! has this error once.
//!
//! **The effect of TLS records and HTTP/2 frames.** Both are handed over only when they are complete, so a point may
//! lack up to one record (16 KiB, RFC 8446 §5.1; our largest frame has the same size) that was in transit. The first
//! and the last point err in the same direction, so the bytes between two points are wrong by less than one record:
//! 1.6 % of 1 MiB, 0.08 % of 20 MB.
//!
//! Values that the bins would lose are kept separately and exactly: the first and the last point, the number of points,
//! the pauses, and the bytes of each 10 ms. The latter are for the rates of windows of which the worst one counts.

use super::{
    gaps::{FLOOR, Gaps},
    slots::{self, Slots},
};
use crate::model::{curve::Curve, units::Micros};

/// The most bins of a timeline.
pub const BINS: usize = 256;

/// Initial width of a bin: that of a slot.
pub const FIRST_WIDTH: Micros = slots::WIDTH;

/// How many bytes of a body had arrived at a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Offset from t0 of the socket read that completed these bytes.
    pub at: Micros,
    /// Body bytes so far.
    pub bytes: u64,
}

/// The arrival of one body.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// When the response head had arrived.
    head: Micros,
    ends: Option<Ends>,
    points: u64,
    width: Micros,
    /// Bin k counts the bytes of points in (first + k·width, first + (k + 1)·width]; always [`BINS`] of them.
    bins: Box<[u64]>,
    gaps: Gaps,
    slots: Slots,
}

/// The first and the last point. They are equal while there is only one.
#[derive(Clone, Copy, Debug)]
struct Ends {
    first: Arrival,
    last: Arrival,
}

/// The pauses of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stalls {
    /// Number of pauses that were stalls.
    pub count: u64,
    /// The sum of these pauses.
    pub stalled: Micros,
    /// The longest pause, whether or not it is a stall.
    pub longest_gap: Micros,
}

impl Timeline {
    /// An empty timeline of a response whose head was read at `head`, an offset from t0. Takes about 6 KiB, and later
    /// eight bytes for every 10 ms of the body, at most 96 KB.
    #[must_use]
    pub fn new(head: Micros) -> Self {
        Self {
            head,
            ends: None,
            points: 0,
            width: FIRST_WIDTH,
            bins: vec![0; BINS].into(),
            gaps: Gaps::new(),
            slots: Slots::default(),
        }
    }

    /// Records that at the socket read at `at` (offset from t0), `bytes` of the body had arrived in total.
    ///
    /// Called for every chunk, so its cost is constant. Chunks with the same stamp are one point, and a chunk without a
    /// new byte is ignored. Neither value ever decreases: a stamp before the last one counts as the last one.
    pub fn record(&mut self, at: Micros, bytes: u64) {
        self.record_after(at, bytes, Micros(u64::MAX));
    }

    /// Like [`record`](Self::record), but knows that since the last point the socket was never silent for longer than
    /// `silence`. A TLS record or HTTP/2 frame is handed over only when it is complete. While a record of 16 KiB
    /// arrives slowly, bytes flow, so this is not a pause.
    pub fn record_after(&mut self, at: Micros, bytes: u64, silence: Micros) {
        let Some(Ends { first, last }) = self.ends else {
            if bytes > 0 {
                self.start(Arrival { at, bytes }, silence);
            }
            return;
        };
        let grown = bytes.saturating_sub(last.bytes);
        if grown == 0 {
            return;
        }
        let point = Arrival { at: at.max(last.at), bytes };
        if point.at == first.at {
            self.ends = Some(Ends { first: point, last: point });
            return;
        }
        if point.at > last.at {
            self.points += 1;
            self.gaps.note(last.at, point.at.saturating_sub(last.at).min(silence));
        }
        self.ends = Some(Ends { first, last: point });
        let offset = point.at.saturating_sub(first.at);
        let bin = self.bin_of(offset);
        self.bins[bin] += grown;
        self.slots.add(offset, grown);
    }

    /// The first point; `None` before the first byte.
    #[must_use]
    pub fn first(&self) -> Option<Arrival> {
        self.ends.map(|ends| ends.first)
    }

    /// The last point; `None` before the first byte.
    #[must_use]
    pub fn last(&self) -> Option<Arrival> {
        self.ends.map(|ends| ends.last)
    }

    /// Number of points: reads that brought body bytes, counted by distinct stamps.
    #[must_use]
    pub const fn points(&self) -> u64 {
        self.points
    }

    /// Number of body bytes that arrived.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.ends.map_or(0, |ends| ends.last.bytes)
    }

    /// Time from the first point to the last one.
    #[must_use]
    pub fn span(&self) -> Micros {
        self.ends.map_or(Micros::ZERO, |Ends { first, last }| last.at.saturating_sub(first.at))
    }

    /// Current width of a bin.
    #[must_use]
    pub const fn width(&self) -> Micros {
        self.width
    }

    /// The bytes of each 10 ms.
    pub(super) const fn slots(&self) -> &Slots {
        &self.slots
    }

    /// The bytes that arrived after the first point and up to `offset` after it. Exact at multiples of [`Self::width`]
    /// and at the end. In between, the bytes of a bin count as evenly spread over it.
    #[must_use]
    pub fn bytes_after_first(&self, offset: Micros) -> u64 {
        let offset = offset.min(self.span());
        if offset == Micros::ZERO {
            return 0;
        }
        let bin = self.index(offset);
        let before: u64 = self.bins[..bin].iter().sum();
        let begin = Micros(self.width.0 * bin as u64);
        let end = Micros(begin.0.saturating_add(self.width.0)).min(self.span());
        before + share(self.bins[bin], offset.saturating_sub(begin), end.saturating_sub(begin))
    }

    /// The pauses until `end`, the offset from t0 at which the transfer ended or was given up. A stall is a pause
    /// longer than max(200 ms, 4 × rtt).
    ///
    /// Every time without a body byte is a pause: the time from the response head to the first body byte counts, and so
    /// does the time from the last byte to `end`. This detects a node that sends its head at once and then waits, and a
    /// node that stops completely. `None` when there is no pause: no body arrived, or all of it arrived in the read
    /// that brought the head.
    #[must_use]
    pub fn stalls(&self, end: Micros, rtt: Option<Micros>) -> Option<Stalls> {
        let tail = end.saturating_sub(self.last()?.at);
        let longest_gap = self.gaps.longest().max((tail > Micros::ZERO).then_some(tail))?;
        let threshold = stall_threshold(rtt);
        let (mut count, mut stalled) = self.gaps.longer_than(threshold);
        if tail > threshold {
            count += 1;
            stalled.0 = stalled.0.saturating_add(tail.0);
        }
        Some(Stalls { count, stalled, longest_gap })
    }

    /// Converts the timeline into a curve for drawing and reuses its memory; `None` when no byte arrived.
    #[must_use]
    pub fn into_curve(self) -> Option<Curve> {
        let (begin, span) = (self.first()?.at, self.span());
        let (head, width, reads) = (self.head, self.width, self.points);
        let used = if span == Micros::ZERO { 0 } else { self.index(span) + 1 };
        let mut bytes = self.bins.into_vec();
        bytes.truncate(used);
        Some(Curve { head, begin, span, width, reads, bytes, pauses: self.gaps.into_kept() })
    }

    fn start(&mut self, point: Arrival, silence: Micros) {
        self.ends = Some(Ends { first: point, last: point });
        self.points = 1;
        if point.at > self.head {
            self.gaps.note(self.head, point.at.saturating_sub(self.head).min(silence));
        }
    }

    /// The bin of an offset from the first point. Doubles the width until there is such a bin.
    fn bin_of(&mut self, offset: Micros) -> usize {
        while self.width.0.saturating_mul(BINS as u64) < offset.0 {
            self.double();
        }
        self.index(offset)
    }

    /// The bin of an offset, which must be above zero and within the bins. The right edge belongs to a bin, because
    /// bytes arrive before their stamp.
    fn index(&self, offset: Micros) -> usize {
        let index = (offset.0 - 1) / self.width.0;
        usize::try_from(index).expect("invariant: below BINS")
    }

    fn double(&mut self) {
        for pair in 0..BINS / 2 {
            self.bins[pair] = self.bins[2 * pair] + self.bins[2 * pair + 1];
        }
        self.bins[BINS / 2..].fill(0);
        self.width = Micros(self.width.0.saturating_mul(2));
    }
}

/// A pause longer than this is a stall.
#[must_use]
pub fn stall_threshold(rtt: Option<Micros>) -> Micros {
    rtt.map_or(FLOOR, |rtt| Micros(rtt.0.saturating_mul(STALL_ROUND_TRIPS)).max(FLOOR))
}

/// A time of up to this many round trips without a byte is not a stall.
pub const STALL_ROUND_TRIPS: u64 = 4;

/// `bytes × part / whole`, rounded down, without overflow.
fn share(bytes: u64, part: Micros, whole: Micros) -> u64 {
    let share = u128::from(bytes) * u128::from(part.0) / u128::from(whole.0.max(1));
    u64::try_from(share).expect("invariant: the part is not above the whole")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A timeline from (ms, bytes so far), with its head at 0.
    fn timeline(points: impl IntoIterator<Item = (u64, u64)>) -> Timeline {
        let mut timeline = Timeline::new(Micros::ZERO);
        points.into_iter().for_each(|(ms, bytes)| timeline.record(Micros(ms * 1_000), bytes));
        timeline
    }

    #[test]
    fn chunks_of_one_read_are_one_point() {
        let body = timeline([(5, 100), (5, 300), (5, 300), (9, 400), (9, 500), (8, 600), (20, 600)]);
        assert_eq!((body.points(), body.bytes()), (2, 600));
        assert_eq!(body.first(), Some(Arrival { at: Micros(5_000), bytes: 300 }));
        assert_eq!(body.last(), Some(Arrival { at: Micros(9_000), bytes: 600 }));
        assert_eq!(timeline([(5, 0)]).first(), None, "no byte, no point");
    }

    #[test]
    fn bin_edges_are_exact_and_interpolated_in_between() {
        let body = timeline([(1, 10), (11, 30), (12, 40), (16, 80)]);
        for (offset, bytes) in [(0, 0), (5_000, 10), (10_000, 20), (12_500, 45), (15_000, 70), (99_000, 70)] {
            assert_eq!(body.bytes_after_first(Micros(offset)), bytes, "{offset} µs");
        }
    }

    #[test]
    fn a_full_timeline_merges_pairs() {
        let mut body = timeline((0..=256).map(|n| (n * 10, 1 + n)));
        assert_eq!(body.width(), FIRST_WIDTH, "2.56 s fit exactly");
        body.record(Micros(2_560_001), 300);
        assert_eq!(body.width(), Micros(20_000));
        assert_eq!(body.bytes_after_first(Micros(20_000)), 2);
        assert_eq!(body.bytes_after_first(Micros(2_560_000)), 256);
        assert_eq!(body.bytes_after_first(Micros(9_000_000)), 299);
        body.record(Micros(u64::MAX), 301);
        assert_eq!(body.bytes_after_first(Micros(u64::MAX)), 300, "no offset is too far");
    }

    #[test]
    fn pauses_reach_from_the_head_to_the_end() {
        let mut body = Timeline::new(Micros(100_000));
        assert_eq!(body.stalls(Micros(900_000), None), None);
        body.record(Micros(400_000), 1);
        body.record(Micros(650_000), 2);
        let stalls = |end, rtt| body.stalls(Micros(end), rtt).map(|s| (s.count, s.stalled.0, s.longest_gap.0));
        assert_eq!(stalls(650_000, None), Some((2, 550_000, 300_000)));
        assert_eq!(stalls(650_000, Some(Micros(70_000))), Some((1, 300_000, 300_000)));
        assert_eq!(stalls(5_650_000, Some(Micros(200_000))), Some((1, 5_000_000, 5_000_000)));
        assert_eq!(timeline([(0, 9)]).stalls(Micros::ZERO, None), None, "all of it came with the head");
    }

    #[test]
    fn a_curve_ends_with_the_body() {
        let curve = timeline([(5, 100), (15, 300), (26, 400)]).into_curve().unwrap();
        let micros = |ms: u64| Micros(ms * 1_000);
        let (head, begin, span) = (Micros::ZERO, micros(5), micros(21));
        let expected =
            Curve { head, begin, span, width: FIRST_WIDTH, reads: 3, bytes: vec![200, 0, 100], pauses: vec![] };
        assert_eq!(curve, expected);
        let pauses = timeline([(500, 100), (501, 300), (666, 400), (900, 500)]).into_curve().unwrap().pauses;
        assert_eq!(pauses, [(micros(0), micros(500)), (micros(666), micros(900))], "the one before the first byte too");
        assert_eq!(timeline([(5, 100)]).into_curve().unwrap().bytes.len(), 0, "one read has no time");
        assert_eq!(timeline([]).into_curve(), None);
    }

    #[test]
    fn a_slowly_arriving_record_is_not_a_pause() {
        let mut timeline = Timeline::new(Micros::ZERO);
        for n in 1..=10 {
            // 16 KiB at a time, every 300 ms, while the socket received something every 20 ms.
            timeline.record_after(Micros(n * 300_000), n * 16_384, Micros(20_000));
        }
        let stalls = timeline.stalls(Micros(3_000_000), None).unwrap();
        assert_eq!(stalls, Stalls { count: 0, stalled: Micros::ZERO, longest_gap: Micros(20_000) });
        timeline.record_after(Micros(4_000_000), 200_000, Micros(900_000));
        assert_eq!(timeline.stalls(Micros(4_000_000), None).unwrap().stalled, Micros(900_000));
    }
}
