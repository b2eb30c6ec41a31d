//! Which runs are due. Each entry has one slot after the other. Missed slots are counted and never made up for.
//!
//! A run waits from its slot until [`Queue::start`], and continues until [`Queue::finish`]. A slot is missed when the
//! previous run is still in progress. When the previous run is still waiting, its older slot is missed and the waiting
//! run takes the newer one. A slot soon after a late start is missed too, because the node would otherwise see a burst.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

use rand::Rng;

use super::spacing::{self, Slot};
use crate::model::{probe::Spacing, units::Micros};

/// Two starts of one entry are at least this fraction of its `every` apart. The shortest interval between two slots is
/// a tenth of `every`, so this leaves room for lateness.
const CLOSEST: u64 = 20;

/// The slots of all entries. A key is one probe against one node.
#[derive(Debug)]
pub struct Queue<K> {
    entries: BTreeMap<K, QueueEntry>,
    /// One element per entry: its next slot.
    due: BinaryHeap<Reverse<(Micros, K)>>,
    missed: u64,
}

#[derive(Debug)]
struct QueueEntry {
    spacing: Spacing,
    every: Duration,
    next: Slot,
    state: RunState,
    last_start: Option<Micros>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunState {
    Idle,
    Waiting { intended: Micros },
    Running,
}

impl<K: Copy + Ord> Queue<K> {
    /// Creates a queue of these entries, each with its spacing and `every`, which must be more than zero.
    pub fn new(entries: impl IntoIterator<Item = (K, Spacing, Duration)>, now: Micros, rng: &mut impl Rng) -> Self {
        let mut queue = Self { entries: BTreeMap::new(), due: BinaryHeap::new(), missed: 0 };
        for (key, spacing, every) in entries {
            queue.insert(key, spacing, every, now, rng);
        }
        queue
    }

    /// Adds an entry, or replaces the one with the same key. From now on it makes one run per `every` on average, as if
    /// it had always been there.
    pub fn insert(&mut self, key: K, spacing: Spacing, every: Duration, now: Micros, rng: &mut impl Rng) {
        self.remove(key);
        let next = spacing::first(spacing, every, now, rng);
        self.due.push(Reverse((next.due, key)));
        self.entries.insert(key, QueueEntry { spacing, every, next, state: RunState::Idle, last_start: None });
    }

    /// Removes an entry. A run of it that is in progress may still be passed to [`Self::finish`].
    pub fn remove(&mut self, key: K) {
        if self.entries.remove(&key).is_some() {
            self.due.retain(|Reverse((_, other))| *other != key);
        }
    }

    /// When the next slot is due; `None` without entries.
    #[must_use]
    pub fn next_due(&self) -> Option<Micros> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    /// The entries whose runs are now due and were not returned before, in the order of their slots. The caller must
    /// start each one with [`Self::start`] once it may run, and end it with [`Self::finish`] in any case.
    pub fn pop(&mut self, now: Micros, rng: &mut impl Rng) -> Vec<K> {
        let mut due = Vec::new();
        while let Some(mut top) = self.due.peek_mut()
            && top.0.0 <= now
        {
            let key = top.0.1;
            let entry = self.entries.get_mut(&key).expect("invariant: the heap holds keys of entries only");
            if entry.take_slot(now, &mut self.missed, rng) {
                due.push(key);
            }
            // The heap moves the element to its new position when `top` is dropped.
            top.0.0 = entry.next.due;
        }
        due
    }

    /// Starts the run of a waiting entry. Returns its intended time; the difference from `now` is the lateness. `None`
    /// when the entry is not waiting.
    pub fn start(&mut self, key: K, now: Micros) -> Option<Micros> {
        let entry = self.entries.get_mut(&key)?;
        let RunState::Waiting { intended } = entry.state else { return None };
        entry.state = RunState::Running;
        entry.last_start = Some(now);
        Some(intended)
    }

    /// Ends a run, whether or not it was started.
    pub fn finish(&mut self, key: K) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.state = RunState::Idle;
        }
    }

    /// Number of missed slots since the last call.
    pub fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }
}

impl QueueEntry {
    /// Uses up the slot that is due. Returns whether a run of this entry becomes due.
    fn take_slot(&mut self, now: Micros, missed: &mut u64, rng: &mut impl Rng) -> bool {
        let slot = self.next;
        let every = Micros::from(self.every).0.max(1);
        let behind = now.saturating_sub(slot.due).0;
        if behind > every {
            // The machine was suspended, or the clock stepped. Nothing is made up for: continue from now.
            let slots = behind / every + 1;
            *missed = missed.saturating_add(slots);
            self.next = self.after(now, rng);
            if let RunState::Waiting { intended } = &mut self.state {
                *intended = now;
            }
            return false;
        }
        self.next = spacing::next(self.spacing, self.every, slot.base, rng);
        match self.state {
            RunState::Idle if !self.is_burst(slot, every) => {
                self.state = RunState::Waiting { intended: slot.due };
                true
            }
            RunState::Waiting { .. } => {
                *missed = missed.saturating_add(1);
                self.state = RunState::Waiting { intended: slot.due };
                false
            }
            RunState::Idle | RunState::Running => {
                *missed = missed.saturating_add(1);
                false
            }
        }
    }

    /// The next slot after `now`; on the old grid with fixed spacing.
    fn after(&self, now: Micros, rng: &mut impl Rng) -> Slot {
        match self.spacing {
            Spacing::Memoryless => spacing::next(self.spacing, self.every, now, rng),
            Spacing::Fixed { .. } => {
                let place = spacing::on_grid(self.every, self.next.base, now);
                spacing::next(self.spacing, self.every, place, rng)
            }
        }
    }

    fn is_burst(&self, slot: Slot, every: u64) -> bool {
        self.last_start.is_some_and(|start| slot.due.0 < start.0.saturating_add(every / CLOSEST))
    }
}
