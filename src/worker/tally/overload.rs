//! What a worker cannot keep up with.

use crate::model::{probe::Probe, units::Micros};

/// What a worker could not keep up with since the last log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::worker) struct Overload {
    /// Runs that began.
    pub(in crate::worker) started: u64,
    /// Runs that were skipped, because they could not begin before their next slot.
    pub(in crate::worker) missed: u64,
    /// Runs that began much later than their slot.
    pub(in crate::worker) late: u64,
    /// Slots of status rounds that were skipped, because the previous round was still under way.
    pub(in crate::worker) rounds_missed: u64,
    /// The duration of the last round that took longer than its slot.
    pub(in crate::worker) round: Micros,
    /// The greatest delay of the schedule itself.
    pub(in crate::worker) schedule_delay: Micros,
}

/// The lateness from which a run counts as late: a tenth of its `every`, but at least a second. Light transfers wait
/// for heavy ones, so some lateness is normal.
pub(in crate::worker) fn late_from(probe: &Probe) -> Micros {
    Micros::from(probe.every / 10).max(LATE)
}

/// Runs and the schedule are never late by less than this.
pub(in crate::worker) const LATE: Micros = Micros(1_000_000);
