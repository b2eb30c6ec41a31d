//! What the runs of this process say about the health of the nodes. It is in memory alone: a restart begins from nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use crate::{
    measure::history::History,
    model::{availability::Downloads, probe::Probe, sample::Sample, target::Node},
};

/// The histories of all nodes. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Health(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    start: Instant,
    nodes: Mutex<BTreeMap<Arc<str>, History>>,
}

impl Health {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared { start: Instant::now(), nodes: Mutex::default() }))
    }

    /// Takes a sample of a run of this probe.
    pub(super) fn note(&self, sample: &Sample, probe: &Probe) {
        let now = self.0.start.elapsed();
        self.lock().entry(sample.labels.node.clone()).or_default().note(sample, probe, now);
    }

    /// How the last downloads from a node ended.
    pub(super) fn downloads(&self, node: &str, enough: usize) -> Downloads {
        let now = self.0.start.elapsed();
        match self.lock().get(node) {
            Some(history) => history.downloads(enough, now),
            None => Downloads { enough, ..Downloads::default() },
        }
    }

    /// Is it time to see whether a node can fetch anything?
    pub(super) fn takes_fetch(&self, node: &str) -> bool {
        self.lock().get_mut(node).is_some_and(History::takes_fetch)
    }

    /// Forgets all nodes but these.
    pub(super) fn keep(&self, nodes: &[Arc<Node>]) {
        let nodes: BTreeSet<&str> = nodes.iter().map(|node| &*node.id).collect();
        self.lock().retain(|node, _| nodes.contains(&**node));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, History>> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
