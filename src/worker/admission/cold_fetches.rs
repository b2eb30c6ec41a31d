//! Cold fetches: objects that nodes are made to fetch. Each one is booked on disk before its run.
//!
//! Only the run itself waits for its booking. Bookings that arrive while the disk is busy are written together.

use std::{
    mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::oneshot;

use super::now;
use crate::{
    archive::{
        self,
        state::{self, Loaded},
    },
    schedule::budget::{ColdFetches, Days, day_of},
    worker::state_writer::{StateFile, StateWriter},
};

/// Books cold fetches. Clones share the queue.
#[derive(Clone)]
pub(in crate::worker) struct ColdFetchBookings {
    state_writer: StateWriter,
    queue: Arc<BookingQueue>,
}

/// The answer to a request for a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) enum Booking {
    /// Booked on this day (days since 1970-01-01).
    Booked(u64),
    /// The node has reached its limit of fetches for today.
    Exhausted,
    /// The booking cannot be stored. Without it, a restart could allow the same fetch again and again.
    Impossible,
}

/// The requests that wait to be written.
struct BookingQueue {
    dir: PathBuf,
    waiting: Mutex<Vec<Request>>,
}

enum Request {
    Book { node: String, limit: u64, answer: oneshot::Sender<Booking> },
    Cancel { day: u64, node: String },
}

impl ColdFetchBookings {
    pub(super) fn new(dir: &Path, state_writer: &StateWriter) -> Self {
        let queue = Arc::new(BookingQueue { dir: dir.to_owned(), waiting: Mutex::default() });
        state_writer.register(queue.clone());
        Self { state_writer: state_writer.clone(), queue }
    }

    /// Books one fetch for a node that may fetch `limit` objects a day.
    pub(super) async fn book(&self, node: &str, limit: u64) -> Booking {
        let (answer, booked) = oneshot::channel();
        self.queue.put(Request::Book { node: node.to_owned(), limit, answer });
        let queue = self.queue.clone();
        self.state_writer.run(move || queue.process());
        booked.await.unwrap_or(Booking::Impossible)
    }

    /// Books a storage check. It counts as one of the node's fetches, and a node has at most one check a day.
    pub(super) async fn book_check(&self, node: &str, limit: u64) -> Booking {
        let checked = self.book(&check_of(node), limit.min(1)).await;
        let Booking::Booked(day) = checked else { return checked };
        let booked = self.book(node, limit).await;
        if !matches!(booked, Booking::Booked(_)) {
            self.cancel(day, &check_of(node));
        }
        booked
    }

    /// Cancels the booking of a check that made its node fetch nothing.
    pub(super) fn cancel_check(&self, day: u64, node: &str) {
        self.cancel(day, &check_of(node));
        self.cancel(day, node);
    }

    /// Cancels the booking of a run that made its node fetch nothing. Written within a second.
    pub(super) fn cancel(&self, day: u64, node: &str) {
        self.queue.put(Request::Cancel { day, node: node.to_owned() });
    }
}

impl BookingQueue {
    fn put(&self, request: Request) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    /// Handles all waiting requests in one write.
    fn process(&self) {
        let mut requests = mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        // A run that was cancelled needs no booking.
        requests.retain(|request| !matches!(request, Request::Book { answer, .. } if answer.is_closed()));
        if requests.is_empty() {
            return;
        }
        let made = make(&self.dir, &requests);
        if let Err(error) = &made {
            tracing::warn!("no cold-cache run, because it cannot be recorded: {error}");
        }
        let made = made.unwrap_or_else(|_| vec![Booking::Impossible; requests.len()]);
        for (request, booking) in requests.into_iter().zip(made) {
            let Request::Book { node, answer, .. } = request else { continue };
            if let Err(Booking::Booked(day)) = answer.send(booking) {
                self.put(Request::Cancel { day, node });
            }
        }
    }
}

impl StateFile for BookingQueue {
    fn save(&self, _: bool) {
        self.process();
    }
}

