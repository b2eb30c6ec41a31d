//! The state that all processes on an archive share: the budgets, and the nodes that asked to be left alone. It changes
//! in memory, and the keeper writes it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::now;
use crate::{
    archive::{
        self,
        state::{self, Stamp},
    },
    config::Limits,
    schedule::budget::{Budget, Counts as _, Day, Days, Spent, day_of},
    worker::keeper::Keep,
};

/// The shared state, used by the schedule and the keeper.
pub(super) struct Books {
    dir: PathBuf,
    open: Mutex<Open>,
    /// Used only by the keeper.
    disk: Mutex<Disk>,
}

/// The part that the schedule reads and changes.
pub(super) struct Open {
    pub(super) budget: Budget,
    /// Node ids, each with the time until which nothing is downloaded from the node.
    left_alone: BTreeMap<String, Instant>,
    /// Requests to be left alone that are not on disk yet, by node id.
    new_wishes: BTreeMap<String, Wish>,
}

/// The state on disk, as this process last read or wrote it.
#[derive(Default)]
struct Disk {
    stamp: Option<Stamp>,
    kept: Kept,
    is_refused: bool,
}

/// The state of the budgets, as stored. Past days are in another file, because they rarely change.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    spent: Days<Spent>,
    /// By node id.
    #[serde(default)]
    left_alone: BTreeMap<String, Wish>,
}

/// When a node asked to be left alone, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Wish {
    since: Timestamp,
    until: Timestamp,
}

impl Books {
    /// Loads what the previous process left.
    pub(super) fn load(dir: &Path, limits: &Limits) -> Self {
        let mut disk = Disk::default();
        disk.learn(dir, true);
        let budget = Budget::new(limits.bytes_per_day, limits.bytes_per_node_per_day, disk.kept.spent.clone());
        let mut open = Open { budget, left_alone: BTreeMap::new(), new_wishes: BTreeMap::new() };
        open.learn_wishes(&disk.kept.left_alone, Timestamp::now());
        Self { dir: dir.to_owned(), open: Mutex::new(open), disk: Mutex::new(disk) }
    }

    pub(super) fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Returns whether the node has asked to be left alone and that time is not over.
    pub(super) fn leaves_alone(&self, node: &str) -> bool {
        self.left_alone.get(node).is_some_and(|until| *until > Instant::now())
    }

    /// Stops downloads from a node for this time, but at most for a day.
    pub(super) fn leave_alone(&mut self, node: &str, wait: Duration) {
        let wait = wait.min(LONGEST_WAIT);
        let since = Timestamp::now();
        let until = since.saturating_add(SignedDuration::try_from(wait).unwrap_or_default()).unwrap_or(Timestamp::MAX);
        self.extend(node, wait);
        self.new_wishes.insert(node.to_owned(), Wish { since, until });
    }

    fn extend(&mut self, node: &str, wait: Duration) {
        let until = Instant::now() + wait;
        let known = self.left_alone.entry(node.to_owned()).or_insert(until);
        *known = until.max(*known);
    }

    fn learn_wishes(&mut self, wishes: &BTreeMap<String, Wish>, now: Timestamp) {
        for (node, wish) in wishes {
            if let Some(wait) = wish.remaining(now) {
                self.extend(node, wait);
            }
        }
        let now = Instant::now();
        self.left_alone.retain(|_, until| *until > now);
    }
}

impl Wish {
    /// The time for which the request is still in effect; `None` when it is over. A request that begins in the future
    /// was written by a process with a wrong clock, so it has no effect.
    fn remaining(&self, now: Timestamp) -> Option<Duration> {
        let begun = self.since.duration_since(now) <= CLOCK_TOLERANCE;
        let left = Duration::try_from(self.until.duration_since(now)).ok()?;
        (begun && !left.is_zero()).then(|| left.min(LONGEST_WAIT))
    }
}

