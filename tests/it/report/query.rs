//! InfluxQL and its answers. `tests/data/report/answer.json` is the answer of InfluxDB 2.9.1 to [`QUERY`], after the lines of
//! [`day`] had been written to it.

use bandprobe::{
    record::transfer_point::TransferPoint,
    report::query::{PAGE_ROWS, Pages, QueryError, identifier, parse, query},
};
use jiff::{SignedDuration, Timestamp};

use super::{day, points};

const QUERY: &str = "SELECT \"valid\"::field, \"hit\"::field, \"run_ok\"::field, \"ttfb_us\"::field, \
                     \"goodput_bps\"::field, \"flags\"::field, \"vantage\"::tag, \"node\"::tag, \"kind\"::tag, \"part\"::tag, \"conn\"::tag, \
                     \"cache\"::tag, \"outcome\"::tag FROM \"bandprobe_transfer\" WHERE time >= 1795341600000000000 \
                     AND time < 1795345200000000000 LIMIT 100000 OFFSET 0";

fn ten() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

#[test]
fn the_query_matches_the_recorded_one() {
    assert_eq!(query(ten(), ten() + SignedDuration::from_hours(1), 0), QUERY);
    assert_eq!(identifier("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
}

#[test]
fn a_recorded_answer_reads_back_as_the_points() {
    let page = parse(include_bytes!("../../data/report/answer.json")).unwrap();
    let mut written = points(&day());
    // A page leaves out the ids of transfers.
    for point in &mut written {
        (point.probe, point.trace_id, point.request_id) = (None, None, None);
    }
    // InfluxDB answers in the order of time, then of series.
    let key = |point: &TransferPoint| format!("{point:?}");
    written.sort_by_key(key);
    let mut read = page.points;
    read.sort_by_key(key);
    assert_eq!(read, written);
    assert_eq!((page.rows, page.damaged), (written.len() as u64, 0));
}

/// What a request asks for: from, until, limit and offset.
fn asked(target: &str) -> [i64; 4] {
    let url = url::Url::parse(&format!("http://influxdb{target}")).unwrap();
    let parameters: Vec<_> = url.query_pairs().into_owned().collect();
    assert_eq!(parameters[0], ("db".to_owned(), "a b&c".to_owned()));
    assert_eq!(parameters[1], ("epoch".to_owned(), "ns".to_owned()));
    let condition = parameters[2].1.split_once("time >= ").unwrap().1;
    let numbers: Vec<_> = condition.split(' ').filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().unwrap()
}

/// Queries everything in a database with this many rows a day. Returns the number of requests, and the most rows of one.
fn fetch(days: i64, rows_a_day: impl Fn(i64) -> i64) -> (usize, i64) {
    let day = 86_400_000_000_000;
    let start = i64::try_from(ten().as_nanosecond()).unwrap();
    let mut pages = Pages::new("a b&c", ten(), ten() + SignedDuration::from_hours(24 * days));
    // All rows of an hour are at its start.
    let between = |from: i64, until: i64| {
        let hours = (from - start) / (day / 24)..(until - start).div_euclid(day / 24);
        hours.map(|hour| rows_a_day(hour / 24) / 24).sum::<i64>()
    };
    let (mut requests, mut most, mut reached, mut rows_before) = (0, 0, start, 0);
    while let Some(target) = pages.request() {
        let [from, until, limit, offset] = asked(&target);
        if offset == 0 {
            assert_eq!(from, reached, "no gap and nothing twice");
        } else {
            assert_eq!(offset, rows_before);
        }
        let rows = (between(from, until) - offset).clamp(0, limit);
        rows_before = offset + rows;
        (requests, most) = (requests + 1, most.max(rows));
        if rows < limit {
            reached = until;
        }
        pages.answered(rows.unsigned_abs());
    }
    assert_eq!((reached - start) / day, days);
    assert!((pages.answered_share(ten()) - 1.0).abs() < 1e-9);
    (requests, most)
}

#[test]
fn ninety_days_take_tens_of_requests() {
    let page = PAGE_ROWS.cast_signed();
    for (name, rows_a_day, most_requests) in [
        ("nothing", 0, 10),
        ("one node", 1_200, 10),
        ("ten nodes", 12_000, 30),
        ("ten nodes from five vantages", 60_000, 100),
    ] {
        let (requests, most) = fetch(90, |_| rows_a_day);
        assert!(requests <= most_requests && most <= page, "{name}: {requests} requests, {most} rows");
    }
    // Many rows after few: answers stay within the limit, and later spans are shorter.
    let (requests, most) = fetch(90, |day| if day < 60 { 0 } else { 240_000 });
    assert!(requests <= 150 && most <= page, "{requests} requests");
}

#[test]
fn a_too_large_answer_is_queried_in_shorter_spans() {
    let mut pages = Pages::new("a b&c", ten(), ten() + SignedDuration::from_hours(6));
    let [from, until, ..] = asked(&pages.request().unwrap());
    let mut span = until - from;
    while pages.shorten_span() {
        let [again, until, ..] = asked(&pages.request().unwrap());
        assert!(again == from && until - from < span);
        span = until - from;
    }
    assert_eq!(span, 60_000_000_000, "a minute is as little as it goes");
}

/// Tried on 2.9.1 and 1.8.10: a bucket `name/policy` is unknown under `db=name/policy`.
#[test]
fn a_bucket_with_a_policy_is_queried_as_database_and_policy() {
    for (bucket, expected) in [("a", "/query?db=a&epoch=ns"), ("a/b", "/query?db=a&rp=b&epoch=ns")] {
        let target = Pages::new(bucket, ten(), ten() + SignedDuration::from_hours(1)).request().unwrap();
        assert_eq!(target.split_once("&q=").unwrap().0, expected);
    }
}

#[test]
fn other_answers_are_errors_or_damage() {
    let refused = |body: &str| match parse(body.as_bytes()) {
        Err(QueryError::Refused(message)) => message,
        other => panic!("{body}: {other:?}"),
    };
    assert_eq!(refused(r#"{"error":"not found\u001b[2J"}"#), "not found [2J");
    assert_eq!(refused(r#"{"code":"unauthorized","message":"Unauthorized"}"#), "Unauthorized");
    assert_eq!(refused(r#"{"results":[{"statement_id":0,"error":"no such database"}]}"#), "no such database");
    for body in ["", "<html>log in</html>", "[]", "{\"results\":3}"] {
        assert!(matches!(parse(body.as_bytes()), Err(QueryError::NotInfluxDb(_))), "{body}");
    }
    // Nothing was recorded in that time.
    assert_eq!(parse(br#"{"results":[{"statement_id":0}]}"#).unwrap(), Default::default());
    let row = r#"{"results":[{"series":[{"name":"x","columns":["time","valid"],"values":[[1,1],[null],[]]}]}]}"#;
    let page = parse(row.as_bytes()).unwrap();
    assert_eq!((page.points.len(), page.rows, page.damaged), (0, 3, 3));
    let answer = include_str!("../../data/report/answer.json").replace("50000000", "-5");
    assert!(parse(answer.as_bytes()).unwrap().damaged >= 1, "no rate is negative");
}
