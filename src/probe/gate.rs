//! Who may transfer now: heavy transfers alone on the uplink, light ones not beside them, few at once from one node.
//!
//! Permits are granted in the order of asking, so that a heavy transfer is never starved by a stream of light ones; only
//! who waits for a busy *node* is passed over. A permit's share of the uplink is lent while its transfer hangs
//! ([`Permit::lend_when_idle`]), so that one silent node delays no other. A transfer that moves no byte disturbs nobody;
//! when one that hung flows again beside others, all of them know it ([`Permit::was_concurrent`]).
//!
//! A run may keep its connection open between two transfers, and each connection takes a file descriptor. So connections
//! have a limit too: each needs a [`Place`], which it has until it closes. While all places are taken, only runs that have
//! one are granted, until one of them ends.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

use crate::{config::Limits, model::probe::Weight, net::run_clock::RunClock};

/// Hands out permits. Clones share them.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

/// The right to transfer, given back when dropped.
#[derive(Debug)]
pub struct Permit {
    gate: Gate,
    id: u64,
    place: Option<Place>,
}

/// The right to have a connection open, given back when dropped: drop the connection first.
#[derive(Debug)]
pub struct Place(Gate);

#[derive(Debug)]
struct Shared {
    heavy: usize,
    light: usize,
    per_node: usize,
    connections: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiter>,
    open: HashMap<u64, Open>,
    /// Nodes that limit us, and until when.
    left_alone: HashMap<Arc<str>, Instant>,
    /// Places that are taken.
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
    /// Since when its share of the uplink is lent.
    lent: Option<Instant>,
    concurrent: bool,
}

impl Gate {
    /// A gate for this many transfers at once, and any number of connections.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self::with_connections(limits, usize::MAX)
    }

    /// A gate for this many transfers at once, over at most this many connections, which are at least one.
    #[must_use]
    pub fn with_connections(limits: &Limits, connections: usize) -> Self {
        Self(Arc::new(Shared {
            connections: connections.max(1),
            heavy: limits.heavy_transfers,
            light: limits.light_transfers,
            per_node: limits.transfers_per_node,
            state: Mutex::default(),
        }))
    }

    /// Waits for its turn to use the uplink. It gets no place, as its connections are counted elsewhere.
    pub async fn acquire(&self, weight: Weight, node: &Arc<str>) -> Permit {
        self.wait(weight, node, false).await
    }

    /// Waits for its turn to transfer. The permit has the place of the connection that is kept, or a new one.
    pub async fn acquire_with_place(&self, weight: Weight, node: &Arc<str>, kept: Option<Place>) -> Permit {
        let mut permit = self.wait(weight, node, kept.is_none()).await;
        permit.place = kept.or(permit.place.take());
        permit
    }

    /// The same; `None` when the node is to be left alone by then.
    pub async fn acquire_unless_left_alone(
        &self,
        weight: Weight,
        node: &Arc<str>,
        kept: Option<Place>,
    ) -> Option<Permit> {
        if self.is_left_alone(node) {
            return None;
        }
        let permit = self.acquire_with_place(weight, node, kept).await;
        (!self.is_left_alone(node)).then_some(permit)
    }

    async fn wait(&self, weight: Weight, node: &Arc<str>, needs_place: bool) -> Permit {
        let (granted, permit) = oneshot::channel();
        self.lock().waiting.push_back(Waiter { weight, node: node.clone(), needs_place, granted });
        self.grant();
        permit.await.expect("invariant: a waiter is granted or still queued")
    }

    /// Turns away who waits for this node, and who comes within this time. To be said before the permit of the transfer
    /// that the node limited is given back.
    pub fn leave_alone(&self, node: &Arc<str>, wait: Duration) {
        let now = Instant::now();
        let mut state = self.lock();
        state.left_alone.retain(|_, until| *until > now);
        let until = state.left_alone.entry(node.clone()).or_insert(now);
        *until = (*until).max(now + wait);
    }

    fn is_left_alone(&self, node: &Arc<str>) -> bool {
        self.lock().left_alone.get(node).is_some_and(|until| *until > Instant::now())
    }

    /// Does a heavy transfer use the uplink now?
    #[must_use]
    pub fn has_heavy(&self) -> bool {
        self.lock().using_uplink(Weight::Heavy) > 0
    }

    /// Grants whatever is possible now.
    fn grant(&self) {
        loop {
            // A statement of its own, so that the lock is free again: a permit that nobody awaits any more is dropped below,
            // and dropping it grants the next.
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
            // Who has gone gets no permit: giving it back would grant the next, one level deeper for each of a crowd.
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

    /// Transfer `id` uses the uplink from now on: tells it, and those that use the uplink too, of a heavy one beside them.
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

    /// Ends a loan, if there is one and bytes moved since.
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
    /// Takes its place out, for a connection that stays open.
    pub const fn take_place(&mut self) -> Option<Place> {
        self.place.take()
    }

    /// Did a heavy transfer run beside this one? Asked at its end, with the time when a byte last moved.
    #[must_use]
    pub fn was_concurrent(&self, last_progress: Instant) -> bool {
        let mut state = self.gate.lock();
        state.resume(self.id, last_progress);
        state.open.get(&self.id).is_some_and(|open| open.concurrent)
    }

    /// Watches a transfer, and lends its share of the uplink to others while no byte has moved for a second. Its place at
    /// the node stays taken. Time in which this process did not run is none without a byte. Never returns; run it beside the
    /// transfer.
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

/// After so long without a byte a transfer is taken to hang.
const IDLE: Duration = Duration::from_secs(1);
/// How often a hanging transfer is looked at for bytes that move again.
const LOOK: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests;