/// Handles all requests and stores the result. Returns one booking for each request; that of a `Cancel` has no
/// meaning.
fn make(dir: &Path, requests: &[Request]) -> Result<Vec<Booking>, archive::Error> {
    let _held = state::lock(dir, STATE)?;
    let Loaded { value: mut days, problem } = state::load::<Days<ColdFetches>>(dir, STATE);
    let now = now();
    if let Some(problem) = &problem {
        tracing::warn!("{problem}: no cold-cache run before tomorrow, because the number of today's runs is unknown");
        days.at(now).close();
    }
    let made = requests.iter().map(|request| match request {
        Request::Book { node, limit, .. } if days.at(now).admit(node, *limit) => Booking::Booked(day_of(now)),
        Request::Book { .. } => Booking::Exhausted,
        Request::Cancel { day, node } => {
            if let Some(fetches) = days.of(*day) {
                fetches.take_back(node);
            }
            Booking::Exhausted
        }
    });
    let made: Vec<_> = made.collect();
    let is_refused = |(request, booking): (&Request, &Booking)| {
        matches!((request, booking), (Request::Book { .. }, Booking::Exhausted))
    };
    if problem.is_some() || !requests.iter().zip(&made).all(is_refused) {
        state::store(dir, STATE, &days)?;
    }
    Ok(made)
}

/// The key under which the checks of a node are counted. It cannot be the id of another node, because ids contain no
/// spaces.
fn check_of(node: &str) -> String {
    format!("storage check of {node}")
}

const STATE: &str = "cold-fetches";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn book(dir: &Path, node: &str, limit: u64) -> Booking {
        let (answer, _waits) = oneshot::channel();
        make(dir, &[Request::Book { node: node.to_owned(), limit, answer }]).unwrap()[0]
    }

    #[test]
    fn unreadable_bookings_stop_cold_fetches_for_the_day() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(book(dir.path(), "a", 2), Booking::Booked(_)));
        let file = dir.path().join("state/cold-fetches.json");
        fs::write(&file, &fs::read(&file).unwrap()[..9]).unwrap();
        for node in ["a", "b", "a"] {
            assert_eq!(book(dir.path(), node, 2), Booking::Exhausted, "{node}");
        }
    }

    #[tokio::test]
    async fn a_node_has_one_storage_check_a_day_within_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let state_writer = StateWriter::start().unwrap();
        let [ours, theirs] = [(); 2].map(|()| ColdFetchBookings::new(dir.path(), &state_writer));
        let is_made = |booking| matches!(booking, Booking::Booked(_));
        assert_eq!(ours.book_check("off", 0).await, Booking::Exhausted, "a limit of 0 allows none");
        assert!(is_made(ours.book_check("a", 2).await));
        assert_eq!(theirs.book_check("a", 2).await, Booking::Exhausted, "all processes on the archive share it");
        assert!(is_made(ours.book("a", 2).await));
        assert_eq!(ours.book("a", 2).await, Booking::Exhausted, "the check counts as a fetch");

        let Booking::Booked(day) = ours.book("b", 1).await else { panic!("not booked") };
        assert_eq!(ours.book_check("b", 1).await, Booking::Exhausted);
        ours.cancel(day, "b");
        assert!(is_made(ours.book_check("b", 1).await), "a refused check does not count as the check of the day");
        ours.cancel_check(day, "b");
        assert!(is_made(ours.book_check("b", 1).await), "a check that fetched nothing does not count");
    }

    #[test]
    fn simultaneous_bookings_stay_within_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let booked: usize = std::thread::scope(|scope| {
            let book = || (0..20).filter(|_| book(dir.path(), "a", 30) != Booking::Exhausted).count();
            let all: Vec<_> = (0..4).map(|_| scope.spawn(book)).collect();
            all.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(booked, 30);
    }

    #[tokio::test]
    async fn a_run_cut_off_while_it_waits_books_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let state_writer = StateWriter::start().unwrap();
        let bookings = ColdFetchBookings::new(dir.path(), &state_writer);
        let (hold, held) = std::sync::mpsc::channel::<()>();
        state_writer.run(move || _ = held.recv());
        let cut = tokio::time::timeout(std::time::Duration::from_millis(20), bookings.book("a", 1)).await;
        assert!(cut.is_err(), "the disk is busy");
        drop(hold);
        let Booking::Booked(day) = bookings.book("a", 1).await else { panic!("the disk is free again") };
        assert_eq!(bookings.book("a", 1).await, Booking::Exhausted);
        bookings.cancel(day, "a");
        assert!(matches!(bookings.book("a", 1).await, Booking::Booked(_)), "a cancelled booking is free at once");
    }
}
