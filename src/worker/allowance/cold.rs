//! The objects that nodes are made to fetch, booked on disk before each run.

use std::path::Path;

use crate::{
    archive::state::{self, Loaded},
    schedule::budget::ColdFetches,
};

/// Books that a node is made to fetch an object, and says on which day; `None` when it was as often as it may be, or when
/// the booking cannot be kept: it might be booked again and again.
pub(super) fn book(dir: &Path, today: u64, node: &str, limit: u64) -> Option<u64> {
    let booked = state::hold(dir, STATE).and_then(|_held| {
        let Loaded { value: mut cold, problem } = state::load::<ColdFetches>(dir, STATE);
        if let Some(problem) = problem {
            tracing::warn!(
                "{problem}: no cold-cache run before tomorrow, because nobody knows how many there were today"
            );
            cold = ColdFetches::closed(today);
        } else if !cold.admit(today, node, limit) {
            return Ok(None);
        }
        let day = (!cold.is_closed()).then_some(cold.day());
        state::store(dir, STATE, &cold).map(|()| day)
    });
    booked.unwrap_or_else(|error| {
        tracing::warn!("no cold-cache run, because it cannot be booked: {error}");
        None
    })
}

/// The run that was booked made its node fetch nothing.
pub(super) fn take_back(dir: &Path, day: u64, node: &str) {
    let taken = state::hold(dir, STATE).and_then(|_held| {
        let Loaded { value: mut cold, problem } = state::load::<ColdFetches>(dir, STATE);
        if problem.is_some() {
            // Whoever books next says so.
            return Ok(());
        }
        cold.take_back(day, node);
        state::store(dir, STATE, &cold)
    });
    if let Err(error) = taken {
        tracing::debug!("a cold fetch that was not made stays booked: {error}");
    }
}

const STATE: &str = "cold-fetches";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn bookings_that_cannot_be_read_close_the_day() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(book(dir.path(), 20_000, "a", 2), Some(20_000));
        let file = dir.path().join("state/cold-fetches.json");
        fs::write(&file, &fs::read(&file).unwrap()[..9]).unwrap();
        take_back(dir.path(), 20_000, "a");
        for node in ["a", "b", "a"] {
            assert_eq!(book(dir.path(), 20_000, node, 2), None, "{node}");
        }
        assert_eq!(book(dir.path(), 20_001, "a", 2), Some(20_001), "the next day begins anew");
    }

    #[test]
    fn those_who_book_at_the_same_time_get_no_more_than_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let booked: usize = std::thread::scope(|scope| {
            let book = || (0..20).filter_map(|_| book(dir.path(), 1, "a", 30)).count();
            let all: Vec<_> = (0..4).map(|_| scope.spawn(book)).collect();
            all.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(booked, 30);
    }
}
