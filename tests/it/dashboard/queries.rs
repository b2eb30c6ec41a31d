//! Every query of the dashboard, as Grafana sends it, answers with the values of the samples.

use std::collections::{BTreeMap, BTreeSet};

use bandprobe::{record::scan::Scan, report::Analysis};
use serde_json::Value;

use super::{
    database::{Filled, filled, series},
    expectation::{Cell, Rows, Time},
    expected::expectations,
    file::{Choice, Query, as_sent, dashboard, queries},
    points::{AWKWARD, Point},
};

/// Longer than all points are apart, so that everything is in one interval: these count from 1970 on.
const ONE_FOR_ALL: &str = "520w";

/// What a demo need not give: no run without a cached object, no suspect vantage, one point of its worker, no round of states,
/// no doubtful rate.
const NOT_IN_A_DEMO: [&str; 18] = [
    "Best node by TTFB/C",
    "Best node by goodput/C",
    "Node with the lowest hit ratio/C",
    "Not charged to the nodes/A",
    "Not charged to the nodes/B",
    "CPU share/A",
    "Node states/A",
    "Node states/B",
    "States over time/A",
    "Blocks behind/A",
    "Storage used/A",
    "Restarts/A",
    "Rate flags/B",
    "Rate flags/C",
    "Rate flags/D",
    "Rate flags/E",
    "Rate flags/F",
    "Rate flags/G",
];

/// Everything there is.
fn all(filled: &Filled) -> Choice {
    let times = || filled.points.iter().map(|point| point.time / 1_000_000);
    Choice { from: times().min().unwrap(), to: times().max().unwrap() + 1, interval: "5s", ..Choice::default() }
}

