//! Decides which runs may start: the download budgets of the day, and the nodes that asked to be left alone.
//!
//! Each run also learns here which asset the previous run used.
//!
//! All decisions are made in memory, so nothing waits for the disk. The state survives a restart and applies to `run`
//! and `once` alike: the [keeper](super::keeper) writes it at most once a second, and reads what other processes on the
//! same archive wrote. Within a second, a process therefore knows what the others have downloaded and which nodes asked
//! to be left alone. It does not know which runs are under way elsewhere, so together the processes may exceed a budget
//! by the size of those runs. A process that is killed loses its last second.
//!
//! Objects that a node is made to fetch are few. Each one is booked on disk before its run, so that limit applies to
//! all processes on the archive together.

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
    probe::run::{Ended, Run},
    schedule::budget::{Admission, Reservation, most_bytes, most_of_any},
};

use self::{
    books::Books,
    cold::{Booking, ColdBookings},
    exhausted::{Exhausted, Limit},
};
use super::{keeper::Keeper, settled::SettledAssets};

mod books;
pub(super) mod cold;
mod exhausted;

/// The budgets, and the nodes that asked to be left alone.
pub(super) struct Allowance {
    books: Arc<Books>,
    bookings: ColdBookings,
    cold_fetches_per_node: u64,
    settled: SettledAssets,
    exhausted: Exhausted,
}

/// The right to make one run. It is settled when the run has ended.
pub(super) struct Ticket {
    node: Arc<Node>,
    probe: Arc<Probe>,
    reservation: Reservation,
    /// Body bytes that the run has downloaded so far.
    received: Arc<AtomicU64>,
}

/// The result of a run that ended by itself.
pub(super) struct Made {
    pub(super) ended: Ended,
    /// The day (since 1970-01-01) on which the run's cold fetch was booked; `None` when the run needed no booking.
    pub(super) cold: Option<u64>,
}

impl Allowance {
    /// Loads the state that the previous process left, and registers it with `keeper`.
    pub(super) fn load(config: &Config, keeper: &Keeper) -> Self {
        let dir = &config.archive.dir;
        let books = Arc::new(Books::load(dir, &config.limits));
        keeper.register(books.clone());
        Self {
            books,
            bookings: ColdBookings::new(dir, keeper),
            cold_fetches_per_node: config.limits.cold_fetches_per_node_per_day,
            settled: SettledAssets::load(dir, keeper),
            exhausted: Exhausted::new(&config.limits),
        }
    }

    /// Returns a ticket if the run may start now, or `None` if it does not fit a budget or its node asked to be left
    /// alone. The decision assumes the largest asset that the run may download.
    ///
    /// Also sets `run.remembered`: the asset that the previous run used.
    pub(super) fn admit(&mut self, run: &mut Run) -> Option<Ticket> {
        run.remembered = self.settled.get(&run.node, &run.probe);
        let node = &run.node;
        let mut books = self.books.open();
        if books.leaves_alone(&node.id) {
            return None;
        }
        let listed = most_of_any(&run.probe, node)?;
        let remembered = run.remembered.as_ref().map(|asset| most_bytes(&run.probe, asset)).unwrap_or_default();
        let now = now();
        let reservation = match books.budget.admit(now, &node.id, listed.max(remembered)) {
            Admission::Go(reservation) => reservation,
            Admission::SkipDay => {
                self.exhausted.note(now, Limit::Worker, &node.id);
                return None;
            }
            Admission::SkipNode => {
                self.exhausted.note(now, Limit::Node, &node.id);
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

    /// Returns the ticket of a run that was not made, either because its node has reached the limit of cold fetches or
    /// because the fetch could not be booked.
    pub(super) fn give_back(&mut self, ticket: Ticket, booking: Booking) {
        if booking == Booking::Exhausted && !ticket.probe.is_storage_check() {
            self.exhausted.note(now(), Limit::ColdFetches, &ticket.node.id);
        }
        self.books.open().budget.spend(now(), ticket.reservation, Bytes(0));
    }

    /// Charges the budgets with what a run downloaded. `made` is `None` if the run was cut off.
    pub(super) fn settle(&mut self, ticket: Ticket, made: Option<Made>) {
        let Ticket { node, probe, reservation, received } = ticket;
        let mut books = self.books.open();
        books.budget.spend(now(), reservation, Bytes(received.load(Relaxed)));
        let Some(Made { ended, cold }) = made else { return };
        if let Some(wait) = ended.leave_alone {
            tracing::warn!(node = %node.id, seconds = wait.as_secs(), "the node limits its requests: no downloads from it for a while");
            books.leave_alone(&node.id, wait);
        }
        drop(books);
        if let Some(day) = cold.filter(|_| !ended.made_it_fetch) {
            match probe.is_storage_check() {
                true => self.bookings.take_back_check(day, &node.id),
                false => self.bookings.take_back(day, &node.id),
            }
        }
        self.settled.note(&node, &probe, ended.settled);
    }
}

/// The wall clock, in seconds since 1970.
fn now() -> i64 {
    Timestamp::now().as_second()
}

#[cfg(test)]
mod tests;
