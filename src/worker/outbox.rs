//! Delivers sealed files in the background and keeps the archive within its limits. Only the process that holds the
//! lock of the spool does so.
//!
//! Nothing is sent during a heavy transfer, so that a backlog does not make a node look slow. The exception is a
//! backlog older than [`OLD`], because otherwise a worker that is always busy would never deliver.

use std::{path::PathBuf, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    archive::{self, free_space, spool::Spool, status::skipped_files},
    config::{Archive, InfluxDb, problem::Problems},
    deliver::{
        clock::TOLERANCE_MS,
        drain::Drain,
        event::{Counters, Drained, Event},
        influx::Influx,
    },
    model::units::Bytes,
    net::resolve::Resolver,
    probe::gate::Gate,
};

mod housekeeping;
mod log;
mod thread;

use self::thread::DeliveryTotals;
pub(super) use self::thread::{GRACE, OutboxEnd, OutboxThread};

use super::{recorder::Inbox, start_error::StartError, tally::Tally};

/// Reads the `[influxdb]` section of the config again; `None` if there is none. It allows a user to correct a token
/// without a restart.
pub type Reread = Box<dyn Fn() -> Result<Option<InfluxDb>, Problems> + Send>;

/// Handles sealed files while this process runs.
pub(super) struct Outbox {
    dir: PathBuf,
    database: Option<InfluxDb>,
    /// Resolves the name of the database.
    resolver: Resolver,
    reread: Reread,
    gate: Gate,
    role: Role,
    log: log::DeliveryLog,
    full_disk: housekeeping::FullDiskTimer,
    /// When the config was last read again.
    reread_at: Instant,
    /// When the clock is next compared with the database's.
    clock_due: Instant,
    /// When the limits of the archive are next enforced.
    housekeeping_due: Instant,
    totals: DeliveryTotals,
    clock: housekeeping::SteadyClock,
}

/// Who handles the spool.
enum Role {
    /// This process delivers.
    Deliver(Box<Drain>),
    /// This process only enforces the limits: the config names no database.
    EnforceLimits(Spool),
    /// Another process holds the spool, or it cannot be used. The text says which, and the spool is tried again later.
    Wait(String),
}

impl Outbox {
    /// Locks the spool, unless another process has it.
    pub(super) fn new(
        archive: &Archive,
        database: Option<&InfluxDb>,
        resolver: Resolver,
        reread: Reread,
        gate: Gate,
    ) -> Result<Self, StartError> {
        let mut outbox = Self {
            dir: archive.dir.clone(),
            database: database.cloned(),
            resolver,
            reread,
            gate,
            role: Role::Wait(String::new()),
            log: log::DeliveryLog::default(),
            full_disk: housekeeping::FullDiskTimer::default(),
            reread_at: Instant::now(),
            clock_due: Instant::now(),
            housekeeping_due: Instant::now(),
            totals: DeliveryTotals::default(),
            clock: housekeeping::SteadyClock::new(Timestamp::now()),
        };
        outbox.claim()?;
        if let (Role::Wait(reason), Some(_)) = (&outbox.role, &outbox.database) {
            tracing::warn!("this process only records: {reason}");
        }
        Ok(outbox)
    }

    /// Runs until dropped, which loses nothing.
    async fn work(&mut self, archive: &Archive, inbox: &Inbox, tally: &Tally) {
        loop {
            self.relock_if_replaced();
            if Instant::now() >= self.housekeeping_due {
                self.housekeeping_due = Instant::now() + HOUSEKEEPING;
                self.housekeep(archive, tally);
            }
            match &mut self.role {
                Role::Deliver(_) => {
                    let full_disk = self.full_disk.clone();
                    let full = tokio::select! {
                        () = self.deliver(inbox, tally) => false,
                        () = full_disk.until_room_is_needed(tally) => true,
                    };
                    if full {
                        self.make_room();
                    }
                }
                Role::EnforceLimits(_) => {
                    sleep(CLAIM_AGAIN).await;
                    if tally.is_full() {
                        self.make_room();
                    }
                }
                Role::Wait(_) => {
                    // The process that delivers takes only sealed files.
                    inbox.seal();
                    sleep(CLAIM_AGAIN).await;
                    if let Err(error) = self.claim() {
                        self.log.refused_by_disk(&error);
                    }
                }
            }
        }
    }

    /// Deletes delivered files when the disk is full. Nothing else makes room for new results.
    fn make_room(&mut self) {
        if self.spool().is_none() {
            return;
        }
        self.full_disk.note_room_made();
        match free_space::make(&self.dir) {
            Ok(Bytes(0)) => {}
            Ok(freed) => tracing::warn!("the disk is full: {freed} of delivered results were deleted to make room"),
            Err(error) => self.log.refused_by_disk(&error),
        }
    }

