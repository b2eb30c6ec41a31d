//! Requests as they are sent, and when their answer counts as begun.

use std::time::Duration;

use bandprobe::{
    config::{HttpChoice, Network},
    model::{outcome::Outcome, phase::Phase, probe::PartName, sample::HttpVersion, units::Micros},
    probe::requested_bytes::RequestedBytes,
};

use super::{Plan, assert_consistent, network, prober};
use crate::fault::{
    FIRST, FaultServer, LAST, bytes, certificate,
    certificate::Flaw,
    server::{Behaviour, Port, Step},
};

const THINKS: Duration = Duration::from_millis(400);

fn head(status: &str, lines: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{lines}\r\n").into()
}

fn answer() -> Vec<u8> {
    let head = head(
        "206 Partial Content",
        "content-type: image/png\r\ncontent-range: bytes 1000-2023/65536\r\ncontent-length: 1024\r\n",
    );
    [head, bytes(FIRST, LAST)].concat()
}

fn range() -> RequestedBytes {
    RequestedBytes::Range { first: FIRST, last: LAST }
}

#[tokio::test]
async fn requests_look_like_a_viewers_with_our_user_agent() {
    let prober = prober(&network(None));
    for (part, wanted, line, range) in [
        (PartName::Start, range(), "GET", Some("bytes=1000-2023")),
        (PartName::Tail, RequestedBytes::Suffix(1_024), "GET", Some("bytes=-1024")),
        (PartName::Full, RequestedBytes::Whole, "GET", None),
        (PartName::Check, RequestedBytes::Whole, "HEAD", None),
    ] {
        let script = |_| vec![Step::Request, Step::Send(answer())];
        let server = FaultServer::start(Behaviour { port: Port::Http, script });
        let sample = Plan::new(&format!("{}?width=320", server.url()), part, wanted).run(&prober, None).await.sample;
        let [head] = server.heads().try_into().unwrap();
        let (first, lines) = head.split_once("\r\n").unwrap();
        assert_eq!(first, format!("{line} /distributor/api/v1/assets/1343?width=320 HTTP/1.1"));
        let mut headers: Vec<_> = lines.lines().filter_map(|line| line.split_once(": ")).collect();
        headers.sort_unstable();
        let [trace_id, request_id] = [sample.trail.trace_id, sample.trail.request_id].map(Option::unwrap);
        let span = headers.iter().find(|(name, _)| *name == "traceparent").unwrap().1.split('-').nth(2).unwrap();
        assert_eq!(span.len(), 16);
        let (host, traceparent) = (server.address().to_string(), format!("00-{trace_id}-{span}-01"));
        let agent = concat!("bandprobe/", env!("CARGO_PKG_VERSION"));
        let mut expected = vec![("accept", "*/*"), ("accept-encoding", "identity"), ("host", host.as_str())];
        expected.extend(range.map(|range| ("range", range)));
        expected.extend([("traceparent", traceparent.as_str()), ("user-agent", agent), ("x-request-id", &request_id)]);
        assert_eq!(headers, expected, "nothing else: no cache-control, nothing conditional");
    }
}

#[tokio::test]
async fn the_first_byte_is_that_of_the_final_head() {
    let prober = prober(&network(Some(certificate::ca_pem())));
    let interim: fn(usize) -> Vec<Step> = |_| {
        vec![
            Step::Request,
            Step::Send(head("100 Continue", "")),
            Step::Send(head("103 Early Hints", "link: </x>\r\n")),
            Step::Pause(THINKS),
            Step::Send(answer()),
        ]
    };
    // What comes before the pause: two interim heads; the session tickets of TLS 1.3; both.
    let quiet: fn(usize) -> Vec<Step> = |_| vec![Step::Request, Step::Pause(THINKS), Step::Send(answer())];
    let cut: fn(usize) -> Vec<Step> = |_| {
        let (begin, rest) = (answer()[..5].to_vec(), answer()[5..].to_vec());
        vec![Step::Request, Step::Send(begin), Step::Pause(THINKS), Step::Send(rest)]
    };
    for (name, port, script, begins_late) in [
        ("interim heads", Port::Http, interim, true),
        ("tickets", Port::Https(Flaw::None), quiet, true),
        ("interim heads over TLS", Port::Https(Flaw::None), interim, true),
        ("a head in two pieces", Port::Http, cut, false),
    ] {
        let server = FaultServer::start(Behaviour { port, script });
        let sample = Plan::new(&server.url(), PartName::Start, range()).run(&prober, None).await.sample;
        assert_eq!(sample.outcome, Outcome::Ok, "{name}: {:?}", sample.error);
        assert_consistent(name, &sample);
        let took = |phase| sample.phases.took(phase).unwrap_or_default();
        let [wait, receive] = [took(Phase::Wait), took(Phase::Receive)];
        let late = if begins_late { wait } else { receive };
        // Half of it: on a busy machine our stamps are late, and they only have to distinguish a pause from none.
        assert!(late >= Micros::from(THINKS / 2), "{name}: wait {wait}, receive {receive}");
    }
}

#[tokio::test]
async fn the_http_version_is_the_configured_one_or_none() {
    use HttpChoice::{Auto, Http1, Http2};
    let script = |_| vec![Step::Request, Step::Send(answer())];
    for (choice, port, outcome, http) in [
        (Auto, Port::Https(Flaw::None), Outcome::Ok, Some(HttpVersion::Http1)),
        (Http1, Port::Https(Flaw::None), Outcome::Ok, Some(HttpVersion::Http1)),
        (Http2, Port::Https(Flaw::None), Outcome::TlsFailed, None),
        (Http1, Port::Http2, Outcome::TlsFailed, None),
        (Auto, Port::Http, Outcome::Ok, Some(HttpVersion::Http1)),
    ] {
        let network = Network { http: choice, ..network(Some(certificate::ca_pem())) };
        let server = FaultServer::start(Behaviour { port, script });
        let plan = Plan::new(&server.url(), PartName::Start, range());
        let sample = plan.run(&prober(&network), None).await.sample;
        assert_eq!((sample.outcome, sample.labels.http), (outcome, http), "{choice:?} {port:?}: {:?}", sample.error);
    }
}
