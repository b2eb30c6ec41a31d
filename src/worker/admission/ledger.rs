//! What all processes on an archive share: the bytes spent from the budgets, and the cool-downs of nodes. It changes in
//! memory, and the [state writer](crate::worker::state_writer) stores it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::now;
use crate::{
    archive::{
        self,
        state::{self, FileVersion},
    },
    config::Limits,
    probe::cool_down::{CoolDowns, MAX_COOL_DOWN},
    schedule::budget::{Budget, Counts as _, Day, Days, Spent, day_of},
    worker::state_writer::StateFile,
};

/// The shared state, used by the schedule and the state writer.
pub(super) struct Ledger {
    dir: PathBuf,
    memory: Mutex<InMemory>,
    /// Used only by the state writer.
    disk: Mutex<OnDisk>,
}

/// The part that the schedule reads and changes.
pub(super) struct InMemory {
    pub(super) budget: Budget,
    cool_downs: CoolDowns,
    /// Cool-downs that are not on disk yet, by node id.
    new_cool_downs: BTreeMap<String, CoolDown>,
}

/// The state on disk, as this process last read or wrote it.
#[derive(Default)]
struct OnDisk {
    version: Option<FileVersion>,
    stored: Stored,
    is_refused: bool,
}

/// The content of the file. Past days are in another file, because they rarely change.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    spent: Days<Spent>,
    /// By node id.
    #[serde(default, rename = "left_alone")]
    cool_downs: BTreeMap<String, CoolDown>,
}

/// When a cool-down began, and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CoolDown {
    since: Timestamp,
    until: Timestamp,
}

impl Ledger {
    /// Loads what the previous process left. Stored cool-downs extend `cool_downs`.
    pub(super) fn load(dir: &Path, limits: &Limits, cool_downs: CoolDowns) -> Self {
        let mut disk = OnDisk::default();
        disk.read_if_changed(dir, true);
        let budget = Budget::new(limits.bytes_per_day, limits.bytes_per_node_per_day, disk.stored.spent.clone());
        let memory = InMemory { budget, cool_downs, new_cool_downs: BTreeMap::new() };
        memory.take_over(&disk.stored.cool_downs, Timestamp::now());
        Self { dir: dir.to_owned(), memory: Mutex::new(memory), disk: Mutex::new(disk) }
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, InMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InMemory {
    /// Returns whether a cool-down of the node is not over yet.
    pub(super) fn is_cooling_down(&self, node: &str) -> bool {
        self.cool_downs.is_active(node)
    }

    /// Starts a cool-down of a node, to be stored too.
    pub(super) fn cool_down(&mut self, node: &str, wait: Duration) {
        let wait = wait.min(MAX_COOL_DOWN);
        let since = Timestamp::now();
        let until = since.saturating_add(SignedDuration::try_from(wait).unwrap_or_default()).unwrap_or(Timestamp::MAX);
        self.cool_downs.extend(node, wait);
        self.new_cool_downs.insert(node.to_owned(), CoolDown { since, until });
    }

    fn take_over(&self, stored: &BTreeMap<String, CoolDown>, now: Timestamp) {
        for (node, cool_down) in stored {
            if let Some(wait) = cool_down.remaining(now) {
                self.cool_downs.extend(node, wait);
            }
        }
    }
}

impl CoolDown {
    /// The time until it ends; `None` when it is over. One that begins in the future was written by a process with a
    /// wrong clock, so it has no effect.
    fn remaining(&self, now: Timestamp) -> Option<Duration> {
        let begun = self.since.duration_since(now) <= CLOCK_TOLERANCE;
        let left = Duration::try_from(self.until.duration_since(now)).ok()?;
        (begun && !left.is_zero()).then(|| left.min(MAX_COOL_DOWN))
    }
}

impl StateFile for Ledger {
    fn save(&self, _: bool) {
        let (spent, cool_downs) = {
            let mut memory = self.memory();
            (memory.budget.save(), std::mem::take(&mut memory.new_cool_downs))
        };
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        // The stored day must follow the clock even when nothing is spent. Otherwise a clock that jumps would look like
        // the step to the next day.
        let stored = disk.stored.spent.current();
        let is_new_day = stored.used != 0 && stored.day != day_of(now());
        let result = match spent.is_empty() && cool_downs.is_empty() && !is_new_day {
            true => {
                if !disk.read_if_changed(&self.dir, false) {
                    return;
                }
                Ok(())
            }
            false => disk.write(&self.dir, &spent, &cool_downs),
        };
        let stored = disk.stored.spent.clone();
        let mut memory = self.memory();
        memory.take_over(&disk.stored.cool_downs, Timestamp::now());
        match &result {
            Ok(()) => disk.is_refused = false,
            Err(error) => {
                memory.budget.not_saved();
                for (node, cool_down) in cool_downs {
                    memory.new_cool_downs.entry(node).or_insert(cool_down);
                }
                disk.refused(error);
            }
        }
        let before = memory.budget.saved(stored);
        drop(memory);
        drop(before); // slow with 10,000 nodes, so it happens after the lock is released
    }
}

impl OnDisk {
    /// Reads the file if it has changed since this process last read or wrote it; returns whether it did. If the file
    /// is missing or unreadable while we run, it is written again from memory.
    fn read_if_changed(&mut self, dir: &Path, is_first: bool) -> bool {
        let version = state::version(dir, STATE);
        if version.is_none() || version == self.version {
            return false;
        }
        let state::Loaded { value, problem } = state::load::<Stored>(dir, STATE);
        if let Some(problem) = problem {
            if is_first {
                tracing::warn!("{problem}");
            }
            return false;
        }
        let is_same_day = !is_first && value.spent.current().day == self.stored.spent.current().day;
        let others = match is_same_day {
            true => self.stored.spent.take_others(),
            false => state::load(dir, DAYS_BEFORE).value,
        };
        self.version = version;
        self.stored = value;
        self.stored.spent.set_others(others);
        true
    }

    /// Adds to the file what this process has spent and learned. The file is locked, so no other process writes in
    /// between.
    fn write(
        &mut self,
        dir: &Path,
        spent: &[Day<Spent>],
        cool_downs: &BTreeMap<String, CoolDown>,
    ) -> Result<(), archive::Error> {
        let _held = state::lock(dir, STATE)?;
        self.read_if_changed(dir, false);
        let mut stored = self.stored.clone();
        let now = now();
        let is_today = |day: u64| day == stored.spent.current().day;
        let days_change = !is_today(day_of(now)) || spent.iter().any(|spent| !is_today(spent.day));
        if days_change {
            stored.spent.set_others(state::load::<Vec<Day<Spent>>>(dir, DAYS_BEFORE).value);
        }
        for spent in spent {
            stored.spent.at(spent.used).add(&spent.counts);
        }
        stored.spent.at(now);
        let others = stored.spent.take_others();
        if days_change {
            state::store(dir, DAYS_BEFORE, &others)?;
        }
        stored.cool_downs.extend(cool_downs.iter().map(|(node, cool_down)| (node.clone(), *cool_down)));
        let now = Timestamp::now();
        stored.cool_downs.retain(|_, cool_down| cool_down.remaining(now).is_some());
        state::store_often(dir, STATE, &stored)?;
        stored.spent.set_others(others);
        self.stored = stored;
        self.version = state::version(dir, STATE);
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
/// How far the clocks of processes on one archive may differ.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(1);
