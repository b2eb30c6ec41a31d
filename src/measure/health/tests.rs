use jiff::Timestamp;

use super::*;
use crate::model::{
    health::{ChainProgress, EndedRun, OtherContent, RecentDownloads, RunFault, StatusDocument},
    target::Profile,
    units::{BitRate, Micros},
};

const USUAL: Tolerance = Tolerance { behind: 100, ahead: 2_000 };
const STRICT: Tolerance = Tolerance { behind: 10, ahead: 10 };
const HEAD: u64 = 5_678_901;
const AT: Timestamp = Timestamp::UNIX_EPOCH;

fn answer(status: Option<u16>, content: AnswerContent) -> StatusAnswer {
    StatusAnswer { at: AT, latency: Some(Micros(1)), status, content, head_refusal: None }
}

fn subject(answer: &StatusAnswer) -> NodeEvidence<'_> {
    NodeEvidence {
        answer,
        profile: Profile::Argus,
        distributing: None,
        downloads: RecentDownloads::default(),
        progress: ChainProgress::default(),
    }
}

/// Judges a round of distributors that have no other problem.
fn round(answers: &[StatusAnswer], tolerance: Tolerance) -> RoundHealth {
    judge(&answers.iter().map(subject).collect::<Vec<_>>(), tolerance)
}

/// The status document of a node at these numbers.
fn at(blocks: u64, head: u64) -> StatusAnswer {
    let document = StatusDocument {
        node_env: Some("production".into()),
        blocks_processed: Some(blocks),
        chain_head: Some(head),
        ..StatusDocument::default()
    };
    answer(Some(200), AnswerContent::Document(Box::new(document)))
}

fn with_document(mut answer: StatusAnswer, change: impl FnOnce(&mut StatusDocument)) -> StatusAnswer {
    let AnswerContent::Document(document) = &mut answer.content else { panic!("no document") };
    change(document);
    answer
}

fn healthy() -> StatusAnswer {
    at(HEAD - 2, HEAD)
}

fn other(status: u16, shape: OtherContent) -> StatusAnswer {
    answer(Some(status), AnswerContent::Other(shape))
}

fn nothing(outcome: Outcome) -> StatusAnswer {
    answer(None, AnswerContent::Nothing { outcome, error: "connect: no luck".into() })
}

fn run(at: Timestamp, outcome: Outcome) -> EndedRun {
    EndedRun { at, fault: (!outcome.is_ok()).then_some(RunFault::Failed(outcome)) }
}

/// The verdict on a distributor next to four healthy ones.
fn judged(node: &StatusAnswer, tolerance: Tolerance) -> Health {
    judged_as(&subject(node), tolerance)
}

/// The verdict on any node next to four healthy distributors.
fn judged_as(node: &NodeEvidence<'_>, tolerance: Tolerance) -> Health {
    let sound = healthy();
    let mut subjects = vec![subject(&sound); 4];
    subjects.push(node.clone());
    let mut round_health = judge(&subjects, tolerance);
    let health = round_health.nodes.pop().unwrap();
    for health in round_health.nodes {
        let fine = Health {
            state: HealthState::Ok,
            reason: "nothing wrong".into(),
            up: Some(true),
            blocks_behind: Some(0),
            head_behind: Some(0),
        };
        assert_eq!(health, fine, "next to {node:?}");
    }
    health
}

