//! One full round now.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rand::RngExt;

use super::{
    super::pipeline::Pipeline,
    pairs,
    runs::{Finished, Runs},
};
use crate::{
    config::Config,
    model::{
        probe::Probe,
        target::{Node, Targets},
    },
    probe::run::Run,
};

/// What became of the runs of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Runs that were begun.
    pub begun: usize,
    /// Those of them that came to their own end.
    pub ended: usize,
    /// Runs that the budgets, or the node's own wish, did not admit.
    pub skipped: usize,
}

/// How far each node of a round is.
#[derive(Default)]
struct Shares {
    nodes: Vec<Share>,
    /// By key of a run: the index of its node.
    of: HashMap<u64, usize>,
}

/// One node's part of a round.
struct Share {
    node: Arc<str>,
    done: usize,
    all: usize,
}

/// Makes every run once that the budgets admit, each at a random time within `splay`. Tells `progress` of each node how
/// many of its runs have ended, of how many: once before the first, and again whenever one ends.
pub async fn once(
    pipeline: &Pipeline,
    config: &Config,
    targets: &Targets,
    splay: Duration,
    wanted: impl Fn(&Node, &Probe) -> bool,
    mut progress: impl FnMut(&str, usize, usize),
    stop: impl Future<Output = ()>,
) -> Round {
    let mut runs = Runs::new(pipeline, config);
    let mut round = Round::default();
    let probes: Vec<Arc<Probe>> = config.probes.iter().cloned().map(Arc::new).collect();
    let pairs = pairs(&targets.nodes, &probes).filter(|(node, probe)| wanted(node, probe));
    let mut shares = Shares::default();
    for (key, (node, probe)) in (0..).zip(pairs) {
        let after = splay.mul_f64(rand::rng().random::<f64>());
        // Nobody promised a time, so nothing is late; nobody remembers the round before, so `rotate` takes any turn.
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
                shares.add(key, node.id.clone());
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
                Some(Finished { key, was_skipped }) => {
                    match was_skipped {
                        true => (round.begun, round.skipped) = (round.begun - 1, round.skipped + 1),
                        false => round.ended += 1,
                    }
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
    fn add(&mut self, key: u64, node: Arc<str>) {
        match self.nodes.last_mut().filter(|last| last.node == node) {
            Some(last) => last.all += 1,
            None => self.nodes.push(Share { node, done: 0, all: 1 }),
        }
        self.of.insert(key, self.nodes.len() - 1);
    }

    /// A run has ended.
    fn end(&mut self, key: u64) -> &Share {
        let share = &mut self.nodes[self.of[&key]];
        share.done += 1;
        share
    }
}
