//! Objects that nodes are made to fetch: each download of what a node does not hold makes it fetch the whole object from
//! storage, so it has a budget of its own.
//!
//! A fetch is booked when its run is admitted and taken back when none came of it, so that whoever shares the state sees
//! runs that are still under way, and a crash costs a run rather than a node's patience.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The fetches of one UTC day: the state to keep over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColdFetches {
    /// Days since 1970-01-01.
    day: u64,
    /// By node id.
    by_node: BTreeMap<String, u64>,
    /// No more of them on this day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    closed: bool,
}

impl ColdFetches {
    /// A day without any more fetches, because nobody knows how many there were.
    #[must_use]
    pub const fn closed(day: u64) -> Self {
        Self { day, by_node: BTreeMap::new(), closed: true }
    }

    /// Books a fetch by `node` on this day (since 1970-01-01, UTC), if there are fewer than `limit`.
    #[must_use]
    pub fn admit(&mut self, day: u64, node: &str, limit: u64) -> bool {
        // A clock that steps back gives no second budget; one that was a day or more ahead takes none away.
        if day > self.day || self.day > day + 1 {
            *self = Self { day, ..Self::default() };
        }
        let booked = self.by_node.get(node).copied().unwrap_or(0);
        if self.closed || booked >= limit {
            return false;
        }
        self.by_node.insert(node.to_owned(), booked + 1);
        true
    }

    /// Takes a booking of this day back: nothing was fetched.
    pub fn take_back(&mut self, day: u64, node: &str) {
        if let Some(booked) = self.by_node.get_mut(node).filter(|_| self.day == day) {
            *booked = booked.saturating_sub(1);
        }
    }

    /// Are there no more fetches on its day, whatever was booked?
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// The day of the bookings, since 1970-01-01.
    #[must_use]
    pub const fn day(&self) -> u64 {
        self.day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_has_so_many_a_day_and_no_more_after_a_restart() {
        let mut cold = ColdFetches::default();
        let mut admitted = |day, node: &str| {
            let kept = serde_json::to_string(&cold).unwrap();
            cold = serde_json::from_str(&kept).unwrap();
            cold.admit(day, node, 2)
        };
        let asked =
            [(20_000, "a"), (20_000, "a"), (20_000, "a"), (20_000, "b"), (19_999, "a"), (20_001, "a"), (20_001, "a")];
        assert_eq!(asked.map(|(day, node)| admitted(day, node)), [true, true, false, true, false, true, true]);
        assert!(!admitted(20_001, "a"));
        cold.take_back(20_000, "a");
        assert!(!cold.admit(20_001, "a", 2), "another day's");
        cold.take_back(20_001, "a");
        cold.take_back(20_001, "never asked");
        assert!(cold.admit(20_001, "a", 2) && !cold.admit(20_001, "a", 2));
        assert!(cold.admit(20_000, "b", 2) && cold.day() == 20_001, "a clock that steps back opens no other day");
        assert!(cold.admit(100, "a", 2) && cold.day() == 100, "the clock was wrong");
        assert!(!ColdFetches::default().admit(1, "a", 0));
        let mut closed: ColdFetches =
            serde_json::from_str(&serde_json::to_string(&ColdFetches::closed(7)).unwrap()).unwrap();
        assert!(!closed.admit(7, "a", 9) && !closed.admit(6, "a", 9) && closed.admit(8, "a", 9));
    }
}
