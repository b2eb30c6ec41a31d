//! When runs are made: on the schedule until told to stop, or one full round now.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use rand::RngExt;
use tokio::{
    task::{self, JoinError, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    archive::state,
    config::Config,
    model::{
        probe::Probe,
        target::Node,
        units::{Bytes, Micros},
    },
    probe::run::{Ended, Run},
    schedule::{
        budget::{Admission, Budget, Reservation, Spent, planned_bytes},
        queue::Queue,
    },
};

use super::pipeline::Pipeline;

/// One probe against one node, again and again.
struct Entry {
    node: Arc<Node>,
    probe: Arc<Probe>,
    turns: usize,
}

/// A run that has begun and not ended.
struct UnderWay {
    key: usize,
    reservation: Reservation,
    /// What it may download at the most.
    planned: Bytes,
}

/// The state of the schedule.
struct Rounds<'a> {
    pipeline: &'a Pipeline,
    config: &'a Config,
    entries: Vec<Entry>,
    queue: Queue<usize>,
    budget: Budget,
    /// Nodes that limited us, until when.
    left_alone: HashMap<Arc<str>, Instant>,
    running: JoinSet<Ended>,
    under_way: HashMap<task::Id, UnderWay>,
    start: Instant,
}

/// Makes runs on the schedule until `stop`. Runs under way then are cut off, which is no result.
pub async fn run(pipeline: &Pipeline, config: &Config, stop: impl Future<Output = ()>) {
    let start = Instant::now();
    let entries = entries(config, |_, _| true);
    let slots = entries.iter().enumerate().map(|(key, entry)| (key, entry.probe.spacing, entry.probe.every));
    let queue = Queue::new(slots, Micros::ZERO, &mut rand::rng());
    let limits = &config.limits;
    let budget = Budget::new(limits.bytes_per_day, limits.bytes_per_node_per_day, load_spent(config));
    let (left_alone, running, under_way) = (HashMap::new(), JoinSet::new(), HashMap::new());
    let mut rounds = Rounds { pipeline, config, entries, queue, budget, left_alone, running, under_way, start };
    let mut stop = std::pin::pin!(stop);
    loop {
        let due = rounds.queue.next_due().map_or(FAR, Micros::as_duration);
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(joined) = rounds.running.join_next_with_id() => rounds.settle(joined),
            () = sleep_until(start + due) => rounds.begin_due(),
        }
    }
    rounds.running.abort_all();
    while let Some(joined) = rounds.running.join_next_with_id().await {
        rounds.settle(joined);
    }
}

/// Makes every run once, each at a random time within `splay`, and tells `progress` of each that ended.
pub async fn once(
    pipeline: &Pipeline,
    config: &Config,
    splay: Duration,
    wanted: impl Fn(&Node, &Probe) -> bool,
    mut progress: impl FnMut(usize, usize),
    stop: impl Future<Output = ()>,
) {
    let mut running = JoinSet::new();
    for entry in entries(config, wanted) {
        let after = splay.mul_f64(rand::rng().random::<f64>());
        // Nobody promised a time, so nothing is late.
        let run = Run { node: entry.node, probe: entry.probe, turn: 0, due: None };
        let (prober, sink) = (pipeline.prober().clone(), pipeline.sink());
        pipeline.tally().count(|counters| counters.runs_started += 1);
        let making = async move {
            sleep(after).await;
            run.make(&prober, sink).await
        };
        running.spawn_on(making, pipeline.measuring().handle());
    }
    let all = running.len();
    let mut stop = std::pin::pin!(stop);
    progress(0, all);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            ended = running.join_next() => match ended {
                Some(Ok(_)) => progress(all - running.len(), all),
                Some(Err(error)) => tracing::error!("a run ended in a bug of ours, please report it: {error}"),
                None => break,
            },
        }
    }
    running.shutdown().await;
}

