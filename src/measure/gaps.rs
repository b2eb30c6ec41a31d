//! The pauses of a body, in bounded memory.
//!
//! What counts as a stall depends on the round-trip time, and the kernel's best estimate of it is read after the
//! transfer. Each pause above a fixed minimum is therefore kept by value, up to [`KEPT`] pauses. Beyond that, the
//! shortest ones are kept only as a count and a sum.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::model::units::Micros;

/// The pauses of one body.
#[derive(Clone, Debug)]
pub(super) struct Gaps {
    longest: Option<Micros>,
    /// The longest pauses above the minimum, each with its begin. The shortest of them is on top of the heap.
    kept: BinaryHeap<Reverse<(Micros, Micros)>>,
    spilled: Spilled,
}

/// The pauses above the minimum that are no longer kept by value.
#[derive(Clone, Copy, Debug, Default)]
struct Spilled {
    count: u64,
    sum: Micros,
    shortest: Micros,
}

impl Gaps {
    /// Creates an empty list and allocates all memory that it will ever need.
    pub(super) fn new() -> Self {
        Self { longest: None, kept: BinaryHeap::with_capacity(KEPT), spilled: Spilled::default() }
    }

    /// Adds the time between two body bytes, of which the first arrived at `from`. Constant cost for pauses up to
    /// [`FLOOR`], as nearly all are.
    pub(super) fn note(&mut self, from: Micros, gap: Micros) {
        self.longest = self.longest.max(Some(gap));
        if gap <= FLOOR {
            return;
        }
        if self.kept.len() < KEPT {
            self.kept.push(Reverse((gap, from)));
            return;
        }
        let mut top = self.kept.peek_mut().expect("invariant: KEPT is not zero");
        let (shortest, _) = top.0.min((gap, from));
        top.0 = top.0.max((gap, from));
        drop(top);
        self.spilled.add(shortest);
    }

    /// The kept pauses as (begin, end), in order of time.
    pub(super) fn into_kept(self) -> Vec<(Micros, Micros)> {
        let mut kept: Vec<_> =
            self.kept.into_iter().map(|Reverse((gap, from))| (from, Micros(from.0.saturating_add(gap.0)))).collect();
        kept.sort_unstable();
        // The vector reuses the heap's memory and is nearly always empty.
        kept.shrink_to_fit();
        kept
    }

    /// The longest pause; `None` before two stamps are known.
    pub(super) const fn longest(&self) -> Option<Micros> {
        self.longest
    }

    /// The number of pauses longer than `threshold` and their sum. `threshold` must not be below [`FLOOR`].
    ///
    /// Exact for up to [`KEPT`] pauses above the minimum, and always exact when the threshold is the minimum itself.
    /// With more pauses, the spilled ones are the shortest. They count only when all of them are above the threshold,
    /// so the result is then a lower bound.
    pub(super) fn longer_than(&self, threshold: Micros) -> (u64, Micros) {
        let all_spilled = self.spilled.count > 0 && self.spilled.shortest > threshold;
        let spilled = if all_spilled { (self.spilled.count, self.spilled.sum) } else { (0, Micros::ZERO) };
        self.kept
            .iter()
            .filter(|Reverse((gap, _))| *gap > threshold)
            .fold(spilled, |(count, sum), Reverse((gap, _))| (count + 1, Micros(sum.0.saturating_add(gap.0))))
    }
}

impl Spilled {
    fn add(&mut self, gap: Micros) {
        self.shortest = if self.count == 0 { gap } else { self.shortest.min(gap) };
        self.count += 1;
        self.sum = Micros(self.sum.0.saturating_add(gap.0));
    }
}

/// No pause up to this length is a stall, whatever the round-trip time. This is Linux's minimum retransmission timeout,
/// so one lost segment that is recovered by a timeout is the shortest event that can count.
pub(super) const FLOOR: Micros = Micros(200_000);

/// How many pauses above the minimum are kept by value. 256 of them are at least 51 s of silence.
const KEPT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(millis: impl IntoIterator<Item = u64>) -> Gaps {
        let mut gaps = Gaps::new();
        millis.into_iter().for_each(|gap| gaps.note(Micros::ZERO, Micros(gap * 1_000)));
        gaps
    }

    #[test]
    fn only_pauses_above_the_threshold_count() {
        let gaps = gaps([1, 200, 201, 400, 50, 1_000]);
        assert_eq!(gaps.longest(), Some(Micros(1_000_000)));
        assert_eq!(gaps.longer_than(FLOOR), (3, Micros(1_601_000)));
        assert_eq!(gaps.longer_than(Micros(400_000)), (1, Micros(1_000_000)));
        assert_eq!(Gaps::new().longest(), None);
    }

    #[test]
    fn memory_is_bounded_and_the_shortest_stall_exact() {
        let many = gaps((0..1_000).map(|n| 300 + n % 100));
        assert_eq!(many.kept.len(), KEPT);
        let sum: u64 = (0..1_000).map(|n| (300 + n % 100) * 1_000).sum();
        assert_eq!(many.longer_than(FLOOR), (1_000, Micros(sum)));
        // The longest are kept, so 390–399 ms, ten times each, are exact. Below that, the count is never too high.
        assert_eq!(many.longer_than(Micros(389_000)).0, 100);
        assert!(many.longer_than(Micros(310_000)).0 <= 890);
    }
}