impl Keep for Books {
    fn keep(&self, _: bool) {
        let (spent, wishes) = {
            let mut open = self.open();
            (open.budget.save(), std::mem::take(&mut open.new_wishes))
        };
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        // The stored day must follow the clock even when nothing is spent. Otherwise a clock that jumps would look like
        // the step to the next day.
        let stored = disk.kept.spent.current();
        let is_new_day = stored.used != 0 && stored.day != day_of(now());
        let result = match spent.is_empty() && wishes.is_empty() && !is_new_day {
            true => {
                if !disk.learn(&self.dir, false) {
                    return;
                }
                Ok(())
            }
            false => disk.write(&self.dir, &spent, &wishes),
        };
        let kept = disk.kept.spent.clone();
        let mut open = self.open();
        open.learn_wishes(&disk.kept.left_alone, Timestamp::now());
        match &result {
            Ok(()) => disk.is_refused = false,
            Err(error) => {
                open.budget.not_saved();
                for (node, wish) in wishes {
                    open.new_wishes.entry(node).or_insert(wish);
                }
                disk.refused(error);
            }
        }
        let before = open.budget.saved(kept);
        drop(open);
        drop(before); // slow with 10,000 nodes, so it happens after the lock is released
    }
}

impl Disk {
    /// Reads the file if it has changed since this process last read or wrote it; returns whether it did. If the file
    /// is missing or unreadable while we run, it is written again from memory.
    fn learn(&mut self, dir: &Path, is_first: bool) -> bool {
        let stamp = state::stamp(dir, STATE);
        if stamp.is_none() || stamp == self.stamp {
            return false;
        }
        let state::Loaded { value, problem } = state::load::<Kept>(dir, STATE);
        if let Some(problem) = problem {
            if is_first {
                tracing::warn!("{problem}");
            }
            return false;
        }
        let is_same_day = !is_first && value.spent.current().day == self.kept.spent.current().day;
        let others = match is_same_day {
            true => self.kept.spent.take_others(),
            false => state::load(dir, DAYS_BEFORE).value,
        };
        self.stamp = stamp;
        self.kept = value;
        self.kept.spent.set_others(others);
        true
    }

    /// Adds to the file what this process has spent and learned. The file is locked, so no other process writes in
    /// between.
    fn write(
        &mut self,
        dir: &Path,
        spent: &[Day<Spent>],
        wishes: &BTreeMap<String, Wish>,
    ) -> Result<(), archive::Error> {
        let _held = state::hold(dir, STATE)?;
        self.learn(dir, false);
        let mut kept = self.kept.clone();
        let now = now();
        let is_today = |day: u64| day == kept.spent.current().day;
        let days_change = !is_today(day_of(now)) || spent.iter().any(|spent| !is_today(spent.day));
        if days_change {
            kept.spent.set_others(state::load::<Vec<Day<Spent>>>(dir, DAYS_BEFORE).value);
        }
        for spent in spent {
            kept.spent.at(spent.used).add(&spent.counts);
        }
        kept.spent.at(now);
        let others = kept.spent.take_others();
        if days_change {
            state::store(dir, DAYS_BEFORE, &others)?;
        }
        kept.left_alone.extend(wishes.iter().map(|(node, wish)| (node.clone(), *wish)));
        let now = Timestamp::now();
        kept.left_alone.retain(|_, wish| wish.remaining(now).is_some());
        state::store_often(dir, STATE, &kept)?;
        kept.spent.set_others(others);
        self.kept = kept;
        self.stamp = state::stamp(dir, STATE);
        Ok(())
    }

    fn refused(&mut self, error: &archive::Error) {
        if !std::mem::replace(&mut self.is_refused, true) {
            tracing::warn!("cannot write the budgets, so they are counted in memory only: {error}");
        }
    }
}

const STATE: &str = "budget";
const DAYS_BEFORE: &str = "budget-days-before";
/// The longest time for which a node is left alone.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
/// How far the clocks of processes on one archive may differ.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(1);
