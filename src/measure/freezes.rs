//! When this process did not run: stopped, frozen by its container, suspended with the machine, or kept from the CPU.
//!
//! The measuring thread reports that it runs ([`Freezes::look`]) at least once per tick. A look that comes more than [`MARGIN`]
//! after its tick ends a freeze. The monotonic clock goes on while the process is stopped, but not while the machine sleeps, so
//! the time that the machine slept is passed in as well: it extends no deadline, but the peer had to wait for that time too.

use std::{collections::VecDeque, time::Duration};

/// The freezes of one thread. All times are offsets from one fixed instant of the monotonic clock.
#[derive(Clone, Debug, Default)]
pub struct Freezes {
    /// The last look; `None` while no looks come regularly.
    seen: Option<Duration>,
    /// How long the machine has slept, as far as known.
    slept: Duration,
    kept: VecDeque<Freeze>,
}

#[derive(Clone, Copy, Debug)]
struct Freeze {
    from: Duration,
    to: Duration,
    slept: Duration,
}

impl Freezes {
    /// Looks come regularly from now on.
    pub fn start(&mut self, now: Duration, slept: Duration) {
        self.seen = Some(now);
        self.slept = self.slept.max(slept);
    }

    /// Looks no longer come regularly: a long time without one means nothing.
    pub fn stop(&mut self) {
        self.seen = None;
    }

    /// The thread runs at `now`; the machine has slept for `slept` since its start. Looks are at most `tick` apart while the
    /// thread runs. Returns the length of the freeze that this look ends, if it ends one.
    pub fn look(&mut self, now: Duration, slept: Duration, tick: Duration) -> Option<Duration> {
        let seen = self.seen?;
        self.seen = Some(seen.max(now));
        let gap = now.saturating_sub(seen);
        let slept = {
            let before = self.slept;
            // Two clocks cannot be read at once. What is read is never too large, so the largest is right.
            self.slept = before.max(slept);
            self.slept - before
        };
        let stood = gap > tick + MARGIN;
        if !stood && slept <= MARGIN {
            return None;
        }
        let from = if stood { seen } else { now };
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        let freeze = Freeze { from, to: now, slept };
        self.kept.push_back(freeze);
        Some(freeze.to - freeze.from + slept)
    }

    /// For how much of the time since `since` the monotonic clock went on and the process did not run.
    #[must_use]
    pub fn lost_since(&self, since: Duration) -> Duration {
        self.after(since).map(|freeze| freeze.to - freeze.from.max(since)).sum()
    }

    /// The same, with the time that the machine slept: how long others had to wait for this process.
    #[must_use]
    pub fn away_since(&self, since: Duration) -> Duration {
        self.lost_since(since) + self.slept_since(since)
    }

    /// For how long of it the machine slept, so that not even the kernel received anything.
    #[must_use]
    pub fn slept_since(&self, since: Duration) -> Duration {
        self.after(since).map(|freeze| freeze.slept).sum()
    }

    fn after(&self, since: Duration) -> impl Iterator<Item = &Freeze> {
        self.kept.iter().rev().take_while(move |freeze| freeze.to > since)
    }
}

/// A look this much after its tick ends a freeze. A thread that is woken on a machine with dozens of busy processes per CPU
/// runs within some 100 ms; a container that has used up its share of the CPU waits 100 ms for the next period. A wait of half a
/// second is longer than either, and far shorter than any deadline. What is shorter counts as load: see `cpu_bound`.
pub const MARGIN: Duration = Duration::from_millis(500);

/// How many freezes are remembered: those of the last ten minutes, even if they follow each other without a break.
const KEPT: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Looks at these times, each with how long the machine had slept by then.
    fn looked(looks: &[(u64, u64)]) -> (Freezes, Vec<Option<Duration>>) {
        let mut freezes = Freezes::default();
        freezes.start(ms(0), ms(0));
        let found = looks.iter().map(|(now, slept)| freezes.look(ms(*now), ms(*slept), TICK)).collect();
        (freezes, found)
    }

    #[test]
    fn a_gap_far_beyond_the_tick_is_a_freeze() {
        for (looks, found) in [
            (&[(100, 0), (200, 0), (800, 0)][..], [None, None, None]),
            (&[(100, 0), (200, 0), (801, 0)], [None, None, Some(601)]),
            (&[(50, 0), (30_050, 0), (30_060, 0)], [None, Some(30_000), None]),
            (&[(0, 0), (700, 0), (1_400, 0)], [None, Some(700), Some(700)]),
            (&[(100, 400), (200, 30_000), (300, 30_000)], [None, Some(29_600), None]),
            (&[(100, 0), (6_100, 60_000), (6_200, 60_000)], [None, Some(66_000), None]),
            // The clocks were read some time apart: less than it was, then right again.
            (&[(100, 9_000), (200, 2_000), (300, 9_000)], [Some(9_000), None, None]),
        ] {
            assert_eq!(looked(looks).1, found.map(|length: Option<u64>| length.map(ms)), "{looks:?}");
        }
    }

    #[test]
    fn a_clock_without_looks_notices_no_freeze() {
        let mut freezes = Freezes::default();
        assert_eq!(freezes.look(ms(60_000), ms(0), TICK), None);
        freezes.start(ms(60_000), ms(500_000));
        assert_eq!(freezes.look(ms(60_100), ms(500_000), TICK), None);
        freezes.stop();
        assert_eq!(freezes.look(ms(90_000), ms(500_000), TICK), None);
        assert_eq!(freezes.away_since(ms(0)), ms(0));
    }

    #[test]
    fn only_what_lies_after_counts() {
        let (freezes, _) = looked(&[(1_000, 0), (1_100, 0), (7_100, 0), (7_200, 20_000), (7_300, 20_000)]);
        for (since, lost, away) in [
            (0, 1_000 + 6_000, 27_000),
            (1_000, 6_000, 26_000),
            (3_100, 4_000, 24_000),
            (7_100, 0, 20_000),
            (7_200, 0, 0),
            (9_000, 0, 0),
        ] {
            let all = (freezes.lost_since(ms(since)), freezes.away_since(ms(since)));
            assert_eq!(all, (ms(lost), ms(away)), "{since}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (freezes, _) = looked(&(1..=2_000).map(|n| (n * 700, 0)).collect::<Vec<_>>());
        assert_eq!(freezes.lost_since(ms(0)), ms(700 * KEPT as u64));
    }
}
