//! When nodes started, to detect restarts.
//!
//! A node reports its uptime. If it is asked at `at`, it started at `at` − uptime. The answer is late by its latency,
//! so the computed start is up to a round's deadlines too early, and never more than a second too late.
//!
//! Our own clock may step, which moves all computed starts. A later start alone is therefore not a restart: the uptime
//! must also fit into the time since the node was last seen. A node whose uptime is less than before has restarted,
//! whatever the clock says. One error remains: a step forward by more than a node's whole uptime looks like a restart.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// When each node started, as far as known: the state that is kept over restarts of bandprobe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeStarts(BTreeMap<String, NodeStart>);

/// Times in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NodeStart {
    /// When the node started.
    started: i64,
    /// When the node was last seen.
    seen: i64,
}

impl NodeStarts {
    /// Adds that a node asked at `at` has been up for `uptime_s` seconds. Returns whether it restarted since it was
    /// last seen; `None` when it was not seen before or when the uptime is impossible.
    pub fn note(&mut self, node: &str, at: Timestamp, uptime_s: u64) -> Option<bool> {
        let seen = at.as_second();
        let started = i64::try_from(uptime_s).ok().and_then(|uptime| seen.checked_sub(uptime))?;
        let before = self.0.get(node).copied();
        let restarted = before.and_then(|before| before.is_followed_by(started, seen));
        // For the same start, the latest of the computed times is the most accurate. When two processes share one name,
        // the younger one is kept. When the clock has stepped back, all earlier times are wrong.
        let started = before.filter(|before| before.seen <= seen).map_or(started, |before| before.started.max(started));
        self.0.insert(node.to_owned(), NodeStart { started, seen });
        restarted
    }

    /// Adds nodes that only other processes have asked.
    pub fn learn(&mut self, others: Self) {
        for (node, start) in others.0 {
            self.0.entry(node).or_insert(start);
        }
    }

    /// Removes nodes that were not seen for 30 days. If there are still too many, it removes those that were not seen
    /// for longest.
    pub fn forget(&mut self, now: Timestamp) {
        let now = now.as_second();
        self.0.retain(|_, start| now.saturating_sub(start.seen) <= KEEP_S);
        if self.0.len() > MAX_NODES {
            let mut seen: Vec<i64> = self.0.values().map(|start| start.seen).collect();
            seen.sort_unstable_by_key(|seen| std::cmp::Reverse(*seen));
            let oldest = seen[MAX_NODES - 1];
            let mut room = MAX_NODES;
            self.0.retain(|_, start| {
                let stays = start.seen >= oldest && room > 0;
                room -= usize::from(stays);
                stays
            });
        }
    }
}

impl NodeStart {
    /// Whether a start that was computed at `seen` is a later start than this one. `None` when the clock has stepped
    /// back in the meantime and the uptime does not decide.
    const fn is_followed_by(self, started: i64, seen: i64) -> Option<bool> {
        let (uptime, uptime_before) = (seen - started, self.seen.saturating_sub(self.started));
        let since = seen.saturating_sub(self.seen);
        if uptime.saturating_add(SLACK_S) < uptime_before {
            return Some(true);
        }
        if since < 0 {
            return None;
        }
        Some(started > self.started.saturating_add(SLACK_S) && uptime <= since.saturating_add(SLACK_S))
    }
}

/// By how much two computed times of one start may differ: more than an answer may take.
const SLACK_S: i64 = 30;
const KEEP_S: i64 = 30 * 86_400;
/// As many nodes as a configuration may list.
const MAX_NODES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_start_later_than_the_known_one_is_a_restart() {
        let mut starts = NodeStarts::default();
        for (second, uptime, restarted, case) in [
            (100_000, 50_000, None, "never seen"),
            (100_300, 50_300, Some(false), "five minutes on"),
            (100_600, 50_610, Some(false), "a slow answer"),
            (100_900, 50_870, Some(false), "30 s later, which is slack"),
            (101_200, 51_139, Some(false), "31 s later, yet it was up when it was seen"),
            (101_500, 20, Some(true), "20 s ago"),
            (101_800, 320, Some(false), "the same start"),
            (102_100, 60_000, Some(false), "an older process behind the same name"),
            (102_400, 920, Some(false), "the younger one again"),
            (102_700, u64::MAX, None, "nonsense"),
            (103_000, 1_520, Some(false), "which changes nothing"),
        ] {
            assert_eq!(starts.note("n", at(second), uptime), restarted, "{case}");
        }
        assert_eq!(starts.note("other", at(103_000), 1), None);
    }

    #[test]
    fn a_restart_is_noticed_across_our_own_restart() {
        let mut starts = NodeStarts::default();
        assert_eq!(starts.note("n", at(100_000), 50_000), None);
        let text = serde_json::to_string(&starts).unwrap();
        assert_eq!(text, r#"{"n":{"started":50000,"seen":100000}}"#);
        let mut starts: NodeStarts = serde_json::from_str(&text).unwrap();
        assert_eq!(starts.note("n", at(100_300), 10), Some(true));
    }

    #[test]
    fn a_step_of_our_clock_neither_fakes_nor_hides_a_restart() {
        let check = |case: &str, answers: &[(i64, u64, Option<bool>)]| {
            let mut starts = NodeStarts::default();
            for (second, uptime, restarted) in answers {
                assert_eq!(starts.note("n", at(*second), *uptime), *restarted, "{case}: {second}");
            }
        };
        let seen = (100_000, 50_000, None);
        check("an hour forward", &[seen, (103_900, 50_300, Some(false)), (104_200, 50_600, Some(false))]);
        check("forward, and a restart", &[seen, (103_900, 20, Some(true)), (104_200, 320, Some(false))]);
        check("an hour back", &[seen, (96_700, 50_300, None), (97_000, 50_600, Some(false)), (97_300, 20, Some(true))]);
        check("back, and a restart at once", &[seen, (96_700, 20, Some(true)), (97_000, 320, Some(false))]);
        check("a little back", &[seen, (100_100, 50_300, Some(false)), (100_400, 20, Some(true))]);
        check("down for a week", &[seen, (704_800, 600_000, Some(true))]);
        check("back, and nothing tells", &[(900_000, 10, None), (100_000, 10, None), (100_300, 10, Some(true))]);
    }

    #[test]
    fn starts_known_to_another_process_fill_gaps() {
        let (mut ours, mut others) = (NodeStarts::default(), NodeStarts::default());
        ours.note("both", at(100_000), 50_000);
        others.note("both", at(900_000), 10);
        others.note("theirs", at(100_000), 50_000);
        ours.learn(others);
        assert_eq!(ours.note("both", at(100_300), 50_300), Some(false));
        assert_eq!(ours.note("theirs", at(100_300), 10), Some(true));
    }

    #[test]
    fn memory_is_bounded() {
        let mut starts = NodeStarts::default();
        for n in 0..12_000 {
            assert_eq!(starts.note(&format!("n{n}"), at(1_000_000 + i64::from(n / 2)), 1), None);
        }
        starts.forget(at(1_006_000));
        assert_eq!(starts.0.len(), 10_000);
        assert!(starts.0.contains_key("n11999") && !starts.0.contains_key("n1999"));
        starts.forget(at(1_006_000 + 31 * 86_400));
        assert_eq!(starts, NodeStarts::default());
    }
}
