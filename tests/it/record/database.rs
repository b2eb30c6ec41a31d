//! A real InfluxDB stores exactly what a point holds: no content changes, starts a line or adds a field.

use std::collections::BTreeMap;

use bandprobe::{
    config,
    deliver::{answer::Answer, influx::Influx},
    record::{
        line,
        point::{BLOB_BYTES, Point, TAG_CHARS, TEXT_CHARS, Value},
        schema::{self, Kind, Measurement},
    },
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value as Json};

use super::{line::text, samples::at};
use crate::influxd::{self, Influxd, old};

#[tokio::test]
async fn the_database_reads_back_any_content_unchanged() {
    let mut dice = TestRunner::new(Config::default());
    for _ in 0..crate::rounds(4, 100) {
        let points: Vec<Point> =
            (0..POINTS).map(|n| random_point(schema::ALL[n % schema::ALL.len()], n, &mut dice)).collect();
        come_back(&points).await;
    }
}

#[tokio::test]
async fn every_character_reads_back_from_tags_and_texts() {
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    let mut pieces = all.chunks(TAG_CHARS.min(TEXT_CHARS)).map(String::from_iter);
    let mut points = Vec::new();
    while let Some(piece) = pieces.next() {
        let mut point = Point::new(&schema::transfer::MEASUREMENT, at(points.len() as i64));
        point.tag(schema::transfer::NODE, &piece);
        point.text(schema::transfer::ERROR, Some(&piece));
        // One request per point would be needlessly slow.
        for (tag, field) in schema::transfer::MEASUREMENT.tags[2..].iter().zip(TEXTS) {
            let Some(piece) = pieces.next() else { break };
            point.tag(*tag, &piece);
            point.text(field, Some(&piece));
        }
        points.push(point);
    }
    come_back(&points).await;
}

#[tokio::test]
async fn the_longest_texts_read_back() {
    let pieces = ["\\", "\"", "\\\"", "#", "a", "=,"];
    let points: Vec<Point> = (0..)
        .zip(pieces)
        .map(|(n, piece)| {
            let mut point = Point::new(&schema::window::MEASUREMENT, at(n));
            point.blob(schema::window::HDR, piece.repeat(BLOB_BYTES / piece.len()));
            point
        })
        .collect();
    let length = |point: &Point| matches!(&point.fields()[0].1, Value::Text(text) if text.len() > BLOB_BYTES - 2);
    assert!(points.iter().all(length), "each is as long as can be");
    come_back(&points).await;
}

/// A point of this measurement with anything in every tag, and in some of its fields.
fn random_point(measurement: &'static Measurement, n: usize, dice: &mut TestRunner) -> Point {
    let mut point = Point::new(measurement, at(i64::try_from(n).unwrap()));
    measurement.tags.iter().for_each(|tag| point.tag(*tag, &draw(text(), dice)));
    while point.fields().is_empty() {
        for field in measurement.fields {
            match field.kind {
                Kind::Integer => point.integer(*field, draw(prop::option::of(any::<u64>()), dice)),
                Kind::Float => point.float(*field, draw(prop::option::of(any::<f64>()), dice)),
                Kind::Text if *field == schema::window::HDR => point.blob(*field, draw("[!-~]{0,2000}", dice)),
                Kind::Text => point.text(*field, draw(prop::option::of(text()), dice).as_deref()),
            }
        }
    }
    point
}

fn draw<T: std::fmt::Debug>(from: impl Strategy<Value = T>, dice: &mut TestRunner) -> T {
    from.new_tree(dice).unwrap().current()
}

/// Sends them to 2.x and 1.8, which have different parsers, in one request each, and reads them back.
async fn come_back(points: &[Point]) {
    let mut lines = String::new();
    points.iter().for_each(|point| line::encode(point, &mut lines));
    assert_eq!(lines.matches('\n').count(), points.len());
    let servers = [
        influxd::shared().map(|server| (server, server.bucket())),
        old::shared().map(|server| (server, server.database())),
    ];
    for (server, database) in servers.into_iter().flatten() {
        assert_eq!(Influx::new(&database, &crate::resolver()).unwrap().write(&lines).await.answer, Answer::Stored);
        same(server, &database, points);
    }
}

/// The bucket holds exactly these points, which differ in their times.
fn same(server: &Influxd, database: &config::InfluxDb, points: &[Point]) {
    let mut expected: BTreeMap<&str, BTreeMap<i64, &Point>> = BTreeMap::new();
    for point in points {
        let of = expected.entry(point.measurement().name).or_default();
        assert!(of.insert(line::nanoseconds(point.time()), point).is_none(), "two points of one time");
    }
    let names = |statement: &str| {
        let rows = server.query(&database.bucket, statement).into_iter();
        rows.map(|row| row[0].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("SHOW MEASUREMENTS"), expected.keys().copied().collect::<Vec<_>>());
    for (measurement, mut expected) in expected {
        let table = expected.values().next().unwrap().measurement();
        let tags = names(&format!("SHOW TAG KEYS FROM {measurement}"));
        assert!(tags.iter().all(|tag| table.tags.iter().any(|known| known.0 == tag)), "{tags:?}");
        let fields = names(&format!("SHOW FIELD KEYS FROM {measurement}"));
        assert!(fields.iter().all(|field| table.fields.iter().any(|known| known.name == field)), "{fields:?}");
        let rows = server.points(&database.bucket, measurement);
        assert_eq!(rows.len(), expected.len(), "{measurement}");
        for row in rows {
            let point = expected.remove(&row["time"].as_i64().unwrap()).unwrap();
            is_row(point, row);
        }
    }
}

fn is_row(point: &Point, mut row: Map<String, Json>) {
    row.remove("time");
    for (tag, value) in point.tags() {
        assert_eq!(row.remove(tag.0), Some(value.into()), "{}", tag.0);
    }
    for (field, value) in point.fields() {
        let there = row.remove(field.name);
        let equal = match value {
            Value::Integer(integer) => there == Some((*integer).into()),
            Value::Float(float) => there.as_ref().and_then(Json::as_f64).is_some_and(|there| near(there, *float)),
            Value::Text(text) => there == Some(text.as_str().into()),
        };
        assert!(equal, "{}: {value:?} is there as {there:?}", field.name);
    }
    assert!(row.is_empty(), "there is more than the point has: {row:?}");
}

/// Equal except for the last bit or two, because `serde_json` reads floats exactly only with an optional feature.
fn near(a: f64, b: f64) -> bool {
    a == b || a.to_bits().abs_diff(b.to_bits()) <= 2
}

/// Points of a request.
const POINTS: usize = 300;
/// Text fields other than `error`.
const TEXTS: [schema::Field; 9] = [
    schema::transfer::FLAGS,
    schema::transfer::TLS_VERSION,
    schema::transfer::ASSET_ID,
    schema::transfer::REMOTE_ADDR,
    schema::transfer::SERVER,
    schema::transfer::DATA_SOURCE,
    schema::transfer::TRACE_ID,
    schema::transfer::REQUEST_ID,
    schema::transfer::FAILED_PHASE,
];
