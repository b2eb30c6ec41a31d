//! The results of a run while they come, and whether the run as a whole was good.
//!
//! Exactly one sample of a run says so (`run_ok`): the one after which nothing follows. It is known as the last one before it
//! goes out, so no result is held back, where a kill would lose it. A run that was cut short has none, and neither has one with
//! a transfer that says nothing about the node.

use crate::model::sample::Sample;

use super::{
    super::transfer::{Done, Kept},
    Ended,
};

/// Takes the transfers of one run in order, and hands them on.
pub(super) struct Results<E> {
    emit: E,
    /// What the next run needs to know.
    pub(super) ended: Ended,
    /// All of them so far.
    are_good: bool,
    are_charged: bool,
}

impl<E: FnMut(Sample)> Results<E> {
    pub(super) fn new(emit: E) -> Self {
        Self { emit, ended: Ended::default(), are_good: true, are_charged: true }
    }

    /// Sends the sample out, and returns the connection. The sample that `decides` is the last one of the run.
    pub(super) fn take(&mut self, mut done: Done, decides: bool) -> Option<Kept> {
        self.ended.leave_alone = done.leave_alone.or(self.ended.leave_alone);
        self.ended.lateness.get_or_insert(done.sample.lateness);
        self.are_good &= done.sample.is_good();
        self.are_charged &= done.sample.is_charged();
        done.sample.run_ok = (decides && self.are_charged).then_some(self.are_good);
        (self.emit)(done.sample);
        done.connection
    }

    /// Sends out a sample that no transfer made.
    pub(super) fn emit(&mut self, sample: Sample) {
        (self.emit)(sample);
    }
}
