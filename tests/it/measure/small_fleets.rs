//! Fleets of two to six nodes over several rounds: whoever stands still is at fault, and nobody for being ahead.

use std::{ops::RangeInclusive, time::Duration};

use bandprobe::{
    measure::{
        availability::{Judgement, judge},
        history::History,
    },
    model::{
        availability::{Answer, Downloads, Motion, Progress, Report, Said, State, Subject, Verdict},
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

fn answer((blocks, head): (u64, u64)) -> Answer {
    let report = Report {
        node_env: Some("production".into()),
        blocks_processed: Some(blocks),
        chain_head: Some(head),
        ..Report::default()
    };
    let said = Said::Report(Box::new(report));
    Answer { at: Timestamp::UNIX_EPOCH, latency: None, status: Some(200), said, head_refused: None }
}

fn judged(answers: &[Answer], progress: &[Progress]) -> Judgement {
    let subjects = answers.iter().zip(progress).map(|(answer, progress)| Subject {
        answer,
        profile: Profile::Argus,
        distributing: Some(true),
        downloads: Downloads::default(),
        progress: *progress,
    });
    judge(&subjects.collect::<Vec<_>>(), TOLERANCE)
}

/// What is said of these nodes, round by round.
fn rounds(nodes: &[Numbers], rounds: u64) -> Vec<Judgement> {
    rounds_every(ROUND, nodes, rounds)
}

fn rounds_every(every: Duration, nodes: &[Numbers], rounds: u64) -> Vec<Judgement> {
    let mut histories = vec![History::default(); nodes.len()];
    let round = |round: u64| {
        let answers: Vec<_> = nodes.iter().map(|numbers| answer(numbers(round))).collect();
        let now = every * u32::try_from(round).unwrap();
        let progress = histories.iter_mut().zip(&answers).map(|(history, answer)| history.note_round(answer, now));
        judged(&answers, &progress.collect::<Vec<_>>())
    };
    (0..rounds).map(round).collect()
}

fn states(judgement: &Judgement) -> Vec<State> {
    judgement.verdicts.iter().map(|verdict| verdict.state).collect()
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
fn nodes_that_stand_still_are_blamed_and_the_others_never() {
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
                for (round, judgement) in rounds_every(every, &nodes, 7).into_iter().enumerate() {
                    let states = states(&judgement);
                    // Three nodes that agree, and one a day ahead of them: in the first round nothing tells who is right.
                    let is_alone = nodes.len() - count == 1 && count >= 3 && stuck(0).1 < HEIGHT - 14_400;
                    if round > 0 || !is_alone {
                        assert!(states[count..].iter().all(|state| *state == State::Ok), "{round}: {judgement:?}");
                    }
                    if round as u64 >= blamed_in.max(known_in) {
                        assert!(states[..count].iter().all(|state| *state != State::Ok), "{round}: {judgement:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_reason_says_who_stands_still() {
    let stuck: Numbers = |_| (HEIGHT - 151, HEIGHT - 150);
    for (nodes, others) in [
        (vec![stuck, good], "the only other node that moves on"),
        (vec![stuck, stuck, good, good], "the fleet's median of 2 nodes"),
        (vec![stuck, good, good, good], "the fleet's median of 3 nodes"),
    ] {
        let verdict = &rounds(&nodes, 2)[1].verdicts[0];
        let reason = format!(
            "200 blocks behind {others} (100 allowed): its query node stands still; chain head 200 behind (100 allowed)"
        );
        assert_eq!((verdict.state, &verdict.reason), (State::Degraded, &reason));
    }
    let far: Numbers = |_| (HEIGHT - 20_001, HEIGHT - 20_000);
    let verdict = &rounds(&[far, good, good], 2)[1].verdicts[0];
    assert!(verdict.reason.ends_with("and its blocks are not the fleet's: its chain node stands still"), "{verdict:?}");
}

#[test]
fn half_of_a_fleet_that_stands_still_is_blamed_at_once() {
    let stuck: Numbers = |_| (HEIGHT - 5_001, HEIGHT - 5_000);
    let late: Numbers = |round| (good(round).0 - 4_000, good(round).1);
    for bad in [stuck, late] {
        for nodes in [vec![bad, bad, good, good], vec![bad, bad, bad, good, good, good]] {
            let half = nodes.len() / 2;
            for judgement in rounds(&nodes, 2) {
                let states = states(&judgement);
                assert_eq!(states[..half], vec![State::Degraded; half], "{judgement:?}");
                assert_eq!(states[half..], vec![State::Ok; half], "{judgement:?}");
            }
        }
    }
}

#[test]
fn while_the_chain_stands_still_a_node_that_catches_up_blames_nobody() {
    let still: Numbers = |_| (HEIGHT, HEIGHT);
    let catching_up: Numbers = |round| (HEIGHT - 100_000 + 5_000 * round, HEIGHT);
    for size in SIZES {
        let mut nodes = vec![still; size];
        nodes[0] = catching_up;
        for judgement in rounds(&nodes, 4) {
            let states = states(&judgement);
            assert!(states[1..].iter().all(|state| *state == State::Ok), "{judgement:?}");
            assert_eq!(states[0], if size > 2 { State::Degraded } else { State::Ok }, "{judgement:?}");
            assert_eq!(judgement.chain_head, Some(HEIGHT));
        }
    }
}

#[test]
fn when_the_chain_halts_a_node_on_another_chain_blames_nobody() {
    let halting: Numbers = |round| good(round.min(2));
    let stray: Numbers = |round| (900_000 + good(round).0, 900_000 + good(round).1);
    for (strays, sizes) in [(1, 3..=6), (2, 3..=6)] {
        for size in sizes {
            let nodes = [vec![stray; strays], vec![halting; size]].concat();
            for every in [ROUND, Duration::from_secs(20)] {
                // Later than a day, too.
                for (round, judgement) in rounds_every(every, &nodes, 400).into_iter().enumerate().skip(2) {
                    let states = states(&judgement);
                    assert!(states[..strays].iter().all(|state| *state == State::Misconfigured), "{judgement:?}");
                    assert!(states[strays..].iter().all(|state| *state == State::Ok), "{round}: {judgement:?}");
                    assert_eq!(judgement.chain_head, Some(good(2).1), "{round}");
                }
            }
        }
    }
}

#[test]
fn nodes_that_halt_one_after_another_are_not_blamed_for_a_stray() {
    let stray: Numbers = |round| (900_000 + good(round).0, 900_000 + good(round).1);
    let [early, late]: [Numbers; 2] = [|round| good(round.min(2)), |round| good(round.clamp(1, 3) - 1)];
    for judgement in rounds(&[stray, early, early, late, late], 6).into_iter().skip(2) {
        assert_eq!(states(&judgement)[1..], [State::Ok; 4], "{judgement:?}");
    }
}

#[test]
fn a_majority_that_stops_is_blamed_however_long_the_others_move_on() {
    let stopping: Numbers = |round| good(round.min(2));
    for others in 1..=2 {
        let nodes = [vec![stopping; 5], vec![good as Numbers; others]].concat();
        // Two days.
        for (round, judgement) in rounds(&nodes, 600).into_iter().enumerate().skip(5) {
            let states = states(&judgement);
            assert!(states[..5].iter().all(|state| *state != State::Ok), "{round}: {judgement:?}");
            assert!(states[5..].iter().all(|state| *state == State::Ok), "{round}: {judgement:?}");
        }
    }
}

#[test]
fn a_few_nodes_on_a_lower_chain_do_not_make_the_others_strays() {
    let low: Numbers = |round| (good(round).0 - 4_000_000, good(round).1 - 4_000_000);
    let stuck: Numbers = |_| (HEIGHT - 20_001, HEIGHT - 20_000);
    let nodes = [vec![low; 3], vec![stuck; 4], vec![good; 3]].concat();
    for judgement in rounds(&nodes, 4).into_iter().skip(1) {
        let states = states(&judgement);
        assert!(states[..7].iter().all(|state| *state == State::Misconfigured), "{judgement:?}");
        assert_eq!(states[7..], [State::Ok; 3], "{judgement:?}");
    }
}

#[test]
fn a_node_on_another_chain_is_told_from_one_that_is_ahead() {
    let stray: Numbers = |round| (900_000 + good(round).0, 900_000 + good(round).1);
    let ahead: Numbers = |round| (5_000 + good(round).0, 5_000 + good(round).1);
    for size in 4..=6 {
        let mut nodes = vec![good as Numbers; size];
        nodes[0] = ahead;
        let remark = format!("nothing wrong; 5,000 blocks ahead of the fleet's median of {size} nodes");
        for Verdict { state, reason, .. } in rounds(&nodes, 2).iter().map(|judgement| &judgement.verdicts[0]) {
            assert_eq!((*state, reason), (State::Ok, &remark));
        }
        nodes[0] = stray;
        let found = rounds(&nodes, 2);
        assert!(found.iter().all(|judgement| states(judgement)[0] == State::Misconfigured), "{found:?}");
        assert!(found.iter().all(|judgement| states(judgement)[1..].iter().all(|state| *state == State::Ok)));
        let ends = found.iter().map(|judgement| judgement.verdicts[0].reason.rsplit_once(": ").unwrap().1);
        let expected = ["it follows another chain, or the others stand still", "it follows another chain"];
        assert_eq!(ends.collect::<Vec<_>>(), expected);
    }
    // Two strays keep each other company until the others are seen to move.
    let found = rounds(&[stray, stray, good, good, good], 2);
    assert_eq!(states(&found[0]), [State::Ok; 5]);
    use State::{Misconfigured, Ok};
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
    fn nobody_is_degraded_for_being_ahead(
        nodes in prop::collection::vec((number(), number(), motion(), motion()), SIZES)
    ) {
        let answers: Vec<_> = nodes.iter().map(|node| answer((node.0, node.1))).collect();
        let progress: Vec<_> = nodes.iter().map(|node| Progress { blocks: node.2, head: node.3 }).collect();
        let judgement = judged(&answers, &progress);
        let highest = |of: fn(&(u64, u64, Motion, Motion)) -> u64| nodes.iter().map(of).max().unwrap();
        let (blocks, head) = (highest(|node| node.0), highest(|node| node.1));
        for (node, verdict) in nodes.iter().zip(&judgement.verdicts) {
            if (node.0, node.1) == (blocks, head) {
                prop_assert!(verdict.state != State::Degraded, "{:?}", verdict);
            }
        }
    }
}
