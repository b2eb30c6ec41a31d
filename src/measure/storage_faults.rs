//! Nodes that could not fetch an object from storage. This state is kept over restarts.
//!
//! A node is made to fetch an object at most once a day. The result must therefore not be forgotten before the next
//! fetch, and it applies to all processes that share the state. When the node later fetches an object, the fault is
//! over. If the node held nothing, this is whenever it serves anything. If it has a warm cache, only another fetch
//! shows it.

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
    /// Whether the storage check of a node that held nothing found it. Earlier versions recorded hardly any other.
    #[serde(default = "by_check")]
    pub held_nothing: bool,
}

const fn by_check() -> bool {
    true
}

/// A new fact about a node's storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageFaultChange {
    /// The node could not fetch an object.
    Failed(StorageFault),
    /// The node fetched something, so this fault is over if it is still the known one.
    Over(StorageFault),
}

impl StorageFault {
    fn new(at: Timestamp, error: &str, held_nothing: bool) -> Self {
        let words = error.chars().take(MAX_WORDS).map(|c| printable(c, char::REPLACEMENT_CHARACTER));
        Self { at, error: words.collect(), held_nothing }
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
    pub fn finding(&self, sample: &Sample, probe: &Probe) -> Option<StorageFaultChange> {
        sample.run_ok?;
        if sample.labels.part == Some(PartName::Check) {
            return None;
        }
        let is_miss = probe.cache == CachePolicy::Miss;
        if sample.outcome.is_ok() {
            let has_fetched = is_miss && sample.hit != Some(true);
            let known = self.0.get(&*sample.labels.node).filter(|fault| fault.held_nothing || has_fetched)?;
            return Some(StorageFaultChange::Over(known.clone()));
        }
        let error = || sample.error.as_deref().unwrap_or(sample.outcome.meaning());
        let fault = || StorageFault::new(sample.at, error(), probe.is_storage_check());
        (is_miss && is_failed_fetch(sample.outcome)).then(|| StorageFaultChange::Failed(fault()))
    }

    /// Records a finding. A fault that is newer than the one that is over is kept.
    pub fn note(&mut self, node: &str, finding: &StorageFaultChange) {
        match finding {
            StorageFaultChange::Failed(fault) => _ = self.0.insert(node.to_owned(), fault.clone()),
            StorageFaultChange::Over(fault) => {
                if self.0.get(node) == Some(fault) {
                    self.0.remove(node);
                }
            }
        }
    }

    /// The error of a node's last failed fetch; `None` when it is old, or a later download shows that the node can
    /// fetch.
    #[must_use]
    pub fn error(&self, node: &str, now: Timestamp) -> Option<&str> {
        self.0.get(node).filter(|fault| fault.holds(now)).map(|fault| fault.error.as_str())
    }

    /// Cleans up what was read from a file: removes very old faults, limits their number, and makes texts printable. A
    /// clock that is wrong by a few days removes nothing.
    pub fn tidy(&mut self, now: Timestamp) {
        self.0.retain(|_, fault| fault.at.duration_since(now).abs() <= KEPT);
        while self.0.len() > MAX_NODES {
            self.0.pop_last();
        }
        self.0.values_mut().for_each(|fault| *fault = StorageFault::new(fault.at, &fault.error, fault.held_nothing));
    }
}

/// Whether a download that was to make the node fetch an object failed because the node did not get it. Wrong content
/// does not count: the node fetched that.
const fn is_failed_fetch(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::HeadersTimeout
            | Outcome::ObjectNotFound
            | Outcome::Http5xx
            | Outcome::BodyTimeout
            | Outcome::Stalled
            | Outcome::Reset
            | Outcome::Truncated
    )
}

/// A fault is valid until the next day's fetch. There is one fetch a day, at the earliest after three runs after
/// midnight, and runs can be two hours apart.
const BELIEVED: SignedDuration = SignedDuration::from_hours(48);
/// Faults further away from the clock than this are removed.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Longest text from the node in a reason, in characters. People read the reason.
const MAX_WORDS: usize = 200;
/// As many nodes as a configuration may list.
const MAX_NODES: usize = 10_000;
