//! The best node is a distributor that is not dead and has enough recent values.

use bandprobe::{
    model::{flag::Flag, health::HealthState},
    record::{line, point::Point, scan::Scan, schema::node as schema},
    report::{
        Analysis,
        best::{Best, Measure},
        json,
        newest::{MAX_AGE, MIN_VALUES},
    },
};

use super::{check, lines, start};
use crate::record::samples::{at, image};
use bandprobe::model::sample::{CacheState, Sample};

const HOUR: i64 = 3_600_000_000_000;

/// Three good cold images of a node, the last one this many hours before the end of the day.
fn images(node: &str, ttfb: u64, hours_ago: i64) -> Vec<Sample> {
    (0..3).map(|n| image(node, -hours_ago * HOUR - n, ttfb)).collect()
}

fn state(node: &str, role: &str, state: HealthState, hours_ago: i64) -> String {
    let mut point = Point::new(&schema::MEASUREMENT, at(-hours_ago * HOUR));
    let vantage = "eu-central";
    for (tag, value) in [(schema::VANTAGE, vantage), (schema::NODE, node), (schema::ROLE, role)] {
        point.tag(tag, value);
    }
    point.integer(schema::STATE_CODE, Some(state.code()));
    point.text(schema::STATE, Some(state.label()));
    point.integer(schema::UP, Some(u64::from(state == HealthState::Ok)));
    let mut text = String::new();
    line::encode(&point, &mut text);
    text
}

fn analysis(samples: &[Sample], states: &[String]) -> Analysis {
    let text = lines(samples) + &states.concat();
    let mut analysis = Analysis::default();
    Scan::new(text.lines().map(Ok::<_, ()>)).for_each(|found| analysis.add_any(&found.unwrap()));
    analysis
}

/// The node with the best TTFB; `None` without enough data.
fn best(samples: &[Sample], states: &[String]) -> Option<String> {
    let summary = analysis(samples, states).summary();
    match Measure::Ttfb.best(&summary.rows) {
        Best::Node { row, .. } => Some(row.node.to_string()),
        Best::NotEnough => None,
        Best::NotMeasured => panic!("there are values"),
    }
}

#[test]
fn only_distributors_compete_if_there_are_any() {
    let samples = [images("dist", 90_000, 0), images("store", 10_000, 0), images("web", 20_000, 0)].concat();
    let role = |node: &str, role: &str| state(node, role, HealthState::Ok, 0);
    let all = [role("dist", "distributor"), role("store", "storage"), role("web", "http")];
    for (states, expected) in [
        (&all[..], "dist"),
        (&all[1..], "web"),
        (&[], "store"), // not known without a status probe
    ] {
        assert_eq!(best(&samples, states).as_deref(), Some(expected), "{}", states.len());
    }
    let stores = [images("store", 10_000, 0), vec![image("dist", 0, 9)]].concat();
    assert_eq!(best(&stores, &all), None);
}

#[test]
fn a_node_that_is_dead_now_is_not_the_best() {
    let samples = [images("fast", 10_000, 2), images("slow", 90_000, 0)].concat();
    let was = state("fast", "distributor", HealthState::Ok, 3);
    let slow = state("slow", "distributor", HealthState::Ok, 0);
    for (now, expected) in [
        (HealthState::Ok, "fast"),
        (HealthState::Degraded, "fast"),
        (HealthState::Dead, "slow"),
        (HealthState::Blocked, "slow"),
    ] {
        let now = state("fast", "distributor", now, 1);
        for states in [[was.clone(), now.clone(), slow.clone()], [slow.clone(), now.clone(), was.clone()]] {
            assert_eq!(best(&samples, &states).as_deref(), Some(expected), "{now}");
        }
    }
}

#[test]
fn old_values_and_few_values_make_no_best_node() {
    let day = MAX_AGE.as_hours();
    for (hours_ago, expected) in [(0, "fast"), (day, "slow"), (day - 1, "fast"), (day + 1, "slow"), (240, "slow")] {
        let samples = [images("fast", 10_000, hours_ago), images("slow", 90_000, 0)].concat();
        assert_eq!(best(&samples, &[]).as_deref(), Some(expected), "{hours_ago} hours ago");
    }
    // An archive that ended long ago is judged by its own end.
    assert_eq!(best(&images("fast", 10_000, 240), &[]).as_deref(), Some("fast"));
    for few in 1..MIN_VALUES {
        assert_eq!(best(&images("only", 10_000, 0)[..few], &[]), None, "also where no other node has more");
    }
    let mut sparse = images("fast", 10_000, 240);
    sparse.push(image("fast", 0, 10_000));
    assert_eq!(best(&sparse, &[]), None, "one recent value is not enough");
}

#[test]
fn answers_too_slow_for_a_viewer_make_no_best_node() {
    let mut crawling = images("crawling", 1_000, 0);
    crawling.iter_mut().for_each(|sample| sample.flags.raise(Flag::TooSlow));
    let samples = [crawling, images("slow", 90_000, 0)].concat();
    assert_eq!(best(&samples, &[]).as_deref(), Some("slow"));
}

#[test]
fn the_rule_also_holds_for_goodput_hits_and_json() {
    let mut samples: Vec<Sample> = (0..3).map(|n| start("good", n, 30_000_000)).collect();
    samples.extend((0..2).map(|n| start("lucky", n, 900_000_000)));
    samples.extend((0..3).map(|n| check("good", n, CacheState::Hit)));
    samples.extend((0..2).map(|n| check("lucky", n, CacheState::Miss)));
    let analysis = analysis(&samples, &[]);
    let object: serde_json::Value = serde_json::from_str(&json::render(&analysis, None)).unwrap();
    let expected = serde_json::json!([{
        "vantage": "eu-central",
        "goodput": { "node": "good", "count": 3, "met": true },
        "lowest_hit_ratio": { "node": "good", "count": 3, "met": true },
    }]);
    assert_eq!(object["best"], expected);
    let rows = analysis.summary().rows;
    assert_eq!(Measure::Ttfb.best(&rows), Best::NotMeasured);
}
