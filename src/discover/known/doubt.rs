//! A loss that is too large to be believed at once.

use std::time::Duration;

use jiff::Timestamp;

use super::Verdict;

/// How many refreshes in a row lost too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Doubt {
    pub(super) times: u32,
    /// When one was counted last.
    pub(super) counted_at: Option<Timestamp>,
}

impl Doubt {
    /// After a refresh that lost so many: more than half is believed when it is seen [`REPEATED`] times, `refresh` apart.
    pub(super) fn weigh(self, lost: usize, of: usize, now: Timestamp, refresh: Duration) -> (Self, Verdict) {
        if 2 * lost <= of {
            return (Self::default(), Verdict::Accepted);
        }
        let again = if self.is_counted(now, refresh) { self } else { Self::counted(self.times.saturating_add(1), now) };
        if again.times >= REPEATED {
            return (Self::default(), Verdict::Accepted);
        }
        (again, Verdict::HeldBack { lost, of, times: again.times })
    }

    const fn counted(times: u32, now: Timestamp) -> Self {
        Self { times, counted_at: Some(now) }
    }

    /// Was one counted so short a time ago that another says nothing new? A clock that was set back since forbids nothing.
    fn is_counted(self, now: Timestamp, refresh: Duration) -> bool {
        let since = self.counted_at.and_then(|then| Duration::try_from(now.duration_since(then)).ok());
        since.is_some_and(|since| since < refresh.mul_f64(NEARLY))
    }
}

/// So often in a row, a loss is true.
const REPEATED: u32 = 3;
/// Of a refresh: clocks are set right now and then, and the next question comes no sooner than it should.
const NEARLY: f64 = 0.9;
