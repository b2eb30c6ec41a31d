//! The bytes of each 10 ms of a body, for rates over windows that stay as wide as they are called.
//!
//! Bins merge as the body goes on, and a mean over 80 ms hides what a player meets in 50. So the windows whose rates are recorded
//! are counted apart. A bin is [`WIDTH`] times a power of two wide, hence every bin edge, the end of the ramp among them, is an
//! edge of slots: windows that begin there are exact.
//!
//! No body goes on for longer than the longest deadline, 120 s; were one to, what comes after [`MOST`] slots has no windows.

use super::timeline::FIRST_WIDTH;
use crate::model::units::{BitRate, Micros};

/// How wide a slot is.
pub(super) const WIDTH: Micros = FIRST_WIDTH;

/// The most slots: 120 s, in 96 KB.
pub(super) const MOST: usize = 12_000;

/// Slot k holds the bytes of points in (first + k·width, first + (k + 1)·width].
#[derive(Clone, Debug, Default)]
pub(super) struct Slots(Vec<u64>);

impl Slots {
    /// Adds bytes that came so long after the first point; the offset is above zero.
    pub(super) fn add(&mut self, offset: Micros, bytes: u64) {
        let Some(slot) = usize::try_from((offset.0 - 1) / WIDTH.0).ok().filter(|slot| *slot < MOST) else { return };
        if slot >= self.0.len() {
            self.0.resize(slot + 1, 0);
        }
        self.0[slot] += bytes;
    }

    /// The rates of windows that follow one another from a slot's edge on, as far as they lie within `span`.
    pub(super) fn in_turn(&self, from: Micros, span: Micros, window: Micros) -> impl Iterator<Item = BitRate> {
        self.within(from, span).chunks_exact(count(window)).filter_map(move |slots| mean(slots, window))
    }

    /// The smallest rate of those windows that begin at any slot's edge from one of them on.
    pub(super) fn smallest(&self, from: Micros, span: Micros, window: Micros) -> Option<BitRate> {
        self.within(from, span).windows(count(window)).filter_map(|slots| mean(slots, window)).min()
    }

    /// The slots that lie wholly between.
    fn within(&self, from: Micros, span: Micros) -> &[u64] {
        let end = count(span).min(self.0.len());
        self.0.get(count(from)..end).unwrap_or_default()
    }
}

/// How many whole slots a time has.
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
    fn there_are_so_many_and_no_more() {
        let mut slots = Slots::default();
        for micros in [MOST as u64 * WIDTH.0, MOST as u64 * WIDTH.0 + 1, u64::MAX] {
            slots.add(Micros(micros), 1);
            assert_eq!((slots.0.len(), slots.0[MOST - 1]), (MOST, 1));
        }
        assert_eq!(slots.in_turn(Micros::ZERO, Micros(u64::MAX), Micros(50_000)).count(), MOST / 5);
    }
}
