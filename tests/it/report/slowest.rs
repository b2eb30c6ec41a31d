//! Which transfers are listed one by one, with their ids and links.

use bandprobe::{
    config::trace_url::TraceUrl,
    model::{
        flag::Flag,
        outcome::Outcome,
        sample::{CacheState, Sample},
    },
    record::transfer_point::TransferPoint,
    report::slowest::{MAX_TRANSFERS, Slowest},
    term::Look,
};

use super::{With, check, day, points, start};
use crate::record::samples::{failed, image};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const REQUEST: &str = "5f1c2a7e00000000000000000000beef";

fn gathered<'a>(points: impl IntoIterator<Item = &'a TransferPoint>) -> Slowest {
    let mut slowest = Slowest::default();
    points.into_iter().for_each(|point| slowest.add(point));
    slowest
}

fn traced(mut sample: Sample) -> Sample {
    (sample.trail.trace_id, sample.trail.request_id) = (Some(TRACE.into()), Some(REQUEST.into()));
    sample
}

fn link() -> TraceUrl {
    "https://apm.example/app/apm/link-to/trace/{trace_id}".parse().unwrap()
}

fn text(samples: &[Sample], width: Option<u16>, link: Option<&TraceUrl>) -> String {
    gathered(&points(samples)).render(Look { width, colour: false }, link)
}

/// `node probe/part what` of the rows.
fn rows(samples: &[Sample]) -> Vec<String> {
    let word = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_owned();
    let objects = gathered(&points(samples)).json(None);
    objects
        .iter()
        .map(|row| {
            let named = if row.get("flags").is_some() { "flags" } else { "outcome" };
            let what = row.get("ttfb_us").map_or_else(|| word(row, named), ToString::to_string);
            format!("{} {}/{} {what}", word(row, "node"), word(row, "probe"), word(row, "part"))
        })
        .collect()
}

#[test]
fn each_node_shows_its_slowest_download_and_last_failure() {
    let samples = [
        image("a", 0, 90_000),
        image("a", 1, 120_000),
        image("a", 2, 80_000),
        image("b", 3, 300_000),
        failed(image("b", 4, 1), Outcome::HeadersTimeout),
        failed(start("b", 5, 1), Outcome::Reset),
        failed(check("c", 6, CacheState::Unknown), Outcome::ConnectRefused),
    ];
    let expected =
        ["c image/check connect_refused", "b video/start reset", "b image/full 300000", "a image/full 120000"];
    assert_eq!(rows(&samples), expected);
    assert_eq!(rows(&samples.into_iter().rev().collect::<Vec<_>>()), expected, "in whichever order they come");
}

#[test]
fn a_download_that_is_too_slow_is_among_the_failures() {
    let slow = |n: i64| {
        let mut sample = image("a", n, 9_000_000);
        sample.flags.raise(Flag::TooSlow);
        sample
    };
    let mut frozen = slow(9);
    frozen.flags.raise(Flag::Frozen);
    assert_eq!(rows(&[slow(0), image("a", 1, 80_000), frozen]), ["a image/full too_slow", "a image/full 80000"]);
    let failed = failed(image("a", 2, 1), Outcome::Stalled);
    assert_eq!(rows(&[slow(0), failed.clone()]), ["a image/full stalled"], "the last one");
    assert_eq!(rows(&[failed, slow(3)]), ["a image/full too_slow"]);
    assert!(text(&[slow(0)], None, None).contains("a     image/full  too_slow"), "{}", text(&[slow(0)], None, None));
}

#[test]
fn transfers_not_charged_to_the_node_are_not_listed() {
    let missed = image("a", 0, 3_000_000);
    let missed = Sample { labels: missed.labels.clone().with(|labels| labels.cache = CacheState::Miss), ..missed };
    let mut suspect = failed(image("a", 1, 1), Outcome::DnsTimeout);
    suspect.flags.raise(Flag::VantageSuspect);
    let samples = [
        missed,
        suspect,
        check("a", 2, CacheState::Hit),
        failed(image("a", 3, 1), Outcome::LocalFailed),
        failed(image("a", 4, 1), Outcome::NotCached),
    ];
    assert_eq!(rows(&samples), Vec::<String>::new());
    assert_eq!(text(&samples, None, None), "");
}