    /// Makes one step of delivery, when it is due and no heavy transfer is under way. An old backlog does not wait for
    /// heavy transfers.
    async fn deliver(&mut self, inbox: &Inbox, tally: &Tally) {
        let Role::Deliver(drain) = &mut self.role else { return };
        sleep_until(drain.due()).await;
        until_no_heavy_transfer(&self.gate, || drain.oldest()).await;
        let step = drain.step_now().await;
        self.log.note(&step);
        let counters = self.count();
        tally.count(|total| {
            total.points_written += counters.points_written;
            total.points_rejected += counters.points_rejected;
            total.retries += counters.retries;
        });
        if counters.points_dropped > 0 {
            tally.count_dropped(counters.points_dropped);
        }
        match step {
            Ok(Event::Idle) => {
                // Nothing is waiting, so the open file may be delivered at once.
                inbox.seal();
                sleep(IDLE).await;
            }
            Ok(Event::Sent { .. }) => self.compare_clocks(tally).await,
            Ok(Event::Holding { until, .. }) => self.reread_until(until, REREAD).await,
            // A wrong URL looks like a database that is down.
            Ok(Event::BackingOff { until, .. }) => self.reread_until(until, REREAD_SELDOM).await,
            _ => {}
        }
    }

    /// Waits until `until`, and reads the config again each `every`. Returns early if `[influxdb]` has changed.
    async fn reread_until(&mut self, until: Instant, every: Duration) {
        loop {
            let due = self.reread_at + every;
            sleep_until(until.min(due)).await;
            if Instant::now() < due {
                return;
            }
            self.reread_at = Instant::now();
            if self.take_changed() || Instant::now() >= until {
                return;
            }
        }
    }

    /// Switches to a changed `[influxdb]` section. Returns whether it has changed and can be used.
    fn take_changed(&mut self) -> bool {
        let new = match (self.reread)() {
            Ok(new) => new.filter(|new| self.database.as_ref() != Some(new)),
            Err(problems) => {
                self.log.unreadable(&problems);
                None
            }
        };
        let (Some(new), Role::Deliver(drain)) = (new, &mut self.role) else { return false };
        match Influx::new(&new, &self.resolver) {
            Ok(influx) => {
                tracing::info!("[influxdb] has changed: delivery continues with the new settings");
                drain.use_database(influx);
                self.database = Some(new);
                true
            }
            Err(error) => {
                self.log.unreadable(&error);
                false
            }
        }
    }

    /// Compares the clocks of this machine and the database from time to time, because a wrong clock hides points.
    async fn compare_clocks(&mut self, tally: &Tally) {
        let Role::Deliver(drain) = &mut self.role else { return };
        if Instant::now() < self.clock_due {
            return;
        }
        self.clock_due = Instant::now() + COMPARE_CLOCKS;
        let offset = drain.clock_offset_ms().await;
        tally.note_clock_offset(offset);
        if let Some(offset) = offset.filter(|offset| offset.abs() > TOLERANCE_MS) {
            let (seconds, direction) = (offset.abs() / 1000, if offset > 0 { "behind" } else { "ahead of" });
            tracing::warn!(
                "the clock of this machine is {seconds} s {direction} the database's: points get the wrong time, and dashboards miss \
                 them; synchronise the clocks of both machines with NTP"
            );
        }
    }

    /// Delivers what is waiting, for at most `patience` or until `hurry` completes. Returns what was delivered since
    /// the start.
    async fn finish(&mut self, patience: Duration, hurry: impl Future<Output = ()>, tally: &Tally) -> Drained {
        if matches!(self.role, Role::Wait(_)) {
            // The process that held the spool may have ended. If the lock fails, the spool still belongs to that
            // process.
            let _ = self.claim();
        }
        let ended = match &mut self.role {
            Role::Deliver(drain) => {
                drain.hurry();
                tokio::select! {
                    ended = drain.drain_until(Instant::now() + patience) => ended,
                    () = hurry => Ok(Drained { reason: Some("stopped by a second signal".to_owned()), ..Drained::default() }),
                }
            }
            Role::EnforceLimits(_) => Ok(Drained::default()),
            Role::Wait(reason) => Ok(Drained { reason: Some(reason.clone()), ..Drained::default() }),
        };
        let ended = ended.unwrap_or_else(|error| Drained { reason: Some(error.to_string()), ..Drained::default() });
        let dropped = self.count().points_dropped;
        tally.count_dropped(dropped);
        housekeeping::note_losses(&self.dir, tally);
        let totals = self.totals.so_far();
        Drained { delivered: totals.points_written, rejected: totals.points_rejected, ..ended }
    }

