use jiff::Timestamp;

use super::*;
use crate::model::{availability::Shape, units::Micros};

const USUAL: Tolerance = Tolerance { behind: 100, ahead: 2_000 };
const STRICT: Tolerance = Tolerance { behind: 10, ahead: 10 };
const HEAD: u64 = 5_678_901;

fn answer(status: Option<u16>, said: Said) -> Answer {
    Answer { at: Timestamp::UNIX_EPOCH, latency: Some(Micros(1)), status, said }
}

/// A document of a node at these numbers.
fn at(blocks: u64, head: u64) -> Answer {
    let report = Report {
        node_env: Some("production".into()),
        blocks_processed: Some(blocks),
        chain_head: Some(head),
        ..Report::default()
    };
    answer(Some(200), Said::Report(Box::new(report)))
}

fn report(mut answer: Answer, change: impl FnOnce(&mut Report)) -> Answer {
    let Said::Report(report) = &mut answer.said else { panic!("no report") };
    change(report);
    answer
}

fn healthy() -> Answer {
    at(HEAD - 2, HEAD)
}

fn other(status: u16, shape: Shape) -> Answer {
    answer(Some(status), Said::Other(shape))
}

fn nothing(outcome: Outcome) -> Answer {
    answer(None, Said::Nothing { outcome, error: "connect: no luck".into() })
}

/// The verdict on a node beside four healthy ones.
fn judged(node: &Answer, tolerance: Tolerance) -> Verdict {
    let mut answers = vec![healthy(); 4];
    answers.push(node.clone());
    let mut judgement = judge(&answers, tolerance);
    let verdict = judgement.verdicts.pop().unwrap();
    for verdict in judgement.verdicts {
        let fine = Verdict {
            state: State::Ok,
            reason: "nothing wrong".into(),
            up: Some(true),
            blocks_behind: Some(0),
            head_behind: Some(0),
        };
        assert_eq!(verdict, fine, "beside {node:?}");
    }
    assert_eq!(judgement.vantage_ok, Some(true));
    verdict
}

/// How far a node is behind in blocks and head, beside four others, and what is said of it.
const PLACES: [(i64, i64, Tolerance, State, &str); 12] = [
    (100, 100, USUAL, State::Ok, "nothing wrong"),
    (
        4_200,
        0,
        USUAL,
        State::Degraded,
        "4,200 blocks behind the fleet's median of 5 nodes (100 allowed): its query node is not keeping up",
    ),
    (
        0,
        101,
        USUAL,
        State::Degraded,
        "chain head 101 behind the fleet's median of 5 nodes (100 allowed): its chain node is not keeping up",
    ),
    (
        1_010,
        1_009,
        USUAL,
        State::Degraded,
        "1,010 blocks behind the fleet's median of 5 nodes (100 allowed): its query node is not keeping up; \
         chain head 1,009 behind (100 allowed)",
    ),
    (-2_000, -2_000, USUAL, State::Ok, "nothing wrong"),
    (
        -2_001,
        0,
        USUAL,
        State::Degraded,
        "2,001 blocks ahead of the fleet's median of 5 nodes (2,000 allowed): its query node is wrong, or the others lag",
    ),
    (10, -10, STRICT, State::Ok, "nothing wrong"),
    (
        11,
        0,
        STRICT,
        State::Degraded,
        "11 blocks behind the fleet's median of 5 nodes (10 allowed): its query node is not keeping up",
    ),
    (
        0,
        -11,
        STRICT,
        State::Degraded,
        "chain head 11 ahead of the fleet's median of 5 nodes (10 allowed): its chain node is wrong, or the others lag",
    ),
    (
        0,
        -14_401,
        USUAL,
        State::Degraded,
        "chain head 14,401 ahead of the fleet's median of 5 nodes, though its blocks agree: its chain node is at fault",
    ),
    (
        -1_000_000,
        -1_000_000,
        USUAL,
        State::Misconfigured,
        "chain head 1,000,000 ahead of the fleet's median of 5 nodes, and its blocks are not the fleet's: \
         it follows another chain",
    ),
    (
        14_401,
        14_401,
        USUAL,
        State::Misconfigured,
        "chain head 14,401 behind the fleet's median of 5 nodes, and its blocks are not the fleet's: \
         it follows another chain, or its chain node stands still",
    ),
];

const UNJUDGED: &str = "nothing wrong; its blocks are not judged, which takes three nodes";

#[test]
fn nodes_are_held_against_the_median_of_the_fleet() {
    for (blocks, head, tolerance, state, reason) in PLACES {
        let node = at((HEAD - 2).checked_add_signed(-blocks).unwrap(), HEAD.checked_add_signed(-head).unwrap());
        let verdict = judged(&node, tolerance);
        assert_eq!((verdict.state, &*verdict.reason, verdict.up), (state, reason, Some(true)));
        assert_eq!((verdict.blocks_behind, verdict.head_behind), (Some(blocks), Some(head)), "{reason}");
    }
    let hostile = judged(&at(u64::MAX, u64::MAX), USUAL);
    assert_eq!((hostile.state, hostile.blocks_behind), (State::Misconfigured, Some(-i64::MAX)));
}

