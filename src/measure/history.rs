//! What is remembered of a node for its health: how the last runs against it ended, and whether its numbers change.
//!
//! Only runs that are charged to a node count, and what is old does not. A run is good when `run_ok` says so, as everywhere.

use std::{collections::VecDeque, time::Duration};

use super::standstill::NumberWatch;
use crate::model::{
    availability::{Answer, EndedRun, Progress, RunFault, Said},
    flag::Flag,
    outcome::Outcome,
    probe::{CachePolicy, Probe},
    sample::Sample,
};

/// What is remembered of one node.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Oldest first.
    runs: VecDeque<Run>,
    /// How many runs in a row found nothing that the node holds.
    found_nothing: u32,
    blocks: NumberWatch,
    head: NumberWatch,
}

/// One run under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunUnderWay {
    fault: Option<RunFault>,
}

/// A run that was charged to the node.
#[derive(Clone, Debug)]
struct Run {
    ended: EndedRun,
    /// It is old from then on.
    until: Duration,
}

impl RunUnderWay {
    /// Takes its next sample. Returns what was wrong with the last one that was not good.
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
    /// Takes the next sample of a run of this probe. `now` is the time since the start of the process.
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
            self.runs.push_back(Run { ended, until });
        }
    }

    /// Takes the answer of a round. Do the numbers in it change from round to round?
    pub fn note_round(&mut self, answer: &Answer, now: Duration) -> Progress {
        let Said::Report(report) = &answer.said else { return Progress::default() };
        Progress {
            blocks: self.blocks.note(report.blocks_processed, now),
            head: self.head.note(report.chain_head, now),
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

    /// The runs that are not old.
    #[must_use]
    pub fn ended(&self, now: Duration) -> Vec<EndedRun> {
        self.runs.iter().filter(|run| run.until > now).map(|run| run.ended).collect()
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
