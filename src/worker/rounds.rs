//! When runs are made: on the schedule until told to stop, or one full round now.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rand::RngExt;
use tokio::{
    task::{self, JoinError, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    config::Config,
    model::{probe::Probe, target::Node, units::Micros},
    probe::run::{Ended, Run},
    schedule::queue::Queue,
};

use super::{
    allowance::{Allowance, Ticket},
    pipeline::Pipeline,
};

/// What became of the runs of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Runs that were begun.
    pub begun: usize,
    /// Runs that the budgets, or the node's own wish, did not admit.
    pub skipped: usize,
}

/// One probe against one node, again and again.
struct Entry {
    node: Arc<Node>,
    probe: Arc<Probe>,
    turns: usize,
}

/// The state of the schedule.
struct Rounds<'a> {
    entries: Vec<Entry>,
    queue: Queue<usize>,
    runs: Runs<'a>,
    start: Instant,
}

/// The runs under way, each with what it was admitted for.
struct Runs<'a> {
    pipeline: &'a Pipeline,
    allowance: Allowance,
    running: JoinSet<Ended>,
    /// By task: which entry, and its ticket.
    tickets: HashMap<task::Id, (usize, Ticket)>,
}

/// How far each node of a round is.
#[derive(Default)]
struct Shares {
    nodes: Vec<Share>,
    /// By key of a run: the index of its node.
    of: HashMap<usize, usize>,
}

/// One node's part of a round.
struct Share {
    node: Arc<str>,
    done: usize,
    all: usize,
}

/// Makes runs on the schedule until `stop`. Runs under way then are cut off, which is no result.
pub async fn run(pipeline: &Pipeline, config: &Config, stop: impl Future<Output = ()>) {
    let start = Instant::now();
    let entries = entries(config, |_, _| true);
    let slots = entries.iter().enumerate().map(|(key, entry)| (key, entry.probe.spacing, entry.probe.every));
    let queue = Queue::new(slots, Micros::ZERO, &mut rand::rng());
    let mut rounds = Rounds { entries, queue, runs: Runs::new(pipeline, config), start };
    let mut stop = std::pin::pin!(stop);
    loop {
        let due = rounds.queue.next_due().map_or(FAR, Micros::as_duration);
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(key) = rounds.runs.next_ended() => rounds.queue.finish(key),
            () = sleep_until(start + due) => rounds.begin_due(),
        }
    }
    rounds.runs.cut_off().await;
}

/// Makes every run once that the budgets admit, each at a random time within `splay`. Tells `progress` of each node how
/// many of its runs have ended, of how many: once before the first, and again whenever one ends.
pub async fn once(
    pipeline: &Pipeline,
    config: &Config,
    splay: Duration,
    wanted: impl Fn(&Node, &Probe) -> bool,
    mut progress: impl FnMut(&str, usize, usize),
    stop: impl Future<Output = ()>,
) -> Round {
    let mut runs = Runs::new(pipeline, config);
    let mut round = Round::default();
    let entries = entries(config, wanted);
    let mut shares = Shares::default();
    for (key, entry) in entries.into_iter().enumerate() {
        let after = splay.mul_f64(rand::rng().random::<f64>());
        // Nobody promised a time, so nothing is late; nobody remembers the round before, so `rotate` takes any turn.
        let turn = usize::from(rand::rng().random::<u16>());
        let node = entry.node.id.clone();
        let run =
            Run { node: entry.node, probe: entry.probe, turn, remembered: None, due: None, received: Arc::default() };
        match runs.begin(key, run, after) {
            true => {
                round.begun += 1;
                shares.add(key, node);
            }
            false => round.skipped += 1,
        }
    }
    shares.nodes.iter().for_each(|share| progress(&share.node, 0, share.all));
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            ended = runs.next_ended() => match ended {
                Some(key) => {
                    let share = shares.end(key);
                    progress(&share.node, share.done, share.all);
                }
                None => break,
            },
        }
    }
    runs.cut_off().await;
    round
}

