//! What may be asked of the nodes: the download budgets of the day, and the nodes that want to be left alone.
//!
//! Each run also learns here which asset its node was asked for last.
//!
//! It outlives a restart, and holds for `run` and `once` alike. Two processes on one archive at the same time each count
//! their own downloads on top of what they found: the one that writes last is remembered. Objects that a node is made to
//! fetch are few, and booked on disk before each run, so these hold for all processes on the archive.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    archive::state,
    config::Config,
    model::{
        probe::{CachePolicy, Probe},
        target::Node,
        units::Bytes,
    },
    probe::run::{Ended, Run},
    schedule::budget::{Admission, Budget, ColdFetches, Reservation, Spent, most_bytes, most_of_any},
};

use super::settled::SettledAssets;

/// The budgets and the wishes of the nodes.
pub(super) struct Allowance {
    dir: PathBuf,
    budget: Budget,
    left_alone: BTreeMap<String, Timestamp>,
    cold_fetches_per_node: u64,
    settled: SettledAssets,
}

/// The right to make one run, to be settled when it has ended.
pub(super) struct Ticket {
    node: Arc<Node>,
    probe: Arc<Probe>,
    reservation: Reservation,
    /// On which day it was booked that the run makes its node fetch an object.
    cold: Option<u64>,
    /// What the run has downloaded so far.
    received: Arc<AtomicU64>,
}

/// What is kept.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    spent: Spent,
    /// By node id, until when.
    left_alone: BTreeMap<String, Timestamp>,
}

impl Allowance {
    /// As the last process left it.
    pub(super) fn load(config: &Config) -> Self {
        let loaded: state::Loaded<Kept> = state::load(&config.archive.dir, STATE);
        if let Some(problem) = loaded.problem {
            tracing::warn!("{problem}");
        }
        let Kept { mut spent, mut left_alone } = loaded.value;
        // Written while the clock was wrong: what it says would keep us from probing until then.
        if spent.day > today() + 1 {
            spent = Spent::default();
        }
        let latest = Timestamp::now().saturating_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX);
        left_alone.retain(|_, until| *until <= latest);
        let limits = &config.limits;
        let budget = Budget::new(limits.bytes_per_day, limits.bytes_per_node_per_day, spent);
        let settled = SettledAssets::load(&config.archive.dir);
        let cold_fetches_per_node = limits.cold_fetches_per_node_per_day;
        Self { dir: config.archive.dir.clone(), budget, left_alone, cold_fetches_per_node, settled }
    }

    /// May this run be made now? Judged by the largest asset that it may take. Tells it which one to come back to.
    pub(super) fn admit(&mut self, run: &mut Run) -> Option<Ticket> {
        run.remembered = self.settled.get(&run.node, &run.probe);
        let node = &run.node;
        if self.left_alone.get(&*node.id).is_some_and(|until| *until > Timestamp::now()) {
            return None;
        }
        let listed = most_of_any(&run.probe, node)?;
        let remembered = run.remembered.as_ref().map(|asset| most_bytes(&run.probe, asset)).unwrap_or_default();
        let Admission::Go(reservation) = self.budget.admit(today(), &node.id, listed.max(remembered)) else {
            return None;
        };
        let cold = (run.probe.cache == CachePolicy::Miss).then(|| self.book_cold_fetch(&node.id));
        if cold == Some(None) {
            self.budget.spend(today(), reservation, Bytes(0));
            return None;
        }
        let (node, probe, received) = (node.clone(), run.probe.clone(), run.received.clone());
        Some(Ticket { node, probe, reservation, cold: cold.flatten(), received })
    }

    /// Books that a node is made to fetch an object, and says on which day; `None` when it was as often as it may be, or
    /// when the booking cannot be kept: it might be booked again and again.
    fn book_cold_fetch(&self, node: &str) -> Option<u64> {
        let state::Loaded { value: mut cold, problem } = state::load::<ColdFetches>(&self.dir, COLD_STATE);
        if let Some(problem) = problem {
            tracing::warn!("{problem}");
        }
        if !cold.admit(today(), node, self.cold_fetches_per_node) {
            return None;
        }
        match state::store(&self.dir, COLD_STATE, &cold) {
            Ok(()) => Some(cold.day()),
            Err(error) => {
                tracing::warn!("no cold-cache run, because it cannot be booked: {error}");
                None
            }
        }
    }

    /// The run that was booked made its node fetch nothing.
    fn take_back_cold_fetch(&self, day: u64, node: &str) {
        let mut cold: ColdFetches = state::load(&self.dir, COLD_STATE).value;
        cold.take_back(day, node);
        if let Err(error) = state::store(&self.dir, COLD_STATE, &cold) {
            tracing::debug!("a cold fetch that was not made stays booked: {error}");
        }
    }

    /// Books a run that ended, or was cut off (`None`), with what it downloaded.
    pub(super) fn settle(&mut self, ticket: Ticket, ended: Option<Ended>) {
        let Ticket { node, probe, reservation, cold, received } = ticket;
        self.budget.spend(today(), reservation, Bytes(received.load(Relaxed)));
        let now = Timestamp::now();
        self.left_alone.retain(|_, until| *until > now);
        if let Some(wait) = ended.as_ref().and_then(|ended| ended.leave_alone) {
            tracing::warn!(node = %node.id, seconds = wait.as_secs(), "the node limits us: no downloads from it for a while");
            let until = SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok());
            self.left_alone.insert(node.id.to_string(), until.unwrap_or(Timestamp::MAX));
        }
        if let (Some(day), Some(Ended { made_it_fetch: false, .. })) = (cold, &ended) {
            self.take_back_cold_fetch(day, &node.id);
        }
        if let Some(ended) = ended {
            self.settled.note(&node, &probe, ended.settled);
        }
        let kept = Kept { spent: self.budget.spent().clone(), left_alone: self.left_alone.clone() };
        if let Err(error) = state::store(&self.dir, STATE, &kept) {
            tracing::debug!("the budget's state is not kept: {error}");
        }
    }
}

