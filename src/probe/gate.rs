//! Who may transfer now: heavy transfers alone on the uplink, light ones not beside them, few at once from one node.
//!
//! Permits are granted in the order of asking, so that a heavy transfer is never starved by a stream of light ones; only
//! who waits for a busy *node* is passed over. A permit's share of the uplink is lent while its transfer hangs
//! ([`Permit::lend_when_idle`]), so that one silent node delays no other. A transfer that moves no byte disturbs nobody;
//! when one that hung flows again beside others, all of them know it ([`Permit::was_concurrent`]).

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

use crate::{config::Limits, model::probe::Weight};

/// Hands out permits. Clones share them.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

/// The right to transfer, given back when dropped.
#[derive(Debug)]
pub struct Permit {
    gate: Gate,
    id: u64,
}

#[derive(Debug)]
struct Shared {
    heavy: usize,
    light: usize,
    per_node: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiter>,
    open: HashMap<u64, Open>,
    next_id: u64,
}

#[derive(Debug)]
struct Waiter {
    weight: Weight,
    node: Arc<str>,
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
    /// A gate for so many transfers at once.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Shared {
            heavy: limits.heavy_transfers,
            light: limits.light_transfers,
            per_node: limits.transfers_per_node,
            state: Mutex::default(),
        }))
    }

    /// Waits for its turn.
    pub async fn acquire(&self, weight: Weight, node: &Arc<str>) -> Permit {
        let (granted, permit) = oneshot::channel();
        self.lock().waiting.push_back(Waiter { weight, node: node.clone(), granted });
        self.grant();
        permit.await.expect("invariant: a waiter is granted or still queued")
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
            drop(waiter.granted.send(Permit { gate: self.clone(), id }));
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
    fn resume(&mut self, id: u64, last_activity: Instant) -> bool {
        let Some(open) = self.open.get_mut(&id) else { return false };
        let resumed = open.lent.is_some_and(|lent| last_activity > lent);
        if resumed {
            open.lent = None;
            self.note_overlap(id);
        }
        resumed
    }

    fn first_grantable(&self, limits: &Shared) -> Option<usize> {
        for (at, waiter) in self.waiting.iter().enumerate() {
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
    /// Did a heavy transfer run beside this one? Asked at its end, with the time when a byte last moved.
    #[must_use]
    pub fn was_concurrent(&self, last_activity: Instant) -> bool {
        let mut state = self.gate.lock();
        state.resume(self.id, last_activity);
        state.open.get(&self.id).is_some_and(|open| open.concurrent)
    }

    /// Watches a transfer, and lends its share of the uplink to others while no byte has moved for a second. Its place at
    /// the node stays taken. Never returns; run it beside the transfer.
    pub async fn lend_when_idle(&self, last_activity: impl Fn() -> Instant) {
        loop {
            sleep_until(last_activity() + IDLE).await;
            let now = Instant::now();
            if now < last_activity() + IDLE {
                continue;
            }
            if let Some(open) = self.gate.lock().open.get_mut(&self.id) {
                open.lent = Some(now);
            }
            self.gate.grant();
            while !self.gate.lock().resume(self.id, last_activity()) {
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

/// After so long without a byte a transfer is taken to hang.
const IDLE: Duration = Duration::from_secs(1);
/// How often a hanging transfer is looked at for bytes that move again.
const LOOK: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Poll};

    use super::*;
    use crate::model::units::Bytes;

    fn gate(heavy: usize, light: usize, per_node: usize) -> Gate {
        Gate::new(&Limits {
            vantages: 1,
            bytes_per_day: Bytes(1),
            bytes_per_node_per_day: Bytes(1),
            heavy_transfers: heavy,
            light_transfers: light,
            transfers_per_node: per_node,
        })
    }

    /// Polls once: is the permit there already?
    async fn now(future: impl Future<Output = Permit>) -> Option<Permit> {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(permit) => Poll::Ready(Some(permit)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    #[tokio::test]
    async fn a_heavy_transfer_is_alone() {
        let gate = gate(1, 2, 9);
        let [a, b, c] = ["a", "b", "c"].map(Arc::from);
        let light = gate.acquire(Weight::Light, &a).await;
        let mut heavy = Box::pin(gate.acquire(Weight::Heavy, &b));
        assert!(now(&mut heavy).await.is_none(), "a light one runs");
        assert!(now(gate.acquire(Weight::Light, &c)).await.is_none(), "a heavy one waits first");
        assert!(!gate.has_heavy(), "it waits");
        drop(light);
        let heavy = now(heavy).await.expect("its turn");
        assert!(gate.has_heavy());
        assert!(now(gate.acquire(Weight::Light, &c)).await.is_none());
        assert!(now(gate.acquire(Weight::Heavy, &c)).await.is_none());
        assert!(!heavy.was_concurrent(Instant::now()));
        drop(heavy);
        let first = now(gate.acquire(Weight::Light, &a)).await;
        let second = now(gate.acquire(Weight::Light, &b)).await;
        assert!(first.is_some() && second.is_some());
        assert!(now(gate.acquire(Weight::Light, &c)).await.is_none(), "two light ones at most");
    }

    #[tokio::test]
    async fn a_busy_node_holds_back_only_its_own() {
        let gate = gate(1, 8, 1);
        let [a, b] = ["a", "b"].map(Arc::from);
        let _one = gate.acquire(Weight::Light, &a).await;
        let mut same = Box::pin(gate.acquire(Weight::Light, &a));
        assert!(now(&mut same).await.is_none());
        assert!(now(gate.acquire(Weight::Light, &b)).await.is_some());
    }

    #[tokio::test]
    async fn a_crowd_that_has_gone_is_passed_over() {
        let gate = gate(1, 8, 1);
        let [a, b] = ["a", "b"].map(Arc::from);
        let held = gate.acquire(Weight::Light, &a).await;
        let mut crowd: Vec<_> = (0..6_000).map(|_| Box::pin(gate.acquire(Weight::Light, &a))).collect();
        for waiting in &mut crowd {
            assert!(now(waiting).await.is_none());
        }
        let mut heavy = Box::pin(gate.acquire(Weight::Heavy, &b));
        assert!(now(&mut heavy).await.is_none());
        drop(crowd);
        drop(held);
        assert!(now(heavy).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_transfer_lends_its_share() {
        let gate = gate(1, 8, 1);
        let [a, b] = ["a", "b"].map(Arc::from);
        let hanging = gate.acquire(Weight::Heavy, &a).await;
        let started = Instant::now();
        let other = tokio::select! {
            () = hanging.lend_when_idle(|| started) => unreachable!("never returns"),
            other = gate.acquire(Weight::Heavy, &b) => other,
        };
        assert_eq!(started.elapsed(), IDLE);
        assert!(now(gate.acquire(Weight::Light, &a)).await.is_none(), "the hanging node itself is left alone");
        assert!(
            !hanging.was_concurrent(started) && !other.was_concurrent(Instant::now()),
            "no byte moved beside the other"
        );
        drop((hanging, other));
        assert!(!gate.acquire(Weight::Heavy, &a).await.was_concurrent(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_transfer_that_flows_again_beside_another_marks_both() {
        let gate = gate(1, 8, 1);
        let [a, b] = ["a", "b"].map(Arc::from);
        let hanging = gate.acquire(Weight::Heavy, &a).await;
        let last_byte = std::cell::Cell::new(Instant::now());
        let other = tokio::select! {
            () = hanging.lend_when_idle(|| last_byte.get()) => unreachable!("never returns"),
            other = gate.acquire(Weight::Heavy, &b) => other,
        };
        let half_a_second = sleep(Duration::from_millis(500));
        tokio::select! {
            () = hanging.lend_when_idle(|| last_byte.get()) => unreachable!("never returns"),
            () = half_a_second => last_byte.set(Instant::now()),
        }
        assert!(hanging.was_concurrent(last_byte.get()) && other.was_concurrent(Instant::now()));
    }
}
