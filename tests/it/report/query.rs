//! InfluxQL and its answers. `tests/data/report/answer.json` is what InfluxDB 2.9.1 said to [`QUERY`] after the lines of
//! [`day`] had been written to it.

use bandprobe::report::{
    query::{PAGE_ROWS, Pages, QueryError, identifier, parse, query},
    transfer_point::TransferPoint,
};
use jiff::{SignedDuration, Timestamp};

use super::{day, points};

const QUERY: &str = "SELECT \"valid\"::field, \"hit\"::field, \"run_ok\"::field, \"ttfb_us\"::field, \
                     \"goodput_bps\"::field, \"flags\"::field, \"vantage\"::tag, \"node\"::tag, \"kind\"::tag, \"part\"::tag, \"conn\"::tag, \
                     \"cache\"::tag, \"outcome\"::tag FROM \"bandprobe_transfer\" WHERE time >= 1795341600000000000 \
                     AND time < 1795345200000000000 LIMIT 20000 OFFSET 0";

fn ten() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

#[test]
fn the_query_is_the_one_that_was_tried() {
    assert_eq!(query(ten(), ten() + SignedDuration::from_hours(1), 0), QUERY);
    assert_eq!(identifier("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
}

#[test]
fn the_database_gives_back_what_was_written() {
    let page = parse(include_bytes!("../../data/report/answer.json")).unwrap();
    let mut written = points(&day());
    // A page does without what tells single transfers.
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

#[test]
fn pages_go_through_the_whole_time() {
    let mut pages = Pages::new("a b&c", ten(), ten() + SignedDuration::from_hours(7));
    let mut seen = vec![];
    for rows in [PAGE_ROWS, 3, 0] {
        let target = pages.request().unwrap();
        let url = url::Url::parse(&format!("http://influxdb{target}")).unwrap();
        let parameters: Vec<_> = url.query_pairs().into_owned().collect();
        assert_eq!(parameters[0], ("db".to_owned(), "a b&c".to_owned()));
        assert_eq!(parameters[1], ("epoch".to_owned(), "ns".to_owned()));
        seen.push(parameters[2].1.split_once("time >= ").unwrap().1.to_owned());
        pages.answered(rows);
    }
    assert_eq!(
        seen,
        [
            "1795341600000000000 AND time < 1795363200000000000 LIMIT 20000 OFFSET 0",
            "1795341600000000000 AND time < 1795363200000000000 LIMIT 20000 OFFSET 20000",
            "1795363200000000000 AND time < 1795366800000000000 LIMIT 20000 OFFSET 0",
        ]
    );
    assert_eq!(pages.request(), None);
}

/// Tried on 2.9.1 and 1.8.10: a bucket `name/policy` is unknown under `db=name/policy`.
#[test]
fn a_bucket_with_a_policy_is_asked_for_as_two() {
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