/// How far a node is behind in blocks and head next to four others, and the expected verdict.
const PLACES: [(i64, i64, Tolerance, HealthState, &str); 12] = [
    (100, 100, USUAL, HealthState::Ok, "nothing wrong"),
    (
        4_200,
        0,
        USUAL,
        HealthState::Degraded,
        "4,200 blocks behind the fleet's median of 5 nodes (100 allowed): its query node is not keeping up",
    ),
    (
        0,
        101,
        USUAL,
        HealthState::Degraded,
        "chain head 101 behind the fleet's median of 5 nodes (100 allowed): its chain node is not keeping up",
    ),
    (
        1_010,
        1_009,
        USUAL,
        HealthState::Degraded,
        "1,010 blocks behind the fleet's median of 5 nodes (100 allowed): its query node is not keeping up; \
         chain head 1,009 behind (100 allowed)",
    ),
    (-2_000, -2_000, USUAL, HealthState::Ok, "nothing wrong"),
    (-2_001, 0, USUAL, HealthState::Ok, "nothing wrong; 2,001 blocks ahead of the fleet's median of 5 nodes"),
    (10, -10, STRICT, HealthState::Ok, "nothing wrong"),
    (
        11,
        0,
        STRICT,
        HealthState::Degraded,
        "11 blocks behind the fleet's median of 5 nodes (10 allowed): its query node is not keeping up",
    ),
    (0, -11, STRICT, HealthState::Ok, "nothing wrong; chain head 11 ahead of the fleet's median of 5 nodes"),
    (0, -14_401, USUAL, HealthState::Ok, "nothing wrong; chain head 14,401 ahead of the fleet's median of 5 nodes"),
    (
        -1_000_000,
        -1_000_000,
        USUAL,
        HealthState::Misconfigured,
        "chain head 1,000,000 ahead of the fleet's median of 5 nodes, and its blocks are outside the limits too: \
         it follows another chain, or the others stand still",
    ),
    (
        14_401,
        14_401,
        USUAL,
        HealthState::Misconfigured,
        "chain head 14,401 behind the fleet's median of 5 nodes, and its blocks are outside the limits too: \
         it follows another chain, or its chain node stands still",
    ),
];

const UNJUDGED: &str = "nothing wrong; its blocks are not judged: that takes at least three nodes";

#[test]
fn nodes_are_held_against_the_median_of_the_fleet() {
    for (blocks, head, tolerance, state, reason) in PLACES {
        let node = at((HEAD - 2).checked_add_signed(-blocks).unwrap(), HEAD.checked_add_signed(-head).unwrap());
        let health = judged(&node, tolerance);
        assert_eq!((health.state, &*health.reason, health.up), (state, reason, Some(true)));
        assert_eq!((health.blocks_behind, health.head_behind), (Some(blocks), Some(head)), "{reason}");
    }
    let hostile = judged(&at(u64::MAX, u64::MAX), USUAL);
    assert_eq!((hostile.state, hostile.blocks_behind), (HealthState::Misconfigured, Some(-i64::MAX)));
}

#[test]
fn nodes_that_are_wrong_together_are_wrong_all_the_same() {
    let far = 5_600_000;
    let answers = [healthy(), healthy(), at(HEAD - far, HEAD - far), at(HEAD - far - 1, HEAD - far), healthy()];
    let verdicts = round(&answers, USUAL).nodes;
    let states: Vec<_> = verdicts.iter().map(|health| health.state).collect();
    assert_eq!(
        states,
        [HealthState::Ok, HealthState::Ok, HealthState::Misconfigured, HealthState::Misconfigured, HealthState::Ok]
    );
    assert_eq!(
        verdicts[2].reason,
        "chain head 5,600,000 behind the fleet's median of 5 nodes, and its blocks are outside the limits too: it follows \
         another chain, or its chain node stands still"
    );
    // Only two nodes report blocks, so there is no median, and their blocks are not judged.
    let silent = || with_document(healthy(), |document| document.blocks_processed = None);
    let answers = [silent(), silent(), silent(), healthy(), at(HEAD - far, HEAD - far)];
    let health = round(&answers, USUAL).nodes.pop().unwrap();
    assert_eq!(
        (health.state, health.blocks_behind, health.head_behind),
        (HealthState::Degraded, None, Some(5_600_000))
    );
}

#[test]
fn the_worst_decides_and_every_reason_is_told() {
    let node = with_document(at(HEAD - 500, HEAD), |document| document.node_env = Some("development".into()));
    let health = judged(&node, USUAL);
    assert_eq!((health.state, health.up), (HealthState::Misconfigured, Some(true)));
    assert_eq!(
        health.reason,
        "nodeEnv is `development`, not `production`: it serves slowly; 498 blocks behind the fleet's median of 4 \
         nodes (100 allowed): its query node is not keeping up"
    );
}

