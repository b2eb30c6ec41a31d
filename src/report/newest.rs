//! Whether a figure rests on enough recent values: at least [`MIN_VALUES`] of them, and the last [`MIN_VALUES`] at most
//! [`MAX_AGE`] older than the vantage's last transfer and not `too_slow`. So neither one good answer nor a good week in
//! the past makes a node the best.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

/// Values that a figure needs before its node can be the best.
pub const MIN_VALUES: usize = 3;

/// The greatest age of the last [`MIN_VALUES`] values, relative to the vantage's last transfer.
pub const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

/// The times of the last [`MIN_VALUES`] values.
#[derive(Clone, Debug, Default)]
pub(super) struct Newest(VecDeque<Timestamp>);

impl Newest {
    pub(super) fn extend(&mut self, times: impl IntoIterator<Item = Timestamp>) {
        for at in times {
            let place = self.0.partition_point(|earlier| *earlier <= at);
            self.0.insert(place, at);
            if self.0.len() > MIN_VALUES {
                self.0.pop_front();
            }
        }
    }

    /// Are there enough values, all of them recent? `last` is the time of the vantage's last transfer.
    pub(super) fn are_current(&self, last: Timestamp) -> bool {
        self.0.len() == MIN_VALUES && last.duration_since(self.0[0]) <= MAX_AGE
    }
}