/// Days since 1970-01-01, UTC.
fn today() -> u64 {
    u64::try_from(Timestamp::now().as_second() / 86_400).unwrap_or(0)
}

const STATE: &str = "budget";
const COLD_STATE: &str = "cold-fetches";
/// No node is left alone for longer.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(24);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        config::check::{Input, load},
        model::target::Asset,
        probe::run::Settled,
    };

    fn config(dir: &Path) -> Config {
        let text = r#"
vantage.id = "here"
schedule.probes = ["image", "cold-cache"]
limits = { cold-fetches-per-node-per-day = 2, bytes-per-node-per-day = "33 MB" }
source = [{ kind = "static", nodes = [{ id = "n", endpoint = "http://n.example/", profile = "argus", assets = [
    { kind = "image", id = "1", size = "20 kB" }, { kind = "image", id = "2", size = "20 kB" } ] }] }]
"#;
        let read = |_: &Path| Ok(text.as_bytes().to_vec());
        load(&Input { path: &dir.join("b.toml"), environment: &BTreeMap::new(), read: &read }).unwrap()
    }

    fn run(config: &Config, probe: usize) -> Run {
        let (node, probe) = (Arc::new(config.nodes[0].clone()), Arc::new(config.probes[probe].clone()));
        Run { node, probe, turn: 0, remembered: None, due: None, received: Arc::default() }
    }

    #[test]
    fn a_run_comes_back_to_the_asset_of_the_run_before_after_a_restart_too() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let second = &config.nodes[0].assets[1];
        let mut allowance = Allowance::load(&config);
        let ticket = allowance.admit(&mut run(&config, 0)).unwrap();
        allowance.settle(ticket, Some(Ended { settled: Settled::On(second.clone()), ..Ended::default() }));
        drop(allowance);
        let mut allowance = Allowance::load(&config);
        let mut image = run(&config, 0);
        let ticket = allowance.admit(&mut image).unwrap();
        assert_eq!(image.remembered.as_ref(), Some(second));
        allowance.settle(ticket, None);
        assert!(
            allowance.admit(&mut image).is_some() && image.remembered.is_some(),
            "a run that was cut off tells nothing"
        );
        let large = Asset { size: Some(Bytes(16 << 20)), ..second.clone() };
        let ticket = allowance.admit(&mut image).unwrap();
        allowance.settle(ticket, Some(Ended { settled: Settled::On(large), ..Ended::default() }));
        assert!(allowance.admit(&mut image).is_none(), "the remembered one counts for the budget");
    }

    #[test]
    fn a_node_is_made_to_fetch_no_more_than_its_limit_by_all_who_share_the_archive() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let [mut one, mut other] = [Allowance::load(&config), Allowance::load(&config)];
        let mut cold = run(&config, 1);
        let first = one.admit(&mut cold).unwrap();
        let second = other.admit(&mut cold).unwrap();
        assert!(one.admit(&mut cold).is_none() && other.admit(&mut cold).is_none(), "both are under way");
        assert!(one.admit(&mut run(&config, 0)).is_some(), "other probes have nothing to do with it");
        one.settle(first, Some(Ended::default()));
        let first = one.admit(&mut cold).expect("it made nobody fetch anything");
        one.settle(first, Some(Ended { made_it_fetch: true, ..Ended::default() }));
        other.settle(second, None);
        drop((one, other));
        assert!(
            Allowance::load(&config).admit(&mut cold).is_none(),
            "who was cut off may have, and a restart changes nothing"
        );
    }
}
