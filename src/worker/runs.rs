//! Makes runs: on the schedule until stopped, or one full round now ([`once()`]).
//!
//! Nodes may appear and disappear while the schedule runs. The entries of a node are added when it appears and removed
//! when it disappears. A run that is under way when its entry is removed is still finished.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::{
    config::Config,
    model::{
        probe::Probe,
        target::{Node, Targets},
        units::Micros,
    },
    probe::run::Run,
    schedule::queue::Queue,
};

use self::active::ActiveRuns;
use super::{overload_log, pipeline::Pipeline, status_rounds};

mod active;
mod once;

pub use self::once::{RoundCounts, once};

/// The schedule entry of one probe against one node.
struct ScheduleEntry {
    node: Arc<Node>,
    probe: Arc<Probe>,
    turns: usize,
}

/// The state of the schedule.
struct Schedule<'a> {
    probes: Vec<Arc<Probe>>,
    /// By key. A key is never reused, because a run of a removed entry may still be under way.
    entries: BTreeMap<u64, ScheduleEntry>,
    next_key: u64,
    queue: Queue<u64>,
    runs: ActiveRuns<'a>,
    start: Instant,
}

/// Makes runs and status rounds on the schedule until `stop` completes. Transfers under way are then cut off, which is
/// not recorded as a result.
pub async fn run(pipeline: &Pipeline, config: &Config, stop: impl Future<Output = ()>) {
    let status_rounds = async {
        match &config.status {
            Some(probe) => status_rounds::run(pipeline, probe, pipeline.targets()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = runs(pipeline, config, stop) => {}
        () = status_rounds => {}
        () = overload_log::watch(pipeline.tally()) => {}
    }
}

async fn runs(pipeline: &Pipeline, config: &Config, stop: impl Future<Output = ()>) {
    let mut targets = pipeline.targets();
    let mut schedule = Schedule::new(pipeline, config);
    schedule.follow(&targets.borrow_and_update().clone());
    let mut stop = std::pin::pin!(stop);
    loop {
        let due = schedule.queue.next_due().map_or(FOREVER, Micros::as_duration);
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(finished) = schedule.runs.next_ended() => schedule.queue.finish(finished.key),
            Ok(()) = targets.changed() => schedule.follow(&targets.borrow_and_update().clone()),
            () = sleep_until(schedule.start + due) => schedule.begin_due(),
        }
    }
    schedule.runs.cut_off().await;
}

impl<'a> Schedule<'a> {
    fn new(pipeline: &'a Pipeline, config: &Config) -> Self {
        Self {
            probes: config.probes.iter().cloned().map(Arc::new).collect(),
            entries: BTreeMap::new(),
            next_key: 0,
            queue: Queue::new([], Micros::ZERO, &mut rand::rng()),
            runs: ActiveRuns::new(pipeline, config),
            start: Instant::now(),
        }
    }

    /// Updates the entries to these targets. A node that remains keeps its slots and gets its current details.
    fn follow(&mut self, targets: &Targets) {
        let key_of = |node: &Node, probe: &Probe| (node.id.clone(), probe.name.clone());
        let mut wanted: HashMap<_, _> =
            pairs(&targets.nodes, &self.probes).map(|pair| (key_of(pair.0, pair.1), pair)).collect();
        let queue = &mut self.queue;
        self.entries.retain(|key, entry| match wanted.remove(&key_of(&entry.node, &entry.probe)) {
            Some((node, _)) => {
                entry.node = node.clone();
                true
            }
            None => {
                queue.remove(*key);
                false
            }
        });
        let now = Micros::from(self.start.elapsed());
        for (node, probe) in wanted.into_values() {
            self.queue.insert(self.next_key, probe.spacing, probe.every, now, &mut rand::rng());
            self.entries.insert(self.next_key, ScheduleEntry { node: node.clone(), probe: probe.clone(), turns: 0 });
            self.next_key += 1;
        }
    }

    fn begin_due(&mut self) {
        let now = Micros::from(self.start.elapsed());
        let tally = self.runs.pipeline.tally().clone();
        tally.note_schedule_delay(self.queue.next_due().map_or(Micros::ZERO, |due| now.saturating_sub(due)));
        let due = self.queue.pop(now, &mut rand::rng());
        for key in due {
            self.begin(key, now);
        }
        tally.count_runs_missed(self.queue.take_missed());
    }

    fn begin(&mut self, key: u64, now: Micros) {
        let Some(intended) = self.queue.start(key, now) else { return };
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let due = Some(self.start + intended.as_duration());
        let run = Run {
            node: entry.node.clone(),
            probe: entry.probe.clone(),
            turn: entry.turns,
            remembered: None,
            due,
            received: Arc::default(),
        };
        match self.runs.begin(key, run, Duration::ZERO) {
            true => entry.turns += 1,
            false => self.queue.finish(key),
        }
    }
}

/// Each pair of a node and a probe that has an asset on it. The pairs of one node are adjacent.
fn pairs<'t>(
    nodes: &'t [Arc<Node>],
    probes: &'t [Arc<Probe>],
) -> impl Iterator<Item = (&'t Arc<Node>, &'t Arc<Probe>)> {
    let all = nodes.iter().flat_map(move |node| probes.iter().map(move |probe| (node, probe)));
    all.filter(|(node, probe)| probe.candidates(node).next().is_some())
}

/// The wait when nothing is due: until something else happens.
const FOREVER: Duration = Duration::from_secs(86_400 * 365);
