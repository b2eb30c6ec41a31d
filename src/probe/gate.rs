//! Permits to transfer. Heavy transfers do not share the uplink with light ones, and a node gets only a few transfers
//! at once.
//!
//! Permits are granted in the order of the requests, so a stream of light transfers never starves a heavy one. A
//! waiter is passed over only when its *node* is busy or no place is free. While a transfer hangs, its share of the
//! uplink is lent to others ([`Permit::lend_when_idle`]), so one silent node does not delay the other nodes. A
//! transfer that moves no bytes disturbs no other. When it resumes next to others, all of them are marked
//! ([`Permit::was_concurrent`]).
//!
//! A run may keep its connection open between two transfers, and each connection uses a file descriptor. So
//! connections have a limit too: each needs a [`Place`] until it closes. While all places are taken, only runs that
//! already have one get permits, until one of them ends.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

use super::cool_down::CoolDowns;
use crate::{config::Limits, model::probe::Weight, net::run_clock::RunClock};

/// Hands out permits. Clones share the same limits and queue.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

/// The right to transfer. It ends when dropped.
#[derive(Debug)]
pub struct Permit {
    gate: Gate,
    id: u64,
    place: Option<Place>,
}

/// The right to keep a connection open. It ends when dropped, so drop the connection first.
#[derive(Debug)]
pub struct Place(Gate);

#[derive(Debug)]
struct Shared {
    heavy: usize,
    light: usize,
    per_node: usize,
    connections: usize,
    cool_downs: CoolDowns,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiter>,
    open: HashMap<u64, Open>,
    /// Number of places that are taken.
    connections: usize,
    next_id: u64,
}

#[derive(Debug)]
struct Waiter {
    weight: Weight,
    node: Arc<str>,
    needs_place: bool,
    granted: oneshot::Sender<Permit>,
}

/// A transfer that has its permit.
#[derive(Debug)]
struct Open {
    weight: Weight,
    node: Arc<str>,
    /// Since when its share of the uplink is lent. `None` while it uses the share itself.
    lent: Option<Instant>,
    concurrent: bool,
}

