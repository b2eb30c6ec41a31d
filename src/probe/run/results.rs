//! Emits the results of a run as they arrive, and decides whether the run as a whole was good.
//!
//! Exactly one sample of a run carries the result of the run (`run_ok`): the last one. It is known to be the last
//! before it is emitted. So no result is held back, and a kill loses none. A run that was cut short has no `run_ok`.
//! Neither has a run with a transfer that says nothing about the node.

use crate::model::sample::Sample;

use super::{
    super::transfer::{FinishedTransfer, KeptConnection},
    RunResult,
};

/// Takes the transfers of one run in order and emits their samples.
pub(super) struct Results<E> {
    emit: E,
    /// What the next run needs to know.
    pub(super) result: RunResult,
    /// All samples so far are good.
    are_good: bool,
    are_charged: bool,
}

impl<E: FnMut(Sample)> Results<E> {
    pub(super) fn new(emit: E) -> Self {
        Self { emit, result: RunResult::default(), are_good: true, are_charged: true }
    }

    /// Emits the sample and returns the connection. The sample that `decides` is the last one of the run.
    pub(super) fn take(&mut self, mut done: FinishedTransfer, decides: bool) -> Option<KeptConnection> {
        self.result.cool_down = done.cool_down.or(self.result.cool_down);
        self.result.lateness.get_or_insert(done.sample.lateness);
        self.are_good &= done.sample.is_good();
        self.are_charged &= done.sample.is_charged();
        done.sample.run_ok = (decides && self.are_charged).then_some(self.are_good);
        (self.emit)(done.sample);
        done.connection
    }

    /// Emits a sample that was made without a transfer.
    pub(super) fn emit(&mut self, sample: Sample) {
        (self.emit)(sample);
    }
}
