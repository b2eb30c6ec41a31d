//! States of nodes: points that no demo gives, and what the panels say of them.

use bandprobe::{
    model::health::HealthState,
    record::{point::Point as Made, schema::node as schema},
};
use jiff::{SignedDuration, Timestamp};

use super::{
    expectation::{
        Expectation,
        Figure::{At, Count, Days, Last, Max, Mean, Ratio, Sum},
        Time,
    },
    expected::{BY_NODE, of, timed},
    points::{AWKWARD, Point},
};

const BY_ROLE: &[&str] = &["vantage", "node", "role"];

/// One for each query of the row.
pub(super) fn expectations() -> Vec<Expectation> {
    vec![
        Expectation {
            time: Time::Last,
            ..node(
                "Node states/A",
                BY_ROLE,
                &[
                    ("state", At("state_code")),
                    ("reason", At("reason")),
                    ("behind", At("blocks_behind")),
                    ("version", At("version")),
                    ("uptime", At("uptime_s")),
                    ("latency", At("latency_us")),
                    ("used", At("storage_used")),
                    ("capacity", At("storage_limit")),
                ],
            )
        },
        node("Node states/B", BY_ROLE, &[("up", Mean("up")), ("rounds", Count("up"))]),
        Expectation {
            keep: |point: &Point| point.number("state_code") < 5.0,
            ..timed(node("States over time/A", BY_NODE, &[("max", Max("state_code"))]))
        },
        timed(node("Blocks behind/A", BY_NODE, &[("max", Max("blocks_behind"))])),
        timed(node("Storage used/A", BY_NODE, &[("last_last", Ratio("storage_used", "storage_limit"))])),
        Expectation {
            keep: |point: &Point| point.field("restarted") == Some(1.0),
            ..timed(node("Restarts/A", BY_NODE, &[("sum", Sum("restarted"))]))
        },
        of("Certificates/A", |_| true, &["node"], &[("days", Days("cert_expires_s"))]),
    ]
}

/// What its last round said of each node; a round that says nothing of nodes is none.
pub(super) fn now(name: &'static str) -> Expectation {
    let judged = |point: &Point| point.number("state_code") < 5.0;
    Expectation { keep: judged, ..node(name, BY_ROLE, &[("state", Last("state_code"))]) }
}

fn node(
    name: &'static str,
    by: &'static [&'static str],
    columns: &'static [(&'static str, super::expectation::Figure)],
) -> Expectation {
    Expectation { measurement: "bandprobe_node", ..of(name, |_| true, by, columns) }
}

/// Eight rounds of four nodes from the other vantage, with one of each state.
pub(super) fn made(start: Timestamp) -> Vec<Made> {
    use HealthState::{Blocked, Dead, Degraded, Misconfigured, Ok, Unknown};
    let nodes = [
        (AWKWARD, "distributor", [Ok, Ok, Degraded, Degraded, Unknown, Dead, Ok, Ok]),
        ("near", "distributor", [Ok, Ok, Ok, Ok, Unknown, Ok, Ok, Misconfigured]),
        ("storage", "storage", [Ok, Dead, Dead, Ok, Unknown, Ok, Ok, Unknown]),
        ("hidden", "distributor", [Blocked; 8]),
    ];
    let rounds = nodes.into_iter().flat_map(|(node, role, states)| {
        (0..).zip(states).map(move |(round, state)| point(start, node, role, round, state))
    });
    rounds.collect()
}

fn point(start: Timestamp, node: &str, role: &str, round: u32, state: HealthState) -> Made {
    let mut point = Made::new(&schema::MEASUREMENT, start + SignedDuration::from_mins(5 * i64::from(round)));
    for (tag, value) in [(schema::VANTAGE, "far"), (schema::NODE, node), (schema::REGION, "none"), (schema::ROLE, role)]
    {
        point.tag(tag, value);
    }
    let up = !matches!(state, HealthState::Dead | HealthState::Blocked);
    point.integer(schema::STATE_CODE, Some(state.code()));
    point.text(schema::STATE, Some(state.label()));
    point.text(schema::REASON, Some(&format!("round {round}: {}", state.label())));
    point.integer(schema::UP, (state != HealthState::Unknown).then_some(u64::from(up)));
    if up && state != HealthState::Unknown {
        let round = u64::from(round);
        point.integer(schema::LATENCY, Some(40_000 + round));
        point.signed(schema::BLOCKS_BEHIND, Some(if state == HealthState::Degraded { 412 } else { -1 }));
        point.integer(schema::UPTIME, Some(300 * round));
        point.integer(schema::RESTARTED, Some(round % 2));
        point.text(schema::VERSION, Some("2.1.2"));
        point.integer(schema::STORAGE_USED, Some(100 + round));
        point.integer(schema::STORAGE_LIMIT, Some(400));
    }
    point
}