impl Rounds<'_> {
    fn begin_due(&mut self) {
        let now = Micros::from(self.start.elapsed());
        let due = self.queue.pop(now, &mut rand::rng());
        for key in due {
            self.begin(key, now);
        }
        let missed = self.queue.take_missed();
        self.pipeline.tally().count(|counters| counters.runs_missed += missed);
    }

    /// Starts a run, if the budgets and the node's own wish allow it.
    fn begin(&mut self, key: usize, now: Micros) {
        let Some(intended) = self.queue.start(key, now) else { return };
        let entry = &mut self.entries[key];
        let limited = self.left_alone.get(&entry.node.id).is_some_and(|until| *until > Instant::now());
        let admitted = match limited {
            true => None,
            false => admit(&mut self.budget, entry),
        };
        let Some((reservation, planned)) = admitted else {
            tracing::debug!(node = %entry.node.id, probe = %entry.probe.name, limited, "run skipped");
            self.pipeline.tally().count(|counters| counters.runs_skipped_budget += 1);
            self.queue.finish(key);
            return;
        };
        let due = Some(self.start + intended.as_duration());
        let run = Run { node: entry.node.clone(), probe: entry.probe.clone(), turn: entry.turns, due };
        entry.turns += 1;
        self.pipeline.tally().count(|counters| counters.runs_started += 1);
        let (prober, sink) = (self.pipeline.prober().clone(), self.pipeline.sink());
        let making = async move { run.make(&prober, sink).await };
        let task = self.running.spawn_on(making, self.pipeline.measuring().handle());
        self.under_way.insert(task.id(), UnderWay { key, reservation, planned });
    }

    /// Books a run that ended, was cut off, or ran into a bug.
    fn settle(&mut self, joined: Result<(task::Id, Ended), JoinError>) {
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(UnderWay { key, reservation, planned }) = self.under_way.remove(&id) else { return };
        self.queue.finish(key);
        // What a run has taken that did not come to its end is not known: all that it may.
        let mut downloaded = planned;
        match joined {
            Ok((_, ended)) => {
                downloaded = Bytes(ended.bytes);
                let node = &self.entries[key].node.id;
                if let Some(wait) = ended.leave_alone {
                    let seconds = wait.as_secs();
                    tracing::warn!(%node, seconds, "the node limits us: no downloads from it for a while");
                    self.left_alone.insert(node.clone(), Instant::now() + wait);
                }
            }
            Err(error) if error.is_cancelled() => {}
            Err(error) => tracing::error!("a run ended in a bug of ours, please report it: {error}"),
        }
        self.budget.spend(today(), reservation, downloaded);
        if let Err(error) = state::store(&self.config.archive.dir, BUDGET_STATE, self.budget.spent()) {
            tracing::debug!("the budget's state is not kept: {error}");
        }
    }
}

/// Room in the budgets for a run of this entry, by the asset that it would most likely take, and how much that is.
fn admit(budget: &mut Budget, entry: &Entry) -> Option<(Reservation, Bytes)> {
    let asset = entry.node.assets.iter().find(|asset| asset.kind == entry.probe.kind)?;
    let planned = planned_bytes(&entry.probe, asset);
    match budget.admit(today(), &entry.node.id, planned) {
        Admission::Go(reservation) => Some((reservation, planned)),
        Admission::SkipDay | Admission::SkipNode => None,
    }
}

/// Every probe against every node that has an asset of its kind.
fn entries(config: &Config, wanted: impl Fn(&Node, &Probe) -> bool) -> Vec<Entry> {
    let probes: Vec<Arc<Probe>> = config.probes.iter().cloned().map(Arc::new).collect();
    let mut entries = Vec::new();
    for node in config.nodes.iter().cloned().map(Arc::new) {
        for probe in &probes {
            if node.assets.iter().any(|asset| asset.kind == probe.kind) && wanted(&node, probe) {
                entries.push(Entry { node: node.clone(), probe: probe.clone(), turns: 0 });
            }
        }
    }
    entries
}

fn load_spent(config: &Config) -> Spent {
    let loaded = state::load(&config.archive.dir, BUDGET_STATE);
    if let Some(problem) = loaded.problem {
        tracing::warn!("{problem}");
    }
    loaded.value
}

/// Days since 1970-01-01, UTC.
fn today() -> u64 {
    u64::try_from(Timestamp::now().as_second() / 86_400).unwrap_or(0)
}

const BUDGET_STATE: &str = "budget";
/// Nothing is due: sleep until something ends.
const FAR: Duration = Duration::from_secs(86_400 * 365);
