//! The history of a node on which its health depends: how the last runs against it ended, and whether its numbers
//! change.
//!
//! Only runs that are charged to a node count, and old runs do not. As everywhere, a run is good when `run_ok` is true.

use std::{collections::VecDeque, time::Duration};

use super::standstill::NumberWatch;
use crate::model::{
    flag::Flag,
    health::{AnswerContent, ChainProgress, EndedRun, RunFault, StatusAnswer},
    outcome::Outcome,
    probe::{CachePolicy, Probe},
    sample::Sample,
};

/// The history of one node.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The last runs, oldest first.
    runs: VecDeque<PastRun>,
    /// Number of runs in a row that found no asset that the node holds.
    found_nothing: u32,
    blocks: NumberWatch,
    head: NumberWatch,
}

/// One run in progress.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunUnderWay {
    fault: Option<RunFault>,
}

/// A run that was charged to the node.
#[derive(Clone, Debug)]
struct PastRun {
    ended: EndedRun,
    /// The time from which on the run is old.
    until: Duration,
}

impl RunUnderWay {
    /// Adds the next sample of the run. Returns what was wrong with the last sample that was not good.
    fn note(&mut self, sample: &Sample, probe: &Probe) -> Option<RunFault> {
        if !sample.outcome.is_ok() {
            self.fault = Some(RunFault::Failed(sample.outcome));
        } else if sample.flags.contains(Flag::TooSlow) {
            self.fault = Some(RunFault::TooSlow(probe.min_rate));
        }
        self.fault
    }
}

impl History {
    /// Adds the next sample of a run of this probe. `now` is the time since the start of the process.
    pub fn note(&mut self, run: &mut RunUnderWay, sample: &Sample, probe: &Probe, now: Duration) {
        let fault = run.note(sample, probe);
        if probe.cache == CachePolicy::Miss {
            return;
        }
        if sample.outcome == Outcome::NotCached {
            self.found_nothing = self.found_nothing.saturating_add(1);
        } else if let Some(is_good) = sample.run_ok {
            self.found_nothing = 0;
            if self.runs.len() == KEPT {
                self.runs.pop_front();
            }
            let ended = EndedRun { at: sample.at, fault: fault.filter(|_| !is_good) };
            let until = now.saturating_add(probe.every.saturating_mul(FRESH));
            self.runs.push_back(PastRun { ended, until });
        }
    }

    /// Adds the answer of a round. Returns whether the numbers in it change from round to round. `now` is the time
    /// since the start of the process.
    pub fn note_round(&mut self, answer: &StatusAnswer, now: Duration) -> ChainProgress {
        let AnswerContent::Document(report) = &answer.content else { return ChainProgress::default() };
        ChainProgress {
            blocks: self.blocks.note(report.blocks_processed, now),
            head: self.head.note(report.chain_head, now),
        }
    }

    /// Whether enough runs in a row found nothing, so that it is time to test whether the node can fetch anything.
    /// After it returns true, the count starts again.
    pub fn takes_fetch(&mut self) -> bool {
        let is_due = self.found_nothing >= FOUND_NOTHING;
        if is_due {
            self.found_nothing = 0;
        }
        is_due
    }

    /// The runs that are not old yet.
    #[must_use]
    pub fn ended(&self, now: Duration) -> Vec<EndedRun> {
        self.runs.iter().filter(|run| run.until > now).map(|run| run.ended).collect()
    }
}

/// The most runs that a node is judged by.
const KEPT: usize = 4;
/// Number of runs that have to fail before a node counts as serving nothing.
pub const ENOUGH: usize = 3;
/// A run is old after this many times the mean time between two runs of its probe. The drawn times are at most 2.5
/// times the mean.
const FRESH: u32 = 6;
/// Number of runs in a row that find nothing before the node is made to fetch an object.
const FOUND_NOTHING: u32 = 3;