    /// Locks the spool if it is free, and sets the role.
    fn claim(&mut self) -> Result<(), StartError> {
        self.role = match (Spool::lock(&self.dir), &self.database) {
            (Ok(spool), Some(database)) => {
                Role::Deliver(Box::new(Drain::new(spool, Influx::new(database, &self.resolver)?)))
            }
            (Ok(spool), None) => Role::EnforceLimits(spool),
            (Err(error @ archive::Error::Draining { .. }), _) => Role::Wait(error.to_string()),
            (Err(error), _) => return Err(error.into()),
        };
        Ok(())
    }

    /// Takes the counters of the drain and adds them to the totals.
    fn count(&mut self) -> Counters {
        let Role::Deliver(drain) = &mut self.role else { return Counters::default() };
        let counters = drain.take_counters();
        self.totals.add(counters);
        counters
    }

    /// The spool and whether it is delivered; `None` if another process holds it.
    fn spool(&self) -> Option<(&Spool, bool)> {
        match &self.role {
            Role::Deliver(drain) => Some((drain.spool(), true)),
            Role::EnforceLimits(spool) => Some((spool, false)),
            Role::Wait(_) => None,
        }
    }

    fn housekeep(&mut self, archive: &Archive, tally: &Tally) {
        let is_steady = self.clock.is_steady(Instant::now(), Timestamp::now());
        if let Some((spool, delivering)) = self.spool() {
            housekeeping::keep(spool, delivering, archive, is_steady, tally);
        }
        housekeeping::note_losses(&self.dir, tally);
        match skipped_files(&self.dir) {
            Ok(passed) => self.log.passed_over(&passed),
            Err(error) => tracing::error!("{error}"),
        }
    }

    /// Locks the spool again if its directory was removed or replaced.
    fn relock_if_replaced(&mut self) {
        if self.spool().is_none_or(|(spool, _)| spool.is_ours()) {
            return;
        }
        tracing::error!(
            "{} was removed or replaced while bandprobe ran: undelivered results went with it, and bandprobe continues in a new directory",
            self.dir.display()
        );
        if let Err(error) = self.claim() {
            self.role = Role::Wait(error.to_string());
            self.log.refused_by_disk(&error);
        }
    }
}

/// Waits while a heavy transfer is under way, unless the oldest waiting file is old.
async fn until_no_heavy_transfer(gate: &Gate, oldest: impl Fn() -> Option<Timestamp>) {
    // Uses `abs`, because the file may have been created while the clock was ahead.
    let is_old = |oldest| Timestamp::now().duration_since(oldest).abs() >= OLD;
    while gate.has_heavy() && !oldest().is_some_and(is_old) {
        sleep(LOOK).await;
    }
}

/// The age from which files are delivered during heavy transfers too. A heavy transfer takes at most a minute.
const OLD: SignedDuration = SignedDuration::from_mins(10);
/// How often to check whether the heavy transfer has ended.
const LOOK: Duration = Duration::from_millis(100);
/// How often the config is read again: [`REREAD`] if it must be fixed, [`REREAD_SELDOM`] if it may have to be.
const REREAD: Duration = Duration::from_secs(5);
const REREAD_SELDOM: Duration = Duration::from_secs(10);
const COMPARE_CLOCKS: Duration = Duration::from_secs(600);
/// How often the spool is checked while it is empty.
const IDLE: Duration = Duration::from_secs(1);
const HOUSEKEEPING: Duration = Duration::from_secs(60);
/// How often to try to lock the spool while another process holds it.
const CLAIM_AGAIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::{
        config::Limits,
        model::{probe::Weight, units::Bytes},
    };

    #[tokio::test(start_paused = true)]
    async fn delivery_waits_for_heavy_transfers_unless_its_backlog_is_old() {
        let gate = Gate::new(&Limits {
            vantages: 1,
            bytes_per_day: Bytes(1),
            bytes_per_node_per_day: Bytes(1),
            cold_fetches_per_node_per_day: 1,
            heavy_transfers: 1,
            light_transfers: 1,
            transfers_per_node: 1,
        });
        let ago = |minutes| move || Some(Timestamp::now() - SignedDuration::from_mins(minutes));
        let waits = async |oldest: &dyn Fn() -> Option<Timestamp>| {
            timeout(Duration::from_secs(60), until_no_heavy_transfer(&gate, oldest)).await.is_err()
        };
        let light = gate.acquire(Weight::Light, &"a".into()).await;
        assert!(!waits(&ago(1)).await, "light ones are many and small");
        drop(light);
        let heavy = gate.acquire(Weight::Heavy, &"a".into()).await;
        assert!(waits(&ago(9)).await && waits(&|| None).await);
        assert!(!waits(&ago(10)).await);
        drop(heavy);
        assert!(!waits(&ago(9)).await);
    }
}
