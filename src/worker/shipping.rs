//! Delivery in the background, and the archive kept within its limits, by the one process that holds the spool.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::{
    archive::{recover::recover, retain, spool::Spool},
    config::Archive,
    deliver::{
        drain::{Drain, Event},
        influx::{Error as InfluxError, Influx},
    },
};

use super::{recorder::Inbox, tally::Tally};

/// Who keeps the spool.
pub(super) enum Shipping {
    /// Delivers it.
    Deliver(Box<Drain>),
    /// Only keeps its limits: the config names no database.
    Keep(Spool),
}

impl Shipping {
    pub(super) fn new(spool: Spool, database: Option<&crate::config::InfluxDb>) -> Result<Self, InfluxError> {
        Ok(match database {
            Some(database) => Self::Deliver(Box::new(Drain::new(spool, Influx::new(database)?))),
            None => Self::Keep(spool),
        })
    }

    /// Goes on until dropped; nothing is lost by that.
    pub(super) async fn work(&mut self, archive: &Archive, inbox: &Inbox, tally: &Tally) {
        let mut housekeeping = Instant::now();
        loop {
            if housekeeping.elapsed() >= HOUSEKEEPING {
                housekeeping = Instant::now();
                self.keep_house(archive, tally);
            }
            match self {
                Self::Deliver(drain) => {
                    deliver(drain, inbox).await;
                    let counters = drain.take_counters();
                    tally.count(|total| {
                        total.points_written += counters.points_written;
                        total.points_rejected += counters.points_rejected;
                        total.retries += counters.retries;
                    });
                }
                Self::Keep(_) => sleep(HOUSEKEEPING).await,
            }
        }
    }

    /// Keeps size and age within the limits, merges finished days, takes over what a killed process left.
    fn keep_house(&self, archive: &Archive, tally: &Tally) {
        let (spool, delivering) = match self {
            Self::Deliver(drain) => (drain.spool(), true),
            Self::Keep(spool) => (spool, false),
        };
        let now = Timestamp::now();
        match retain::enforce(spool, archive.max_size, archive.keep, now) {
            Ok(removed) if removed.dropped_points > 0 => {
                tally.count(|counters| counters.points_dropped += removed.dropped_points);
                if delivering {
                    tracing::error!(
                        points = removed.dropped_points,
                        "archive.max-size is reached: the oldest undelivered results were deleted"
                    );
                } else {
                    tracing::info!(
                        points = removed.dropped_points,
                        "archive.max-size is reached: the oldest results went"
                    );
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
}

/// One step of the drain, with its news told once.
async fn deliver(drain: &mut Drain, inbox: &Inbox) {
    match drain.step().await {
        Ok(Event::Idle) => {
            // Nothing waits: what has been written meanwhile may go at once.
            inbox.seal();
            sleep(IDLE).await;
        }
        Ok(Event::Sent { points }) => tracing::debug!(points, "delivered"),
        Ok(Event::Finished { name, points, rejected }) => tracing::debug!(name, points, rejected, "file delivered"),
        Ok(Event::Divided { message }) => tracing::warn!("InfluxDB refuses a batch, sending it in parts: {message}"),
        Ok(Event::SetAside { name, damage, points }) => {
            tracing::error!(name, points, "damaged file set aside in rejected/: {damage}");
        }
        Ok(Event::Holding { reason, news: true, .. }) => {
            tracing::error!("delivery stands still, results are kept: {reason}")
        }
        Ok(Event::BackingOff { reason, news: true, .. }) => {
            tracing::warn!("delivery waits, results are kept: {reason}")
        }
        Ok(Event::Holding { .. } | Event::BackingOff { .. }) => {}
        Err(error) => tracing::error!("delivery: {error}"),
    }
}

/// How often the spool is looked at while nothing waits.
const IDLE: Duration = Duration::from_secs(1);
const HOUSEKEEPING: Duration = Duration::from_secs(60);
