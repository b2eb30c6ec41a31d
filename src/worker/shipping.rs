//! Delivery in the background, and the archive kept within its limits, by the one process that holds the spool.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::{
    archive::{self, recover::recover, retain, spool::Spool},
    config::{Archive, InfluxDb},
    deliver::{
        drain::{Counters, Drain, Drained, Event},
        influx::Influx,
    },
};

use super::{pipeline::StartError, recorder::Inbox, tally::Tally};

/// What becomes of sealed files while this process lives.
pub(super) struct Shipping {
    dir: PathBuf,
    database: Option<InfluxDb>,
    role: Role,
    /// What was delivered so far.
    shipped: Counters,
}

/// Who keeps the spool.
enum Role {
    /// We do, and deliver it.
    Deliver(Box<Drain>),
    /// We do, and only keep its limits: the config names no database.
    Keep(Spool),
    /// Another process does, in its words; it may end before we do.
    LeftTo(String),
}

impl Shipping {
    /// Takes the spool, unless another process has it.
    pub(super) fn new(archive: &Archive, database: Option<&InfluxDb>) -> Result<Self, StartError> {
        let (dir, database) = (archive.dir.clone(), database.cloned());
        let mut shipping = Self { dir, database, role: Role::LeftTo(String::new()), shipped: Counters::default() };
        shipping.claim()?;
        Ok(shipping)
    }

    /// Goes on until dropped; nothing is lost by that.
    pub(super) async fn work(&mut self, archive: &Archive, inbox: &Inbox, tally: &Tally) {
        let mut housekeeping = Instant::now();
        loop {
            if housekeeping.elapsed() >= HOUSEKEEPING {
                housekeeping = Instant::now();
                self.keep_house(archive, tally);
            }
            match &mut self.role {
                Role::Deliver(drain) => {
                    deliver(drain, inbox).await;
                    let counters = self.count();
                    tally.count(|total| {
                        total.points_written += counters.points_written;
                        total.points_rejected += counters.points_rejected;
                        total.retries += counters.retries;
                    });
                }
                Role::Keep(_) => sleep(HOUSEKEEPING).await,
                Role::LeftTo(_) => {
                    sleep(CLAIM_AGAIN).await;
                    if let Err(error) = self.claim() {
                        tracing::error!("delivery cannot be taken over: {error}");
                    }
                }
            }
        }
    }

    /// Delivers what waits, for at most `patience` or until `hurry`, keeps house once more, and tells of everything since the
    /// start.
    pub(super) async fn finish(
        mut self,
        patience: Duration,
        hurry: impl Future<Output = ()>,
        archive: &Archive,
        tally: &Tally,
    ) -> Drained {
        if matches!(self.role, Role::LeftTo(_)) {
            // Whoever had it may have gone; if we cannot have it, it is still theirs.
            let _ = self.claim();
        }
        let ended = match &mut self.role {
            Role::Deliver(drain) => {
                drain.hurry();
                tokio::select! {
                    ended = drain.drain_once(Instant::now() + patience) => ended,
                    () = hurry => Ok(Drained { reason: Some("told to stop at once".to_owned()), ..Drained::default() }),
                }
            }
            Role::Keep(_) => Ok(Drained::default()),
            Role::LeftTo(reason) => Ok(Drained { reason: Some(reason.clone()), ..Drained::default() }),
        };
        let ended = ended.unwrap_or_else(|error| Drained { reason: Some(error.to_string()), ..Drained::default() });
        self.count();
        self.keep_house(archive, tally);
        Drained { delivered: self.shipped.points_written, rejected: self.shipped.points_rejected, ..ended }
    }

    /// Takes the spool if it is free.
    fn claim(&mut self) -> Result<(), StartError> {
        self.role = match (Spool::lock(&self.dir), &self.database) {
            (Ok(spool), Some(database)) => Role::Deliver(Box::new(Drain::new(spool, Influx::new(database)?))),
            (Ok(spool), None) => Role::Keep(spool),
            (Err(error @ archive::Error::Draining { .. }), _) => Role::LeftTo(error.to_string()),
            (Err(error), _) => return Err(error.into()),
        };
        Ok(())
    }

    /// Takes the drain's counters over.
    fn count(&mut self) -> Counters {
        let Role::Deliver(drain) = &mut self.role else { return Counters::default() };
        let counters = drain.take_counters();
        self.shipped.points_written += counters.points_written;
        self.shipped.points_rejected += counters.points_rejected;
        self.shipped.retries += counters.retries;
        counters
    }

    /// Keeps size and age within the limits, merges finished days, takes over what a killed process left.
    fn keep_house(&self, archive: &Archive, tally: &Tally) {
        let (spool, delivering) = match &self.role {
            Role::Deliver(drain) => (drain.spool(), true),
            Role::Keep(spool) => (spool, false),
            Role::LeftTo(_) => return,
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
/// How often a spool that another process has is asked for.
const CLAIM_AGAIN: Duration = Duration::from_secs(2);
