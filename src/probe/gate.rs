//! Permits to transfer. Heavy transfers do not share the uplink with light ones, and a node gets only a few transfers
//! at once.
//!
//! Permits are granted in the order of the requests, so a stream of light transfers never starves a heavy one. A
//! waiter is passed over only when its *node* is busy or no slot is free. While a transfer hangs, its share of the
//! uplink is lent to others ([`Permit::lend_when_idle`]), so one silent node does not delay the other nodes. A
//! transfer that moves no bytes disturbs no other. When it resumes next to others, all of them are marked
//! ([`Permit::was_concurrent`]).
//!
//! A run may keep its connection open between two transfers, and each connection uses a file descriptor. So
//! connections have a limit too: each needs a [`ConnectionSlot`] until it closes. While all slots are taken, only runs
//! that already have one get permits, until one of them ends.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
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
    slot: Option<ConnectionSlot>,
}

/// The right to keep a connection open. It ends when dropped, so drop the connection first.
#[derive(Debug)]
pub struct ConnectionSlot(Gate);

#[derive(Debug)]
struct Shared {
    heavy: usize,
    light: usize,
    per_node: usize,
    connections: usize,
    cool_downs: CoolDowns,
    state: Mutex<GateState>,
}

#[derive(Debug, Default)]
struct GateState {
    waiting: VecDeque<Waiter>,
    active: ActiveTransfers,
    /// Number of slots that are taken.
    connections: usize,
    next_id: u64,
}

/// The transfers that have a permit, and their running counts. The counts keep a grant cheap while many transfers hang
/// and many wait.
#[derive(Debug, Default)]
struct ActiveTransfers {
    by_id: HashMap<u64, ActiveTransfer>,
    /// Transfers of each node. Nodes without one are absent.
    of_node: HashMap<Arc<str>, usize>,
    /// Heavy transfers that use the uplink.
    heavy: usize,
    /// Light transfers that use the uplink.
    light: usize,
}

#[derive(Debug)]
struct Waiter {
    weight: Weight,
    node: Arc<str>,
    needs_slot: bool,
    granted: oneshot::Sender<Permit>,
}

#[derive(Debug)]
struct ActiveTransfer {
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

    /// Waits for a permit to use the uplink. The permit has no slot, because its connections are counted elsewhere.
    pub async fn acquire(&self, weight: Weight, node: &Arc<str>) -> Permit {
        self.wait(weight, node, false).await
    }

    /// Waits for a permit to transfer. The permit has the slot of the kept connection, or a new slot.
    pub async fn acquire_with_slot(&self, weight: Weight, node: &Arc<str>, kept: Option<ConnectionSlot>) -> Permit {
        let mut permit = self.wait(weight, node, kept.is_none()).await;
        permit.slot = kept.or(permit.slot.take());
        permit
    }

    /// Like [`Gate::acquire_with_slot`]. `None` during a cool-down of the node, now or when the permit is granted.
    pub async fn acquire_unless_cooling_down(
        &self,
        weight: Weight,
        node: &Arc<str>,
        kept: Option<ConnectionSlot>,
    ) -> Option<Permit> {
        if self.0.cool_downs.is_active(node) {
            return None;
        }
        let permit = self.acquire_with_slot(weight, node, kept).await;
        (!self.0.cool_downs.is_active(node)).then_some(permit)
    }

    async fn wait(&self, weight: Weight, node: &Arc<str>, needs_slot: bool) -> Permit {
        let (granted, permit) = oneshot::channel();
        self.lock().waiting.push_back(Waiter { weight, node: node.clone(), needs_slot, granted });
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
        self.lock().active.heavy > 0
    }