fn choices(filled: &Filled) -> Vec<Choice> {
    let all = all(filled);
    let some = |values: &[&str]| Some(values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
    let demo =
        filled.points.iter().find(|point| point.tag("vantage") == "here" && point.tag("part") == "start").unwrap();
    vec![
        all.clone(),
        Choice { interval: "1m", ..all.clone() },
        Choice { interval: "1h", ..all.clone() },
        Choice { from: (all.from + all.to) / 2, interval: "1m", ..all.clone() },
        Choice { from: all.from + 100_000, to: all.from + 250_000, interval: "1m", ..all.clone() },
        Choice { vantage: some(&["far"]), ..all.clone() },
        Choice { vantage: some(&["far", "here"]), probe: some(&["image"]), ..all.clone() },
        Choice { node: some(&[demo.tag("node")]), ..all.clone() },
        Choice { node: some(&[AWKWARD]), interval: "1h", ..all.clone() },
        Choice { node: some(&[AWKWARD, "near", demo.tag("node")]), probe: some(&["video", "image"]), ..all.clone() },
        Choice { node: some(&["near"]), ..all.clone() },
        Choice { node: some(&["nea.", "luck"]), ..all },
    ]
}

#[test]
fn every_query_answers_with_the_values_of_the_samples() {
    let Some(filled) = filled() else { return };
    let dashboard = dashboard();
    let queries = queries(&dashboard);
    let expectations: BTreeMap<_, _> = expectations().into_iter().map(|one| (one.of, one)).collect();
    let asked: BTreeSet<&str> =
        queries.iter().map(|query| query.of.as_str()).filter(|of| !of.starts_with('$')).collect();
    assert_eq!(asked, expectations.keys().copied().collect(), "one expectation a query");
    let mut seen = BTreeSet::new();
    for choice in choices(filled) {
        for query in queries.iter().filter(|query| !query.of.starts_with('$')) {
            let expectation = &expectations[query.of.as_str()];
            let statement = as_sent(&query.text, &choice, &dashboard);
            let found = rows(&series(filled.server, &filled.bucket, &statement), expectation.time != Time::Nothing);
            same(&found, &expectation.rows(&filled.points, &choice), &format!("{}: {statement}", query.of));
            seen.extend(found.into_values().flat_map(BTreeMap::into_keys).map(|column| (expectation.of, column)));
        }
        for query in queries.iter().filter(|query| query.of.starts_with('$')) {
            variable_offers_what_there_is(filled, query, &choice, &dashboard);
        }
    }
    for expectation in expectations.values().filter(|one| one.outer.is_none()) {
        for (column, _) in expectation.columns {
            assert!(seen.contains(&(expectation.of, (*column).to_owned())), "{}: {column}: never", expectation.of);
        }
    }
}

fn variable_offers_what_there_is(filled: &Filled, query: &Query, choice: &Choice, dashboard: &Value) {
    let statement = as_sent(&query.text, choice, dashboard);
    let found = series(filled.server, &filled.bucket, &statement);
    let offered: BTreeSet<&str> =
        found.iter().flat_map(|one| one["values"].as_array().unwrap()).map(|row| row[1].as_str().unwrap()).collect();
    let tag = &query.of[1..];
    // A variable depends on those before it, and on no time.
    let choice = Choice {
        vantage: choice.vantage.clone().filter(|_| tag != "vantage"),
        node: choice.node.clone().filter(|_| tag == "probe"),
        probe: None,
        ..all(filled)
    };
    let asked = |point: &&Point| {
        point.measurement == "bandprobe_transfer" || (tag == "node" && point.measurement == "bandprobe_node")
    };
    let there = filled.points.iter().filter(asked).filter(|point| choice.takes(point));
    assert_eq!(offered, there.map(|point| point.tag(tag)).collect(), "{statement}");
}

#[test]
fn every_query_has_an_answer_on_demo_data() {
    let Some(filled) = filled() else { return };
    let dashboard = dashboard();
    let everything = Choice { interval: ONE_FOR_ALL, ..all(filled) };
    let demo = Choice { vantage: Some(vec!["here".to_owned()]), ..everything.clone() };
    for query in queries(&dashboard) {
        let answer = |choice| series(filled.server, &filled.bucket, &as_sent(&query.text, choice, &dashboard));
        if !NOT_IN_A_DEMO.contains(&query.of.as_str()) {
            assert!(!answer(&demo).is_empty(), "{}", query.of);
        }
        let fine = Choice { interval: "1m", ..everything.clone() };
        assert!(!answer(&everything).is_empty() || !answer(&fine).is_empty(), "{}", query.of);
    }
}

/// Grafana joins what is left of a line when the times without a value are not in the answer.
#[test]
fn lines_have_every_time_and_nulls_where_nothing_was_measured() {
    let Some(filled) = filled() else { return };
    let dashboard = dashboard();
    let choice = Choice { interval: "1m", ..all(filled) };
    let lines = queries(&dashboard).into_iter().filter(|query| query.text.ends_with("fill(null)"));
    let mut seen = 0;
    for query in lines {
        for one in series(filled.server, &filled.bucket, &as_sent(&query.text, &choice, &dashboard)) {
            let rows = one["values"].as_array().unwrap();
            let times: Vec<_> = rows.iter().map(|row| row[0].as_i64().unwrap()).collect();
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 60_000), "{}: {times:?}", query.of);
            assert!(times[0] - 60_000 < choice.from && choice.to <= times[times.len() - 1] + 60_000, "{}", query.of);
            assert!(rows.iter().any(|row| row[1].is_null()), "{}: nobody was there for all of it", query.of);
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn the_table_of_nodes_is_that_of_the_report() {
    let Some(filled) = filled() else { return };
    let dashboard = dashboard();
    let mut table: BTreeMap<_, BTreeMap<String, Cell>> = BTreeMap::new();
    for query in queries(&dashboard).iter().filter(|query| query.of.starts_with("Nodes/")) {
        let statement = as_sent(&query.text, &all(filled), &dashboard);
        for ((tags, _), row) in rows(&series(filled.server, &filled.bucket, &statement), false) {
            let tags: BTreeMap<_, _> = tags.into_iter().collect();
            table.entry((tags["vantage"].clone(), tags["node"].clone())).or_default().extend(row);
        }
    }
    let mut analysis = Analysis::default();
    Scan::new(filled.lines.iter().map(Ok::<_, ()>)).for_each(|found| analysis.add_any(&found.unwrap()));
    let summary = analysis.standard.summary();
    assert!(summary.rows.len() > 4 && table.len() <= summary.rows.len());
    for row in summary.rows {
        let shown = table.remove(&(row.vantage.to_string(), row.node.to_string())).unwrap_or_default();
        let number = |column: &str| match shown.get(column) {
            Some(Cell::Number(number)) => Some(*number),
            _ => None,
        };
        let count = |count: u64| (count > 0).then_some(count as f64);
        let who = format!("{} from {}", row.node, row.vantage);
        let equal = |shown: Option<f64>, share: Option<f64>| match (shown, share) {
            (Some(shown), Some(share)) => (shown - share).abs() < 1e-9,
            (shown, share) => shown == share,
        };
        assert!(equal(number("ok"), row.success_share()), "{who}: {shown:?} {row:?}");
        assert_eq!(number("runs"), count(row.runs), "{who}");
        assert!(equal(number("hits"), row.hit_ratio()), "{who}: {shown:?} {row:?}");
        assert_eq!(number("checks"), count(row.checks), "{who}");
        assert_eq!(number("ttfb_n"), count(row.ttfb.count), "{who}");
        assert_eq!(number("goodput_n"), count(row.goodput.count), "{who}");
        // The report counts in buckets of three digits.
        let near = |shown: Option<f64>, value: Option<u64>| match (shown, value) {
            (Some(shown), Some(value)) => (shown - value as f64).abs() <= 0.002 * shown,
            (shown, value) => shown.is_none() && value.is_none(),
        };
        assert!(near(number("ttfb_p50"), row.ttfb.p50.map(|time| time.0)), "{who}: {shown:?} {row:?}");
        assert!(near(number("goodput_p50"), row.goodput.p50.map(|rate| rate.0)), "{who}: {shown:?} {row:?}");
    }
    assert!(table.is_empty(), "{table:?}");
}

/// All values of an answer: what is null is no value, and a row without any is none.
fn rows(found: &[Value], timed: bool) -> Rows {
    let mut rows = Rows::new();
    for one in found {
        let tags = one["tags"].as_object().into_iter().flatten();
        let mut tags: Vec<_> = tags.map(|(tag, value)| (tag.clone(), value.as_str().unwrap().to_owned())).collect();
        tags.sort();
        let columns: Vec<_> = one["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(columns[0], "time");
        for row in one["values"].as_array().unwrap() {
            let cells = columns.iter().zip(row.as_array().unwrap()).skip(1).filter(|(_, value)| !value.is_null());
            let cell = |value: &Value| match value {
                Value::String(text) => Cell::Text(vec![text.clone()]),
                number => Cell::Number(number.as_f64().unwrap()),
            };
            let cells: BTreeMap<_, _> = cells.map(|(name, value)| ((*name).to_owned(), cell(value))).collect();
            if !cells.is_empty() {
                let key = (tags.clone(), timed.then(|| row[0].as_i64().unwrap()));
                assert!(rows.insert(key, cells).is_none(), "two rows of one key: {one}");
            }
        }
    }
    rows
}

fn same(found: &Rows, expected: &Rows, what: &str) {
    let keys = |rows: &Rows| rows.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(found), keys(expected), "{what}");
    for (key, row) in expected {
        let there = &found[key];
        assert!(row.keys().eq(there.keys()), "{what}: {key:?}: {there:?} instead of {row:?}");
        for (column, cell) in row {
            let equal = match (cell, &there[column]) {
                (Cell::Number(one), Cell::Number(other)) => (one - other).abs() <= 1e-9 * one.abs().max(1.0),
                (Cell::Text(any), Cell::Text(one)) => any.contains(&one[0]),
                _ => false,
            };
            assert!(equal, "{what}: {key:?} {column}: {:?} instead of {cell:?}", there[column]);
        }
    }
}
