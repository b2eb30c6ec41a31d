//! Whole runs against the demo's nodes, which behave as Argus does.

use std::{sync::Arc, time::Duration};

use bandprobe::{
    demo::{Behaviour, DemoNodes, Fault, Fetch, IMAGE_ID, NodePlan, UNCACHED_IMAGE_ID, VIDEO_ID},
    model::{
        flag::Flag,
        outcome::Outcome,
        phase::Phase,
        probe::{CachePolicy, Deadlines, Extent, MIN_RATE, Part, PartName, Pick, Probe, Spacing, Weight},
        sample::{CacheState, ConnectionKind, HttpVersion, Sample},
        target::{Asset, AssetKind, Node, Profile},
        units::{Bytes, Micros},
    },
    probe::run::{Run, RunResult, StickyAsset},
};

use super::{Plan, assert_consistent, network, prober};
use crate::fault;

const FULL: Part = Part { name: PartName::Full, extent: Extent::Full };
const START: Part = Part { name: PartName::Start, extent: Extent::First(Bytes(2 << 20)) };
const TAIL: Part = Part { name: PartName::Tail, extent: Extent::Last(Bytes(256 << 10)) };
const SEEK: Part = Part { name: PartName::Seek, extent: Extent::From { at: 0.5, bytes: Bytes(1 << 20) } };

fn probe(kind: AssetKind, parts: &[Part]) -> Probe {
    Probe {
        name: kind.label().into(),
        kind,
        every: Duration::from_secs(300),
        spacing: Spacing::Memoryless,
        weight: Weight::Heavy,
        pick: Pick::Sticky,
        types: vec![],
        parts: parts.to_vec(),
        cache: CachePolicy::Hit,
        min_rate: MIN_RATE,
        deadlines: Deadlines::default(),
    }
}

/// One run, its samples in order.
async fn run(ca: Option<&str>, node: &Node, probe: &Probe) -> (Vec<Sample>, RunResult) {
    let received = Arc::default();
    let run = Run {
        node: Arc::new(node.clone()),
        probe: Arc::new(probe.clone()),
        turn: 0,
        remembered: None,
        due: None,
        received,
    };
    let mut samples = vec![];
    let result = run.make(&prober(&network(ca)), |sample| samples.push(sample)).await;
    for sample in samples.iter().filter(|sample| sample.outcome != Outcome::NotCached) {
        assert_consistent(&node.id, sample);
    }
    let received = run.received.load(std::sync::atomic::Ordering::Relaxed);
    let bodies = samples.iter().filter_map(|sample| sample.bytes).sum::<u64>();
    // A check's answer has no body, and others may have none.
    let has_words = |sample: &Sample| {
        sample
            .error
            .as_ref()
            .is_some_and(|error| !error.starts_with("status 3") && error.starts_with("status ") && error.contains(": "))
    };
    let refused = |sample: &Sample| sample.labels.part != Some(PartName::Check) && has_words(sample);
    match samples.iter().any(refused) {
        true => assert!(received > bodies, "the words of an error are bytes too: {received}"),
        false => assert_eq!(received, bodies),
    }
    (samples, result)
}

fn plain(behaviour: Behaviour) -> NodePlan {
    NodePlan { behaviour, tls: false, link: None, ..NodePlan::standard().remove(0) }
}

fn image(id: &str) -> Asset {
    Asset { kind: AssetKind::Image, id: id.into(), size: None, hash: None, fixed: true }
}

type Row = (Option<PartName>, Option<ConnectionKind>, Outcome);

fn rows(samples: &[Sample]) -> Vec<Row> {
    samples.iter().map(|sample| (sample.labels.part, sample.labels.conn, sample.outcome)).collect()
}

