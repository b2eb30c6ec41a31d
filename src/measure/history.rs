//! How the last runs against a node ended: what its health takes from its downloads.
//!
//! Only runs that are charged to a node count, and what is old does not.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

use crate::model::{
    availability::Downloads,
    outcome::Outcome,
    probe::{CachePolicy, PartName, Probe},
    sample::Sample,
};

/// The last runs against one node.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Oldest first.
    runs: VecDeque<Run>,
    /// How many runs in a row found nothing that the node holds.
    found_nothing: u32,
    /// Why it could not fetch an object from storage, and until when that is believed.
    fetch_failed: Option<(String, Duration)>,
}

/// A run that was charged to the node.
#[derive(Clone, Debug)]
struct Run {
    ended: Timestamp,
    outcome: Outcome,
    /// It is old from then on.
    until: Duration,
}

impl History {
    /// Takes a sample of a run of this probe. `now` is the time since the start of the process.
    pub fn note(&mut self, sample: &Sample, probe: &Probe, now: Duration) {
        if probe.cache == CachePolicy::Miss {
            self.note_fetch(sample, now);
        } else if sample.outcome == Outcome::NotCached {
            self.found_nothing = self.found_nothing.saturating_add(1);
        } else if sample.run_ok.is_some() {
            self.found_nothing = 0;
            if sample.outcome.is_ok() {
                self.fetch_failed = None;
            }
            if self.runs.len() == KEPT {
                self.runs.pop_front();
            }
            let until = now.saturating_add(probe.every.saturating_mul(FRESH));
            self.runs.push_back(Run { ended: sample.at, outcome: sample.outcome, until });
        }
    }

    /// What a download of an object that the node did not hold says of its storage.
    fn note_fetch(&mut self, sample: &Sample, now: Duration) {
        if sample.labels.part == Some(PartName::Check) || sample.run_ok.is_none() {
            return;
        }
        if sample.outcome.is_ok() {
            self.fetch_failed = None;
        } else if !sample.outcome.is_before_request() && sample.outcome != Outcome::RateLimited {
            let why = sample.error.as_deref().unwrap_or(sample.outcome.meaning());
            let why = why.chars().take(MAX_WORDS).collect();
            self.fetch_failed = Some((why, now.saturating_add(BELIEVED)));
        }
    }

    /// Did enough runs in a row find nothing, so that it is time to see whether the node can fetch anything? Asked once, it takes
    /// as many runs again.
    pub fn takes_fetch(&mut self) -> bool {
        let is_due = self.found_nothing >= FOUND_NOTHING;
        if is_due {
            self.found_nothing = 0;
        }
        is_due
    }

    /// What is not old. Fewer failed runs than `enough` say nothing.
    #[must_use]
    pub fn downloads(&self, enough: usize, now: Duration) -> Downloads {
        let fresh = self.runs.iter().filter(|run| run.until > now);
        Downloads {
            ended: fresh.map(|run| (run.ended, run.outcome)).collect(),
            enough,
            fetch_failed: self.fetch_failed.as_ref().filter(|(_, until)| *until > now).map(|(why, _)| why.clone()),
        }
    }
}

/// Runs that a node is judged by, at most.
const KEPT: usize = 4;
/// Runs that have to fail before a node is said to serve nothing.
pub const ENOUGH: usize = 3;
/// A run is old after this many times the mean time between two runs of its probe. The drawn times are at most 2.5 times the mean.
const FRESH: u32 = 6;
/// Runs in a row that find nothing before the node is made to fetch an object.
const FOUND_NOTHING: u32 = 3;
/// A failed fetch is believed until the next day has made another one: one is made a day, three runs after midnight at the
/// earliest.
const BELIEVED: Duration = Duration::from_hours(26);
/// The node's own words go into a reason, which people read.
const MAX_WORDS: usize = 200;