#[test]
fn what_a_node_does_not_tell_is_not_held_against_it() {
    let silent = with_document(healthy(), |document| {
        *document = StatusDocument { version: Some("1.2.0".into()), ..StatusDocument::default() }
    });
    let health = judged(&silent, USUAL);
    assert_eq!((health.state, health.blocks_behind, health.head_behind), (HealthState::Ok, None, None));
    let headless = with_document(healthy(), |document| document.chain_head = None);
    assert_eq!(judged(&headless, USUAL).blocks_behind, Some(0));
    let far = with_document(at(0, HEAD + 99_999), |document| document.blocks_processed = None);
    assert_eq!(judged(&far, USUAL).state, HealthState::Ok, "nothing says that it is another chain");
}

#[test]
fn fewer_than_three_nodes_are_not_compared() {
    for count in 1..=2 {
        let answers: Vec<_> = (0..count).map(|n| at(HEAD * n, HEAD * n)).collect();
        let round_health = round(&answers, USUAL);
        for health in &round_health.nodes {
            let Health { state, reason, blocks_behind, head_behind, .. } = health;
            assert_eq!((*state, &**reason, blocks_behind, head_behind), (HealthState::Ok, UNJUDGED, &None, &None));
        }
    }
}

#[test]
fn an_even_fleet_has_its_higher_median() {
    let answers = [at(100, 100), at(104, 104), at(96, 96), at(1_000, 1_000)];
    let behind: Vec<_> = round(&answers, USUAL).nodes.iter().map(|health| health.blocks_behind.unwrap()).collect();
    assert_eq!(behind, [4, 0, 8, -896]);
}

const ERROR: OtherContent = OtherContent::Error { is_typed: true, message: String::new() };
/// HTTP status, what the body looks like, and the expected verdict.
const ANSWERS: [(u16, OtherContent, HealthState, &str); 15] = [
    (
        200,
        OtherContent::Page,
        HealthState::Misconfigured,
        "answers 200 with a web page, not a status document: its endpoint leads elsewhere",
    ),
    (
        200,
        OtherContent::Unknown,
        HealthState::Misconfigured,
        "answers 200, but not with a status document: its endpoint leads elsewhere",
    ),
    (
        302,
        OtherContent::Unknown,
        HealthState::Misconfigured,
        "answers 302, a redirect: its endpoint must be the final URL",
    ),
    (404, ERROR, HealthState::Misconfigured, "answers 404: the path of its endpoint is wrong"),
    (404, OtherContent::Page, HealthState::Misconfigured, "answers 404: the path of its endpoint is wrong"),
    (404, OtherContent::Unknown, HealthState::Misconfigured, "answers 404: the resource is missing"),
    (401, OtherContent::Unknown, HealthState::Misconfigured, "answers 401: it refuses access"),
    (403, OtherContent::Page, HealthState::Misconfigured, "answers 403: it refuses access"),
    (400, ERROR, HealthState::Misconfigured, "answers 400 to a plain request"),
    (
        200,
        OtherContent::Empty,
        HealthState::Misconfigured,
        "answers 200 with an empty body: the path of its endpoint is probably wrong",
    ),
    (404, OtherContent::Empty, HealthState::Misconfigured, "answers 404: the resource is missing"),
    (502, OtherContent::Unknown, HealthState::Dead, "its proxy answers 502, the node behind it does not"),
    (500, OtherContent::Page, HealthState::Dead, "its proxy answers 500, the node behind it does not"),
    (500, ERROR, HealthState::Dead, "answers 500: a server error"),
    (101, OtherContent::Unknown, HealthState::Misconfigured, "answers 101, which makes no sense for this request"),
];

#[test]
fn other_answers_have_their_reasons() {
    for (status, shape, state, reason) in ANSWERS {
        let health = judged(&other(status, shape), USUAL);
        assert_eq!((health.state, health.up, &*health.reason), (state, Some(false), reason));
    }
    let health = judged(&other(301, OtherContent::Redirect("https://a.example/".into())), USUAL);
    let reason = "redirects (301) to https://a.example/: its endpoint must be the final URL";
    assert_eq!((health.state, &*health.reason), (HealthState::Misconfigured, reason));
    let health = judged(&other(429, OtherContent::Unknown), USUAL);
    assert_eq!(
        (health.state, health.up, &*health.reason),
        (HealthState::Degraded, Some(true), "answers 429: it limits requests")
    );
}

