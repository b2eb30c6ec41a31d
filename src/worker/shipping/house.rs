//! The archive kept within its limits, beside delivery.

use jiff::Timestamp;

use crate::{
    archive::{
        merge::merge,
        recover::recover,
        retain::{self, Removed},
        spool::Spool,
    },
    config::Archive,
    worker::tally::Tally,
};

/// Keeps size and age within the limits, merges delivered files, takes over what a killed process left.
pub(super) fn keep(spool: &Spool, delivering: bool, archive: &Archive, tally: &Tally) {
    let now = Timestamp::now();
    let (removed, refused) = retain::enforce(spool, archive.max_size, archive.keep, now);
    tell(&removed, delivering, tally);
    if let Some(error) = refused {
        tracing::error!("the archive's limits cannot be kept: {error}");
    }
    if let Err(error) = merge(spool, archive.max_size, now) {
        tracing::error!("delivered files cannot be merged: {error}");
    }
    if let Err(error) = recover(spool.dir()) {
        tracing::error!("files of a killed process cannot be taken over: {error}");
    }
}

fn tell(removed: &Removed, delivering: bool, tally: &Tally) {
    let (files, points) = (removed.dropped_files, removed.dropped_points);
    tally.count(|counters| counters.points_dropped += points);
    if removed.rejected_files > 0 {
        let files = removed.rejected_files;
        tracing::warn!(files, "archive.max-size is reached: the oldest rejected lines were deleted");
    }
    if files > 0 && delivering {
        tracing::error!(
            files,
            points,
            "archive.max-size is reached: the oldest undelivered results were deleted; raise it, or see why delivery \
             stands still"
        );
    } else if files > 0 {
        tracing::info!(files, points, "archive.max-size is reached: the oldest results went");
    }
}
