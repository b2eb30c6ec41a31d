//! The table of node states: exact texts, one round and many.

use std::time::Duration;

use bandprobe::{
    model::{
        health::{AnswerContent, CheckedNode, Health, HealthState, StatusAnswer, StatusDocument},
        target::{Listing, Origin, Profile, Vantage},
        units::Micros,
    },
    record::{
        line,
        node::node_point,
        node_point::NodePoint,
        point::Point,
        scan::{AnyPoint, Line, read},
        schema::node as schema,
    },
    report::health::{HealthHistory, MAX_NODES, render},
    term::Look,
};
use jiff::SignedDuration;

use crate::record::samples::at;

/// The result of a round for a node.
pub(super) struct Round {
    pub(super) node: &'static str,
    pub(super) role: &'static str,
    pub(super) state: HealthState,
    pub(super) reason: &'static str,
    /// Blocks behind and version, for nodes that answer.
    pub(super) says: Option<(i64, &'static str)>,
}

const OK: &str = "nothing wrong";

/// A fleet with one node in each state.
pub(super) const FLEET: [Round; 6] = [
    Round {
        node: "fra1.example.org",
        role: "distributor",
        state: HealthState::Ok,
        reason: OK,
        says: Some((0, "2.1.2")),
    },
    Round {
        node: "syd1.example.org",
        role: "distributor",
        state: HealthState::Degraded,
        reason: "412 blocks behind the other nodes: its query node lags",
        says: Some((412, "2.1.2")),
    },
    Round {
        node: "lab.example.org",
        role: "distributor",
        state: HealthState::Misconfigured,
        reason: "nodeEnv is development: it serves slowly",
        says: Some((-1, "2.1.0")),
    },
    Round {
        node: "gone.example.org",
        role: "storage",
        state: HealthState::Dead,
        reason: "connect_refused: nobody listens",
        says: None,
    },
    Round {
        node: "1:7-3",
        role: "distributor",
        state: HealthState::Blocked,
        reason: "its endpoint is at a private address",
        says: None,
    },
    Round { node: "nyc1.example.org", role: "storage", state: HealthState::Ok, reason: OK, says: Some((2, "4.5.0")) },
];

/// The point of the round this many minutes after the first one. In a minute that is `lost`, the vantage is down.
pub(super) fn point(round: &Round, minute: i64, state: HealthState) -> Point {
    let mut point = Point::new(&schema::MEASUREMENT, at(0) + SignedDuration::from_mins(minute));
    for (tag, value) in
        [(schema::VANTAGE, "here"), (schema::NODE, round.node), (schema::REGION, "none"), (schema::ROLE, round.role)]
    {
        point.tag(tag, value);
    }
    let reason = if state == round.state { round.reason } else { "as the test wants" };
    point.integer(schema::STATE_CODE, Some(state.code()));
    point.text(schema::STATE, Some(state.label()));
    point.text(schema::REASON, Some(reason));
    let up = !matches!(state, HealthState::Dead | HealthState::Blocked);
    point.integer(schema::UP, (state != HealthState::Unknown).then_some(u64::from(up)));
    if let Some((behind, version)) = round.says.filter(|_| up && state != HealthState::Unknown) {
        point.integer(schema::LATENCY, Some(48_211));
        point.signed(schema::BLOCKS_BEHIND, Some(behind));
        point.integer(schema::UPTIME, Some(270_000));
        point.text(schema::VERSION, Some(version));
    }
    point
}

/// Four rounds: in the second one the first node is dead, in the third the vantage is down.
pub(super) fn rounds() -> Vec<Point> {
    let each = |minute: i64, state: &dyn Fn(&Round) -> HealthState| {
        FLEET.iter().map(|round| point(round, minute, state(round))).collect::<Vec<_>>()
    };
    let second = |round: &Round| if round.node == FLEET[0].node { HealthState::Dead } else { round.state };
    let third = |round: &Round| if round.state == HealthState::Blocked { round.state } else { HealthState::Unknown };
    [each(0, &|round| round.state), each(5, &second), each(10, &third), each(15, &|round| round.state)].concat()
}

fn of(points: &[Point]) -> HealthHistory {
    let mut health = HealthHistory::default();
    points.iter().for_each(|point| health.add(&NodePoint::from_point(point).unwrap()));
    health
}

fn one_round() -> HealthHistory {
    of(&FLEET.iter().map(|round| point(round, 0, round.state)).collect::<Vec<_>>())
}

#[test]
fn the_states_of_a_fleet_have_an_exact_table() {
    for (name, health, width, expected) in [
        ("one round", one_round(), None, include_str!("../../data/report/states.txt")),
        ("one round, 80", one_round(), Some(80), include_str!("../../data/report/states-80.txt")),
        ("one round, 40", one_round(), Some(40), include_str!("../../data/report/states-40.txt")),
        ("rounds", of(&rounds()), None, include_str!("../../data/report/states-rounds.txt")),
        ("rounds, 40", of(&rounds()), Some(40), include_str!("../../data/report/states-rounds-40.txt")),
    ] {
        let text = render(&health, Look { width, colour: false });
        assert_eq!(text, expected, "{name}:\n{text}");
    }
    assert_eq!(render(&HealthHistory::default(), Look::default()), "");
}

#[test]
fn lines_fit_any_width_and_keep_every_reason() {
    for health in [one_round(), of(&rounds())] {
        for width in 20..200 {
            let text = render(&health, Look { width: Some(width), colour: false });
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= usize::from(width), "{width}: {widest}\n{text}");
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for round in FLEET.iter().filter(|round| round.state != HealthState::Ok) {
                assert!(words.contains(round.reason), "{width}: {}\n{text}", round.reason);
            }
        }
    }
}