#[test]
fn silence_has_its_reasons() {
    use HealthState::{Blocked, Dead, Ok, Unknown};
    let broken =
        answer(Some(200), AnswerContent::Nothing { outcome: Outcome::Stalled, error: "receive: no byte".into() });
    for (node, state, up, reason) in [
        (answer(Some(200), AnswerContent::Present), Ok, Some(true), "nothing wrong"),
        (
            nothing(Outcome::ConnectRefused),
            Dead,
            Some(false),
            "cannot be reached: nothing listens on the port (connect: no luck)",
        ),
        (broken, Dead, Some(false), "answers 200 and breaks off: the body stopped flowing (receive: no byte)"),
        (nothing(Outcome::Blocked), Blocked, Some(false), "never contacted: connect: no luck"),
        (nothing(Outcome::LocalFailed), Unknown, None, "this vantage itself is at fault: connect: no luck"),
        (nothing(Outcome::TlsUnsupported), Unknown, None, "cannot be judged from here: connect: no luck"),
    ] {
        let health = judged(&node, USUAL);
        assert_eq!((health.state, health.up, &*health.reason), (state, up, reason));
    }
    assert_eq!(blocked("its port is 22").reason, "never contacted: its port is 22");
}

#[test]
fn silence_of_all_is_the_vantages_own_fault() {
    use HealthState::{Dead, Unknown};
    use Outcome::{Blocked, ConnectTimeout, DnsFailed, LocalFailed};
    let states = |outcomes: &[Outcome]| {
        let answers: Vec<_> = outcomes.iter().map(|outcome| nothing(*outcome)).collect();
        let round_health = round(&answers, USUAL);
        for health in &round_health.nodes {
            assert_eq!(health.up.is_none(), health.state == Unknown, "{health:?}");
        }
        (round_health.nodes.iter().map(|health| health.state).collect::<Vec<_>>(), vantage(answers.iter()))
    };
    let all = [ConnectTimeout, DnsFailed, LocalFailed];
    assert_eq!(states(&all), (vec![Unknown; 3], Some(false)));
    assert_eq!(states(&all[..2]), (vec![Dead; 2], None), "two nodes may both be dead");
    let with_blocked = [ConnectTimeout, Blocked, DnsFailed];
    assert_eq!(
        states(&with_blocked),
        (vec![Dead, HealthState::Blocked, Dead], None),
        "who was not asked does not count"
    );
    let with_blocked = [ConnectTimeout, Blocked, DnsFailed, DnsFailed];
    assert_eq!(states(&with_blocked), (vec![Unknown, HealthState::Blocked, Unknown, Unknown], Some(false)));
    assert_eq!(states(&[LocalFailed]), (vec![Unknown], Some(false)), "our own fault is known for what it is");
    assert_eq!(states(&[Blocked; 4]), (vec![HealthState::Blocked; 4], None), "nobody was asked");
    assert_eq!(round(&[], USUAL), RoundHealth { nodes: vec![], chain_head: None });
    assert_eq!(vantage([].iter()), None);

    let reason = &round(&vec![nothing(ConnectTimeout); 9], USUAL).nodes[0].reason;
    assert_eq!(reason, "none of 9 nodes answered: this vantage itself is most likely at fault");
}

#[test]
fn a_freeze_of_ours_says_nothing_about_any_node() {
    let frozen = || answer(None, AnswerContent::Frozen(Micros(30_000_000)));
    let reason = "not judged: bandprobe itself did not run for 30.0 s";
    let health = judged(&frozen(), USUAL);
    assert_eq!((health.state, health.up, &*health.reason), (HealthState::Unknown, None, reason));
    let all = vec![frozen(); 5];
    assert_eq!(vantage(all.iter()), None, "it says nothing of our network");
    let verdicts = round(&all, USUAL).nodes;
    assert!(verdicts.iter().all(|health| health.state == HealthState::Unknown && health.reason == reason));
    let [refused, failed] = [Outcome::ConnectRefused, Outcome::LocalFailed].map(nothing);
    let two = [refused.clone(), refused, frozen()];
    assert_eq!(vantage(two.iter()), None, "two nodes may both be dead");
    assert_eq!(round(&two, USUAL).nodes[0].state, HealthState::Dead);
    assert_eq!(vantage([failed, frozen()].iter()), Some(false));
}

