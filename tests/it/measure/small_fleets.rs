//! Fleets of two to six nodes over several rounds: a node that stands still is faulty, one that is ahead is not.

use std::{ops::RangeInclusive, time::Duration};

use bandprobe::{
    measure::{
        health::{RoundHealth, judge},
        history::History,
    },
    model::{
        health::{
            AnswerContent, ChainProgress, Health, HealthState, Motion, NodeEvidence, RecentDownloads, StatusAnswer,
            StatusDocument,
        },
        probe::Tolerance,
        target::Profile,
    },
};
use jiff::Timestamp;
use proptest::prelude::*;

const TOLERANCE: Tolerance = Tolerance { behind: 100, ahead: 2_000 };
/// Height of the chain in the first round.
const HEIGHT: u64 = 5_000_000;
/// It makes a block every 6 s, and there is a round every 5 minutes.
const BLOCKS_A_ROUND: u64 = 50;
const ROUND: Duration = Duration::from_secs(300);
const SIZES: RangeInclusive<usize> = 2..=6;

/// A node by what it reports in a round: blocks, and height of the chain.
type Numbers = fn(u64) -> (u64, u64);

fn good(round: u64) -> (u64, u64) {
    (HEIGHT - 1 + BLOCKS_A_ROUND * round, HEIGHT + BLOCKS_A_ROUND * round)
}

fn answer((blocks, head): (u64, u64)) -> StatusAnswer {
    let document = StatusDocument {
        node_env: Some("production".into()),
        blocks_processed: Some(blocks),
        chain_head: Some(head),
        ..StatusDocument::default()
    };
    let content = AnswerContent::Document(Box::new(document));
    StatusAnswer { at: Timestamp::UNIX_EPOCH, latency: None, status: Some(200), content, head_refusal: None }
}

fn judged(answers: &[StatusAnswer], progress: &[ChainProgress]) -> RoundHealth {
    let subjects = answers.iter().zip(progress).map(|(answer, progress)| NodeEvidence {
        answer,
        profile: Profile::Argus,
        distributing: Some(true),
        downloads: RecentDownloads::default(),
        progress: *progress,
    });
    judge(&subjects.collect::<Vec<_>>(), TOLERANCE)
}

/// The verdict on these nodes, round by round.
fn rounds(nodes: &[Numbers], rounds: u64) -> Vec<RoundHealth> {
    rounds_every(ROUND, nodes, rounds)
}

fn rounds_every(every: Duration, nodes: &[Numbers], rounds: u64) -> Vec<RoundHealth> {
    let mut histories = vec![History::default(); nodes.len()];
    let round = |round: u64| {
        let answers: Vec<_> = nodes.iter().map(|numbers| answer(numbers(round))).collect();
        let now = every * u32::try_from(round).unwrap();
        let progress = histories.iter_mut().zip(&answers).map(|(history, answer)| history.note_round(answer, now));
        judged(&answers, &progress.collect::<Vec<_>>())
    };
    (0..rounds).map(round).collect()
}

fn states(round_health: &RoundHealth) -> Vec<HealthState> {
    round_health.nodes.iter().map(|health| health.state).collect()
}

/// Fleets of each size with one to all but one of these bad nodes, which stand first.
fn fleets(bad: Numbers) -> impl Iterator<Item = (usize, Vec<Numbers>)> {
    SIZES.flat_map(move |size| {
        (1..size).map(move |count| {
            let mut nodes = vec![good as Numbers; size];
            nodes[..count].fill(bad);
            (count, nodes)
        })
    })
}

