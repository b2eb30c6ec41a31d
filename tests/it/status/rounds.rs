//! Whole rounds through the pipeline: what they find, and the points that they leave.

use std::{collections::BTreeMap, future::pending, path::Path, sync::Arc, time::Duration};

use bandprobe::{
    archive::reader,
    config::{
        Config,
        check::{Input, load},
    },
    demo::DemoNodes,
    model::{
        health::{CheckedNode, HealthState},
        target::{BlockedNode, Coordinates, Listing, Node, Origin, Profile, Targets},
    },
    worker::{discovery::Discovery, pipeline::Pipeline, status_rounds},
};
use tempfile::TempDir;
use tokio::sync::watch;

use super::{answer, node, probe, serve};
use crate::{
    fault::{
        FaultServer,
        server::{Behaviour, Port, Step},
    },
    process::sound,
};

/// Documents of one demo.
macro_rules! document {
    ($blocks:literal, $head:literal, $rest:literal) => {
        serve(|_| {
            let body = format!(
                r#"{{"queryNodeStatus":{{"chainHead":{},"blocksProcessed":{}}},"version":"2.1.2"{}}}"#,
                $head, $blocks, $rest
            );
            vec![Step::Request, Step::Send(answer("200 OK", "", &body))]
        })
    };
}

fn config(dir: &Path) -> Config {
    let text = r#"
        vantage = { id = "here", latitude = 0, longitude = 0 }
        archive.dir = "archive"
        source = [{ kind = "static", nodes = [{ id = "n", endpoint = "http://n.example/", profile = "argus" }] }]
    "#;
    let read = |_: &Path| Ok(text.as_bytes().to_vec());
    load(&Input { path: &dir.join("b.toml"), environment: &BTreeMap::new(), read: &read }).unwrap()
}

pub(super) fn start(dir: &TempDir) -> Pipeline {
    let config = config(dir.path());
    let discovery = Discovery::load(&config).unwrap();
    Pipeline::start(&config, discovery, Box::new(|_| {}), Box::new(|| Ok(None))).unwrap()
}

/// Stops the pipeline, then reads what a measurement has in the archive: each line without its latency and time.
async fn lines(pipeline: Pipeline, dir: &TempDir, measurement: &str) -> Vec<String> {
    let stopped = pipeline.stop(Duration::ZERO, pending()).await;
    assert_eq!(stopped.lost, 0);
    let lines = reader::lines(&dir.path().join("archive"), None).unwrap().map(Result::unwrap);
    let ours = lines.filter_map(|line| line.strip_prefix(&format!("{measurement},vantage=here,")).map(str::to_owned));
    let bare = |line: String| {
        let (line, _time) = line.trim_end().rsplit_once(' ').unwrap();
        let Some((before, after)) = line.split_once("latency_us=") else { return line.to_owned() };
        format!("{before}{}", after.split_once(',').unwrap().1)
    };
    ours.map(bare).collect()
}

fn blocked(id: &str) -> BlockedNode {
    let listing = Listing { operators: vec!["9:0-9".into()], ..Listing::bare(Origin::Joystream, Profile::Argus) };
    BlockedNode {
        id: id.into(),
        endpoint: "ftp://x".into(),
        reason: "only http and https can be probed".into(),
        listing,
    }
}