#[test]
fn the_worst_transfers_are_kept_among_many_nodes() {
    let slow = |n: u64| image(&format!("n{n}"), n.cast_signed(), 1_000 * n);
    let bad = |n: u64| failed(image(&format!("n{n}"), n.cast_signed(), 1), Outcome::Http5xx);
    let many = |make: &dyn Fn(u64) -> Sample, count: u64| (1..=count).map(make).collect::<Vec<_>>();
    for (slow_nodes, bad_nodes, slow_rows, bad_rows) in
        [(40, 0, 10, 0), (0, 40, 0, 10), (40, 40, 5, 5), (40, 2, 8, 2), (3, 40, 3, 7)]
    {
        let samples = [many(&slow, slow_nodes), many(&bad, bad_nodes)].concat();
        let rows = rows(&samples);
        let found = rows.iter().filter(|row| row.ends_with("http_5xx")).count();
        assert_eq!((rows.len() - found, found), (slow_rows, bad_rows), "{rows:?}");
        assert!(rows.len() <= MAX_TRANSFERS);
        if slow_rows > 0 {
            assert_eq!(rows[bad_rows], format!("n{slow_nodes} image/full {}000", slow_nodes));
        }
    }
    // A node that dropped out returns with a worse time.
    let again = [many(&slow, 40), vec![image("n1", 99, 900_000)]].concat();
    assert_eq!(rows(&again)[..2], ["n1 image/full 900000", "n40 image/full 40000"]);
}

#[test]
fn each_listed_transfer_has_its_ids_or_link() {
    let samples = [traced(image("fra1", 0, 480_000)), traced(failed(start("syd1", 1, 1), Outcome::Stalled))];
    for (name, width, link, expected) in [
        ("ids", None, None, include_str!("../../data/report/slowest.txt")),
        ("a link", None, Some(&link()), include_str!("../../data/report/slowest-link.txt")),
        ("ids, narrow", Some(40), None, include_str!("../../data/report/slowest-40.txt")),
        ("a link, narrow", Some(40), Some(&link()), include_str!("../../data/report/slowest-link-40.txt")),
    ] {
        let text = text(&samples, width, link);
        assert_eq!(text, expected, "{name}:\n{text}");
    }
    // An id that bandprobe did not make has no link.
    let mut foreign = image("fra1", 0, 1);
    foreign.trail.trace_id = Some("r-1".into());
    assert_eq!(text(&[foreign], None, Some(&link())).lines().count(), 3, "no line below it");
}

#[test]
fn links_are_never_broken() {
    let samples = [traced(image("distributor.a-long-name.example.org", 0, 480_000))];
    for width in 1..100 {
        let text = text(&samples, Some(width), Some(&link()));
        let whole = format!("  https://apm.example/app/apm/link-to/trace/{TRACE}");
        assert!(text.lines().any(|line| line == whole), "{width}: {text}");
    }
}

#[test]
fn json_has_the_ids_and_the_link() {
    let samples = [traced(failed(image("syd1", 0, 1), Outcome::Stalled))];
    let object = &gathered(&points(&samples)).json(Some(&link()))[0];
    let expected = serde_json::json!({
        "time": "2026-11-22T10:00:00.123456789Z", "vantage": "eu-central", "node": "syd1", "probe": "image", "part": "full",
        "outcome": "stalled", "trace_id": TRACE, "request_id": REQUEST,
        "trace_url": format!("https://apm.example/app/apm/link-to/trace/{TRACE}"),
    });
    assert_eq!(*object, expected);
    let bare = &gathered(&points(&day())).json(None)[0];
    assert!(bare.get("trace_url").is_none() && bare.get("trace_id").is_none(), "what is not known is absent: {bare}");
}