    /// Grants all permits that are possible now.
    fn grant(&self) {
        loop {
            // This is a separate statement so that the lock is released. If the waiter is gone, the permit is dropped
            // below, and that drop calls `grant` again.
            let next = self.lock().next(&self.0);
            let Some((waiter, id)) = next else { return };
            let slot = waiter.needs_slot.then(|| ConnectionSlot(self.clone()));
            drop(waiter.granted.send(Permit { gate: self.clone(), id, slot }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GateState {
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
        self.connections += usize::from(waiter.needs_slot);
        self.active.insert(id, waiter.weight, waiter.node.clone());
        Some((waiter, id))
    }

    fn first_grantable(&self, limits: &Shared) -> Option<usize> {
        let all_taken = self.connections >= limits.connections;
        for (at, waiter) in self.waiting.iter().enumerate() {
            if (waiter.needs_slot && all_taken) || self.active.of_node(&waiter.node) >= limits.per_node {
                continue;
            }
            let ActiveTransfers { heavy, light, .. } = self.active;
            let fits = match waiter.weight {
                Weight::Heavy => light == 0 && heavy < limits.heavy,
                Weight::Light => heavy == 0 && light < limits.light,
            };
            return fits.then_some(at);
        }
        None
    }
}

impl ActiveTransfers {
    /// Adds a transfer, which uses the uplink from now on.
    fn insert(&mut self, id: u64, weight: Weight, node: Arc<str>) {
        *self.of_node.entry(node.clone()).or_default() += 1;
        self.by_id.insert(id, ActiveTransfer { weight, node, lent: None, concurrent: false });
        self.enter_uplink(id);
    }

    fn remove(&mut self, id: u64) {
        self.leave_uplink(id);
        let Some(ended) = self.by_id.remove(&id) else { return };
        if let Entry::Occupied(mut count) = self.of_node.entry(ended.node) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// Lends the transfer's share of the uplink.
    fn lend(&mut self, id: u64, now: Instant) {
        self.leave_uplink(id);
        if let Some(transfer) = self.by_id.get_mut(&id) {
            transfer.lent = Some(now);
        }
    }

    /// Ends the loan of a transfer if bytes have moved since. Returns whether it did.
    fn resume(&mut self, id: u64, last_progress: Instant) -> bool {
        let Some(transfer) = self.by_id.get_mut(&id) else { return false };
        let resumed = transfer.lent.is_some_and(|lent| last_progress > lent);
        if resumed {
            transfer.lent = None;
            self.enter_uplink(id);
        }
        resumed
    }

    fn of_node(&self, node: &str) -> usize {
        self.of_node.get(node).copied().unwrap_or_default()
    }

    fn was_concurrent(&self, id: u64) -> bool {
        self.by_id.get(&id).is_some_and(|transfer| transfer.concurrent)
    }

    /// Counts transfer `id` as using the uplink. Marks it and the others on the uplink as concurrent where they run
    /// next to a heavy transfer.
    fn enter_uplink(&mut self, id: u64) {
        let beside_heavy = self.heavy > 0;
        let Some(transfer) = self.by_id.get_mut(&id) else { return };
        transfer.concurrent |= beside_heavy;
        let weight = transfer.weight;
        if weight == Weight::Heavy {
            for (_, other) in self.by_id.iter_mut().filter(|(other, transfer)| **other != id && transfer.lent.is_none())
            {
                other.concurrent = true;
            }
        }
        *self.on_uplink(weight) += 1;
    }

    /// Does nothing if the transfer's share is already lent.
    fn leave_uplink(&mut self, id: u64) {
        let Some(transfer) = self.by_id.get(&id).filter(|transfer| transfer.lent.is_none()) else { return };
        let weight = transfer.weight;
        *self.on_uplink(weight) -= 1;
    }

    const fn on_uplink(&mut self, weight: Weight) -> &mut usize {
        match weight {
            Weight::Heavy => &mut self.heavy,
            Weight::Light => &mut self.light,
        }
    }
}

impl Permit {
    /// Takes the slot out of the permit, for a connection that stays open.
    pub const fn take_slot(&mut self) -> Option<ConnectionSlot> {
        self.slot.take()
    }

    /// Did a heavy transfer run at the same time? Call it at the end, with the time when a byte last moved.
    #[must_use]
    pub fn was_concurrent(&self, last_progress: Instant) -> bool {
        let mut state = self.gate.lock();
        state.active.resume(self.id, last_progress);
        state.active.was_concurrent(self.id)
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
            self.gate.lock().active.lend(self.id, Instant::now());
            self.gate.grant();
            while !self.gate.lock().active.resume(self.id, last_progress()) {
                sleep(LOOK).await;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.lock().active.remove(self.id);
        self.gate.grant();
    }
}

impl Drop for ConnectionSlot {
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