#[test]
fn nodes_that_are_wrong_together_are_wrong_all_the_same() {
    let far = 5_600_000;
    let answers = [healthy(), healthy(), at(HEAD - far, HEAD - far), at(HEAD - far - 1, HEAD - far), healthy()];
    let verdicts = judge(&answers, USUAL).verdicts;
    let states: Vec<_> = verdicts.iter().map(|verdict| verdict.state).collect();
    assert_eq!(states, [State::Ok, State::Ok, State::Misconfigured, State::Misconfigured, State::Ok]);
    assert_eq!(
        verdicts[2].reason,
        "chain head 5,600,000 behind the fleet's median of 5 nodes, and its blocks are not the fleet's: it follows \
         another chain, or its chain node stands still"
    );
    // Of two who tell blocks there is no median, so nothing is said of them.
    let silent = || report(healthy(), |report| report.blocks_processed = None);
    let answers = [silent(), silent(), silent(), healthy(), at(HEAD - far, HEAD - far)];
    let verdict = judge(&answers, USUAL).verdicts.pop().unwrap();
    assert_eq!((verdict.state, verdict.blocks_behind, verdict.head_behind), (State::Degraded, None, Some(5_600_000)));
}

#[test]
fn the_worst_decides_and_every_reason_is_told() {
    let node = report(at(HEAD - 500, HEAD), |report| report.node_env = Some("development".into()));
    let verdict = judged(&node, USUAL);
    assert_eq!((verdict.state, verdict.up), (State::Misconfigured, Some(true)));
    assert_eq!(
        verdict.reason,
        "nodeEnv is `development`, not `production`: it serves slowly; 498 blocks behind the fleet's median of 5 \
         nodes (100 allowed): its query node is not keeping up"
    );
}

#[test]
fn what_a_node_does_not_tell_is_not_held_against_it() {
    let silent = report(healthy(), |report| *report = Report { version: Some("2.0.0".into()), ..Report::default() });
    let verdict = judged(&silent, USUAL);
    assert_eq!((verdict.state, verdict.blocks_behind, verdict.head_behind), (State::Ok, None, None));
    let headless = report(healthy(), |report| report.chain_head = None);
    assert_eq!(judged(&headless, USUAL).blocks_behind, Some(0));
    let far = report(at(0, HEAD + 99_999), |report| report.blocks_processed = None);
    assert_eq!(judged(&far, USUAL).state, State::Degraded, "nothing says that it is another chain");
}

#[test]
fn fewer_than_three_nodes_are_not_compared() {
    for count in 1..=2 {
        let answers: Vec<_> = (0..count).map(|n| at(HEAD * n, HEAD * n)).collect();
        let judgement = judge(&answers, USUAL);
        for verdict in &judgement.verdicts {
            let Verdict { state, reason, blocks_behind, head_behind, .. } = verdict;
            assert_eq!((*state, &**reason, blocks_behind, head_behind), (State::Ok, UNJUDGED, &None, &None));
        }
    }
}

#[test]
fn an_even_fleet_has_its_lower_median() {
    let answers = [at(100, 100), at(104, 104), at(96, 96), at(1_000, 1_000)];
    let behind: Vec<_> = judge(&answers, USUAL).verdicts.iter().map(|verdict| verdict.blocks_behind.unwrap()).collect();
    assert_eq!(behind, [0, -4, 4, -900]);
}

/// HTTP status, what the body looks like, and what is said of the node.
const ANSWERS: [(u16, Shape, State, &str); 13] = [
    (
        200,
        Shape::Page,
        State::Misconfigured,
        "answers 200 with a web page, not a status document: its endpoint leads elsewhere",
    ),
    (
        200,
        Shape::Unknown,
        State::Misconfigured,
        "answers 200, but not with a status document: its endpoint leads elsewhere",
    ),
    (302, Shape::Unknown, State::Misconfigured, "answers 302, a redirect: its endpoint has to be the final one"),
    (404, Shape::TypedError, State::Misconfigured, "answers 404: the path of its endpoint is wrong"),
    (404, Shape::Page, State::Misconfigured, "answers 404: the path of its endpoint is wrong"),
    (404, Shape::Unknown, State::Misconfigured, "answers 404: what was asked for is not there"),
    (401, Shape::Unknown, State::Misconfigured, "answers 401: it refuses us"),
    (403, Shape::Page, State::Misconfigured, "answers 403: it refuses us"),
    (400, Shape::TypedError, State::Misconfigured, "answers 400 to a plain request"),
    (502, Shape::Unknown, State::Dead, "its proxy answers 502, the node behind it does not"),
    (500, Shape::Page, State::Dead, "its proxy answers 500, the node behind it does not"),
    (500, Shape::TypedError, State::Dead, "answers 500: it fails"),
    (101, Shape::Unknown, State::Misconfigured, "answers 101, which is no answer to this request"),
];

