//! Properties that every query's answer must have, whatever its figures. `answers` checks the figures.

use std::collections::BTreeMap;

use bandprobe::{record::scan::Scan, report::Analysis};

use super::{
    database::{Filled, filled, series},
    file::{Choice, as_sent, dashboard, queries},
};

/// Longer than the whole fixture, so that everything is in one interval: intervals count from 1970 on.
const ONE_INTERVAL: &str = "520w";

/// Queries that the points of a short demo do not answer: they hold no run without a cached object, no suspect vantage, one
/// point of the worker, no status round and no doubtful rate.
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

fn everything(filled: &Filled, interval: &'static str) -> Choice {
    Choice { from: filled.from, to: filled.to, interval, ..Choice::default() }
}

#[test]
fn every_query_has_an_answer_on_demo_data() {
    let Some(filled) = filled() else { return };
    let dashboard = dashboard();
    let whole = everything(filled, ONE_INTERVAL);
    let demo = Choice { vantage: Some(vec!["here".to_owned()]), ..whole.clone() };
    for query in queries(&dashboard) {
        let answer = |choice| series(filled.server, &filled.bucket, &as_sent(&query.text, choice, &dashboard));
        if !NOT_IN_A_DEMO.contains(&query.of.as_str()) {
            assert!(!answer(&demo).is_empty(), "{}", query.of);
        }
        assert!(!answer(&whole).is_empty() || !answer(&everything(filled, "1m")).is_empty(), "{}", query.of);
    }
}

/// Grafana joins what is left of a line when the times without a value are not in the answer.
#[test]
fn lines_have_every_time_and_nulls_where_nothing_was_measured() {
    let Some(filled) = filled() else { return };
    let dashboard = dashboard();
    let choice = everything(filled, "1m");
    let lines = queries(&dashboard).into_iter().filter(|query| query.text.ends_with("fill(null)"));
    let mut seen = 0;
    for query in lines {
        for one in series(filled.server, &filled.bucket, &as_sent(&query.text, &choice, &dashboard)) {
            let rows = one["values"].as_array().unwrap();
            let times: Vec<_> = rows.iter().map(|row| row[0].as_i64().unwrap()).collect();
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 60_000), "{}: {times:?}", query.of);
            assert!(times[0] - 60_000 < choice.from && choice.to <= times[times.len() - 1] + 60_000, "{}", query.of);
            assert!(rows.iter().any(|row| row[1].is_null()), "{}: no node covers the whole time", query.of);
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn the_table_of_nodes_is_that_of_the_report() {
    let Some(filled) = filled() else { return };
    let dashboard = dashboard();
    let mut table: BTreeMap<_, BTreeMap<String, f64>> = BTreeMap::new();
    for query in queries(&dashboard).iter().filter(|query| query.of.starts_with("Nodes/")) {
        let statement = as_sent(&query.text, &everything(filled, "5s"), &dashboard);
        for one in series(filled.server, &filled.bucket, &statement) {
            let node = ["vantage", "node"].map(|tag| one["tags"][tag].as_str().unwrap().to_owned());
            let columns = one["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
            let values = one["values"][0].as_array().unwrap().iter().map(|value| value.as_f64());
            table.entry(node).or_default().extend(columns.zip(values).filter_map(|(name, value)| Some((name, value?))));
        }
    }
    let mut analysis = Analysis::default();
    Scan::new(filled.lines.iter().map(Ok::<_, ()>)).for_each(|found| analysis.add_any(&found.unwrap()));
    let summary = analysis.standard.summary();
    assert!(summary.rows.len() > 4 && table.len() <= summary.rows.len());
    for row in summary.rows {
        let shown = table.remove(&[row.vantage.to_string(), row.node.to_string()]).unwrap_or_default();
        let number = |column: &str| shown.get(column).copied();
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