#[test]
fn rounds_in_which_the_vantage_was_down_are_left_out() {
    let health = of(&rounds());
    let node_health = |node: &str| health.nodes().into_iter().find(|one| &*one.last.node == node).unwrap().clone();
    let fra1 = node_health("fra1.example.org");
    assert_eq!((fra1.rounds.all, fra1.rounds.judged, fra1.rounds.up), (4, 3, 2));
    assert_eq!(
        (fra1.last.state, fra1.worst, fra1.rounds.up_share()),
        (HealthState::Ok, HealthState::Dead, Some(2.0 / 3.0))
    );
    let gone = node_health("gone.example.org");
    assert_eq!((gone.rounds.up_share(), gone.rounds.unknown()), (Some(0.0), 1));
    let backwards: Vec<_> = rounds().into_iter().rev().collect();
    assert_eq!(of(&backwards).json(), health.json(), "in whichever order they come");
}

#[test]
fn the_worst_state_is_listed_first() {
    use HealthState::{Blocked, Dead, Degraded, Misconfigured, Ok, Unknown};
    for (states, worst) in [
        ([Blocked, Dead], Dead),
        ([Blocked, Degraded], Degraded),
        ([Dead, Misconfigured], Dead),
        ([Ok, Blocked], Blocked),
        ([Unknown, Ok], Ok),
        ([Unknown, Unknown], Unknown),
    ] {
        let of_one = |states: [HealthState; 2]| {
            of(&[(0, states[0]), (5, states[1])].map(|(minute, state)| point(&FLEET[0], minute, state)))
        };
        let [second, first] = states;
        for states in [[first, second], [second, first]] {
            assert_eq!(of_one(states).nodes()[0].worst, worst, "{states:?}");
        }
        let both = of(&[point(&FLEET[0], 0, first), point(&FLEET[1], 0, second)]);
        if first != second && !states.contains(&Unknown) {
            assert_eq!(both.nodes()[0].last.state, worst, "{states:?}");
        }
    }
}

#[test]
fn json_has_the_same_figures() {
    let object = of(&rounds()).json().into_iter().find(|one| one["node"] == "fra1.example.org").unwrap();
    let expected = serde_json::json!({
        "time": "2026-11-22T10:15:00.123456789Z", "vantage": "here", "node": "fra1.example.org", "role": "distributor",
        "state": "ok", "reason": OK, "up": 1, "latency_us": 48_211, "blocks_behind": 0, "uptime_s": 270_000,
        "version": "2.1.2", "worst_state": "dead", "rounds": 3, "rounds_unknown": 1, "up_share": 2.0 / 3.0,
    });
    assert_eq!(object, expected);
}

#[test]
fn a_line_reads_back_as_its_point_or_is_damaged() {
    for round in FLEET {
        let point = point(&round, 0, round.state);
        let mut text = String::new();
        line::encode(&point, &mut text);
        let Line::Point(AnyPoint::Node(found)) = read(text.as_bytes()) else { panic!("{text}") };
        assert_eq!(Some(*found), NodePoint::from_point(&point));
        for (from, to) in [
            (format!("state_code={}i", round.state.code()), "state_code=6i"),
            (format!("state_code={}i,", round.state.code()), ""),
            ("up=".to_owned(), "up=7i,x="),
            (",role=".to_owned(), ",x="),
        ] {
            let strange = text.replace(&from, to);
            assert_eq!(read(strange.as_bytes()), Line::Damaged, "{strange}");
        }
    }
}

/// Reads back what the status probe writes.
#[test]
fn every_field_of_a_node_point_reads_back() {
    let vantage = Vantage { id: "here".into(), worker: "here".into(), uplink: None, country: None, location: None };
    let report = StatusDocument { version: Some("2.1.2".into()), uptime_s: Some(90), ..StatusDocument::default() };
    let answer = StatusAnswer {
        at: at(0),
        latency: Some(Micros(48_211)),
        status: Some(200),
        content: AnswerContent::Document(Box::new(report)),
        head_refusal: None,
    };
    let health = Health {
        state: HealthState::Degraded,
        reason: "41 blocks behind".into(),
        up: Some(true),
        blocks_behind: Some(41),
        head_behind: Some(0),
    };
    let checked = CheckedNode {
        node: "fra1".into(),
        listing: Listing::bare(Origin::Joystream, Profile::Colossus),
        at: at(0),
        answer: Some(answer),
        health,
        restarted: Some(false),
    };
    let expected = NodePoint {
        at: at(0),
        vantage: "here".into(),
        node: "fra1".into(),
        role: "storage".into(),
        state: HealthState::Degraded,
        reason: "41 blocks behind".into(),
        up: Some(true),
        latency: Some(Micros(48_211)),
        blocks_behind: Some(41),
        uptime: Some(Duration::from_secs(90)),
        version: Some("2.1.2".into()),
    };
    assert_eq!(NodePoint::from_point(&node_point(&vantage, &checked)), Some(expected));
}

#[test]
fn nodes_beyond_the_limit_are_counted() {
    let mut health = HealthHistory::default();
    let mut point = NodePoint::from_point(&point(&FLEET[0], 0, HealthState::Ok)).unwrap();
    for n in 0..=MAX_NODES {
        point.node = n.to_string().into();
        health.add(&point);
    }
    assert_eq!((health.nodes().len(), health.dropped()), (MAX_NODES, 1));
}
