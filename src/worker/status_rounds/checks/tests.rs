use std::{future::pending, sync::Mutex};

use jiff::Timestamp;
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::*;
use crate::{
    config::Limits,
    model::{health::AnswerContent, units::Bytes},
};

fn gate() -> Gate {
    Gate::new(&Limits {
        vantages: 1,
        bytes_per_day: Bytes(0),
        bytes_per_node_per_day: Bytes(0),
        cold_fetches_per_node_per_day: 0,
        heavy_transfers: 1,
        light_transfers: 1,
        transfers_per_node: 1,
    })
}

fn present() -> StatusAnswer {
    StatusAnswer {
        at: Timestamp::UNIX_EPOCH,
        latency: None,
        status: Some(200),
        content: AnswerContent::Present,
        head_refusal: None,
    }
}

fn ours() -> StatusAnswer {
    StatusAnswer { status: None, ..present() }
}

async fn ask_all<Q>(gate: &Gate, checks: impl ExactSizeIterator<Item = Q> + Send + 'static) -> Vec<StatusAnswer>
where
    Q: Future<Output = StatusAnswer> + Send + 'static,
{
    limited(gate, AT_ONCE).run(checks, ours, |_, _| {}).await
}

fn limited(gate: &Gate, at_once: usize) -> ConcurrentChecks {
    ConcurrentChecks { handle: Handle::current(), gate: gate.clone(), clock: RunClock::default(), at_once }
}

const AT_ONCE: usize = 64;

#[tokio::test(start_paused = true)]
async fn hanging_nodes_do_not_delay_a_heavy_transfer() {
    let gate = gate();
    let begin = Instant::now();
    // A node that sends nothing for a second delays no transfer.
    for (asked, free_after) in [(30_000, 1_000), (500, 500)] {
        let (asked, free_after) = (Duration::from_millis(asked), Duration::from_millis(free_after));
        let check = async move {
            sleep(asked).await;
            present()
        };
        let round = ask_all(&gate, [check].into_iter());
        let began = begin.elapsed();
        let heavy = async {
            // Starts after the round, which has its permit by this time.
            sleep(Duration::from_millis(1)).await;
            drop(gate.acquire(Weight::Heavy, &Arc::from("n")).await);
            begin.elapsed() - began
        };
        let (answers, waited) = tokio::join!(round, heavy);
        assert_eq!((answers, waited), (vec![present()], free_after));
        assert_eq!(begin.elapsed() - began, asked, "the round goes on until the last node");
    }
}

#[tokio::test(start_paused = true)]
async fn a_round_waits_for_a_heavy_transfer() {
    let gate = gate();
    let heavy = gate.acquire(Weight::Heavy, &Arc::from("n")).await;
    let checks = || [async { present() }].into_iter();
    let early = timeout(Duration::from_secs(59), ask_all(&gate, checks())).await;
    assert!(early.is_err(), "a node was asked next to it");
    let late = timeout(Duration::from_secs(61), ask_all(&gate, checks())).await;
    assert_eq!(late.unwrap(), [present()], "a queue of transfers keeps no round from its nodes for ever");
    drop(heavy);
    let now = timeout(Duration::from_secs(1), ask_all(&gate, checks())).await;
    assert_eq!(now.unwrap(), [present()]);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_hanging_nodes_take_one_deadline() {
    let deadline = Duration::from_secs(5);
    let hanging = |_| async move {
        sleep(deadline).await;
        ours()
    };
    for (nodes, at_once, deadlines) in [(995, 1_024, 1), (995, 100, 10), (1_025, 1_024, 2), (64, 64, 1)] {
        let begin = Instant::now();
        let checks: Vec<_> = (0..nodes).map(hanging).collect();
        limited(&gate(), at_once).run(checks.into_iter(), ours, |_, _| {}).await;
        let took = begin.elapsed();
        assert!(took < deadline * deadlines + Duration::from_millis(400), "{nodes} nodes, {at_once} at once: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_are_noted_as_they_come() {
    let begin = Instant::now();
    let checks = [3, 1, 2].map(|seconds| async move {
        sleep(Duration::from_secs(seconds)).await;
        present()
    });
    let mut noted = Vec::new();
    let note = |index, _: &StatusAnswer| noted.push((index, begin.elapsed().as_secs()));
    limited(&gate(), 9).run(checks.into_iter(), ours, note).await;
    assert_eq!(noted, [(1, 1), (2, 2), (0, 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_limited_number_at_once_and_answers_in_node_order() {
    let now = Arc::new(Mutex::new((0, 0)));
    let checks = (0..200_u64).map(|n| {
        let now = now.clone();
        async move {
            let count = |change: i32| {
                let mut now = now.lock().unwrap();
                now.0 += change;
                now.1 = now.0.max(now.1);
            };
            count(1);
            sleep(Duration::from_secs(200 - n)).await;
            count(-1);
            StatusAnswer { latency: Some(crate::model::units::Micros(n)), ..present() }
        }
    });
    let answers = ask_all(&gate(), checks.collect::<Vec<_>>().into_iter()).await;
    let order: Vec<u64> = answers.iter().map(|answer| answer.latency.unwrap().0).collect();
    assert_eq!(order, (0..200).collect::<Vec<_>>());
    assert_eq!(now.lock().unwrap().1, i32::try_from(AT_ONCE).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_check_loses_only_its_own_answer() {
    let checks = (0..3).map(|n| async move {
        assert!(n != 1, "the bug");
        present()
    });
    let answers = ask_all(&gate(), checks).await;
    assert_eq!(answers, [present(), ours(), present()]);
    let none: [std::future::Pending<StatusAnswer>; 0] = [];
    assert_eq!(ask_all(&gate(), none.into_iter()).await, [], "no node, no permit");
}

#[tokio::test(start_paused = true)]
async fn a_round_that_is_cut_off_ends_its_checks() {
    let alive = Arc::new(Semaphore::new(1));
    let held = alive.clone();
    let check = async move {
        let _held = held.acquire().await;
        pending::<StatusAnswer>().await
    };
    let cut = timeout(Duration::from_secs(9), ask_all(&gate(), [check].into_iter())).await;
    assert!(cut.is_err());
    drop(alive.acquire().await.unwrap());
}
