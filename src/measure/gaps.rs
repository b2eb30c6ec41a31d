//! The pauses of a body, in bounded memory.
//!
//! What counts as a stall depends on the round-trip time, and the kernel's best figure for that is read when the
//! transfer is over. So every pause above the fixed floor is kept by its value, up to [`KEPT`]; then the shortest ones
//! are kept as a count and a sum.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::model::units::Micros;

/// The pauses of one body.
#[derive(Clone, Debug)]
pub(super) struct Gaps {
    longest: Option<Micros>,
    /// The longest pauses above the floor, each with its begin; the shortest of them on top.
    kept: BinaryHeap<Reverse<(Micros, Micros)>>,
    spilled: Spilled,
}

/// The pauses above the floor that are no longer kept one by one.
#[derive(Clone, Copy, Debug, Default)]
struct Spilled {
    count: u64,
    sum: Micros,
    shortest: Micros,
}

impl Gaps {
    /// Takes all the memory that it will ever take.
    pub(super) fn new() -> Self {
        Self { longest: None, kept: BinaryHeap::with_capacity(KEPT), spilled: Spilled::default() }
    }

    /// Notes the time between two body bytes, the first of which came at `from`. Constant cost below the floor, which is
    /// nearly always.
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

    /// The pauses that are kept, begin and end, in their order.
    pub(super) fn into_kept(self) -> Vec<(Micros, Micros)> {
        let mut kept: Vec<_> =
            self.kept.into_iter().map(|Reverse((gap, from))| (from, Micros(from.0.saturating_add(gap.0)))).collect();
        kept.sort_unstable();
        kept
    }

    /// The longest pause; absent before two stamps are known.
    pub(super) const fn longest(&self) -> Option<Micros> {
        self.longest
    }

    /// How many pauses were longer than `threshold`, which is not below [`FLOOR`], and their sum.
    ///
    /// Exact for up to [`KEPT`] pauses above the floor, and always when the threshold is the floor itself. Beyond, the
    /// spilled ones are the shortest; they count only when all of them are above the threshold, so that the result
    /// is then a lower bound.
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

/// No pause up to this is a stall, whatever the round-trip time: Linux's minimum retransmission timeout, so that one
/// lost segment recovered by timeout is the shortest event that can count.
pub(super) const FLOOR: Micros = Micros(200_000);

/// How many pauses above the floor are kept by value. 256 of them are at least 51 s of silence.
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
    fn only_what_is_longer_than_the_threshold_counts() {
        let gaps = gaps([1, 200, 201, 400, 50, 1_000]);
        assert_eq!(gaps.longest(), Some(Micros(1_000_000)));
        assert_eq!(gaps.longer_than(FLOOR), (3, Micros(1_601_000)));
        assert_eq!(gaps.longer_than(Micros(400_000)), (1, Micros(1_000_000)));
        assert_eq!(Gaps::new().longest(), None);
    }

    #[test]
    fn memory_stays_bounded_and_the_floor_exact() {
        let many = gaps((0..1_000).map(|n| 300 + n % 100));
        assert_eq!(many.kept.len(), KEPT);
        let sum: u64 = (0..1_000).map(|n| (300 + n % 100) * 1_000).sum();
        assert_eq!(many.longer_than(FLOOR), (1_000, Micros(sum)));
        // The longest are kept: 390–399 ms, ten times each, are exact. In between, never more than there were.
        assert_eq!(many.longer_than(Micros(389_000)).0, 100);
        assert!(many.longer_than(Micros(310_000)).0 <= 890);
    }
}