#[test]
fn only_nodes_that_stand_still_are_blamed() {
    let long_ago: [(Numbers, u64); 4] = [
        (|_| (HEIGHT - 151, HEIGHT - 150), 1),
        (|_| (HEIGHT - 20_001, HEIGHT - 20_000), 1),
        (|_| (HEIGHT - 20_000, HEIGHT), 1),
        // It stops in the first round, and may be a hundred blocks behind.
        (|_| (HEIGHT, HEIGHT), 3),
    ];
    for (stuck, blamed_in) in long_ago {
        for (count, nodes) in fleets(stuck) {
            // Where rounds come often, it takes some until a number is known to stand still.
            for (every, known_in) in [(ROUND, 1), (Duration::from_secs(20), 3)] {
                for (round, round_health) in rounds_every(every, &nodes, 7).into_iter().enumerate() {
                    let states = states(&round_health);
                    // Three nodes that agree, and one a day ahead of them: in the first round nothing shows who is
                    // right.
                    let is_alone = nodes.len() - count == 1 && count >= 3 && stuck(0).1 < HEIGHT - 14_400;
                    if round > 0 || !is_alone {
                        assert!(
                            states[count..].iter().all(|state| *state == HealthState::Ok),
                            "{round}: {round_health:?}"
                        );
                    }
                    if round as u64 >= blamed_in.max(known_in) {
                        assert!(
                            states[..count].iter().all(|state| *state != HealthState::Ok),
                            "{round}: {round_health:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn the_reason_names_what_stands_still() {
    let stuck: Numbers = |_| (HEIGHT - 151, HEIGHT - 150);
    for (nodes, others) in [
        (vec![stuck, good], "the only other node that advances"),
        (vec![stuck, stuck, good, good], "the fleet's median of 2 nodes"),
        (vec![stuck, good, good, good], "the fleet's median of 3 nodes"),
    ] {
        let health = &rounds(&nodes, 2)[1].nodes[0];
        let reason = format!(
            "200 blocks behind {others} (100 allowed): its query node stands still; chain head 200 behind (100 allowed)"
        );
        assert_eq!((health.state, &health.reason), (HealthState::Degraded, &reason));
    }
    let far: Numbers = |_| (HEIGHT - 20_001, HEIGHT - 20_000);
    let health = &rounds(&[far, good, good], 2)[1].nodes[0];
    assert!(
        health.reason.ends_with("and its blocks are outside the limits too: its chain node stands still"),
        "{health:?}"
    );
}

#[test]
fn a_halted_half_of_the_fleet_is_blamed_at_once() {
    let stuck: Numbers = |_| (HEIGHT - 5_001, HEIGHT - 5_000);
    let late: Numbers = |round| (good(round).0 - 4_000, good(round).1);
    for bad in [stuck, late] {
        for nodes in [vec![bad, bad, good, good], vec![bad, bad, bad, good, good, good]] {
            let half = nodes.len() / 2;
            for round_health in rounds(&nodes, 2) {
                let states = states(&round_health);
                assert_eq!(states[..half], vec![HealthState::Degraded; half], "{round_health:?}");
                assert_eq!(states[half..], vec![HealthState::Ok; half], "{round_health:?}");
            }
        }
    }
}

#[test]
fn if_the_chain_halts_a_late_node_causes_no_blame() {
    let still: Numbers = |_| (HEIGHT, HEIGHT);
    let catching_up: Numbers = |round| (HEIGHT - 100_000 + 5_000 * round, HEIGHT);
    for size in SIZES {
        let mut nodes = vec![still; size];
        nodes[0] = catching_up;
        for round_health in rounds(&nodes, 4) {
            let states = states(&round_health);
            assert!(states[1..].iter().all(|state| *state == HealthState::Ok), "{round_health:?}");
            assert_eq!(states[0], if size > 2 { HealthState::Degraded } else { HealthState::Ok }, "{round_health:?}");
            assert_eq!(round_health.chain_head, Some(HEIGHT));
        }
    }
}

#[test]
fn if_the_chain_halts_a_stray_causes_no_blame() {
    let halting: Numbers = |round| good(round.min(2));
    let stray: Numbers = |round| (900_000 + good(round).0, 900_000 + good(round).1);
    for (strays, sizes) in [(1, 3..=6), (2, 3..=6)] {
        for size in sizes {
            let nodes = [vec![stray; strays], vec![halting; size]].concat();
            for every in [ROUND, Duration::from_secs(20)] {
                // Later than a day, too.
                for (round, round_health) in rounds_every(every, &nodes, 400).into_iter().enumerate().skip(2) {
                    let states = states(&round_health);
                    assert!(
                        states[..strays].iter().all(|state| *state == HealthState::Misconfigured),
                        "{round_health:?}"
                    );
                    assert!(
                        states[strays..].iter().all(|state| *state == HealthState::Ok),
                        "{round}: {round_health:?}"
                    );
                    assert_eq!(round_health.chain_head, Some(good(2).1), "{round}");
                }
            }
        }
    }
}

#[test]
fn nodes_halting_in_turn_are_not_blamed_for_a_stray() {
    let stray: Numbers = |round| (900_000 + good(round).0, 900_000 + good(round).1);
    let [early, late]: [Numbers; 2] = [|round| good(round.min(2)), |round| good(round.clamp(1, 3) - 1)];
    for round_health in rounds(&[stray, early, early, late, late], 6).into_iter().skip(2) {
        assert_eq!(states(&round_health)[1..], [HealthState::Ok; 4], "{round_health:?}");
    }
}

#[test]
fn a_stopped_majority_stays_blamed() {
    let stopping: Numbers = |round| good(round.min(2));
    for others in 1..=2 {
        let nodes = [vec![stopping; 5], vec![good as Numbers; others]].concat();
        // Two days.
        for (round, round_health) in rounds(&nodes, 600).into_iter().enumerate().skip(5) {
            let states = states(&round_health);
            assert!(states[..5].iter().all(|state| *state != HealthState::Ok), "{round}: {round_health:?}");
            assert!(states[5..].iter().all(|state| *state == HealthState::Ok), "{round}: {round_health:?}");
        }
    }
}

#[test]
fn a_minority_on_a_lower_chain_does_not_win() {
    let low: Numbers = |round| (good(round).0 - 4_000_000, good(round).1 - 4_000_000);
    let stuck: Numbers = |_| (HEIGHT - 20_001, HEIGHT - 20_000);
    let nodes = [vec![low; 3], vec![stuck; 4], vec![good; 3]].concat();
    for round_health in rounds(&nodes, 4).into_iter().skip(1) {
        let states = states(&round_health);
        assert!(states[..7].iter().all(|state| *state == HealthState::Misconfigured), "{round_health:?}");
        assert_eq!(states[7..], [HealthState::Ok; 3], "{round_health:?}");
    }
}

#[test]
fn another_chain_is_distinguished_from_being_ahead() {
    let stray: Numbers = |round| (900_000 + good(round).0, 900_000 + good(round).1);
    let ahead: Numbers = |round| (5_000 + good(round).0, 5_000 + good(round).1);
    for size in 4..=6 {
        let mut nodes = vec![good as Numbers; size];
        nodes[0] = ahead;
        let remark = format!("nothing wrong; 5,000 blocks ahead of the fleet's median of {size} nodes");
        for Health { state, reason, .. } in rounds(&nodes, 2).iter().map(|round_health| &round_health.nodes[0]) {
            assert_eq!((*state, reason), (HealthState::Ok, &remark));
        }
        nodes[0] = stray;
        let found = rounds(&nodes, 2);
        assert!(found.iter().all(|round_health| states(round_health)[0] == HealthState::Misconfigured), "{found:?}");
        assert!(
            found.iter().all(|round_health| states(round_health)[1..].iter().all(|state| *state == HealthState::Ok))
        );
        let ends = found.iter().map(|round_health| round_health.nodes[0].reason.rsplit_once(": ").unwrap().1);
        let expected = ["it follows another chain, or the others stand still", "it follows another chain"];
        assert_eq!(ends.collect::<Vec<_>>(), expected);
    }
    // Two strays keep each other company until the others are seen to move.
    let found = rounds(&[stray, stray, good, good, good], 2);
    assert_eq!(states(&found[0]), [HealthState::Ok; 5]);
    use HealthState::{Misconfigured, Ok};
    assert_eq!(states(&found[1]), [Misconfigured, Misconfigured, Ok, Ok, Ok]);
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4_990_000..5_010_000_u64, 4_999_900..5_000_100_u64, Just(0), Just(u64::MAX)]
}

fn motion() -> impl Strategy<Value = Motion> {
    prop_oneof![
        Just(Motion::Unknown),
        Just(Motion::Moves),
        Just(Motion::StandsStill(ROUND)),
        Just(Motion::Stopped(ROUND))
    ]
}

proptest! {
    #[test]
    fn being_ahead_degrades_no_node(
        nodes in prop::collection::vec((number(), number(), motion(), motion()), SIZES)
    ) {
        let answers: Vec<_> = nodes.iter().map(|node| answer((node.0, node.1))).collect();
        let progress: Vec<_> = nodes.iter().map(|node| ChainProgress { blocks: node.2, head: node.3 }).collect();
        let round_health = judged(&answers, &progress);
        let highest = |of: fn(&(u64, u64, Motion, Motion)) -> u64| nodes.iter().map(of).max().unwrap();
        let (blocks, head) = (highest(|node| node.0), highest(|node| node.1));
        for (node, health) in nodes.iter().zip(&round_health.nodes) {
            if (node.0, node.1) == (blocks, head) {
                prop_assert!(health.state != HealthState::Degraded, "{:?}", health);
            }
        }
    }
}