impl Gate {
    /// A gate with the limits of the config and no limit of connections.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self::with_connections(limits, usize::MAX)
    }

    /// A gate with the limits of the config and at most `connections` open connections. 0 counts as 1.
    #[must_use]
    pub fn with_connections(limits: &Limits, connections: usize) -> Self {
        Self(Arc::new(Shared {
            connections: connections.max(1),
            heavy: limits.heavy_transfers,
            light: limits.light_transfers,
            per_node: limits.transfers_per_node,
            cool_downs: CoolDowns::default(),
            state: Mutex::default(),
        }))
    }

    /// Waits for a permit to use the uplink. The permit has no place, because its connections are counted elsewhere.
    pub async fn acquire(&self, weight: Weight, node: &Arc<str>) -> Permit {
        self.wait(weight, node, false).await
    }

    /// Waits for a permit to transfer. The permit has the place of the kept connection, or a new place.
    pub async fn acquire_with_place(&self, weight: Weight, node: &Arc<str>, kept: Option<Place>) -> Permit {
        let mut permit = self.wait(weight, node, kept.is_none()).await;
        permit.place = kept.or(permit.place.take());
        permit
    }

    /// Like [`Gate::acquire_with_place`]. `None` during a cool-down of the node, now or when the permit is granted.
    pub async fn acquire_unless_cooling_down(
        &self,
        weight: Weight,
        node: &Arc<str>,
        kept: Option<Place>,
    ) -> Option<Permit> {
        if self.0.cool_downs.is_active(node) {
            return None;
        }
        let permit = self.acquire_with_place(weight, node, kept).await;
        (!self.0.cool_downs.is_active(node)).then_some(permit)
    }

    async fn wait(&self, weight: Weight, node: &Arc<str>, needs_place: bool) -> Permit {
        let (granted, permit) = oneshot::channel();
        self.lock().waiting.push_back(Waiter { weight, node: node.clone(), needs_place, granted });
        self.grant();
        permit.await.expect("invariant: a waiter is granted or still queued")
    }

    /// The cool-downs of nodes. A transfer that is rate-limited extends them before it drops its permit, so that those
    /// that wait for it are refused.
    #[must_use]
    pub fn cool_downs(&self) -> &CoolDowns {
        &self.0.cool_downs
    }

    /// Does a heavy transfer use the uplink now?
    #[must_use]
    pub fn has_heavy(&self) -> bool {
        self.lock().using_uplink(Weight::Heavy) > 0
    }

    /// Grants all permits that are possible now.
    fn grant(&self) {
        loop {
            // This is a separate statement so that the lock is released. If the waiter is gone, the permit is dropped
            // below, and that drop calls `grant` again.
            let next = self.lock().next(&self.0);
            let Some((waiter, id)) = next else { return };
            let place = waiter.needs_place.then(|| Place(self.clone()));
            drop(waiter.granted.send(Permit { gate: self.clone(), id, place }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self, limits: &Shared) -> Option<(Waiter, u64)> {
        let waiter = loop {
            let at = self.first_grantable(limits)?;
            let waiter = self.waiting.remove(at)?;
            // A waiter that is gone gets no permit. Dropping that permit would grant the next one recursively, one
            // level deeper for each waiter that is gone.
            if !waiter.granted.is_closed() {
                break waiter;
            }
        };
        let id = self.next_id;
        self.next_id += 1;
        let open = Open { weight: waiter.weight, node: waiter.node.clone(), lent: None, concurrent: false };
        self.open.insert(id, open);
        self.connections += usize::from(waiter.needs_place);
        self.note_overlap(id);
        Some((waiter, id))
    }

    /// Transfer `id` uses the uplink from now on. Marks it and the others on the uplink as concurrent where they run
    /// next to a heavy transfer.
    fn note_overlap(&mut self, id: u64) {
        let Some(weight) = self.open.get(&id).map(|open| open.weight) else { return };
        let mut beside_heavy = false;
        for (_, other) in self.open.iter_mut().filter(|(other, open)| **other != id && open.lent.is_none()) {
            beside_heavy |= other.weight == Weight::Heavy;
            other.concurrent |= weight == Weight::Heavy;
        }
        if let Some(open) = self.open.get_mut(&id) {
            open.concurrent |= beside_heavy;
        }
    }

    /// Ends the loan of a transfer if bytes have moved since. Returns whether it did.
    fn resume(&mut self, id: u64, last_progress: Instant) -> bool {
        let Some(open) = self.open.get_mut(&id) else { return false };
        let resumed = open.lent.is_some_and(|lent| last_progress > lent);
        if resumed {
            open.lent = None;
            self.note_overlap(id);
        }
        resumed
    }

    fn first_grantable(&self, limits: &Shared) -> Option<usize> {
        let all_taken = self.connections >= limits.connections;
        for (at, waiter) in self.waiting.iter().enumerate() {
            if waiter.needs_place && all_taken {
                continue;
            }
            let on_node = self.open.values().filter(|open| open.node == waiter.node).count();
            if on_node >= limits.per_node {
                continue;
            }
            let heavy = self.using_uplink(Weight::Heavy);
            let light = self.using_uplink(Weight::Light);
            let fits = match waiter.weight {
                Weight::Heavy => light == 0 && heavy < limits.heavy,
                Weight::Light => heavy == 0 && light < limits.light,
            };
            return fits.then_some(at);
        }
        None
    }

    fn using_uplink(&self, weight: Weight) -> usize {
        self.open.values().filter(|open| open.weight == weight && open.lent.is_none()).count()
    }
}

impl Permit {
    /// Takes the place out of the permit, for a connection that stays open.
    pub const fn take_place(&mut self) -> Option<Place> {
        self.place.take()
    }

    /// Did a heavy transfer run at the same time? Call it at the end, with the time when a byte last moved.
    #[must_use]
    pub fn was_concurrent(&self, last_progress: Instant) -> bool {
        let mut state = self.gate.lock();
        state.resume(self.id, last_progress);
        state.open.get(&self.id).is_some_and(|open| open.concurrent)
    }

    /// Watches a transfer and lends its share of the uplink to others while no byte has moved for one second. The
    /// transfer still counts for the limit of its node. Time in which this process did not run does not count. Never
    /// returns: run it concurrently with the transfer.
    pub async fn lend_when_idle(&self, clock: &RunClock, last_progress: impl Fn() -> Instant) {
        loop {
            sleep_until(clock.due(last_progress(), IDLE)).await;
            if !clock.is_over(last_progress(), IDLE) {
                continue;
            }
            let now = Instant::now();
            if let Some(open) = self.gate.lock().open.get_mut(&self.id) {
                open.lent = Some(now);
            }
            self.gate.grant();
            while !self.gate.lock().resume(self.id, last_progress()) {
                sleep(LOOK).await;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.lock().open.remove(&self.id);
        self.gate.grant();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().connections -= 1;
        self.0.grant();
    }
}

/// A transfer without a byte for this long counts as hanging.
const IDLE: Duration = Duration::from_secs(1);
/// How often a hanging transfer is checked for new bytes.
const LOOK: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests;
