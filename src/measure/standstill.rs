//! Does the chain of the whole fleet go on? Nodes are compared with each other, so one that all of them follow into a standstill
//! would never be noticed.

use std::time::Duration;

/// The fleet's median height of the chain, over rounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChainWatch {
    /// The last height, and since when it is the same.
    last: Option<(u64, Duration)>,
}

impl ChainWatch {
    /// Takes the height of a round, `None` where no node reports one. Returns for how long it has been the same; `now` is the time
    /// since the start of the process.
    pub const fn note(&mut self, head: Option<u64>, now: Duration) -> Option<Duration> {
        let Some(head) = head else { return None };
        match self.last {
            Some((last, since)) if last == head => Some(now.saturating_sub(since)),
            _ => {
                self.last = Some((head, now));
                Some(Duration::ZERO)
            }
        }
    }
}

/// A chain that makes a block every 6 s and has made none for this long stands still.
pub const STANDSTILL: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_lasts_until_the_height_changes() {
        let mut watch = ChainWatch::default();
        for (seconds, head, still) in [
            (0, Some(7), Some(0)),
            (300, Some(50), Some(0)),
            (600, Some(50), Some(300)),
            (900, None, None),
            (1_200, Some(50), Some(900)),
            (1_500, Some(51), Some(0)),
            (1_800, Some(40), Some(0)),
            (2_100, Some(40), Some(300)),
        ] {
            let noted = watch.note(head, Duration::from_secs(seconds));
            assert_eq!(noted, still.map(Duration::from_secs), "{seconds}");
        }
    }
}