#[test]
fn one_answer_clears_the_vantage() {
    for alive in [healthy(), other(502, OtherContent::Unknown)] {
        let mut answers = vec![nothing(Outcome::ConnectTimeout); 5];
        answers.push(alive);
        let round_health = round(&answers, USUAL);
        assert_eq!(vantage(answers.iter()), Some(true));
        assert!(round_health.nodes[..5].iter().all(|health| health.state == HealthState::Dead));
    }
}

#[test]
fn the_nodes_own_words_are_part_of_the_reason() {
    let content = |message: &str, is_typed| OtherContent::Error { is_typed, message: message.to_owned() };
    for (status, shape, state, reason) in [
        (
            500,
            content("Query node is down", true),
            HealthState::Dead,
            "answers 500: a server error; it says `Query node is down`",
        ),
        (503, content("Overloaded", false), HealthState::Dead, "answers 503: a server error; it says `Overloaded`"),
        (
            404,
            content("gone", false),
            HealthState::Misconfigured,
            "answers 404: the resource is missing; it says `gone`",
        ),
        (500, content("  ", false), HealthState::Dead, "answers 500: a server error"),
    ] {
        let health = judged(&other(status, shape), USUAL);
        assert_eq!((health.state, &*health.reason), (state, reason));
    }
}

#[test]
fn switched_off_nodes_that_stand_still_outvote_nobody() {
    let (good, stuck) = (healthy(), at(HEAD - 50_000, HEAD - 50_000));
    let off = NodeEvidence { distributing: Some(false), ..subject(&stuck) };
    for good_ones in [2, 3] {
        let mut subjects = vec![subject(&good); good_ones];
        subjects.extend(vec![off.clone(); 3]);
        let verdicts = judge(&subjects, USUAL).nodes;
        let states: Vec<_> = verdicts.iter().map(|health| (health.state, health.head_behind)).collect();
        let judged = (good_ones > 2).then_some(0);
        assert_eq!(states[..good_ones], vec![(HealthState::Ok, judged); good_ones]);
        assert_eq!(states[good_ones..], [(HealthState::Misconfigured, Some(50_000)); 3], "held against the good ones");
    }
}

#[test]
fn only_sound_nodes_that_distribute_make_the_median() {
    let (good, stuck) = (healthy(), at(HEAD - 300, HEAD - 300));
    let development = with_document(stuck.clone(), |document| document.node_env = Some(String::new()));
    let failing =
        RecentDownloads { ended: vec![run(AT, Outcome::Http5xx); 3], enough: 3, ..RecentDownloads::default() };
    let cannot_fetch = RecentDownloads { fetch_failed: Some("status 500".into()), ..RecentDownloads::default() };
    for odd in [
        NodeEvidence { profile: Profile::Colossus, ..subject(&stuck) },
        NodeEvidence { profile: Profile::Http, ..subject(&stuck) },
        NodeEvidence { distributing: Some(false), ..subject(&stuck) },
        NodeEvidence { downloads: failing, ..subject(&stuck) },
        NodeEvidence { downloads: cannot_fetch, ..subject(&stuck) },
        subject(&development),
    ] {
        let subjects = [vec![subject(&good); 3], vec![odd.clone(); 5]].concat();
        let RoundHealth { nodes, chain_head } = judge(&subjects, USUAL);
        assert!(nodes[..3].iter().all(|health| health.state == HealthState::Ok), "{odd:?}");
        assert_eq!((nodes[3].blocks_behind, chain_head), (Some(298), Some(HEAD)), "{odd:?}");
    }
}

