//! What all processes on the archive share: budgets, and which nodes asked to be left alone. Changed in memory, written by the
//! keeper.

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

/// Budgets and wishes, shared by the schedule and the keeper.
pub(super) struct Books {
    dir: PathBuf,
    open: Mutex<Open>,
    /// Used only by the keeper.
    disk: Mutex<Disk>,
}

/// What the schedule works with.
pub(super) struct Open {
    pub(super) budget: Budget,
    /// By node id: no downloads from it until then.
    left_alone: BTreeMap<String, Instant>,
    /// Wishes that are not on disk yet.
    new_wishes: BTreeMap<String, Wish>,
}

/// What is known of the disk.
#[derive(Default)]
struct Disk {
    stamp: Option<Stamp>,
    kept: Kept,
    is_refused: bool,
}

/// The state of the budget as it is stored. The days before are stored apart, because they hardly change.
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
    /// As the last process left them.
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
    /// Has the node asked to be left alone until later?
    pub(super) fn leaves_alone(&self, node: &str) -> bool {
        self.left_alone.get(node).is_some_and(|until| *until > Instant::now())
    }

    /// Leaves a node alone for this time, and a day at most.
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
    /// How long it still holds. One that begins in the future was written while the clock was wrong.
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
        // The stored days follow the clock even when nothing is spent: else a jump would look like a step to another day.
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
        drop(before); // takes a while with 10,000 nodes, so not while the schedule waits
    }
}

impl Disk {
    /// Reads what is stored, if it is not what is known. A state that is gone or cannot be read while we run is written again
    /// from memory.
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

    /// Adds what this process has spent and learned to what is stored. Nothing else writes in between.
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
/// No node is left alone for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
/// By how much the clocks of processes on one archive may differ.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(1);
