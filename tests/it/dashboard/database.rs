//! A real InfluxDB with the points of the fixture. The vantage `here` measured the nodes of the demo. The points of
//! `far` cover what these nodes never do, and each panel must keep the two apart.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::OnceLock,
};

use serde_json::Value;
use url::form_urlencoded;

use super::file::text;
use crate::{
    influxd::{self, Influxd, ORG, TOKEN},
    record::parser,
};

/// A bucket, and the fixture that it was filled from.
pub(super) struct Filled {
    pub(super) server: &'static Influxd,
    pub(super) bucket: String,
    /// The lines of the fixture.
    pub(super) lines: Vec<String>,
    /// The time of the first point and just after the last one, in ms.
    pub(super) from: i64,
    pub(super) to: i64,
}

/// One bucket for all tests; nothing when there is no server.
pub(super) fn filled() -> Option<&'static Filled> {
    static FILLED: OnceLock<Option<Filled>> = OnceLock::new();
    FILLED.get_or_init(|| Some(fill(influxd::shared()?))).as_ref()
}

fn fill(server: &'static Influxd) -> Filled {
    let bucket = server.bucket().bucket;
    let text = text(POINTS);
    write(server, &bucket, &text);
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let times = || parser::parse(&text).into_iter().map(|line| line.time / NS_PER_MS);
    let (from, to) = (times().min().unwrap(), times().max().unwrap() + 1);
    Filled { server, bucket, lines, from, to }
}

/// The series that a statement finds in a bucket, times in ms: the request that Grafana makes for it.
pub(super) fn series(server: &Influxd, bucket: &str, statement: &str) -> Vec<Value> {
    let pairs = [("db", bucket), ("epoch", "ms"), ("q", statement)];
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let (head, body) = exchange(server, "GET", &format!("/query?{query}"), "");
    assert!(head.contains(" 200 "), "{statement}: {body}");
    let mut body: Value = serde_json::from_str(&body).unwrap();
    let result = body["results"][0].take();
    assert!(result.get("error").is_none(), "{statement}: {result}");
    result["series"].as_array().cloned().unwrap_or_default()
}

/// Writes lines into a bucket.
pub(super) fn write(server: &Influxd, bucket: &str, lines: &str) {
    let (head, body) = exchange(server, "POST", &format!("/api/v2/write?org={ORG}&bucket={bucket}"), lines);
    assert!(head.contains(" 204 "), "{head} {body}");
}

/// One HTTP/1.0 request, so that the answer ends with the connection.
fn exchange(server: &Influxd, method: &str, target: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let length = body.len();
    let head =
        format!("{method} {target} HTTP/1.0\r\nauthorization: Token {TOKEN}\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// The fixture, in line protocol.
pub(super) const POINTS: &str = "tests/data/dashboard/points.lp";

const NS_PER_MS: i64 = 1_000_000;
