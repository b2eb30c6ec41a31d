//! A real InfluxDB that holds what the demo's nodes gave, and what they never give.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::OnceLock,
};

use bandprobe::{
    archive::{log::Writer, reader},
    demo::NodePlan,
    record::schema,
};
use jiff::Timestamp;
use serde_json::Value;
use url::form_urlencoded;

use super::points::{Point, made};
use crate::{
    influxd::{self, Influxd, ORG, TOKEN},
    process::{Child, World, command, until},
    record::parser,
};

/// A bucket, and the archive that it was filled from.
pub(super) struct Filled {
    pub(super) server: &'static Influxd,
    pub(super) bucket: String,
    /// The lines of the archive.
    pub(super) lines: Vec<String>,
    /// The same, taken apart.
    pub(super) points: Vec<Point>,
}

/// One bucket for all tests; nothing when there is no server.
pub(super) fn filled() -> Option<&'static Filled> {
    static FILLED: OnceLock<Option<Filled>> = OnceLock::new();
    FILLED.get_or_init(|| Some(fill(influxd::shared()?))).as_ref()
}

/// Made points wait in the archive; then a worker probes the demo's nodes until each panel has something to show, and
/// delivers all.
fn fill(server: &'static Influxd) -> Filled {
    let world = World::new(NodePlan::standard());
    let database = server.bucket();
    let mut writer = Writer::open(&world.archive()).unwrap();
    let (lines, count) = made(Timestamp::now());
    writer.append(Timestamp::now(), lines.as_bytes(), count).unwrap();
    writer.seal().unwrap();
    drop(writer);

    world.write("video.toml", VIDEO);
    let config = world.config("config.toml", Some(&database), "");
    let child = Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]));
    until("the demo's nodes gave enough", || enough(&points(&archived(&world))));
    child.signal("TERM");
    let ended = child.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let lines = archived(&world);
    let points = points(&lines);
    for measurement in schema::ALL {
        let here = points.iter().filter(|point| point.measurement == measurement.name).count();
        assert_eq!(server.points(&database.bucket, measurement.name).len(), here, "{}", measurement.name);
    }
    Filled { server, bucket: database.bucket, lines, points }
}

/// Five values are the fewest that a p10 can be of.
fn enough(points: &[Point]) -> bool {
    let here = |keep: &dyn Fn(&Point) -> bool| points.iter().filter(|p| p.tag("vantage") == "here" && keep(p)).count();
    let nodes = points.iter().filter(|p| p.tag("vantage") == "here").map(|p| p.tag("node"));
    let starts = |node: &str| here(&|p| p.tag("node") == node && p.tag("part") == "start" && p.number("valid") == 1.0);
    here(&|p| p.tag("part") == "full" && p.tag("conn") == "warm" && p.tag("outcome") == "ok") > 5
        && here(&|p| p.tag("outcome") != "ok" && p.tag("part") != "none") > 0
        && nodes.into_iter().any(|node| starts(node) >= 5)
}

fn archived(world: &World) -> Vec<String> {
    reader::lines(&world.archive(), None).unwrap().map(|line| line.unwrap().trim_end().to_owned()).collect()
}

fn points(lines: &[String]) -> Vec<Point> {
    let body: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    if body.is_empty() { Vec::new() } else { parser::parse(&body).into_iter().map(Point::from).collect() }
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

/// Starts alone, and often: no panel asks for more of a video.
const VIDEO: &str = r#"# How fast does a video start?
kind = "video"
every = "1s"
parts = [{ name = "start", bytes = "1 MiB" }]
deadline = { stall = "1s" }
"#;
