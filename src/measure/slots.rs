//! The bytes of each 10 ms of a body, for rates over windows of constant width.
//!
//! The bins of a timeline merge as the body continues, and a mean over 80 ms hides what a player experiences in 50 ms.
//! The windows whose rates are recorded are therefore counted separately. The width of a bin is [`WIDTH`] times a power
//! of two, so every bin edge, including the end of the ramp, is also a slot edge. Windows that begin there are exact.
//!
//! No body takes longer than the longest deadline, 120 s. If one did, the part after [`MAX_SLOTS`] would have no
//! windows.

use crate::model::units::{BitRate, Micros};

/// Width of a slot.
pub(super) const WIDTH: Micros = Micros(10_000);

/// The most slots: 120 s, in 96 KB.
pub(super) const MAX_SLOTS: usize = 12_000;

/// Slot k holds the bytes of points in (first + k·width, first + (k + 1)·width].
#[derive(Clone, Debug, Default)]
pub(super) struct Slots(Vec<u64>);

impl Slots {
    /// Adds bytes that arrived `offset` after the first point. `offset` must be above zero.
    pub(super) fn add(&mut self, offset: Micros, bytes: u64) {
        let Some(slot) = usize::try_from((offset.0 - 1) / WIDTH.0).ok().filter(|slot| *slot < MAX_SLOTS) else {
            return;
        };
        if slot >= self.0.len() {
            self.0.resize(slot + 1, 0);
        }
        self.0[slot] += bytes;
    }

    /// The rates of consecutive windows from a slot edge to the last one that lies completely within `span`.
    pub(super) fn in_turn(&self, from: Micros, span: Micros, window: Micros) -> impl Iterator<Item = BitRate> {
        self.within(from, span).chunks_exact(count(window)).filter_map(move |slots| mean(slots, window))
    }

    /// The smallest rate of the windows that begin at any slot edge from `from` on and lie completely within `span`.
    pub(super) fn smallest(&self, from: Micros, span: Micros, window: Micros) -> Option<BitRate> {
        self.within(from, span).windows(count(window)).filter_map(|slots| mean(slots, window)).min()
    }

    /// The slots that lie completely between `from` and `span`.
    fn within(&self, from: Micros, span: Micros) -> &[u64] {
        let end = count(span).min(self.0.len());
        self.0.get(count(from)..end).unwrap_or_default()
    }
}

/// The number of whole slots in a duration.
fn count(time: Micros) -> usize {
    usize::try_from(time.0 / WIDTH.0).unwrap_or(usize::MAX)
}

fn mean(slots: &[u64], window: Micros) -> Option<BitRate> {
    BitRate::mean(slots.iter().sum(), window)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lie_within_the_body() {
        let mut slots = Slots::default();
        for (micros, bytes) in [(1, 1), (10_000, 2), (10_001, 4), (45_000, 8), (61_000, 16)] {
            slots.add(Micros(micros), bytes);
        }
        let window = Micros(20_000);
        let bytes = |rate: BitRate| rate.0 * window.0 / 8_000_000;
        let check = |from, span, in_turn: &[u64], smallest| {
            let (from, span) = (Micros(from), Micros(span));
            assert_eq!(slots.in_turn(from, span, window).map(bytes).collect::<Vec<_>>(), in_turn, "{from} {span}");
            assert_eq!(slots.smallest(from, span, window).map(bytes), smallest, "{from} {span}");
        };
        check(0, 61_000, &[7, 0, 8], Some(0));
        check(10_000, 61_000, &[4, 8], Some(0));
        check(30_000, 61_000, &[8], Some(8));
        check(50_000, 61_000, &[], None);
        check(90_000, 61_000, &[], None);
        check(0, 19_999, &[], None);
    }

    #[test]
    fn the_number_of_slots_is_limited() {
        let mut slots = Slots::default();
        for micros in [MAX_SLOTS as u64 * WIDTH.0, MAX_SLOTS as u64 * WIDTH.0 + 1, u64::MAX] {
            slots.add(Micros(micros), 1);
            assert_eq!((slots.0.len(), slots.0[MAX_SLOTS - 1]), (MAX_SLOTS, 1));
        }
        assert_eq!(slots.in_turn(Micros::ZERO, Micros(u64::MAX), Micros(50_000)).count(), MAX_SLOTS / 5);
    }
}