#[test]
fn the_chain_head_is_known_though_every_node_is_misconfigured() {
    let bare = with_document(healthy(), |document| document.node_env = Some(String::new()));
    let off = NodeEvidence { distributing: Some(false), ..subject(&bare) };
    for subjects in [vec![subject(&bare); 4], vec![off; 2]] {
        let RoundHealth { nodes, chain_head } = judge(&subjects, USUAL);
        assert_eq!((nodes[0].blocks_behind, chain_head), (None, Some(HEAD)), "nobody is judged by such a median");
    }
}

#[test]
fn storage_nodes_are_compared_with_each_other_if_alone() {
    let (good, stuck) = (healthy(), at(HEAD - 300, HEAD));
    let storage = |answer| NodeEvidence { profile: Profile::Colossus, ..subject(answer) };
    let subjects = [subject(&good), storage(&good), storage(&good), storage(&stuck)];
    let behind: Vec<_> = judge(&subjects, USUAL).nodes.iter().map(|health| health.blocks_behind).collect();
    assert_eq!(behind, [None, Some(0), Some(0), Some(298)], "one distributor is too few for itself");
}

/// How downloads ended, and the expected verdict on a node that answers its status request.
#[test]
fn a_node_that_answers_and_serves_nothing_is_degraded() {
    use Outcome::{Http5xx, Ok, Stalled, TlsTimeout};
    for (ended, enough, reason) in [
        (&[][..], 1, None),
        (&[Ok, Ok], 1, None),
        (&[Http5xx, Http5xx, Ok], 3, None),
        (&[Ok, Http5xx, Http5xx, Http5xx], 3, None),
        (&[Http5xx, Http5xx], 3, None),
        (&[Stalled], 1, Some("status answers, but the last download failed: stalled")),
        (
            &[Http5xx, Stalled, Http5xx, Http5xx],
            3,
            Some("status answers, but the last 4 downloads failed: 3 http_5xx, 1 stalled"),
        ),
        (&[TlsTimeout; 3], 3, Some("status answers, but the last 3 downloads failed: 3 tls_timeout")),
    ] {
        let runs = ended.iter().map(|outcome| run(AT, *outcome)).collect();
        let downloads = RecentDownloads { ended: runs, enough, ..RecentDownloads::default() };
        for (answer, profile) in
            [(healthy(), Profile::Argus), (answer(Some(200), AnswerContent::Present), Profile::Http)]
        {
            let health = judged_as(&NodeEvidence { profile, downloads: downloads.clone(), ..subject(&answer) }, USUAL);
            let state = if reason.is_some() { HealthState::Degraded } else { HealthState::Ok };
            assert_eq!((health.state, health.up), (state, Some(true)), "{ended:?}");
            assert_eq!(&*health.reason, reason.unwrap_or("nothing wrong"), "{ended:?}");
        }
    }
}

#[test]
fn a_node_that_serves_too_slowly_is_degraded() {
    let slow = |rate| Some(RunFault::TooSlow(BitRate(rate)));
    let stalled = Some(RunFault::Failed(Outcome::Stalled));
    for (faults, enough, reason) in [
        (vec![slow(64_000); 4], 3, Some("all of the last 4 downloads were slower than 64.0 kbit/s (`min-rate`)")),
        (vec![slow(64_000)], 1, Some("the last download was slower than 64.0 kbit/s (`min-rate`)")),
        (
            vec![slow(64_000), slow(1_000_000), slow(64_000)],
            3,
            Some("all of the last 3 downloads were slower than the `min-rate` of their probes"),
        ),
        (vec![slow(64_000), stalled, slow(64_000)], 3, Some("the last 3 downloads failed: 2 too_slow, 1 stalled")),
        (vec![slow(64_000), None, slow(64_000)], 3, None),
        (vec![slow(64_000); 2], 3, None),
    ] {
        let ended: Vec<_> = faults.into_iter().map(|fault| EndedRun { at: AT, fault }).collect();
        let downloads = RecentDownloads { ended, enough, ..RecentDownloads::default() };
        let health = judged_as(&NodeEvidence { downloads: downloads.clone(), ..subject(&healthy()) }, USUAL);
        let expected = reason.map_or("nothing wrong".to_owned(), |reason| format!("status answers, but {reason}"));
        assert_eq!((health.state == HealthState::Degraded, health.reason), (reason.is_some(), expected));
        if reason.is_some() {
            let dead = other(500, OtherContent::Unknown);
            let health = judged_as(&NodeEvidence { downloads, ..subject(&dead) }, USUAL);
            assert_eq!((health.state, &*health.reason), (HealthState::Dead, "answers 500: a server error"));
        }
    }
}

