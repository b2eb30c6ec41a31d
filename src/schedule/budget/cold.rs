//! Fetches from storage that probes cause. Each download of an asset that a node does not hold makes it fetch the whole
//! object from storage, so these downloads have a separate budget.
//!
//! A fetch is booked when its run is admitted, and the booking is cancelled when nothing was fetched. Other processes
//! that share the state therefore see runs that are still in progress, and after a crash one run too few is made, not
//! one too many.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::days::Counts;

/// The fetches of one UTC day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColdFetches {
    /// Number of booked fetches by node id.
    by_node: BTreeMap<String, u64>,
    /// Whether no more fetches are allowed on this day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    closed: bool,
}

impl ColdFetches {
    /// Allows no more fetches on this day, because it is not known how many there were.
    pub const fn close(&mut self) {
        self.closed = true;
    }

    /// Books a fetch by `node` if there are fewer than `limit`. Returns whether it did.
    #[must_use]
    pub fn admit(&mut self, node: &str, limit: u64) -> bool {
        let booked = self.by_node.get(node).copied().unwrap_or(0);
        if self.closed || booked >= limit {
            return false;
        }
        self.by_node.insert(node.to_owned(), booked + 1);
        true
    }

    /// Cancels a booking: nothing was fetched.
    pub fn take_back(&mut self, node: &str) {
        if let Some(booked) = self.by_node.get_mut(node) {
            *booked = booked.saturating_sub(1);
        }
    }
}

impl Counts for ColdFetches {
    fn add(&mut self, other: &Self) {
        for (node, booked) in &other.by_node {
            let of_node = self.by_node.entry(node.clone()).or_default();
            *of_node = of_node.saturating_add(*booked);
        }
        self.closed |= other.closed;
    }

    fn subtract(&mut self, before: &Self) {
        for (node, booked) in &before.by_node {
            if let Some(of_node) = self.by_node.get_mut(node) {
                *of_node = of_node.saturating_sub(*booked);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Days, *};

    #[test]
    fn each_node_has_its_daily_limit_after_a_restart_too() {
        let mut cold = Days::<ColdFetches>::default();
        let mut admitted = |day: i64, node: &str| {
            let kept = serde_json::to_string(&cold).unwrap();
            cold = serde_json::from_str(&kept).unwrap();
            cold.at(day * 86_400).admit(node, 2)
        };
        let asked =
            [(20_000, "a"), (20_000, "a"), (20_000, "a"), (20_000, "b"), (19_999, "a"), (20_001, "a"), (20_001, "a")];
        assert_eq!(asked.map(|(day, node)| admitted(day, node)), [true, true, false, true, false, true, true]);
        assert!(!admitted(20_001, "a"));
        cold.of(20_000).unwrap().take_back("a");
        assert!(!cold.at(20_001 * 86_400).admit("a", 2), "that was another day's");
        cold.of(20_001).unwrap().take_back("a");
        cold.of(20_001).unwrap().take_back("never asked");
        let today = cold.at(20_001 * 86_400);
        assert!(today.admit("a", 2) && !today.admit("a", 2) && !today.admit("c", 0));
    }

    #[test]
    fn a_closed_day_stays_closed_when_the_clock_is_set_back() {
        let mut cold = Days::<ColdFetches>::default();
        cold.at(7 * 86_400).close();
        let mut cold: Days<ColdFetches> = serde_json::from_str(&serde_json::to_string(&cold).unwrap()).unwrap();
        let mut admits = |day: i64| cold.at(day * 86_400).admit("a", 9);
        assert!(!admits(7) && !admits(6) && admits(8));
    }
}
