//! Detects whether the chain of the whole fleet moves on, and whether it does for each node. Nodes are compared with
//! each other, so a standstill of all nodes would otherwise go unnoticed, and a standstill of most nodes would make the
//! others look wrong.

use std::time::Duration;

use crate::model::health::Motion;

/// The fleet's median height of the chain, over several rounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChainWatch {
    /// The last height, and since when it has not changed.
    last: Option<(u64, Duration)>,
}

impl ChainWatch {
    /// Adds the height of a round; `None` when no node reports one. Returns how long the height has not changed. `now`
    /// is the time since the start of the process.
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

/// One number of one node, over several rounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberWatch {
    /// The last value, and since when it has not changed.
    last: Option<(u64, Duration)>,
    has_changed: bool,
}

impl NumberWatch {
    /// Adds the number of a round; `None` when the node does not report it. `now` is the time since the start of the
    /// process.
    pub fn note(&mut self, number: Option<u64>, now: Duration) -> Motion {
        let Some(number) = number else { return Motion::Unknown };
        match self.last {
            Some((last, since)) if last == number => {
                let still = now.saturating_sub(since);
                if still >= STILL {
                    return if self.has_changed { Motion::Stopped(still) } else { Motion::StandsStill(still) };
                }
            }
            last => {
                self.has_changed = last.is_some();
                self.last = Some((number, now));
            }
        }
        if self.has_changed { Motion::Moves } else { Motion::Unknown }
    }
}

/// The chain makes a block every 6 s. When there is none for this long, the chain stands still.
pub const STANDSTILL: Duration = Duration::from_mins(10);
/// When a node's number does not change for this long, the node has missed ten blocks.
const STILL: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn motion_is_known_after_two_observations() {
        use Motion::{Moves, StandsStill, Stopped, Unknown};
        let mut watch = NumberWatch::default();
        for (seconds, number, motion) in [
            (0, Some(7), Unknown),
            (30, Some(7), Unknown),
            (90, Some(7), StandsStill(Duration::from_secs(90))),
            (300, Some(50), Moves),
            (330, Some(50), Moves),
            (600, Some(50), Stopped(Duration::from_secs(300))),
            (900, None, Unknown),
            (1_200, Some(50), Stopped(Duration::from_secs(900))),
            (1_500, Some(40), Moves),
        ] {
            assert_eq!(watch.note(number, Duration::from_secs(seconds)), motion, "{seconds}");
        }
    }

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
