//! The demo's nodes behave as Argus is known to. The tests speak to them over plain sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cache;
mod fleet;
mod serving;

use std::{io, sync::Arc, time::Duration};

use bandprobe::{
    demo::{
        Behaviour, DemoError, DemoNodes, ELSEWHERE_ID, Fault, Fetch, Holds, IMAGE_ID, NodePlan, PREFIX,
        UNCACHED_VIDEO_ID, VIDEO_ID,
        link::{BURST_BYTES, Link, PIECE_BYTES, Shaped},
        samples,
    },
    model::{
        target::Node,
        units::{BitRate, Bytes},
    },
};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// One response as it came.
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
    /// How the connection ended, when it did.
    end: io::Result<()>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &'_ str| line.split_once(": ").is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        self.head.lines().find(|line| named(line)).and_then(|line| line.split_once(": ")).map(|(_, value)| value)
    }
}

fn plan(behaviour: Behaviour) -> NodePlan {
    NodePlan { behaviour, tls: false, link: None, ..NodePlan::standard().remove(0) }
}

fn address(node: &Node) -> (String, u16) {
    let url = node.endpoint.as_url();
    (url.host_str().unwrap().to_owned(), url.port().unwrap())
}

/// One request on a connection of its own, read to its end.
async fn ask(node: &Node, method: &str, path: &str, range: Option<&str>) -> Reply {
    let range = range.map(|range| format!("range: {range}\r\n")).unwrap_or_default();
    exchange(address(node), &format!("{method} {path}"), &range, "").await
}

/// The same of any server: method and path, further header lines, and a body.
async fn exchange(address: (String, u16), line: &str, headers: &str, body: &str) -> Reply {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("{line} HTTP/1.1\r\nhost: demo\r\nconnection: close\r\n{headers}\r\n{body}");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = vec![];
    let end = socket.read_to_end(&mut bytes).await.map(|_| ());
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let body = bytes.split_off(split);
    let head = String::from_utf8(bytes).unwrap();
    Reply { status: head[9..12].parse().unwrap(), head, body, end }
}

fn asset(id: &str) -> String {
    format!("{PREFIX}/api/v1/assets/{id}")
}

#[tokio::test]
async fn a_hit_is_served_by_single_ranges() {
    let demo = DemoNodes::start(vec![plan(Behaviour::Sound)]).await.unwrap();
    let node = &demo.nodes()[0];
    let image = samples::image(1343);
    let size = image.len();
    for (range, status, span) in [
        (None, 200, Some((0, size - 1))),
        (Some("bytes=0-1023"), 206, Some((0, 1023))),
        (Some("bytes=0-4999999"), 206, Some((0, size - 1))),
        (Some("bytes=-100"), 206, Some((size - 100, size - 1))),
        (Some("bytes=0-1,4-5"), 200, Some((0, size - 1))),
        (Some("bytes=9999999-"), 416, None),
    ] {
        let reply = ask(node, "GET", &asset(IMAGE_ID), range).await;
        assert_eq!(reply.status, status, "{range:?}");
        assert_eq!(reply.header("x-cache"), Some("hit"));
        assert_eq!(reply.header("accept-ranges"), Some("bytes"));
        let content_range = match (span, status) {
            (Some((first, last)), 206) => Some(format!("bytes {first}-{last}/{size}")),
            (None, _) => Some(format!("bytes */{size}")),
            _ => None,
        };
        assert_eq!(reply.header("content-range"), content_range.as_deref(), "{range:?}");
        let refusal = br#"{"type":"sendstream_error","message":"RangeNotSatisfiableError: Range Not Satisfiable"}"#;
        let expected = span.map_or(&refusal[..], |(first, last)| &image[first..=last]);
        assert_eq!(reply.header("content-length"), Some(expected.len().to_string().as_str()));
        assert!(reply.body == expected, "{range:?}");
    }
    let reply = ask(node, "GET", &asset(VIDEO_ID), Some("bytes=0-0")).await;
    assert!(reply.header("etag").unwrap().starts_with("W/\""));
    assert_eq!(reply.header("content-disposition"), Some("inline"));
    let head = ask(node, "HEAD", &asset(VIDEO_ID), None).await;
    assert_eq!((head.header("x-cache"), head.header("cache-control")), (Some("hit"), Some("max-age=31536000")));
    assert_eq!((head.header("x-data-source"), head.header("etag")), (None, None), "only a download tells");
    assert_eq!((reply.header("keep-alive"), reply.header("connection")), (None, Some("close")), "as was asked");
    assert_eq!(reply.header("cache-control"), Some("public, max-age=31536000"));
    assert_eq!(reply.header("x-data-source"), Some("local"));
    assert_eq!(reply.header("content-type"), Some("video/mp4"));
    demo.shutdown().await;
}

