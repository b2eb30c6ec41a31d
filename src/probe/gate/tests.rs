//! Which waiters are granted, which keep waiting, and what happens when they are dropped.

use std::{
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    task::Poll,
};

use tokio::task::JoinSet;

use super::*;
use crate::model::units::Bytes;

fn gate(heavy: usize, light: usize, per_node: usize) -> Gate {
    Gate::new(&limits(heavy, light, per_node))
}

const fn limits(heavy: usize, light: usize, per_node: usize) -> Limits {
    Limits {
        vantages: 1,
        bytes_per_day: Bytes(1),
        bytes_per_node_per_day: Bytes(1),
        cold_fetches_per_node_per_day: 1,
        heavy_transfers: heavy,
        light_transfers: light,
        transfers_per_node: per_node,
    }
}

/// Polls once. `None` when the permit is not granted yet.
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
async fn a_busy_node_delays_only_its_own_transfers() {
    let gate = gate(1, 8, 1);
    let [a, b] = ["a", "b"].map(Arc::from);
    let _one = gate.acquire(Weight::Light, &a).await;
    let mut same = Box::pin(gate.acquire(Weight::Light, &a));
    assert!(now(&mut same).await.is_none());
    assert!(now(gate.acquire(Weight::Light, &b)).await.is_some());
}

#[tokio::test]
async fn waiters_that_are_gone_are_skipped() {
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
async fn a_hanging_transfer_lends_its_share_of_the_uplink() {
    let gate = gate(1, 8, 1);
    let [a, b] = ["a", "b"].map(Arc::from);
    let hanging = gate.acquire(Weight::Heavy, &a).await;
    let started = Instant::now();
    let clock = RunClock::default();
    let other = tokio::select! {
        () = hanging.lend_when_idle(&clock, || started) => unreachable!("never returns"),
        other = gate.acquire(Weight::Heavy, &b) => other,
    };
    assert_eq!(started.elapsed(), IDLE);
    assert!(now(gate.acquire(Weight::Light, &a)).await.is_none(), "the hanging node itself gets no other");
    assert!(
        !hanging.was_concurrent(started) && !other.was_concurrent(Instant::now()),
        "no byte moved next to the other"
    );
    drop((hanging, other));
    assert!(!gate.acquire(Weight::Heavy, &a).await.was_concurrent(Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_resumes_next_to_another_marks_both() {
    let gate = gate(1, 8, 1);
    let [a, b] = ["a", "b"].map(Arc::from);
    let hanging = gate.acquire(Weight::Heavy, &a).await;
    let last_byte = std::cell::Cell::new(Instant::now());
    let clock = RunClock::default();
    let other = tokio::select! {
        () = hanging.lend_when_idle(&clock, || last_byte.get()) => unreachable!("never returns"),
        other = gate.acquire(Weight::Heavy, &b) => other,
    };
    let half_a_second = sleep(Duration::from_millis(500));
    tokio::select! {
        () = hanging.lend_when_idle(&clock, || last_byte.get()) => unreachable!("never returns"),
        () = half_a_second => last_byte.set(Instant::now()),
    }
    assert!(hanging.was_concurrent(last_byte.get()) && other.was_concurrent(Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn a_cool_down_refuses_waiting_transfers_too() {
    let gate = gate(1, 8, 1);
    let [a, b] = ["a", "b"].map(Arc::from);
    let held = gate.acquire(Weight::Light, &a).await;
    let mut waiting = [0; 3].map(|_| Box::pin(gate.acquire_unless_cooling_down(Weight::Light, &a, None)));
    for waiting in &mut waiting {
        assert!(tokio::time::timeout(Duration::ZERO, waiting).await.is_err());
    }
    gate.cool_downs().extend(&a, Duration::from_secs(600));
    gate.cool_downs().extend(&a, Duration::from_secs(60));
    drop(held);
    for waiting in waiting {
        assert!(waiting.await.is_none(), "the longer time holds");
    }
    assert!(gate.acquire_unless_cooling_down(Weight::Light, &b, None).await.is_some());
    tokio::time::advance(Duration::from_secs(599)).await;
    assert!(gate.acquire_unless_cooling_down(Weight::Light, &a, None).await.is_none());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(gate.acquire_unless_cooling_down(Weight::Light, &a, None).await.is_some());
}

#[tokio::test]
async fn with_all_slots_taken_only_their_holders_get_permits() {
    let gate = Gate::with_connections(&limits(1, 8, 1), 2);
    let [a, b, c, d] = ["a", "b", "c", "d"].map(Arc::from);
    let mut first = gate.acquire_with_slot(Weight::Light, &a, None).await;
    let mut second = gate.acquire_with_slot(Weight::Light, &b, None).await;
    let slots = [first.take_slot(), second.take_slot()];
    drop((first, second));
    let mut heavy = Box::pin(gate.acquire_with_slot(Weight::Heavy, &c, None));
    let mut light = Box::pin(gate.acquire_with_slot(Weight::Light, &d, None));
    assert!(now(&mut heavy).await.is_none() && now(&mut light).await.is_none(), "two connections are open");
    assert!(now(gate.acquire(Weight::Light, &c)).await.is_some(), "a status round has its own");
    let [one, other] = slots;
    let next = now(gate.acquire_with_slot(Weight::Light, &a, one)).await.expect("it has its slot");
    drop(next);
    let heavy = now(heavy).await.expect("a slot is free, and it waits longest");
    assert!(now(&mut light).await.is_none());
    drop(heavy);
    assert!(now(light).await.is_some());
    drop(other);
}

#[tokio::test(start_paused = true)]
async fn open_connections_never_exceed_the_slots() {
    for (slots, expected) in [(0, 1), (1, 1), (3, 3), (usize::MAX, 50)] {
        let gate = Gate::with_connections(&limits(1, 8, 2), slots);
        let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut runs = JoinSet::new();
        for number in 0..50 {
            runs.spawn(run_of_three(gate.clone(), number, open.clone(), most.clone()));
        }
        runs.join_all().await;
        assert_eq!((most.load(Relaxed), open.load(Relaxed)), (expected, 0), "{slots}");
        let state = gate.lock();
        let ActiveTransfers { by_id, of_node, heavy, light } = &state.active;
        assert_eq!((by_id.len(), of_node.len(), *heavy, *light), (0, 0, 0, 0), "all permits are back");
    }
}

/// Three transfers over one connection; some of them are heavy.
async fn run_of_three(gate: Gate, number: u64, open: Arc<AtomicUsize>, most: Arc<AtomicUsize>) {
    let node = Arc::from(format!("n{}", number % 20));
    let mut kept = None;
    for part in 0..3 {
        let weight = if number.is_multiple_of(5) && part > 0 { Weight::Heavy } else { Weight::Light };
        let mut permit = gate.acquire_with_slot(weight, &node, kept.take()).await;
        if part == 0 {
            most.fetch_max(open.fetch_add(1, Relaxed) + 1, Relaxed);
        }
        sleep(Duration::from_millis(10 + number)).await;
        kept = permit.take_slot();
        assert!(kept.is_some());
    }
    open.fetch_sub(1, Relaxed);
}
