//! Admission control: decides which runs may start, by the download budgets of the day and the cool-downs of nodes that
//! limit our requests.
//!
//! Each run also learns here which asset the previous run used.
//!
//! All decisions are made in memory, so nothing waits for the disk. The state survives a restart and applies to `run`
//! and `once` alike: the [state writer](super::state_writer) stores it at most once a second, and reads what other
//! processes on the same archive stored. Within a second, a process therefore knows what the others have downloaded and
//! which nodes limit them. It does not know which runs are under way elsewhere, so together the processes may exceed a
//! budget by the size of those runs. A process that is killed loses its last second.
//!
//! Downloads that make a node fetch an object from storage are rare. Each is booked on disk before its run, so their
//! limit applies to all processes on the archive together.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use jiff::Timestamp;

use crate::{
    config::Config,
    model::{
        probe::{CachePolicy, Probe},
        target::Node,
        units::Bytes,
    },
    probe::{
        cool_down::CoolDowns,
        run::{Run, RunResult},
    },
    schedule::budget::{Admission, Reservation, max_bytes, max_bytes_of_any},
};

use self::{
    cold_fetches::{Booking, ColdFetchBookings},
    exhaustion_log::{ExhaustionLog, Limit},
    ledger::Ledger,
    sticky_assets::StickyAssets,
};
use super::state_writer::StateWriter;

pub(super) mod cold_fetches;
mod exhaustion_log;
mod ledger;
mod sticky_assets;

/// The budgets, the cool-downs of nodes, and the assets to which runs return.
pub(super) struct AdmissionControl {
    ledger: Arc<Ledger>,
    bookings: ColdFetchBookings,
    cold_fetches_per_node: u64,
    sticky_assets: StickyAssets,
    exhaustion_log: ExhaustionLog,
}

/// The right to make one run. It is handed back when the run has ended.
pub(super) struct Ticket {
    node: Arc<Node>,
    probe: Arc<Probe>,
    reservation: Reservation,
    /// Body bytes that the run has downloaded so far.
    received: Arc<AtomicU64>,
}

/// A run that ended by itself.
pub(super) struct CompletedRun {
    pub(super) result: RunResult,
    /// The day (since 1970-01-01) on which the run's cold fetch was booked; `None` when the run needed no booking.
    pub(super) booked_on: Option<u64>,
}

impl AdmissionControl {
    /// Loads the state that the previous process left, and registers it with `state_writer`. The cool-downs of other
    /// processes extend `cool_downs`.
    pub(super) fn load(config: &Config, cool_downs: &CoolDowns, state_writer: &StateWriter) -> Self {
        let dir = &config.archive.dir;
        let ledger = Arc::new(Ledger::load(dir, &config.limits, cool_downs.clone()));
        state_writer.register(ledger.clone());
        Self {
            ledger,
            bookings: ColdFetchBookings::new(dir, state_writer),
            cold_fetches_per_node: config.limits.cold_fetches_per_node_per_day,
            sticky_assets: StickyAssets::load(dir, state_writer),
            exhaustion_log: ExhaustionLog::new(&config.limits),
        }
    }

    /// Returns a ticket if the run may start now, or `None` if it does not fit a budget or its node is cooling down.
    /// The decision assumes the largest asset that the run may download.
    ///
    /// Also sets `run.remembered`: the asset that the previous run used.
    pub(super) fn admit(&mut self, run: &mut Run) -> Option<Ticket> {
        run.remembered = self.sticky_assets.get(&run.node, &run.probe);
        let node = &run.node;
        let mut ledger = self.ledger.memory();
        if ledger.is_cooling_down(&node.id) {
            return None;
        }
        let listed = max_bytes_of_any(&run.probe, node)?;
        let remembered = run.remembered.as_ref().map(|asset| max_bytes(&run.probe, asset)).unwrap_or_default();
        let now = now();
        let reservation = match ledger.budget.admit(now, &node.id, listed.max(remembered)) {
            Admission::Go(reservation) => reservation,
            Admission::SkipDay => {
                self.exhaustion_log.note(now, Limit::Worker, &node.id);
                return None;
            }
            Admission::SkipNode => {
                self.exhaustion_log.note(now, Limit::Node, &node.id);
                return None;
            }
        };
        let (node, probe, received) = (node.clone(), run.probe.clone(), run.received.clone());
        Some(Ticket { node, probe, reservation, received })
    }

    /// Returns a future that books the cold fetch of this run; `None` if its probe does not measure misses. The run
    /// awaits it before it begins.
    pub(super) fn booking(&self, run: &Run) -> Option<impl Future<Output = Booking> + Send + use<>> {
        let (bookings, node, limit) = (self.bookings.clone(), run.node.id.clone(), self.cold_fetches_per_node);
        let is_check = run.probe.is_storage_check();
        (run.probe.cache == CachePolicy::Miss).then_some(async move {
            match is_check {
                true => bookings.book_check(&node, limit).await,
                false => bookings.book(&node, limit).await,
            }
        })
    }

    /// Takes back the ticket of a run that was not made, either because its node has reached the limit of cold fetches
    /// or because the fetch could not be booked.
    pub(super) fn give_back(&mut self, ticket: Ticket, booking: Booking) {
        if booking == Booking::Exhausted && !ticket.probe.is_storage_check() {
            self.exhaustion_log.note(now(), Limit::ColdFetches, &ticket.node.id);
        }
        self.ledger.memory().budget.spend(now(), ticket.reservation, Bytes(0));
    }

    /// Charges the budgets with what a run downloaded, and learns from its result. `completed` is `None` if the run was
    /// cut off.
    pub(super) fn charge(&mut self, ticket: Ticket, completed: Option<CompletedRun>) {
        let Ticket { node, probe, reservation, received } = ticket;
        let mut ledger = self.ledger.memory();
        ledger.budget.spend(now(), reservation, Bytes(received.load(Relaxed)));
        let Some(CompletedRun { result, booked_on }) = completed else { return };
        if let Some(wait) = result.cool_down {
            tracing::warn!(node = %node.id, seconds = wait.as_secs(), "the node limits its requests: no downloads from it for a while");
            ledger.cool_down(&node.id, wait);
        }
        drop(ledger);
        if let Some(day) = booked_on.filter(|_| !result.made_it_fetch) {
            match probe.is_storage_check() {
                true => self.bookings.cancel_check(day, &node.id),
                false => self.bookings.cancel(day, &node.id),
            }
        }
        self.sticky_assets.note(&node, &probe, result.sticky);
    }
}

/// The wall clock, in seconds since 1970.
fn now() -> i64 {
    Timestamp::now().as_second()
}

#[cfg(test)]
mod tests;