impl Shares {
    /// A run of a node was begun. Those of one node follow each other.
    fn add(&mut self, key: usize, node: Arc<str>) {
        match self.nodes.last_mut().filter(|last| last.node == node) {
            Some(last) => last.all += 1,
            None => self.nodes.push(Share { node, done: 0, all: 1 }),
        }
        self.of.insert(key, self.nodes.len() - 1);
    }

    /// A run has ended.
    fn end(&mut self, key: usize) -> &Share {
        let share = &mut self.nodes[self.of[&key]];
        share.done += 1;
        share
    }
}

impl Rounds<'_> {
    fn begin_due(&mut self) {
        let now = Micros::from(self.start.elapsed());
        let due = self.queue.pop(now, &mut rand::rng());
        for key in due {
            self.begin(key, now);
        }
        let missed = self.queue.take_missed();
        self.runs.pipeline.tally().count(|counters| counters.runs_missed += missed);
    }

    fn begin(&mut self, key: usize, now: Micros) {
        let Some(intended) = self.queue.start(key, now) else { return };
        let entry = &mut self.entries[key];
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

impl<'a> Runs<'a> {
    fn new(pipeline: &'a Pipeline, config: &Config) -> Self {
        Self { pipeline, allowance: Allowance::load(config), running: JoinSet::new(), tickets: HashMap::new() }
    }

    /// Begins a run after some time, if the budgets and the node's own wish allow it.
    fn begin(&mut self, key: usize, mut run: Run, after: Duration) -> bool {
        let Some(ticket) = self.allowance.admit(&mut run) else {
            tracing::debug!(node = %run.node.id, probe = %run.probe.name, "run skipped");
            self.pipeline.tally().count(|counters| counters.runs_skipped_budget += 1);
            return false;
        };
        self.pipeline.tally().count(|counters| counters.runs_started += 1);
        let (prober, sink) = (self.pipeline.prober().clone(), self.pipeline.sink());
        let making = async move {
            sleep(after).await;
            run.make(&prober, sink).await
        };
        let task = self.running.spawn_on(making, self.pipeline.measuring().handle());
        self.tickets.insert(task.id(), (key, ticket));
        true
    }

    /// Waits for a run to end, books it, and says which entry's it was; `None` when none is under way.
    async fn next_ended(&mut self) -> Option<usize> {
        loop {
            let joined = self.running.join_next_with_id().await?;
            if let Some(key) = self.settle(joined) {
                return Some(key);
            }
        }
    }

    /// Ends the runs under way, which is no result of theirs.
    async fn cut_off(&mut self) {
        self.running.abort_all();
        while self.next_ended().await.is_some() {}
    }

    fn settle(&mut self, joined: Result<(task::Id, Ended), JoinError>) -> Option<usize> {
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let (key, ticket) = self.tickets.remove(&id)?;
        let ended = match joined {
            Ok((_, ended)) => {
                self.pipeline.tally().count(|counters| counters.runs_skipped_budget += u64::from(ended.was_left_alone));
                Some(ended)
            }
            Err(error) => {
                if !error.is_cancelled() {
                    tracing::error!("a run ended in a bug of ours, please report it: {error}");
                }
                None
            }
        };
        self.allowance.settle(ticket, ended);
        Some(key)
    }
}

/// Every probe against every node that has an asset of its kind.
fn entries(config: &Config, wanted: impl Fn(&Node, &Probe) -> bool) -> Vec<Entry> {
    let probes: Vec<Arc<Probe>> = config.probes.iter().cloned().map(Arc::new).collect();
    let mut entries = Vec::new();
    for node in config.nodes.iter().cloned().map(Arc::new) {
        for probe in &probes {
            if probe.candidates(&node).next().is_some() && wanted(&node, probe) {
                entries.push(Entry { node: node.clone(), probe: probe.clone(), turns: 0 });
            }
        }
    }
    entries
}

/// Nothing is due: sleep until something ends.
const FAR: Duration = Duration::from_secs(86_400 * 365);
