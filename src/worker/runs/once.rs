//! One full round of runs, now.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rand::RngExt;

use super::{
    super::pipeline::Pipeline,
    active::{ActiveRuns, FinishedRun},
    pairs,
};
use crate::{
    config::Config,
    model::{
        probe::Probe,
        target::{Node, Targets},
    },
    probe::run::Run,
};

/// The counts of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundCounts {
    /// Runs that began.
    pub begun: usize,
    /// Runs that ended by themselves and were not cut off.
    pub ended: usize,
    /// Runs that did not start, because they did not fit a budget or because their node was cooling down.
    pub skipped: usize,
}

/// The progress of each node in a round.
#[derive(Default)]
struct RoundProgress {
    nodes: Vec<NodeProgress>,
    /// The index of the node, by the key of the run.
    of: HashMap<u64, usize>,
}

/// One node's part of a round: how many of its runs have ended, and how many there are.
struct NodeProgress {
    id: Arc<str>,
    done: usize,
    all: usize,
}

/// Makes each run once that the budgets allow, each at a random time within `splay`. Calls `progress` with the id of a
/// node, how many of its runs have ended, and how many there are: once for each node at the start, and again when one
/// of its runs ends.
pub async fn once(
    pipeline: &Pipeline,
    config: &Config,
    targets: &Targets,
    splay: Duration,
    wanted: impl Fn(&Node, &Probe) -> bool,
    mut progress: impl FnMut(&str, usize, usize),
    stop: impl Future<Output = ()>,
) -> RoundCounts {
    let mut runs = ActiveRuns::new(pipeline, config);
    let mut round = RoundCounts::default();
    let probes: Vec<Arc<Probe>> = config.probes.iter().cloned().map(Arc::new).collect();
    let pairs = pairs(&targets.nodes, &probes).filter(|(node, probe)| wanted(node, probe));
    let mut nodes = RoundProgress::default();
    for (key, (node, probe)) in (0..).zip(pairs) {
        let after = splay.mul_f64(rand::rng().random::<f64>());
        // Without a schedule no run is late. The previous round is not known, so `rotate` starts at a random asset.
        let turn = usize::from(rand::rng().random::<u16>());
        let run = Run {
            node: node.clone(),
            probe: probe.clone(),
            turn,
            remembered: None,
            due: None,
            received: Arc::default(),
        };
        match runs.begin(key, run, after) {
            true => {
                round.begun += 1;
                nodes.add(key, node.id.clone());
            }
            false => round.skipped += 1,
        }
    }
    nodes.nodes.iter().for_each(|node| progress(&node.id, 0, node.all));
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            ended = runs.next_ended() => match ended {
                Some(FinishedRun { key, was_skipped }) => {
                    match was_skipped {
                        true => (round.begun, round.skipped) = (round.begun - 1, round.skipped + 1),
                        false => round.ended += 1,
                    }
                    let node = nodes.end(key);
                    progress(&node.id, node.done, node.all);
                }
                None => break,
            },
        }
    }
    runs.cut_off().await;
    round
}

impl RoundProgress {
    /// Adds a run of a node. The runs of one node must be added one after the other.
    fn add(&mut self, key: u64, id: Arc<str>) {
        match self.nodes.last_mut().filter(|last| last.id == id) {
            Some(last) => last.all += 1,
            None => self.nodes.push(NodeProgress { id, done: 0, all: 1 }),
        }
        self.of.insert(key, self.nodes.len() - 1);
    }

    /// Notes that a run has ended.
    fn end(&mut self, key: u64) -> &NodeProgress {
        let node = &mut self.nodes[self.of[&key]];
        node.done += 1;
        node
    }
}