#[tokio::test]
async fn errors_have_the_bodies_of_argus_and_none_on_head() {
    let demo = DemoNodes::start(vec![plan(Behaviour::Sound)]).await.unwrap();
    let node = &demo.nodes()[0];
    let assets = asset("");
    for (path, status, body) in [
        (asset("999"), 404, r#"{"message":"Data object does not exist"}"#),
        (asset(ELSEWHERE_ID), 421, r#"{"message":"Data object not served by this node"}"#),
        (asset("abc"), 400, r#"{"type":"request_validation","message":"must match pattern "#),
        (assets, 400, r#"{"type":"request_validation""#),
        ("/api/v1/assets/1343".into(), 404, r#"{"type":"request_validation","message":"not found""#),
        (format!("{PREFIX}/api/v2/x"), 404, r#"{"type":"request_validation","message":"not found""#),
    ] {
        let reply = ask(node, "GET", &path, None).await;
        let text = String::from_utf8(reply.body.clone()).unwrap();
        assert_eq!(reply.status, status, "{path}");
        assert!(text.starts_with(body), "{path}: {text}");
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
        let reply = ask(node, "HEAD", &path, None).await;
        assert_eq!((reply.status, reply.body.len()), (status, 0), "{path}");
    }
    let reply = ask(node, "POST", &asset(IMAGE_ID), None).await;
    assert_eq!(reply.status, 405);
}

#[tokio::test]
async fn status_and_buckets_answer_as_argus() {
    let demo = DemoNodes::start(vec![plan(Behaviour::Sound)]).await.unwrap();
    let node = &demo.nodes()[0];
    let reply = ask(node, "GET", &format!("{PREFIX}/api/v1/status"), None).await;
    let status: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(status["nodeEnv"], "production");
    assert_eq!(status["objectsInCache"], 2);
    assert!(status["queryNodeStatus"]["blocksProcessed"].is_u64() && status["storageLimit"].is_u64());
    let reply = ask(node, "GET", &format!("{PREFIX}/api/v1/buckets"), None).await;
    assert_eq!(reply.body, br#"{"bucketIds":["1:0"]}"#);
}

#[tokio::test]
async fn faults_come_in_turn_and_spare_head() {
    let cycle = vec![
        Fault::ServerError,
        Fault::ResetMidBody,
        Fault::StallMidBody(Duration::from_millis(1)),
        Fault::TruncatedBody,
        Fault::ObjectNotFound,
        Fault::None,
    ];
    let demo = DemoNodes::start(vec![plan(Behaviour::Failing(cycle))]).await.unwrap();
    let node = &demo.nodes()[0];
    let size = samples::image(1343).len();
    for round in 0..2 {
        for (status, length, reset) in [
            (500, None, false),
            (200, Some(size / 2), true),
            (200, Some(size), false),
            (200, Some(size / 2), false),
            (404, None, false),
            (200, Some(size), false),
        ] {
            assert_eq!(ask(node, "HEAD", &asset(IMAGE_ID), None).await.status, 200);
            let reply = ask(node, "GET", &asset(IMAGE_ID), None).await;
            assert_eq!(reply.status, status, "round {round}");
            let was_reset = reply.end.as_ref().err().map(io::Error::kind) == Some(io::ErrorKind::ConnectionReset);
            assert_eq!(was_reset, reset, "round {round}, {status}: {:?}", reply.end);
            if let Some(length) = length {
                assert_eq!(reply.body.len(), length, "round {round}");
            }
        }
    }
}

#[tokio::test]
async fn a_slow_back_end_delays_every_answer() {
    let delay = Duration::from_millis(80);
    let demo = DemoNodes::start(vec![plan(Behaviour::SlowBackEnd(delay))]).await.unwrap();
    for method in ["GET", "HEAD"] {
        let start = Instant::now();
        assert_eq!(ask(&demo.nodes()[0], method, &asset(IMAGE_ID), None).await.status, 200);
        assert!(start.elapsed() >= delay, "{method}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_stalling_node_pauses_between_pieces_and_loses_nothing() {
    let pause = Duration::from_millis(30);
    let demo = DemoNodes::start(vec![plan(Behaviour::Stalling { every: Bytes(10_000), pause })]).await.unwrap();
    let node = &demo.nodes()[0];
    for (range, pauses) in [("bytes=0-9999", 0), ("bytes=0-10000", 1), ("bytes=500-30499", 2)] {
        let start = Instant::now();
        let reply = ask(node, "GET", &asset(VIDEO_ID), Some(range)).await;
        assert!(start.elapsed() >= pause * pauses, "{range}: {:?}", start.elapsed());
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        assert!(reply.body == samples::video(1343)[first..=last], "{range}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_and_free_ones_are_used() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = DemoNodes::start_at(vec![plan(Behaviour::Sound)], [port]).await.unwrap_err();
    assert!(matches!(&refused, DemoError::Listen { node: "fast", address, .. } if address.port() == port), "{refused}");
    drop(taken);
    let demo = DemoNodes::start_at(vec![plan(Behaviour::Sound)], [port]).await.unwrap();
    assert_eq!(address(&demo.nodes()[0]).1, port);
}

#[tokio::test(start_paused = true)]
async fn a_link_carries_its_rate_of_payload_however_many_share_it() {
    const EACH: usize = 1_000_000;
    for streams in [1_usize, 3] {
        let link = Arc::new(Link::new(BitRate(20_000_000)));
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..streams {
            let (near, mut far) = duplex(64 << 10);
            let mut shaped = Shaped::new(near, Some(Arc::clone(&link)));
            tasks.spawn(async move { shaped.write_all(&[7; EACH]).await.unwrap() });
            tasks.spawn(async move {
                let mut bytes = vec![];
                far.read_to_end(&mut bytes).await.unwrap();
                assert_eq!(bytes.len(), EACH);
            });
        }
        tasks.join_all().await;
        let took = start.elapsed().as_secs_f64();
        let at_rate = |bytes: usize| bytes as f64 * 8.0 / 20e6;
        let total = streams * EACH;
        // The burst and the last piece take no time; the timer's granularity is 1 ms.
        let fastest = at_rate(total - BURST_BYTES - streams * PIECE_BYTES);
        assert!(took >= fastest - 1e-9 && took <= at_rate(total - BURST_BYTES) + 0.002, "{streams} streams: {took}");
    }
}

#[tokio::test]
async fn idle_connections_are_closed_as_announced() {
    let demo = DemoNodes::start(vec![plan(Behaviour::Sound)]).await.unwrap();
    let mut socket = TcpStream::connect(address(&demo.nodes()[0])).await.unwrap();
    let request = format!("HEAD {} HTTP/1.1\r\nhost: demo\r\n\r\n", asset(IMAGE_ID));
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.contains("\r\nkeep-alive: timeout=5\r\n"), "{head}");
    // From here on only timers can move anything, and paused time goes to the next one whenever all tasks wait.
    tokio::time::pause();
    let start = Instant::now();
    timeout(Duration::from_secs(60), socket.read_u8()).await.expect("the node closes").unwrap_err();
    assert!(start.elapsed() <= Duration::from_secs(6), "{:?}", start.elapsed());
}
