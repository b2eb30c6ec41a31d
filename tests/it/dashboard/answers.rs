//! The answers of the dashboard's queries to the points of a fixture: the expected figures are in
//! tests/data/dashboard/answers, one file for each selection of variables.
//!
//! After a change of a panel, `BANDPROBE_WRITE_ANSWERS=1 cargo it dashboard::answers` writes the answers of the
//! database into these files. Compare each line of the difference with the points before you commit it.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use bandprobe::record::{conform, parse::parse};
use serde_json::{Value, json};

use super::{
    database::{Filled, POINTS, filled, series},
    file::{Choice, as_sent, dashboard, queries, text},
};

/// The answers to one query: rows by tags and time, each with its columns.
type Rows = BTreeMap<String, BTreeMap<String, Value>>;

/// Rows by query.
type Answers = BTreeMap<String, Rows>;

/// A node's name as discovery makes it: every character that a regular expression takes for something else.
const AWKWARD: &str = "edge+1.example.org:8443/distributor-(a)";

/// What a person may choose, and the file with the answers.
fn choices(filled: &Filled) -> Vec<(&'static str, Choice)> {
    let all = Choice { from: filled.from, to: filled.to, interval: "1m", ..Choice::default() };
    let some = |values: &[&str]| Some(values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
    vec![
        ("everything", all.clone()),
        ("second-half", Choice { from: (all.from + all.to) / 2, interval: "1h", ..all.clone() }),
        ("two-minutes", Choice { from: all.from + 100_000, to: all.from + 250_000, interval: "5s", ..all.clone() }),
        ("one-vantage", Choice { vantage: some(&["far"]), interval: "1h", ..all.clone() }),
        (
            "one-probe",
            Choice { vantage: some(&["far", "here"]), probe: some(&["image"]), interval: "1h", ..all.clone() },
        ),
        ("one-node", Choice { node: some(&[AWKWARD]), interval: "1h", ..all.clone() }),
        (
            "three-nodes",
            Choice {
                node: some(&[AWKWARD, "near", "fast"]),
                probe: some(&["video", "image"]),
                interval: "1h",
                ..all.clone()
            },
        ),
        ("no-node-of-this-name", Choice { node: some(&["nea.", "luck"]), interval: "1h", ..all }),
    ]
}

#[test]
fn every_query_has_the_expected_answer() {
    let Some(filled) = filled() else { return };
    let dashboard = dashboard();
    for (name, choice) in choices(filled) {
        let answers: Answers = queries(&dashboard)
            .into_iter()
            .map(|query| {
                let statement = as_sent(&query.text, &choice, &dashboard);
                (query.of, rows(&series(filled.server, &filled.bucket, &statement)))
            })
            .collect();
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/dashboard/answers/{name}.json"));
        if env::var_os("BANDPROBE_WRITE_ANSWERS").is_some() {
            fs::write(&path, written(&answers)).unwrap();
        }
        let expected: Answers = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert!(
            answers.keys().eq(expected.keys()),
            "{name}: the queries differ from the recorded ones: run with BANDPROBE_WRITE_ANSWERS=1"
        );
        for (of, rows) in &answers {
            same(rows, &expected[of], &format!("{name}: {of}"));
        }
    }
}

#[test]
fn the_fixture_conforms_to_the_schema() {
    for line in text(POINTS).lines() {
        assert_eq!(conform::problem(&parse(line).unwrap()), None, "{line}");
    }
}

/// All values of an answer. A null is no value, and a row without values is no row.
fn rows(found: &[Value]) -> Rows {
    let mut rows = Rows::new();
    for one in found {
        let tags = one["tags"].as_object().into_iter().flatten();
        let mut tags: Vec<_> = tags.map(|(tag, value)| format!("{tag}={}", value.as_str().unwrap())).collect();
        tags.sort();
        let columns: Vec<_> = one["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        for row in one["values"].as_array().unwrap() {
            let cells = columns.iter().zip(row.as_array().unwrap()).filter(|(_, value)| !value.is_null());
            let mut cells: BTreeMap<_, _> = cells.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            // A list of tag values has no times; there the value itself distinguishes the rows.
            let first = match cells.remove("time") {
                Some(time) => time.to_string(),
                None => cells["value"].as_str().unwrap().to_owned(),
            };
            let key = [&[first], &tags[..]].concat().join(" ");
            if !cells.is_empty() {
                // The nodes of two measurements are two lists, which Grafana joins.
                let earlier = rows.insert(key, cells.clone());
                assert!(earlier.is_none_or(|earlier| earlier == cells), "two rows of one key: {one}");
            }
        }
    }
    rows
}

/// JSON with one row per line, so that a difference shows rows.
fn written(answers: &Answers) -> String {
    let blocks: Vec<_> = answers
        .iter()
        .map(|(of, rows)| {
            let rows: Vec<_> = rows.iter().map(|(key, row)| format!("  {}: {}", json!(key), json!(row))).collect();
            format!("{}: {{\n{}\n}}", json!(of), rows.join(",\n"))
        })
        .collect();
    format!("{{\n{}\n}}\n", blocks.join(",\n"))
}

fn same(found: &Rows, expected: &Rows, what: &str) {
    assert!(found.keys().eq(expected.keys()), "{what}: {found:?} instead of {expected:?}");
    for (key, row) in expected {
        let there = &found[key];
        assert!(row.keys().eq(there.keys()), "{what}: {key}: {there:?} instead of {row:?}");
        for (column, value) in row {
            let equal = match (value.as_f64(), there[column].as_f64()) {
                (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * one.abs().max(1.0),
                _ => value == &there[column],
            };
            assert!(equal, "{what}: {key}: {column} is {} instead of {value}", there[column]);
        }
    }
}
