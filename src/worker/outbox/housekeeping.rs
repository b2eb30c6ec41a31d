//! Housekeeping next to delivery: keeps the archive within its limits.

use std::{path::Path, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    archive::{
        merge::merge,
        recover::{Recovered, recover_each},
        retain::{self, Removed},
        spool::Spool,
        state::{self, LOSSES, Losses},
    },
    config::Archive,
    worker::tally::Tally,
};

/// Keeps size and age within the limits, merges delivered files, and recovers the files of killed processes.
///
/// Nothing is deleted because of its age while the clock is not steady. Otherwise a clock that is years ahead for one
/// minute would delete the whole archive.
pub(super) fn keep(spool: &Spool, delivering: bool, archive: &Archive, is_steady: bool, tally: &Tally) {
    let now = Timestamp::now();
    let keep = if is_steady { archive.keep } else { Duration::MAX };
    let (removed, refused) = retain::enforce(spool, archive.max_size, keep, now);
    note_removed(&removed, delivering, tally);
    if let Some(error) = refused {
        tracing::error!("cannot enforce the limits of the archive: {error}");
    }
    if let Err(error) = merge(spool, archive.max_size, now) {
        tracing::error!("cannot merge delivered files: {error}");
    }
    recover_orphans(spool.dir(), tally);
}

/// Recovers the files of killed processes. A file that the disk refuses to seal is tried again later.
pub(super) fn recover_orphans(dir: &Path, tally: &Tally) {
    let (recovered, problems) = recover_each(dir);
    if recovered.files > 0 {
        let Recovered { files, points, cut_bytes, .. } = recovered;
        tracing::info!(files, points, cut_bytes, "recovered results of a killed process");
    }
    if recovered.missing > 0 {
        tally.count_dropped(recovered.missing);
        tracing::error!(
            points = recovered.missing,
            "results of a killed process are lost: they were not on the disk yet when the process or the power failed"
        );
    }
    for problem in problems {
        tracing::error!("cannot recover a file of a killed process yet: {problem}");
    }
}

/// Logs and counts what was deleted to stay within the limits.
fn note_removed(removed: &Removed, delivering: bool, tally: &Tally) {
    let (files, points) = (removed.dropped_files, removed.dropped_points);
    tally.count_dropped(points);
    if removed.rejected_files > 0 {
        let files = removed.rejected_files;
        tracing::warn!(files, "archive.max-size is reached: the oldest rejected lines were deleted");
    }
    if files > 0 && delivering {
        tracing::error!(
            files,
            points,
            "archive.max-size is reached: the oldest undelivered results were deleted; raise it, or check why delivery \
             is stopped"
        );
    } else if files > 0 {
        tracing::info!(files, points, "archive.max-size is reached: the oldest delivered results were deleted");
    }
}

/// Compares the wall clock with the monotonic clock, to notice when the wall clock is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct SteadyClock {
    seen: (Instant, Timestamp),
    /// When the wall clock was last set; `None` if that was never noticed.
    stepped: Option<Instant>,
}

impl SteadyClock {
    /// Trusts the clock until it is seen to be set.
    pub(super) fn new(now: Timestamp) -> Self {
        Self { seen: (Instant::now(), now), stepped: None }
    }

    /// Compares both clocks. Returns `true` if the wall clock was not set in the last [`STEADY_AFTER`].
    pub(super) fn is_steady(&mut self, at: Instant, now: Timestamp) -> bool {
        let (seen_at, seen) = std::mem::replace(&mut self.seen, (at, now));
        let passed = SignedDuration::try_from(at - seen_at).unwrap_or(SignedDuration::MAX);
        if now.duration_since(seen).saturating_sub(passed).abs() >= STEP {
            self.stepped = Some(at);
        }
        self.stepped.is_none_or(|stepped| at - stepped >= STEADY_AFTER)
    }
}

/// Limits how often room is made on a full disk.
#[derive(Clone, Debug, Default)]
pub(super) struct FullDiskTimer {
    room_made: Option<Instant>,
}

impl FullDiskTimer {
    /// Waits until the disk is full, and at least [`LOOK_AGAIN`] since room was last made.
    pub(super) async fn until_room_is_needed(&self, tally: &Tally) {
        if let Some(made) = self.room_made {
            sleep_until(made + LOOK_AGAIN).await;
        }
        while !tally.is_full() {
            sleep(LOOK).await;
        }
    }

    /// Notes that room was made now.
    pub(super) fn note_room_made(&mut self) {
        self.room_made = Some(Instant::now());
    }
}

/// Adds newly lost points to the stored total. `bandprobe spool status` prints it even when the database is not
/// available.
pub(super) fn note_losses(dir: &Path, tally: &Tally) {
    let new = tally.take_unnoted();
    if new == 0 {
        return;
    }
    let before: Losses = state::load(dir, LOSSES).value;
    let losses = Losses { points: before.points + new, last: Some(Timestamp::now()) };
    if let Err(error) = state::store(dir, LOSSES, &losses) {
        tracing::error!("{new} points are lost, and the loss cannot be recorded: {error}");
    }
}

/// The wall clock was set if it moved by this much against the monotonic one.
const STEP: SignedDuration = SignedDuration::from_mins(5);
/// How long after it was set the wall clock counts as steady again. A machine that slept looks as if its clock was set;
/// it only deletes nothing for an hour.
const STEADY_AFTER: Duration = Duration::from_secs(3_600);
const LOOK: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_trusted_after_an_hour() {
        let (start, wall) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let mut clock = SteadyClock::new(wall);
        let day = 86_400;
        // After how many minutes the clocks are compared, and how many seconds the wall clock is off.
        for (minute, off, steady) in [
            (1, 0, true),
            (2, 200, true),
            (3, 3 * day, false),
            (4, 0, false),
            (60, 10, false),
            (65, 10, true),
            (66, -day, false),
            (127, -day, true),
        ] {
            let passed = Duration::from_secs(60 * minute);
            let now = wall + passed + SignedDuration::from_secs(off);
            assert_eq!(clock.is_steady(start + passed, now), steady, "after {minute} minutes, {off} s off");
        }
    }
}
