//! Logs once a day that a budget is used up, and what to do about it.

use std::collections::HashSet;

use crate::{config::Limits, model::units::Bytes, schedule::budget::day_of};

/// Logs exhausted budgets; remembers what was logged today.
pub(super) struct ExhaustionLog {
    per_day: Bytes,
    per_node: Bytes,
    cold_fetches: u64,
    day: u64,
    /// The lines that were logged or suppressed today, as limit and node id. The id is empty for [`Limit::Worker`].
    logged: HashSet<(Limit, String)>,
}

/// The limit that a skipped run would have exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Limit {
    /// Bytes a day, for this worker.
    Worker,
    /// Bytes a day, for one node.
    Node,
    /// Cold fetches a day, for one node.
    ColdFetches,
}

impl ExhaustionLog {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            per_day: limits.bytes_per_day,
            per_node: limits.bytes_per_node_per_day,
            cold_fetches: limits.cold_fetches_per_node_per_day,
            day: 0,
            logged: HashSet::new(),
        }
    }

    /// Logs that a run against this node was skipped because of this limit. `now` is in seconds since 1970.
    pub(super) fn note(&mut self, now: i64, limit: Limit, node: &str) {
        if let Some(line) = self.line(now, limit, node) {
            tracing::warn!("{line}");
        }
    }

    fn line(&mut self, now: i64, limit: Limit, node: &str) -> Option<String> {
        if day_of(now) != self.day {
            self.day = day_of(now);
            self.logged.clear();
        }
        let node = if limit == Limit::Worker { "" } else { node };
        if self.logged.len() > MAX_LINES || self.logged.contains(&(limit, node.to_owned())) {
            return None;
        }
        self.logged.insert((limit, node.to_owned()));
        if self.logged.len() > MAX_LINES {
            return Some("the budgets of more nodes are used up; no more of them are logged today".to_owned());
        }
        let advice = "runs that do not fit are skipped until 00:00 UTC (runs_skipped_budget). Raise the limit, or probe less often: \
                      `bandprobe check` shows what the plan needs";
        Some(match limit {
            Limit::Worker => {
                format!("the download budget of the day is used up (limits.bytes-per-day = {}); {advice}", self.per_day)
            }
            Limit::Node => format!(
                "node {node}: its download budget of the day is used up (limits.bytes-per-node-per-day = {}); {advice}",
                self.per_node
            ),
            Limit::ColdFetches => format!(
                "node {node}: its cold fetches of the day are used up \
                 (limits.cold-fetches-per-node-per-day = {}); {advice}",
                self.cold_fetches
            ),
        })
    }
}

/// The most lines that are logged in a day.
const MAX_LINES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn exhaustion_log() -> ExhaustionLog {
        ExhaustionLog::new(&Limits {
            vantages: 1,
            bytes_per_day: Bytes(2_000_000_000),
            bytes_per_node_per_day: Bytes(1_000_000),
            cold_fetches_per_node_per_day: 4,
            heavy_transfers: 1,
            light_transfers: 1,
            transfers_per_node: 1,
        })
    }

    #[test]
    fn each_budget_is_logged_once_a_day_with_advice() {
        let mut exhaustion_log = exhaustion_log();
        for (now, limit, node, logged) in [
            (9_000_000, Limit::Worker, "a", Some("limits.bytes-per-day = 2.00 GB")),
            (9_000_001, Limit::Worker, "b", None),
            (9_000_002, Limit::Node, "a", Some("node a: its download budget")),
            (9_000_003, Limit::Node, "a", None),
            (9_000_004, Limit::ColdFetches, "a", Some("limits.cold-fetches-per-node-per-day = 4")),
            (9_100_000, Limit::Node, "a", Some("limits.bytes-per-node-per-day = 1.00 MB")),
        ] {
            let line = exhaustion_log.line(now, limit, node);
            assert_eq!(line.is_some(), logged.is_some(), "{now}: {line:?}");
            if let Some((line, logged)) = line.zip(logged) {
                assert!(line.contains(logged) && line.contains("`bandprobe check`"), "{now}: {line}");
            }
        }
    }

    #[test]
    fn a_large_fleet_does_not_fill_the_log() {
        let mut exhaustion_log = exhaustion_log();
        let lines: Vec<_> = (0..1_000).filter_map(|n| exhaustion_log.line(1, Limit::Node, &format!("n{n}"))).collect();
        assert_eq!(lines.len(), MAX_LINES + 1);
        assert!(lines[MAX_LINES].contains("more nodes"));
    }
}
