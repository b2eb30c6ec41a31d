//! Nodes that could not fetch an object from storage. This state is kept over restarts.
//!
//! A node is made to fetch an object at most once a day. The result must therefore not be forgotten before the next
//! fetch, and it applies to all processes that share the state. When the node later serves anything, the fault is over.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::{
    outcome::Outcome,
    probe::{CachePolicy, PartName, Probe},
    sample::Sample,
    text::printable,
};

/// The nodes that could not fetch, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StorageFaults(BTreeMap<String, StorageFault>);

/// A failed fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageFault {
    /// Wall clock at t0 of the fetch.
    pub at: Timestamp,
    /// What happened, including the node's own error text if there is one.
    pub error: String,
}

/// A new fact about a node's storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The node could not fetch an object.
    Failed(StorageFault),
    /// The node served something, so this fault is over if it is still the known one.
    Over(StorageFault),
}

impl StorageFault {
    fn new(at: Timestamp, error: &str) -> Self {
        let words = error.chars().take(MAX_WORDS).map(|c| printable(c, char::REPLACEMENT_CHARACTER));
        Self { at, error: words.collect() }
    }

    /// Whether the fault is recent. A fault from the future expires too, so that a clock that was wrong for a while
    /// does not keep it forever.
    fn holds(&self, now: Timestamp) -> bool {
        self.at.duration_since(now).abs() <= BELIEVED
    }
}

impl StorageFaults {
    /// What a sample of a run of this probe shows that is not known yet.
    #[must_use]
    pub fn finding(&self, sample: &Sample, probe: &Probe) -> Option<Finding> {
        sample.run_ok?;
        if sample.outcome.is_ok() {
            let is_check = sample.labels.part == Some(PartName::Check);
            let known = self.0.get(&*sample.labels.node).filter(|_| !is_check)?;
            return Some(Finding::Over(known.clone()));
        }
        let is_fetch = probe.cache == CachePolicy::Miss && sample.labels.part != Some(PartName::Check);
        let is_nodes = !sample.outcome.is_before_request() && sample.outcome != Outcome::RateLimited;
        let error = || sample.error.as_deref().unwrap_or(sample.outcome.meaning());
        (is_fetch && is_nodes).then(|| Finding::Failed(StorageFault::new(sample.at, error())))
    }

    /// Records a finding. A fault that is newer than the one that is over is kept.
    pub fn note(&mut self, node: &str, finding: &Finding) {
        match finding {
            Finding::Failed(fault) => _ = self.0.insert(node.to_owned(), fault.clone()),
            Finding::Over(fault) => {
                if self.0.get(node) == Some(fault) {
                    self.0.remove(node);
                }
            }
        }
    }

    /// The error of a node's last failed fetch; `None` when a later download shows that the node can fetch.
    #[must_use]
    pub fn error(&self, node: &str, now: Timestamp) -> Option<&str> {
        self.0.get(node).filter(|fault| fault.holds(now)).map(|fault| fault.error.as_str())
    }

    /// Cleans up what was read from a file: removes old faults, limits their number, and makes texts printable.
    pub fn tidy(&mut self, now: Timestamp) {
        self.0.retain(|_, fault| fault.holds(now));
        while self.0.len() > MAX_NODES {
            self.0.pop_last();
        }
        self.0.values_mut().for_each(|fault| *fault = StorageFault::new(fault.at, &fault.error));
    }
}

/// A fault is valid until the next day's fetch. There is one fetch a day, at the earliest after three runs after
/// midnight.
const BELIEVED: SignedDuration = SignedDuration::from_hours(26);
/// Longest text from the node in a reason, in characters. People read the reason.
const MAX_WORDS: usize = 200;
/// As many nodes as a configuration may list.
const MAX_NODES: usize = 10_000;
