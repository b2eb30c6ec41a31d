//! Exact lines and objects, and the property that no content escapes its field.

use bandprobe::{
    model::{
        flag::Flag,
        outcome::Outcome,
        sample::{CacheState, Sample},
        target::Vantage,
        units::Micros,
    },
    record::{
        json, line,
        point::{Point, TAG_CHARS, TEXT_CHARS, Value},
        schema::{self, transfer as fields},
        transfer::transfer,
        worker::{WorkerCounters, WorkerGauges, worker_point},
    },
};
use jiff::Timestamp;
use proptest::prelude::*;

use super::{
    parser::{Parsed, parse},
    samples::{failed, image, video},
};

fn encoded(point: &Point) -> String {
    let mut out = String::new();
    line::encode(point, &mut out);
    out
}

fn object(point: &Point) -> serde_json::Value {
    let mut out = String::new();
    json::encode(point, &mut out);
    assert_eq!(out.find('\n'), Some(out.len() - 1), "one object, one line");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn samples_have_exact_lines() {
    let check = |sample: &Sample, expected: &str| assert_eq!(encoded(&transfer(sample)), format!("{expected}\n"));
    check(
        &Sample { hit: Some(true), ..video() },
        "bandprobe_transfer,vantage=eu-central,node=fra1,region=eu\\ west,probe=video,kind=video,part=start,conn=cold,\
         http=2,family=6,cache=hit,outcome=ok ok=1i,valid=1i,lateness_us=77i,method=2i,hit=1i,run_ok=1i,dns_us=1200i,\
         connect_us=30007i,tls_us=30794i,send_us=39i,wait_us=37959i,receive_us=2500000i,ttfb_us=99999i,server_us=8059i,\
         total_us=2599999i,bytes=6291456i,expected_bytes=6291456i,status=206i,effective_bps=19358300i,\
         goodput_bps=20093810i,steady_bps=20100000i,min_interval_bps=19000000i,ramp_us=350000i,longest_gap_us=12000i,\
         stalls=0i,stalled_us=0i,distance_km=12.5,rtt_us=29900i,rcv_rtt_us=31000i,ooo_segments=3i,rcv_wnd_bytes=3145728i,\
         rx_lag_p90_us=21i,cpu_share=0.0625,run_delay_us=140i,cert_expires_s=5184000i,tls_version=\"1.3\",\
         asset_id=\"552149\",remote_addr=\"2001:db8::7\",server=\"nginx/1.25 \\\"edge\\\"\",data_source=\"local\",\
         trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\",request_id=\"r-1\" 1795341600123456789",
    );
    let mut refused = failed(image("a=b,c", 1, 90_000), Outcome::ConnectTimeout);
    refused.labels.cache = CacheState::Unknown;
    refused.run_ok = None;
    refused.flags.raise(Flag::VantageSuspect);
    check(
        &refused,
        "bandprobe_transfer,vantage=eu-central,node=a\\=b\\,c,region=none,probe=image,kind=image,part=full,conn=cold,\
         http=2,family=6,cache=unknown,outcome=connect_timeout ok=0i,valid=0i,lateness_us=0i,method=2i,\
         connect_us=5000000i,total_us=5000000i,flags=\"vantage_suspect\",failed_phase=\"connect\",\
         error=\"connect_timeout: as the test wants\" 1795341600123456790",
    );
}

#[test]
fn a_frozen_transfer_has_no_times() {
    let mut frozen = image("n", 0, 90_000);
    frozen.flags.raise(Flag::Frozen);
    let line = encoded(&transfer(&frozen));
    assert!(line.contains("outcome=ok ok=1i,valid=0i") && line.contains("flags=\"frozen\""), "{line}");
    let times = ["dns", "connect", "tls", "send", "wait", "receive", "ttfb", "server", "total"];
    assert!(times.iter().all(|name| !line.contains(&format!("{name}_us="))), "{line}");
}

#[test]
fn a_run_without_transfer_has_no_times() {
    let mut skipped = failed(image("n", 0, 1), Outcome::NotCached);
    (skipped.phases, skipped.labels.part, skipped.labels.conn) = Default::default();
    (skipped.failed_phase, skipped.error) = (None, None);
    skipped.labels.cache = CacheState::Miss;
    let line = encoded(&transfer(&skipped));
    assert!(line.contains("part=none,conn=none") && line.contains("outcome=not_cached"), "{line}");
    assert!(line.contains(" ok=0i,valid=0i,lateness_us=0i,method=2i 1795341600123456789"), "{line}");
}

#[test]
fn json_objects_match_the_lines() {
    let point = transfer(&video());
    let object = object(&point);
    assert_eq!(object["measurement"], "bandprobe_transfer");
    assert_eq!(object["time"], "2026-11-22T10:00:00.123456789Z");
    let line = &parse(&encoded(&point))[0];
    for (tag, value) in &line.tags {
        assert_eq!(object[tag], value.as_str());
    }
    for (field, value) in &line.fields {
        match value {
            Parsed::Integer(integer) => assert_eq!(object[field], *integer),
            Parsed::Float(float) => assert_eq!(object[field], *float),
            Parsed::Text(text) => assert_eq!(object[field], text.as_str()),
        }
    }
    assert_eq!(object.as_object().unwrap().len(), 2 + line.tags.len() + line.fields.len());
}

#[test]
fn numbers_stay_within_their_types() {
    let mut sample = video();
    sample.lateness = Micros(u64::MAX);
    sample.distance_km = Some(f64::NAN);
    sample.at = Timestamp::MAX;
    let point = transfer(&sample);
    let line = &parse(&encoded(&point))[0];
    assert!(line.fields.contains(&("lateness_us".into(), Parsed::Integer(i64::MAX))));
    assert!(!line.fields.iter().any(|(field, _)| field == "distance_km"));
    assert_eq!(line.time, i64::MAX - 1);
}

#[test]
fn the_worker_has_a_point_too() {
    let vantage = Vantage { id: "eu".into(), worker: "eu-1".into(), uplink: None, country: None, location: None };
    let counters = WorkerCounters { transfers: 12, failed: 1, ..WorkerCounters::default() };
    let gauges = WorkerGauges { nodes: 3, version: "0.1.0".into(), ..WorkerGauges::default() };
    let line = encoded(&worker_point(&vantage, video().at, &counters, &gauges));
    assert_eq!(
        line,
        "bandprobe_worker,vantage=eu,worker=eu-1 runs_started=0i,runs_missed=0i,runs_late=0i,runs_skipped_budget=0i,transfers=12i,\
         failed=1i,points_written=0i,points_rejected=0i,points_dropped=0i,values_clamped=0i,values_dropped=0i,\
         retries=0i,bytes_downloaded=0i,targets_added=0i,targets_removed=0i,lookups_abandoned=0i,rounds_missed=0i,log_lines_dropped=0i,\
         frozen_us=0i,schedule_delay_us=0i,nodes=3i,version=\"0.1.0\" 1795341600123456789\n"
    );
}

/// Text with many special characters.
pub(super) fn text() -> impl Strategy<Value = String> {
    let trap = prop::sample::select(vec![
        "\\", "\"", ",", "=", " ", "\n", "\r", "\0", "\t", "#", "\u{2028}", "\u{85}", "ok=0i", "é", "🦀", "\u{202e}",
    ]);
    let piece = prop_oneof![3 => trap.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    let short = prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    (short, prop_oneof![9 => Just(1_usize), 1 => Just(80)]).prop_map(|(text, times)| text.repeat(times))
}

/// As `record::point` documents it.
fn replaced(text: &str, limit: usize, control: char, backslash: char) -> String {
    let replace = |c: char| match c {
        '\\' => backslash,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => control,
        c if c.is_control() => control,
        c => c,
    };
    text.chars().take(limit).map(replace).collect()
}

proptest! {
    #[test]
    fn field_content_never_escapes_its_field(node in text(), region in text(), error in text(), server in text(), km in any::<f64>()) {
        let mut point = Point::new(&schema::transfer::MEASUREMENT, video().at);
        point.tag(fields::NODE, &node);
        point.tag(fields::REGION, &region);
        point.integer(fields::OK, Some(1));
        point.text(fields::ERROR, Some(&error));
        point.text(fields::SERVER, Some(&server));
        point.float(fields::DISTANCE, Some(km));
        let body = encoded(&point);
        let lines = parse(&body);
        prop_assert_eq!(lines.len(), 1);
        let tag = |text: &str| match replaced(text, TAG_CHARS, char::REPLACEMENT_CHARACTER, '/') {
            text if text.is_empty() => "none".to_owned(),
            text => text,
        };
        let mut tags: Vec<(String, String)> =
            schema::transfer::MEASUREMENT.tags.iter().map(|tag| (tag.0.to_owned(), "none".to_owned())).collect();
        tags[1].1 = tag(&node);
        tags[2].1 = tag(&region);
        prop_assert_eq!(&lines[0].tags, &tags);
        let mut expected = vec![("ok".to_owned(), Parsed::Integer(1))];
        if km.is_finite() {
            expected.push(("distance_km".to_owned(), Parsed::Float(km)));
        }
        for (field, text) in [("server", &server), ("error", &error)] {
            let text = replaced(text, TEXT_CHARS, ' ', '\\');
            if !text.is_empty() {
                expected.push((field.to_owned(), Parsed::Text(text)));
            }
        }
        prop_assert_eq!(&lines[0].fields, &expected);
        prop_assert_eq!(lines[0].time, 1_795_341_600_123_456_789);
        // The object of the same point is one line, too.
        prop_assert_eq!(&object(&point)["node"], &tags[1].1);
    }
}

#[test]
fn a_field_set_twice_is_written_once() {
    let mut point = Point::new(&schema::transfer::MEASUREMENT, video().at);
    point.integer(fields::VALID, Some(1));
    point.integer(fields::OK, Some(0));
    point.integer(fields::VALID, Some(0));
    assert_eq!(point.fields(), [(fields::OK, Value::Integer(0)), (fields::VALID, Value::Integer(0))]);
}
