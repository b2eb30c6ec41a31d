use std::{collections::HashMap, sync::Mutex};

use tokio::time::{sleep, timeout};

use super::*;
use crate::model::health::HealthState;

fn present() -> StatusAnswer {
    StatusAnswer {
        at: Timestamp::UNIX_EPOCH,
        latency: None,
        status: Some(200),
        content: AnswerContent::Present,
        head_refusal: None,
    }
}

#[tokio::test(start_paused = true)]
async fn rounds_keep_their_slots_and_skip_missed_ones() {
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
async fn a_doubt_triggers_an_extra_round_and_moves_no_slot() {
    let begin = Instant::now();
    let seconds = Duration::from_secs;
    let mut began = Vec::new();
    let mut doubts = [10, 65, 1, 130].into_iter();
    let doubt = async || sleep(seconds(doubts.next().unwrap_or(9_999))).await;
    let rounds = at_slots(seconds(300), doubt, async || began.push(begin.elapsed().as_secs()), |_, _| {});
    assert!(timeout(seconds(601), rounds).await.is_err());
    // An extra round starts at least 30 s after the previous round.
    assert_eq!(began, [0, 30, 95, 125, 255, 300, 600]);
}

#[test]
fn a_state_is_logged_when_it_changes() {
    let mut known = StateLog::default();
    let checked = |state| CheckedNode {
        node: "n".into(),
        listing: crate::model::target::Listing::bare(
            crate::model::target::Origin::Static,
            crate::model::target::Profile::Argus,
        ),
        at: Timestamp::UNIX_EPOCH,
        answer: None,
        health: crate::model::health::Health {
            state,
            reason: "why".into(),
            up: None,
            blocks_behind: None,
            head_behind: None,
        },
        restarted: None,
    };
    known.log_changes(&[checked(HealthState::Dead)]);
    assert_eq!(known.states, HashMap::from([("n".into(), HealthState::Dead)]));
    let silent = CheckedNode { answer: Some(present()), ..checked(HealthState::Unknown) };
    known.log_changes(&[silent]);
    assert_eq!(
        (known.is_silent, known.states[&Arc::from("n")]),
        (true, HealthState::Dead),
        "nothing is known of it then"
    );
    known.log_changes(&[]);
    assert!(known.states.is_empty() && !known.is_silent, "who is gone is forgotten");
}
