//! A loss that is too large to be accepted at once.

use std::time::Duration;

use jiff::Timestamp;

use super::RefreshResult;

/// How many refreshes in a row lost too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ShrinkGuard {
    pub(super) times: u32,
    /// When a refresh was last counted.
    pub(super) counted_at: Option<Timestamp>,
}

impl ShrinkGuard {
    /// The count and the result after a refresh that lost `lost` of `of`. A loss of more than half is accepted when
    /// it is number [`ACCEPTED_AT`] in a row, each about one `refresh` apart.
    pub(super) fn accept(self, lost: usize, of: usize, now: Timestamp, refresh: Duration) -> (Self, RefreshResult) {
        if 2 * lost <= of {
            return (Self::default(), RefreshResult::Accepted);
        }
        let again = if self.is_counted(now, refresh) { self } else { Self::counted(self.times.saturating_add(1), now) };
        if again.times >= ACCEPTED_AT {
            return (Self::default(), RefreshResult::Accepted);
        }
        (again, RefreshResult::HeldBack { lost, of, times: again.times })
    }

    const fn counted(times: u32, now: Timestamp) -> Self {
        Self { times, counted_at: Some(now) }
    }

    /// Was a refresh counted so recently that this one shows nothing new? After the clock was set back, the next one
    /// counts.
    fn is_counted(self, now: Timestamp, refresh: Duration) -> bool {
        let since = self.counted_at.and_then(|then| Duration::try_from(now.duration_since(then)).ok());
        since.is_some_and(|since| since < refresh.mul_f64(NEARLY))
    }
}

/// The loss with this number in a row is accepted.
const ACCEPTED_AT: u32 = 3;
/// The shortest distance between two counted refreshes, as a share of `refresh`. Less than 1 because clocks are
/// adjusted now and then.
const NEARLY: f64 = 0.9;
