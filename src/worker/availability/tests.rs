use std::{future::pending, sync::Mutex};

use tokio::{sync::Semaphore, time::timeout};

use super::*;
use crate::{config::Limits, model::units::Bytes};

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

fn present() -> Answer {
    Answer { at: Timestamp::UNIX_EPOCH, latency: None, status: Some(200), said: Said::Present }
}

fn ours() -> Answer {
    bug(Timestamp::UNIX_EPOCH)
}

#[tokio::test(start_paused = true)]
async fn hanging_nodes_hold_back_no_heavy_transfer() {
    let gate = gate();
    let begin = Instant::now();
    for (asked, free_after) in [(Duration::from_secs(30), PERMIT), (Duration::from_secs(1), Duration::from_secs(1))] {
        let question = async move {
            sleep(asked).await;
            present()
        };
        let handle = Handle::current();
        let round = ask_all(&handle, &gate, [question].into_iter(), ours);
        let began = begin.elapsed();
        let heavy = async {
            // After the round, which has its permit by then.
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
    let handle = Handle::current();
    let questions = || [async { present() }].into_iter();
    let early = timeout(Duration::from_secs(9), ask_all(&handle, &gate, questions(), ours)).await;
    assert!(early.is_err(), "a node was asked beside it");
    drop(heavy);
    assert_eq!(ask_all(&handle, &gate, questions(), ours).await, [present()]);
}

#[tokio::test(start_paused = true)]
async fn so_many_at_once_and_answers_in_the_order_of_the_nodes() {
    let (now, most) = (Arc::new(Mutex::new((0, 0))), AT_ONCE);
    let questions = (0..200_u64).map(|n| {
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
            Answer { latency: Some(crate::model::units::Micros(n)), ..present() }
        }
    });
    let answers = ask_all(&Handle::current(), &gate(), questions.collect::<Vec<_>>().into_iter(), ours).await;
    let order: Vec<u64> = answers.iter().map(|answer| answer.latency.unwrap().0).collect();
    assert_eq!(order, (0..200).collect::<Vec<_>>());
    assert_eq!(now.lock().unwrap().1, i32::try_from(most).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_bug_of_ours_costs_its_own_answer_alone() {
    let questions = (0..3).map(|n| async move {
        assert!(n != 1, "the bug");
        present()
    });
    let answers = ask_all(&Handle::current(), &gate(), questions, ours).await;
    assert_eq!(answers, [present(), ours(), present()]);
    let none: [std::future::Pending<Answer>; 0] = [];
    assert_eq!(ask_all(&Handle::current(), &gate(), none.into_iter(), ours).await, [], "no node, no permit");
}

#[tokio::test(start_paused = true)]
async fn a_round_that_is_cut_off_ends_its_questions() {
    let alive = Arc::new(Semaphore::new(1));
    let held = alive.clone();
    let question = async move {
        let _held = held.acquire().await;
        pending::<Answer>().await
    };
    let gate = gate();
    let handle = Handle::current();
    let cut = timeout(Duration::from_secs(9), ask_all(&handle, &gate, [question].into_iter(), ours)).await;
    assert!(cut.is_err());
    drop(alive.acquire().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn rounds_keep_their_slots_and_make_up_for_none() {
    let begin = Instant::now();
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let mut began = Vec::new();
    let noted = Mutex::new(Vec::new());
    let mut took = [1, 1, 12, 5, 1, 1].into_iter();
    let rounds = at_slots(
        minutes(5),
        async || std::future::pending().await,
        async || {
            began.push(begin.elapsed().as_secs() / 60);
            sleep(minutes(took.next().unwrap_or(1))).await;
        },
        |took, missed| noted.lock().unwrap().push((took.as_secs() / 60, missed)),
    );
    assert!(timeout(minutes(37), rounds).await.is_err());
    assert_eq!(began, [0, 5, 10, 25, 30, 35]);
    assert_eq!(*noted.lock().unwrap(), [(1, 0), (1, 0), (12, 2), (5, 0), (1, 0), (1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_doubt_brings_a_round_but_not_one_after_the_other_and_moves_no_slot() {
    let begin = Instant::now();
    let seconds = Duration::from_secs;
    let mut began = Vec::new();
    let mut doubts = [10, 65, 1, 130].into_iter();
    let doubt = async || sleep(seconds(doubts.next().unwrap_or(9_999))).await;
    let rounds = at_slots(seconds(300), doubt, async || began.push(begin.elapsed().as_secs()), |_, _| {});
    assert!(timeout(seconds(601), rounds).await.is_err());
    // A doubt that comes within 30 s of a round waits for these.
    assert_eq!(began, [0, 30, 95, 125, 255, 300, 600]);
}

#[test]
fn a_state_is_told_when_it_changes() {
    let mut known = Known::default();
    let checked = |state| Checked {
        node: "n".into(),
        listing: crate::model::target::Listing::bare(
            crate::model::target::Origin::Static,
            crate::model::target::Profile::Argus,
        ),
        at: Timestamp::UNIX_EPOCH,
        answer: None,
        verdict: crate::model::availability::Verdict {
            state,
            reason: "why".into(),
            up: None,
            blocks_behind: None,
            head_behind: None,
        },
        restarted: None,
    };
    tell_changes(&mut known, &[checked(State::Dead)]);
    assert_eq!(known.states, HashMap::from([("n".into(), State::Dead)]));
    let silent = Checked { answer: Some(present()), ..checked(State::Unknown) };
    tell_changes(&mut known, &[silent]);
    assert_eq!((known.is_silent, known.states[&Arc::from("n")]), (true, State::Dead), "nothing is known of it then");
    tell_changes(&mut known, &[]);
    assert!(known.states.is_empty() && !known.is_silent, "who is gone is forgotten");
}
