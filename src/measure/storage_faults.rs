//! Nodes that could not fetch an object from storage: what was found, to be kept over restarts.
//!
//! A node is made to fetch an object once a day at most, so what that showed must not be forgotten before the next time, and holds
//! for all processes that share the state. Anything that the node serves afterwards shows that it is well again.

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

/// A fetch that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageFault {
    /// When it was tried.
    pub at: Timestamp,
    /// What happened, in the node's own words where it has any.
    pub error: String,
}

/// Something that was learned of a node's storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It could not fetch an object.
    Failed(StorageFault),
    /// It served something. This fault, if it is the one that is known, is over.
    Over(StorageFault),
}

impl StorageFault {
    fn new(at: Timestamp, error: &str) -> Self {
        let words = error.chars().take(MAX_WORDS).map(|c| printable(c, char::REPLACEMENT_CHARACTER));
        Self { at, error: words.collect() }
    }

    /// Is it recent? A clock that was wrong for a while must not keep one for ever, so one from the future grows old as well.
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

    /// Takes over what was learned. A fault that is newer than the one that is over stays.
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

    /// What happened when a node last tried to fetch, if nothing has shown since that it can.
    #[must_use]
    pub fn error(&self, node: &str, now: Timestamp) -> Option<&str> {
        self.0.get(node).filter(|fault| fault.holds(now)).map(|fault| fault.error.as_str())
    }

    /// Makes what was read from a file fit to be used: forgets what is old, keeps no more than a limit, and makes texts printable.
    pub fn tidy(&mut self, now: Timestamp) {
        self.0.retain(|_, fault| fault.holds(now));
        while self.0.len() > MAX_NODES {
            self.0.pop_last();
        }
        self.0.values_mut().for_each(|fault| *fault = StorageFault::new(fault.at, &fault.error));
    }
}

/// A fault is believed until the next day has made another fetch: one is made a day, three runs after midnight at the earliest.
const BELIEVED: SignedDuration = SignedDuration::from_hours(26);
/// The node's own words go into a reason, which people read; in characters.
const MAX_WORDS: usize = 200;
/// As many as a configuration may name.
const MAX_NODES: usize = 10_000;