#[test]
fn other_answers_have_their_reasons() {
    for (status, shape, state, reason) in ANSWERS {
        let verdict = judged(&other(status, shape), USUAL);
        assert_eq!((verdict.state, verdict.up, &*verdict.reason), (state, Some(false), reason));
    }
    let verdict = judged(&other(301, Shape::Redirect("https://a.example/".into())), USUAL);
    let reason = "redirects (301) to https://a.example/: its endpoint has to be the final one";
    assert_eq!((verdict.state, &*verdict.reason), (State::Misconfigured, reason));
    let verdict = judged(&other(429, Shape::Unknown), USUAL);
    assert_eq!(
        (verdict.state, verdict.up, &*verdict.reason),
        (State::Degraded, Some(true), "answers 429: it limits us")
    );
}

#[test]
fn silence_has_its_reasons() {
    use State::{Blocked, Dead, Ok, Unknown};
    let broken = answer(Some(200), Said::Nothing { outcome: Outcome::Stalled, error: "receive: no byte".into() });
    for (node, state, up, reason) in [
        (answer(Some(200), Said::Present), Ok, Some(true), "nothing wrong"),
        (
            nothing(Outcome::ConnectRefused),
            Dead,
            Some(false),
            "cannot be reached: nothing listens on that port (connect: no luck)",
        ),
        (broken, Dead, Some(false), "answers 200 and breaks off: the body stopped flowing (receive: no byte)"),
        (nothing(Outcome::Blocked), Blocked, Some(false), "never contacted: connect: no luck"),
        (nothing(Outcome::LocalFailed), Unknown, None, "this vantage itself is at fault: connect: no luck"),
        (nothing(Outcome::TlsUnsupported), Unknown, None, "cannot be judged from here: connect: no luck"),
    ] {
        let verdict = judged(&node, USUAL);
        assert_eq!((verdict.state, verdict.up, &*verdict.reason), (state, up, reason));
    }
    assert_eq!(blocked("its port is 22").reason, "never contacted: its port is 22");
}

#[test]
fn silence_of_all_is_the_vantages_own_fault() {
    use Outcome::{Blocked, ConnectTimeout, DnsFailed, LocalFailed};
    use State::{Dead, Unknown};
    let states = |outcomes: &[Outcome]| {
        let answers: Vec<_> = outcomes.iter().map(|outcome| nothing(*outcome)).collect();
        let judgement = judge(&answers, USUAL);
        for verdict in &judgement.verdicts {
            assert_eq!(verdict.up.is_none(), verdict.state == Unknown, "{verdict:?}");
        }
        (judgement.verdicts.iter().map(|verdict| verdict.state).collect::<Vec<_>>(), judgement.vantage_ok)
    };
    let all = [ConnectTimeout, DnsFailed, LocalFailed];
    assert_eq!(states(&all), (vec![Unknown; 3], Some(false)));
    assert_eq!(states(&all[..2]), (vec![Dead; 2], None), "two nodes may both be dead");
    let with_blocked = [ConnectTimeout, Blocked, DnsFailed];
    assert_eq!(states(&with_blocked), (vec![Dead, State::Blocked, Dead], None), "who was not asked does not count");
    let with_blocked = [ConnectTimeout, Blocked, DnsFailed, DnsFailed];
    assert_eq!(states(&with_blocked), (vec![Unknown, State::Blocked, Unknown, Unknown], Some(false)));
    assert_eq!(states(&[LocalFailed]), (vec![Unknown], Some(false)), "our own fault is known for what it is");
    assert_eq!(states(&[Blocked; 4]), (vec![State::Blocked; 4], None), "nobody was asked");
    assert_eq!(judge(&[], USUAL), Judgement { verdicts: vec![], vantage_ok: None });

    let reason = &judge(&vec![nothing(ConnectTimeout); 9], USUAL).verdicts[0].reason;
    assert_eq!(reason, "none of 9 nodes answered: this vantage itself is most likely at fault");
}

#[test]
fn one_answer_clears_the_vantage() {
    for alive in [healthy(), other(502, Shape::Unknown)] {
        let mut answers = vec![nothing(Outcome::ConnectTimeout); 5];
        answers.push(alive);
        let judgement = judge(&answers, USUAL);
        assert_eq!(judgement.vantage_ok, Some(true));
        assert!(judgement.verdicts[..5].iter().all(|verdict| verdict.state == State::Dead));
    }
}