/// What the fleet of the next test leaves.
const EXPECTED: [&str; 13] = [
    "node=sound,region=eu\\ west,role=distributor state_code=0i,state=\"ok\",reason=\"nothing wrong; it is switched off in the registry\",up=1i,status=200i,\
         blocks_behind=-1i,head_behind=0i,uptime_s=70i,version=\"2.1.2\",node_env=\"production\",storage_used=5i,\
         storage_limit=9i,cached_objects=3i,downloads_in_progress=1i,distributing=0i,operators=\"1:0-1,1:1-1\",distance_km=0",
    "node=storage,region=none,role=storage state_code=0i,state=\"ok\",reason=\"nothing wrong\",up=1i,status=200i,\
         blocks_behind=-2i,head_behind=0i,version=\"2.1.2\",node_env=\"production\"",
    "node=old,region=none,role=distributor state_code=0i,state=\"ok\",reason=\"nothing wrong\",up=1i,status=200i,\
         blocks_behind=0i,head_behind=1i,version=\"1.2.0\"",
    "node=lagging,region=none,role=distributor state_code=1i,state=\"degraded\",reason=\"4,197 blocks behind the fleet's \
         median of 5 nodes (100 allowed): its query node is not keeping up\",up=1i,status=200i,blocks_behind=4197i,\
         head_behind=-1i,version=\"2.1.2\",node_env=\"production\"",
    "node=slow,region=none,role=distributor state_code=2i,state=\"misconfigured\",reason=\"nodeEnv is \
         `development`, not `production`: it serves slowly\",up=1i,status=200i,blocks_behind=-1i,head_behind=0i,\
         version=\"2.1.2\",node_env=\"development\"",
    "node=stray,region=none,role=distributor state_code=2i,state=\"misconfigured\",reason=\"chain head 890,000 ahead of \
         the fleet's median of 5 nodes, and its blocks are outside the limits too: it follows another chain, or the others stand still\",up=1i,\
         status=200i,blocks_behind=9994i,head_behind=-890000i,version=\"2.1.2\",node_env=\"production\"",
    "node=proxy,region=none,role=distributor state_code=3i,state=\"dead\",reason=\"its proxy answers 502, but the \
         node behind it does not answer\",up=0i,status=502i",
    "node=plain,region=none,role=http state_code=0i,state=\"ok\",reason=\"nothing wrong\",up=1i,status=200i",
    "node=gone,region=none,role=distributor state_code=3i,state=\"dead\",reason=\"cannot be reached: nothing listens on \
         the port (connect: Connection refused (os error 111))\",up=0i,error=\"connect: Connection refused (os error 111)\"",
    "node=private,region=none,role=distributor state_code=4i,state=\"blocked\",reason=\"never contacted: connect: refused \
         to dial 127.0.0.1: loopback\",up=0i,error=\"connect: refused to dial 127.0.0.1: loopback\"",
    "node=fine,region=none,role=distributor state_code=0i,state=\"ok\",reason=\"nothing wrong\",up=1i,status=200i,\
         blocks_behind=-1i,head_behind=0i,version=\"2.1.2\",node_env=\"production\"",
    "node=fine-2,region=none,role=distributor state_code=0i,state=\"ok\",reason=\"nothing wrong\",up=1i,status=200i,\
         blocks_behind=-1i,head_behind=0i,version=\"2.1.2\",node_env=\"production\"",
    "node=odd,region=none,role=distributor state_code=4i,state=\"blocked\",reason=\"never contacted: only http and https \
         can be probed\",up=0i,operators=\"9:0-9\"",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_writes_a_point_for_each_node() {
    let sound = document!(
        9_998,
        10_000,
        r#","nodeEnv":"production","uptime":70,"storageUsed":5,"storageLimit":9,"objectsInCache":3,"downloadsInProgress":1"#
    );
    let storage = document!(9_999, 10_000, r#","nodeEnv":"production""#);
    let old = document!(9_997, 9_999, r#","version":"1.2.0""#);
    let lagging = document!(5_800, 10_001, r#","nodeEnv":"production""#);
    let slow = document!(9_998, 10_000, r#","nodeEnv":"development""#);
    let stray = document!(3, 900_000, r#","nodeEnv":"production""#);
    let proxy = serve(|_| vec![Step::Request, Step::Send(answer("502 Bad Gateway", "", "<html>"))]);
    let plain = serve(|_| vec![Step::Request, Step::Send(answer("200 OK", "", "<html>"))]);
    let gone = FaultServer::start(Behaviour { port: Port::Refused, script: |_| vec![] });
    let private = serve(|_| vec![Step::Request]);
    let fine = document!(9_998, 10_000, r#","nodeEnv":"production""#);
    let mut nodes: Vec<Node> = [
        ("sound", &sound, Profile::Argus),
        ("storage", &storage, Profile::Colossus),
        ("old", &old, Profile::Argus),
        ("lagging", &lagging, Profile::Argus),
        ("slow", &slow, Profile::Argus),
        ("stray", &stray, Profile::Argus),
        ("proxy", &proxy, Profile::Argus),
        ("plain", &plain, Profile::Http),
        ("gone", &gone, Profile::Argus),
        ("private", &private, Profile::Argus),
        ("fine", &fine, Profile::Argus),
        ("fine-2", &fine, Profile::Argus),
    ]
    .map(|(id, server, profile)| node(id, server, profile))
    .into();
    nodes[9].listing.origin = Origin::Joystream;
    nodes[0].listing = Listing {
        region: Some("eu west".into()),
        location: Some(Coordinates::new(0.0, 0.0).unwrap()),
        operators: vec!["1:0-1".into(), "1:1-1".into()],
        distributing: Some(false),
        ..nodes[0].listing.clone()
    };
    let targets = Targets { nodes: nodes.into_iter().map(Arc::new).collect(), blocked: vec![blocked("odd")] };

    let dir = TempDir::new().unwrap();
    let pipeline = start(&dir);
    let checked = status_rounds::round(&pipeline, &targets, &probe()).await;
    assert_eq!(private.connections(), 0, "never contacted");
    let states: Vec<_> = checked.iter().map(|checked| checked.health.state.code()).collect();
    assert_eq!(states, [0, 0, 0, 1, 2, 2, 3, 0, 3, 4, 0, 0, 4]);
    assert_eq!(lines(pipeline, &dir, "bandprobe_node").await, EXPECTED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_the_demo_are_healthy_and_in_sync() {
    let demo = DemoNodes::start(vec![sound("a"), sound("b"), sound("c")]).await.unwrap();
    let targets = Targets { nodes: demo.nodes().iter().cloned().map(Arc::new).collect(), blocked: vec![] };
    let dir = TempDir::new().unwrap();
    let pipeline = start(&dir);
    for CheckedNode { health, answer, .. } in status_rounds::round(&pipeline, &targets, &probe()).await {
        assert_eq!((health.state, &*health.reason, health.up), (HealthState::Ok, "nothing wrong", Some(true)));
        assert!(health.blocks_behind.is_some_and(|behind| behind.abs() <= 1), "{health:?}");
        assert!(answer.unwrap().latency.is_some());
    }
    pipeline.stop(Duration::ZERO, pending()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_restart_is_noticed_across_our_own_restart() {
    let server = serve(|index| {
        let body = format!("{{\"uptime\":{}}}", [5_000, 5_000, 2, 2][index.min(3)]);
        vec![Step::Request, Step::Send(answer("200 OK", "", &body))]
    });
    let targets = Targets { nodes: vec![Arc::new(node("n", &server, Profile::Argus))], blocked: vec![] };
    let dir = TempDir::new().unwrap();
    let mut restarts = vec![];
    for _ in 0..2 {
        let pipeline = start(&dir);
        for _ in 0..2 {
            let round = status_rounds::round(&pipeline, &targets, &probe()).await;
            assert_eq!(
                (round[0].health.state, &*round[0].health.reason),
                (HealthState::Ok, "nothing wrong; it reports no block height, so its blocks are not judged")
            );
            restarts.push(round[0].restarted);
        }
        pipeline.stop(Duration::ZERO, pending()).await;
    }
    assert_eq!(restarts, [None, Some(false), Some(true), Some(false)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vantage_without_network_calls_no_node_dead() {
    let gone = || FaultServer::start(Behaviour { port: Port::Refused, script: |_| vec![] });
    let servers = [gone(), gone(), gone()];
    let nodes: Vec<_> =
        ["a", "b", "c"].iter().zip(&servers).map(|(id, server)| Arc::new(node(id, server, Profile::Argus))).collect();
    let dir = TempDir::new().unwrap();
    let pipeline = start(&dir);
    let few = Targets { nodes: nodes[..2].to_vec(), blocked: vec![] };
    let states = |round: Vec<CheckedNode>| round.iter().map(|checked| checked.health.state).collect::<Vec<_>>();
    assert_eq!(states(status_rounds::round(&pipeline, &few, &probe()).await), [HealthState::Dead; 2]);
    assert!(!pipeline.prober().vantage_health.is_suspect());

    let all = Targets { nodes, blocked: vec![blocked("odd")] };
    let round = states(status_rounds::round(&pipeline, &all, &probe()).await);
    assert_eq!(round, [HealthState::Unknown, HealthState::Unknown, HealthState::Unknown, HealthState::Blocked]);
    assert!(pipeline.prober().vantage_health.is_suspect());
    let points = lines(pipeline, &dir, "bandprobe_node").await;
    let refused = "connect: Connection refused (os error 111)";
    let expected = format!(
        "node=a,region=none,role=distributor state_code=5i,state=\"unknown\",reason=\"none of 3 nodes answered: this \
         vantage itself is most likely at fault\",error=\"{refused}\""
    );
    assert_eq!((points.len(), &points[2]), (6, &expected));
    let worker = reader::lines(&dir.path().join("archive"), None).unwrap().map(Result::unwrap);
    let worker: Vec<_> = worker.filter(|line| line.starts_with("bandprobe_worker,")).collect();
    assert!(worker.len() == 1 && worker[0].contains(",vantage_ok=0i,"), "{worker:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_follow_changes_of_the_targets() {
    let server = serve(|_| vec![Step::Request, Step::Send(answer("200 OK", "", "{\"uptime\":1}"))]);
    let dir = TempDir::new().unwrap();
    let pipeline = start(&dir);
    let (sender, targets) = watch::channel(Arc::new(Targets { nodes: vec![], blocked: vec![blocked("first")] }));
    let often = bandprobe::model::probe::StatusProbe { every: Duration::from_millis(10), ..probe() };
    let recorded = |start: &str| {
        let lines = reader::lines(&dir.path().join("archive"), None).unwrap();
        lines.filter(|line| line.as_ref().unwrap().contains(start)).count()
    };
    let watched = async {
        let second = Arc::new(node("second", &server, Profile::Argus));
        while recorded(",node=first,") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        sender.send(Arc::new(Targets { nodes: vec![second], blocked: vec![] })).unwrap();
        while recorded(",node=second,") < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = status_rounds::run(&pipeline, &often, targets) => {}
        () = watched => {}
    }
    let points = lines(pipeline, &dir, "bandprobe_node").await;
    let turn = points.partition_point(|point| point.starts_with("node=first,"));
    assert!(points[turn..].iter().all(|point| point.starts_with("node=second,")), "{points:?}");
}