const fn row(part: PartName, conn: ConnectionKind, outcome: Outcome) -> Row {
    (Some(part), Some(conn), outcome)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_checked_then_fetched_cold_and_warm() {
    let demo = DemoNodes::start(vec![NodePlan::standard().remove(0), plain(Behaviour::Sound)]).await.unwrap();
    let expected = [
        row(PartName::Check, ConnectionKind::Cold, Outcome::Ok),
        row(PartName::Full, ConnectionKind::Cold, Outcome::Ok),
        row(PartName::Full, ConnectionKind::Warm, Outcome::Ok),
    ];
    for (node, http) in demo.nodes().iter().zip([HttpVersion::Http2, HttpVersion::Http1]) {
        let (samples, result) = run(Some(demo.ca_pem()), node, &probe(AssetKind::Image, &[FULL, FULL])).await;
        assert_eq!(rows(&samples), expected);
        let [check, cold, warm] = &samples[..] else { unreachable!("three rows") };
        assert!(samples.iter().all(|sample| sample.labels.http == Some(http)));
        assert!(samples.iter().all(|sample| sample.labels.cache == CacheState::Hit));
        assert_eq!((check.bytes, check.expected_bytes), (None, None), "a check downloads nothing");
        assert_eq!(cold.bytes, warm.bytes);
        assert_eq!(cold.bytes, cold.expected_bytes);
        assert_eq!(result.cool_down, None);
        assert_eq!(warm.phases.took(Phase::Connect), None);
        assert!(warm.rates.effective.is_some() && warm.rates.goodput.is_none() && warm.flags.contains(Flag::TooSmall));
        assert_eq!(cold.trail.data_source.as_deref(), Some("local"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_video_is_started_and_sought_on_one_connection() {
    let demo = DemoNodes::start(vec![NodePlan::standard().remove(0), plain(Behaviour::Sound)]).await.unwrap();
    for node in demo.nodes() {
        let (samples, _) = run(Some(demo.ca_pem()), &node, &probe(AssetKind::Video, &[START, TAIL, SEEK])).await;
        let expected = [
            row(PartName::Check, ConnectionKind::Cold, Outcome::Ok),
            row(PartName::Start, ConnectionKind::Cold, Outcome::Ok),
            row(PartName::Tail, ConnectionKind::Warm, Outcome::Ok),
            row(PartName::Seek, ConnectionKind::Warm, Outcome::Ok),
        ];
        assert_eq!(rows(&samples), expected, "{:?}", samples.last());
        let bytes: Vec<_> = samples[1..].iter().map(|sample| sample.bytes.unwrap()).collect();
        assert_eq!(bytes, [2 << 20, 256 << 10, 1 << 20]);
        let rated: Vec<_> = samples[1..].iter().map(|sample| sample.rates.goodput.is_some()).collect();
        assert_eq!(rated, [true, false, true], "by what was planned");
        assert!(samples[1..].iter().all(|sample| sample.trail.asset_id.as_deref() == Some(VIDEO_ID)));
    }
}

#[tokio::test]
async fn a_miss_is_reported_and_never_fetched() {
    let plan = NodePlan { fetch: Fetch::Takes(Duration::from_millis(100)), ..plain(Behaviour::Sound) };
    let demo = DemoNodes::start(vec![plan]).await.unwrap();
    let mut node = demo.nodes().remove(0);
    node.assets = vec![image(UNCACHED_IMAGE_ID)];
    let probe = probe(AssetKind::Image, &[FULL, FULL]);
    // Twice: had the first run asked for a byte, the second would find the object on its way.
    for _ in 0..2 {
        let (samples, result) = run(None, &node, &probe).await;
        assert_eq!(
            rows(&samples),
            [row(PartName::Check, ConnectionKind::Cold, Outcome::Ok), (None, None, Outcome::NotCached)]
        );
        assert!(samples.iter().all(|sample| sample.labels.cache == CacheState::Miss));
        assert_eq!(samples[1].phases.total(), Micros::ZERO);
        assert_eq!(result, RunResult { sticky: StickyAsset::Gone, lateness: result.lateness, ..RunResult::default() });
    }
    node.assets.push(image(IMAGE_ID));
    let (samples, _) = run(None, &node, &probe).await;
    let parts: Vec<_> = samples.iter().map(|sample| (sample.labels.part.unwrap(), sample.labels.cache)).collect();
    let (miss, hit) = (CacheState::Miss, CacheState::Hit);
    let expected = [(PartName::Check, miss), (PartName::Check, hit), (PartName::Full, hit), (PartName::Full, hit)];
    assert_eq!(parts, expected, "the next candidate is cached");

    node.assets.truncate(1);
    let cold = Probe { cache: CachePolicy::Miss, parts: vec![FULL], ..probe };
    let (samples, _) = run(None, &node, &cold).await;
    assert_eq!(
        rows(&samples),
        [
            row(PartName::Check, ConnectionKind::Cold, Outcome::Ok),
            row(PartName::Full, ConnectionKind::Cold, Outcome::Ok)
        ]
    );
    assert_eq!(samples[1].labels.cache, CacheState::Miss);
    let (samples, _) = run(None, &node, &cold).await;
    assert_ne!(samples[0].labels.cache, CacheState::Miss, "the declared cold-cache probe did fetch it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_quotes_the_node_and_costs_one_part() {
    let faults = vec![
        (Fault::ServerError, Outcome::Http5xx),
        (Fault::ResetMidBody, Outcome::Reset),
        (Fault::StallMidBody(Duration::from_secs(30)), Outcome::Stalled),
        (Fault::TruncatedBody, Outcome::Truncated),
        (Fault::ObjectNotFound, Outcome::ObjectNotFound),
    ];
    for tls in [false, true] {
        let cycle = faults.iter().map(|(fault, _)| *fault).collect();
        let plan = NodePlan { tls, ..plain(Behaviour::Failing(cycle)) };
        let demo = DemoNodes::start(vec![plan]).await.unwrap();
        let node = demo.nodes().remove(0);
        let stall = Duration::from_millis(1_500);
        let deadlines = Deadlines { stall, ..Deadlines::default() };
        let probe = Probe { deadlines, ..probe(AssetKind::Video, &[START, TAIL]) };
        for (fault, outcome) in &faults {
            let (samples, _) = run(Some(demo.ca_pem()), &node, &probe).await;
            let expected = [
                row(PartName::Check, ConnectionKind::Cold, Outcome::Ok),
                row(PartName::Start, ConnectionKind::Cold, *outcome),
            ];
            // HTTP/2 has no end of a body but by its stream: a broken one is a reset.
            let broken = [Outcome::Truncated, Outcome::Reset].contains(outcome);
            if tls && broken {
                assert!([Outcome::Truncated, Outcome::Reset].contains(&samples[1].outcome), "{fault:?}");
            } else {
                assert_eq!(rows(&samples), expected, "{fault:?}: {:?}", samples[1].error);
            }
            assert_eq!(samples.len(), 2, "no further part");
        }
    }
}

#[tokio::test]
async fn a_node_that_limits_us_gets_a_cool_down() {
    for (status, retry_after, seconds) in [
        ("429 Too Many Requests", "", 600),
        ("429 Too Many Requests", "retry-after: 30\r\n", 600),
        ("503 Service Unavailable", "retry-after: 1800\r\n", 1_800),
        ("429 Too Many Requests", "retry-after: Fri, 31 Dec 2049 23:59:59 GMT\r\n", 86_400),
        (
            "503 Service Unavailable",
            "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 09:49:37 GMT\r\n",
            3_600,
        ),
        ("429 Too Many Requests", "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 600),
        ("429 Too Many Requests", "retry-after: 18446744073709551615\r\n", 86_400),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\n{retry_after}content-length: 0\r\n\r\n");
        let (samples, result) = scripted(answer.into(), None).await;
        assert_eq!(samples[0].outcome, Outcome::RateLimited);
        assert_eq!(samples.len(), 1);
        assert_eq!(result.cool_down, Some(Duration::from_secs(seconds)), "{retry_after}");
    }
}

#[tokio::test]
async fn whole_content_is_compared_with_its_registered_hash() {
    let whole = fault::asset();
    let multihash = [&[0x1e, 0x20][..], blake3::hash(&whole).as_bytes()].concat();
    let right = bs58::encode(multihash).into_string();
    assert!(right.starts_with("gW"), "as Joystream's hashes do: {right}");
    let answer =
        [b"HTTP/1.1 200 OK\r\ncontent-type: image/webp\r\ncontent-length: 65536\r\n\r\n".to_vec(), whole].concat();
    let wrong = right.replacen("gW", "gX", 1);
    for (hash, outcome) in [(right, Outcome::Ok), (wrong, Outcome::WrongHash)] {
        let (samples, _) = scripted(answer.clone(), Some(&hash)).await;
        assert_eq!(samples[0].outcome, outcome, "{hash}: {:?}", samples[0].error);
        assert_eq!(samples[0].failed_phase, None, "all phases went by");
        assert_eq!(samples[0].rates.effective.is_some(), outcome.is_ok());
    }
}

/// Argus answers HEAD without a body, and proxies answer paths that they do not know with an empty 200.
#[tokio::test]
async fn answers_without_a_body_say_what_is_wrong() {
    use Profile::{Argus, Colossus, Http};
    let empty = "HTTP/1.1 200 OK\r\nserver: Caddy\r\ncontent-length: 0\r\n\r\n";
    let json = "HTTP/1.1 404 Not Found\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: 39\r\n\r\n";
    let page = "HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 9\r\n\r\n";
    for (profile, answer, part, outcome, words) in [
        (Argus, json, PartName::Check, Outcome::ObjectNotFound, "does not know the object"),
        (Argus, page, PartName::Check, Outcome::Http4xx, "status 404"),
        (Argus, empty, PartName::Check, Outcome::RouteNotFound, "the path of the endpoint is probably wrong"),
        (Colossus, empty, PartName::Check, Outcome::RouteNotFound, "the path of the endpoint is probably wrong"),
        (Http, empty, PartName::Full, Outcome::WrongSize, "or its path is wrong"),
    ] {
        let (samples, _) = scripted_as(profile, answer.into(), None).await;
        assert_eq!((samples[0].labels.part, samples[0].outcome), (Some(part), outcome), "{profile:?} {answer}");
        assert!(samples[0].error.as_ref().unwrap().contains(words), "{:?}", samples[0].error);
    }
}

/// A run of one whole image against a server that sends this answer.
async fn scripted(answer: Vec<u8>, hash: Option<&str>) -> (Vec<Sample>, RunResult) {
    scripted_as(Profile::Http, answer, hash).await
}

/// The same of a server of this kind.
async fn scripted_as(profile: Profile, answer: Vec<u8>, hash: Option<&str>) -> (Vec<Sample>, RunResult) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let mut node = Plan::new(&url, PartName::Full, bandprobe::probe::requested_bytes::RequestedBytes::Whole).node;
    node.assets[0].hash = hash.map(Arc::from);
    node.listing.profile = profile;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 4_096];
        let _ = socket.read(&mut request).await;
        let _ = socket.write_all(&answer).await;
        let _ = socket.read(&mut request).await;
    });
    run(None, &node, &probe(AssetKind::Image, &[FULL])).await
}
