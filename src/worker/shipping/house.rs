//! The archive kept within its limits, beside delivery.

use jiff::Timestamp;

use crate::{
    archive::{recover::recover, retain, spool::Spool},
    config::Archive,
    worker::tally::Tally,
};

/// Keeps size and age within the limits, merges finished days, takes over what a killed process left.
pub(super) fn keep(spool: &Spool, delivering: bool, archive: &Archive, tally: &Tally) {
    let now = Timestamp::now();
    match retain::enforce(spool, archive.max_size, archive.keep, now) {
        Ok(removed) if removed.dropped_points > 0 => {
            let points = removed.dropped_points;
            tally.count(|counters| counters.points_dropped += points);
            if delivering {
                tracing::error!(
                    points,
                    "archive.max-size is reached: the oldest undelivered results were deleted; raise it, or see why \
                     delivery stands still"
                );
            } else {
                tracing::info!(points, "archive.max-size is reached: the oldest results went");
            }
        }
        Ok(_) => {}
        Err(error) => tracing::error!("the archive's limits cannot be kept: {error}"),
    }
    if let Err(error) = retain::merge_days(spool, now) {
        tracing::error!("delivered files cannot be merged: {error}");
    }
    if let Err(error) = recover(spool.dir()) {
        tracing::error!("files of a killed process cannot be taken over: {error}");
    }
}
