//! The recent history of each node: how its runs ended, in this process and in others on the archive.
//!
//! How the last downloads ended is kept in memory only, so a restart begins without history. Whether a node can fetch
//! from storage is tested at most once a day, so that result is [kept](storage_faults) on disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use crate::{
    measure::history::{History, RunUnderWay},
    model::{
        health::{ChainProgress, RecentDownloads, StatusAnswer},
        probe::Probe,
        sample::Sample,
        target::Node,
    },
};

use self::storage_faults::SharedFaults;
use super::state_writer::StateWriter;

mod storage_faults;

/// The histories of all nodes. Clones share them.
#[derive(Clone)]
pub(super) struct NodeHistories(Arc<Shared>);

struct Shared {
    start: Instant,
    nodes: Mutex<BTreeMap<Arc<str>, History>>,
    storage: Arc<SharedFaults>,
}

impl NodeHistories {
    /// Loads what the previous process left, and registers it with `state_writer`.
    pub(super) fn load(dir: &Path, state_writer: &StateWriter) -> Self {
        let storage = Arc::new(SharedFaults::load(dir));
        state_writer.register(storage.clone());
        Self(Arc::new(Shared { start: Instant::now(), nodes: Mutex::default(), storage }))
    }

    /// Adds the next sample of a run of this probe to the history of its node.
    pub(super) fn note(&self, run: &mut RunUnderWay, sample: &Sample, probe: &Probe) {
        let now = self.0.start.elapsed();
        self.lock().entry(sample.labels.node.clone()).or_default().note(run, sample, probe, now);
        self.0.storage.note(sample, probe);
    }

    /// How the last downloads from a node ended. `enough` is the number that must fail before the node is judged by
    /// them.
    pub(super) fn downloads(&self, node: &str, enough: usize) -> RecentDownloads {
        let now = self.0.start.elapsed();
        let ended = self.lock().get(node).map_or_else(Vec::new, |history| history.ended(now));
        RecentDownloads { ended, enough, fetch_failed: self.0.storage.error(node) }
    }

    /// Adds a status answer to the history of its node. Returns whether the numbers in the answers change from round to
    /// round.
    pub(super) fn note_round(&self, node: &Arc<str>, answer: &StatusAnswer) -> ChainProgress {
        let now = self.0.start.elapsed();
        self.lock().entry(node.clone()).or_default().note_round(answer, now)
    }

    /// Returns whether it is time to test if a node can fetch from storage: enough runs in a row found nothing cached.
    /// After `true` the count starts again.
    pub(super) fn takes_fetch(&self, node: &str) -> bool {
        self.lock().get_mut(node).is_some_and(History::takes_fetch)
    }

    /// Forgets all nodes except these.
    pub(super) fn keep(&self, nodes: &[Arc<Node>]) {
        let nodes: BTreeSet<&str> = nodes.iter().map(|node| &*node.id).collect();
        self.lock().retain(|node, _| nodes.contains(&**node));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, History>> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
