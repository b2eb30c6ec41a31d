//! Records when this process did not run: stopped, frozen by its container, suspended with the machine, or without CPU
//! time.
//!
//! The measuring thread reports that it runs ([`Freezes::look`]) at least once per tick. A look that is more than
//! [`MARGIN`] late ends a freeze. The monotonic clock continues while the process is stopped, but not while the machine
//! sleeps. The time that the machine slept is therefore passed in as well: it extends no deadline, but the peer had to
//! wait for that time too.

use std::{collections::VecDeque, time::Duration};

/// The freezes of one thread. All times are offsets from one fixed instant of the monotonic clock.
#[derive(Clone, Debug, Default)]
pub struct Freezes {
    /// The last look; `None` while there are no regular looks.
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
    /// Starts to look regularly. `now` and `slept` are as in [`look`](Self::look).
    pub fn start(&mut self, now: Duration, slept: Duration) {
        self.seen = Some(now);
        self.slept = self.slept.max(slept);
    }

    /// Ends regular looks. A long time without a look then means nothing.
    pub fn stop(&mut self) {
        self.seen = None;
    }

    /// Reports that the thread runs at `now`, and that the machine has slept for `slept` since its start. Looks are at
    /// most `tick` apart while the thread runs. Returns the length of the freeze that this look ends, if there was one.
    pub fn look(&mut self, now: Duration, slept: Duration, tick: Duration) -> Option<Duration> {
        let seen = self.seen?;
        self.seen = Some(seen.max(now));
        let gap = now.saturating_sub(seen);
        let slept = {
            let before = self.slept;
            // Two clocks cannot be read at once. A reading is never too large, so the largest one is right.
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

    /// The time since `since` in which the monotonic clock continued but the process did not run.
    #[must_use]
    pub fn lost_since(&self, since: Duration) -> Duration {
        self.after(since).map(|freeze| freeze.to - freeze.from.max(since)).sum()
    }

    /// The same plus the time that the machine slept: how long others had to wait for this process.
    #[must_use]
    pub fn away_since(&self, since: Duration) -> Duration {
        self.lost_since(since) + self.slept_since(since)
    }

    /// The time since `since` in which the machine slept, so that not even the kernel received anything.
    #[must_use]
    pub fn slept_since(&self, since: Duration) -> Duration {
        self.after(since).map(|freeze| freeze.slept).sum()
    }

    fn after(&self, since: Duration) -> impl Iterator<Item = &Freeze> {
        self.kept.iter().rev().take_while(move |freeze| freeze.to > since)
    }
}

/// A look that is more than this late ends a freeze. On a machine with dozens of busy processes per CPU, a thread that
/// is woken runs within about 100 ms. A container that has used up its share of the CPU waits 100 ms for the next
/// period. Half a second is longer than either, and much shorter than any deadline. Shorter waits count as load: see
/// `cpu_bound`.
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

    /// Looks at these times, each with how long the machine had slept until then.
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
            // The second reading of the sleep clock is too small, because the clocks were read some time apart. The
            // third one is right again.
            (&[(100, 9_000), (200, 2_000), (300, 9_000)], [Some(9_000), None, None]),
        ] {
            assert_eq!(looked(looks).1, found.map(|length: Option<u64>| length.map(ms)), "{looks:?}");
        }
    }

    #[test]
    fn without_ticks_no_freeze_is_noticed() {
        let mut freezes = Freezes::default();
        assert_eq!(freezes.look(ms(60_000), ms(0), TICK), None);
        freezes.start(ms(60_000), ms(500_000));
        assert_eq!(freezes.look(ms(60_100), ms(500_000), TICK), None);
        freezes.stop();
        assert_eq!(freezes.look(ms(90_000), ms(500_000), TICK), None);
        assert_eq!(freezes.away_since(ms(0)), ms(0));
    }

    #[test]
    fn only_time_after_the_start_counts() {
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
