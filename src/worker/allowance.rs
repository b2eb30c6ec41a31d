//! What may be asked of the nodes: the download budgets of the day, and the nodes that want to be left alone.
//!
//! Each run also learns here which asset its node was asked for last.
//!
//! It outlives a restart, and holds for `run` and `once` alike. Processes on one archive at the same time learn within a
//! second what the others have downloaded, and which nodes want to be left alone; of runs that are under way elsewhere they
//! know nothing, and may together overrun a budget by so much. Objects that a node is made to fetch are few, and booked on
//! disk before each run, so their limit holds for all processes on the archive together.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    archive::state,
    config::Config,
    model::{
        probe::{CachePolicy, Probe},
        target::Node,
        units::Bytes,
    },
    probe::run::{Ended, Run},
    schedule::budget::{Admission, Budget, Reservation, Spent, most_bytes, most_of_any},
};

use super::settled::SettledAssets;

mod cold;

/// The budgets and the wishes of the nodes.
pub(super) struct Allowance {
    dir: PathBuf,
    budget: Budget,
    left_alone: BTreeMap<String, Timestamp>,
    /// When it was last read what others have left.
    learned: Instant,
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
        let Kept { mut spent, left_alone } = loaded.value;
        // Written while the clock was wrong: what it says would keep us from probing until then.
        if spent.day > today() + 1 {
            spent = Spent::default();
        }
        let limits = &config.limits;
        let mut allowance = Self {
            dir: config.archive.dir.clone(),
            budget: Budget::new(limits.bytes_per_day, limits.bytes_per_node_per_day, spent),
            left_alone: BTreeMap::new(),
            learned: Instant::now(),
            cold_fetches_per_node: limits.cold_fetches_per_node_per_day,
            settled: SettledAssets::load(&config.archive.dir),
        };
        allowance.learn(Kept { left_alone, ..Kept::default() });
        allowance
    }

    /// May this run be made now? Judged by the largest asset that it may take. Tells it which one to come back to.
    pub(super) fn admit(&mut self, run: &mut Run) -> Option<Ticket> {
        if self.learned.elapsed() >= LEARNED_AGAIN_AFTER {
            // That it cannot be read was told at the start.
            self.learn(state::load(&self.dir, STATE).value);
        }
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
        let is_cold = run.probe.cache == CachePolicy::Miss;
        let cold = is_cold.then(|| cold::book(&self.dir, today(), &node.id, self.cold_fetches_per_node));
        if cold == Some(None) {
            self.budget.spend(today(), reservation, Bytes(0));
            return None;
        }
        let (node, probe, received) = (node.clone(), run.probe.clone(), run.received.clone());
        Some(Ticket { node, probe, reservation, cold: cold.flatten(), received })
    }

    /// Takes over what is kept: by us, and by all others on this archive.
    fn learn(&mut self, Kept { spent, left_alone }: Kept) {
        self.learned = Instant::now();
        self.budget.learn(today(), spent);
        let now = Timestamp::now();
        let latest = now.saturating_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX);
        for (node, until) in left_alone.into_iter().filter(|(_, until)| *until <= latest) {
            let known = self.left_alone.entry(node).or_insert(until);
            *known = until.max(*known);
        }
        self.left_alone.retain(|_, until| *until > now);
    }

    /// Books a run that ended, or was cut off (`None`), with what it downloaded.
    pub(super) fn settle(&mut self, ticket: Ticket, ended: Option<Ended>) {
        let Ticket { node, probe, reservation, cold, received } = ticket;
        // Nobody writes between what is read here and what is written below.
        let held = state::hold(&self.dir, STATE);
        self.learn(state::load(&self.dir, STATE).value);
        self.budget.spend(today(), reservation, Bytes(received.load(Relaxed)));
        if let Some(wait) = ended.as_ref().and_then(|ended| ended.leave_alone) {
            tracing::warn!(node = %node.id, seconds = wait.as_secs(), "the node limits us: no downloads from it for a while");
            self.leave_alone(&node.id, wait);
        }
        let kept = Kept { spent: self.budget.spent().clone(), left_alone: self.left_alone.clone() };
        if let Err(error) = held.and_then(|_held| state::store(&self.dir, STATE, &kept)) {
            tracing::debug!("the budget's state is not kept: {error}");
        }
        if let (Some(day), Some(Ended { made_it_fetch: false, .. })) = (cold, &ended) {
            cold::take_back(&self.dir, day, &node.id);
        }
        if let Some(ended) = ended {
            self.settled.note(&node, &probe, ended.settled);
        }
    }

    fn leave_alone(&mut self, node: &str, wait: Duration) {
        let wait = SignedDuration::try_from(wait).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
        let until = Timestamp::now().saturating_add(wait).unwrap_or(Timestamp::MAX);
        let known = self.left_alone.entry(node.to_owned()).or_insert(until);
        *known = until.max(*known);
    }
}

/// Days since 1970-01-01, UTC.
fn today() -> u64 {
    u64::try_from(Timestamp::now().as_second() / 86_400).unwrap_or(0)
}

const STATE: &str = "budget";
/// What others have left on disk is read so often at the most.
const LEARNED_AGAIN_AFTER: Duration = Duration::from_secs(1);
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
        let large = Asset { size: Some(Bytes(16 << 20).into()), ..second.clone() };
        let ticket = allowance.admit(&mut image).unwrap();
        allowance.settle(ticket, Some(Ended { settled: Settled::On(large), ..Ended::default() }));
        assert!(allowance.admit(&mut image).is_none(), "the remembered one counts for the budget");
    }

    #[tokio::test(start_paused = true)]
    async fn who_shares_the_archive_learns_what_the_others_have_left() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let [mut one, mut other] = [Allowance::load(&config), Allowance::load(&config)];
        let admit = |allowance: &mut Allowance| allowance.admit(&mut run(&config, 0));
        let limited = |seconds| Some(Ended { leave_alone: Some(Duration::from_secs(seconds)), ..Ended::default() });
        let received = |ticket: &Ticket, bytes| ticket.received.store(bytes, Relaxed);
        let (ours, theirs) = (admit(&mut other).unwrap(), admit(&mut one).unwrap());
        received(&theirs, 1_000);
        one.settle(theirs, limited(600));
        assert!(admit(&mut one).is_none());
        let late = admit(&mut other).expect("it has not looked yet");
        tokio::time::advance(LEARNED_AGAIN_AFTER).await;
        assert!(admit(&mut other).is_none());

        received(&ours, 200);
        other.settle(ours, limited(60));
        received(&late, 30);
        other.settle(late, None);
        let kept: Kept = state::load(&config.archive.dir, STATE).value;
        assert_eq!(kept.spent.total, 1_230, "what both have downloaded");
        let left = kept.left_alone["n"].duration_since(Timestamp::now());
        assert!(left > SignedDuration::from_secs(300), "the later end counts: {left}");
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