#[test]
fn a_node_that_serves_is_not_dead_whatever_its_status_says() {
    use Outcome::{ConnectRefused, HeadersTimeout, Http5xx, Ok, Stalled};
    let (before, after) = (Timestamp::from_second(-9).unwrap(), Timestamp::from_second(9).unwrap());
    let failing = other(500, OtherContent::Unknown);
    let fails = "answers 500: a server error";
    for (node, ended, expected) in [
        (failing.clone(), vec![(before, Ok); 3], Some(format!("{fails}; but the last 3 downloads succeeded"))),
        (failing.clone(), vec![(before, Http5xx), (before, Ok)], Some(format!("{fails}; but the last download succeeded"))),
        (failing.clone(), vec![(before, Ok), (before, Stalled)], None),
        (failing, vec![], None),
        (
            nothing(HeadersTimeout),
            vec![(before, Ok)],
            Some("cannot be reached: no complete response head in time (connect: no luck); but the last download succeeded".to_owned()),
        ),
        (nothing(ConnectRefused), vec![(before, Ok); 4], None),
        (
            nothing(ConnectRefused),
            vec![(after, Ok)],
            Some("cannot be reached: nothing listens on the port (connect: no luck); but the last download succeeded".to_owned()),
        ),
    ] {
        let runs = ended.iter().map(|(at, outcome)| run(*at, *outcome)).collect();
        let downloads = RecentDownloads { ended: runs, enough: 1, ..RecentDownloads::default() };
        let health = judged_as(&NodeEvidence { downloads, ..subject(&node) }, USUAL);
        match expected {
            Some(reason) => {
                assert_eq!((health.state, health.up, health.reason), (HealthState::Degraded, Some(true), reason));
            }
            None => assert_eq!((health.state, health.up), (HealthState::Dead, Some(false)), "{node:?} {ended:?}"),
        }
    }
}

#[test]
fn a_node_that_cannot_fetch_is_degraded_unless_it_is_worse() {
    let why = "status 500: Failed to download object 7";
    let downloads = RecentDownloads { fetch_failed: Some(why.to_owned()), ..RecentDownloads::default() };
    for (answer, state, reason) in [
        (healthy(), HealthState::Degraded, format!("cannot fetch from storage: {why}")),
        (
            with_document(healthy(), |document| document.node_env = Some("test".into())),
            HealthState::Misconfigured,
            format!("nodeEnv is `test`, not `production`: it serves slowly; cannot fetch from storage: {why}"),
        ),
        (
            nothing(Outcome::ConnectRefused),
            HealthState::Dead,
            "cannot be reached: nothing listens on the port (connect: no luck)".to_owned(),
        ),
    ] {
        let health = judged_as(&NodeEvidence { downloads: downloads.clone(), ..subject(&answer) }, USUAL);
        assert_eq!((health.state, health.reason), (state, reason));
    }
}

#[test]
fn a_refused_head_request_is_part_of_the_reason() {
    let why = || Some("it refuses HEAD (405) and answers GET".to_owned());
    let present = StatusAnswer { head_refusal: why(), ..answer(Some(206), AnswerContent::Present) };
    let health = judged(&present, USUAL);
    assert_eq!(
        (health.state, &*health.reason),
        (HealthState::Ok, "nothing wrong; it refuses HEAD (405) and answers GET")
    );
    let why = || Some("it refuses HEAD (405)".to_owned());
    for (node, reason) in [
        (
            nothing(Outcome::HeadersTimeout),
            "does not answer GET: no complete response head in time (connect: no luck); it refuses HEAD (405)",
        ),
        (other(404, OtherContent::Page), "answers 404: the path of its endpoint is wrong; it refuses HEAD (405)"),
    ] {
        assert_eq!(judged(&StatusAnswer { head_refusal: why(), ..node }, USUAL).reason, reason);
    }
}
