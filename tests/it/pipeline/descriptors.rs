//! Few file descriptors: fewer connections are open at the same time, and no node is blamed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use bandprobe::record::schema::{Measurement, node, transfer};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::{
    fault::{
        FaultServer,
        server::{Behaviour, Port, Step},
    },
    process::{Child, World, command, objects, points, until},
};

/// Nodes of the worker.
const NODES: usize = 8;

/// Sends small images over connections that stay open.
fn images(_: usize) -> Vec<Step> {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: image/webp\r\ncontent-length: 1000\r\n\r\n".to_owned();
    let step = [Step::Request, Step::Send((answer + &"x".repeat(1_000)).into())];
    [step.clone(), step].concat()
}

/// Sends an image slowly enough that other nodes are probed in the meantime.
fn slow_images(connection: usize) -> Vec<Step> {
    [vec![Step::Pause(Duration::from_millis(300))], images(connection)].concat()
}

/// A configuration with this many nodes on the server, and what else it sets.
fn config(world: &World, server: &FaultServer, nodes: usize, more: &str) -> PathBuf {
    let mut text = format!("vantage.id = \"here\"\narchive.dir = \"archive\"\n{more}\n[[source]]\nkind = \"static\"\n");
    for number in 0..nodes {
        text += &format!(
            "[[source.nodes]]\nid = \"n{number}\"\nendpoint = \"http://{}/{number}/\"\n\
             assets = [{{ kind = \"image\", path = \"x\", size = \"1 kB\" }}]\n",
            server.address()
        );
    }
    world.write("config.toml", &text)
}

#[test]
fn a_round_over_many_nodes_needs_few_descriptors() {
    let world = World::new(vec![]);
    let server = FaultServer::start(Behaviour { port: Port::Http, script: images });
    let nodes = 200;
    // Each run keeps its connection for a second image.
    let config = config(&world, &server, nodes, "schedule.probes = [\"./image.toml\"]\nlimits.light-transfers = 16");
    let script = "ulimit -n 128 && exec \"$0\" once --json -c \"$1\"";
    let mut few = Command::new("bash");
    few.args(["-c", script, env!("CARGO_BIN_EXE_bandprobe"), config.to_str().unwrap()]);
    let ended = Child::spawn(piped(&mut few)).end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let transfers = objects(&ended.stdout);
    let outcomes: Vec<_> = transfers.iter().filter_map(|transfer| transfer["outcome"].as_str()).collect();
    let other: BTreeSet<_> = outcomes.iter().filter(|outcome| **outcome != "ok").collect();
    assert_eq!((outcomes.len(), other), (2 * nodes, BTreeSet::new()));
    let warm = transfers.iter().filter(|transfer| transfer["conn"] == "warm").count();
    assert_eq!(warm, nodes, "a connection is kept for the second image");
}

/// A worker that suddenly has no free descriptor, then one or a few, and then enough again.
#[test]
fn missing_descriptors_are_not_charged_to_a_node() {
    let world = World::new(vec![]);
    let server = FaultServer::start(Behaviour { port: Port::Http, script: slow_images });
    let more = "schedule.probes = [\"./image.toml\", { probe = \"status\", every = \"1s\" }]";
    let config = config(&world, &server, NODES, more);
    let worker = Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]));
    until("every node is ok", || rounds(&world).iter().any(|round| round.iter().all(|state| state == "ok")));
    limit(&worker, Some(3));
    until("a round gets none", || rounds(&world).iter().any(|round| round.iter().all(|state| state == "unknown")));
    until("a transfer gets none", || {
        values(&world, &transfer::MEASUREMENT, "outcome").contains(&"local_failed".into())
    });
    let files = fs::read_dir(format!("/proc/{}/fd", worker.id())).unwrap().count() as u64;
    let mixed = |round: &Vec<String>| ["ok", "unknown"].iter().all(|one| round.iter().any(|state| state == one));
    for limit_now in files - 2..files + 8 {
        limit(&worker, Some(limit_now));
        let before = rounds(&world).len();
        until("two more rounds", || rounds(&world).len() >= before + 2);
        if rounds(&world).iter().any(mixed) {
            break;
        }
    }
    assert!(rounds(&world).iter().any(mixed), "some checks of a round get one: {:?}", rounds(&world));
    limit(&worker, None);
    let before = rounds(&world).len();
    until("two more rounds", || rounds(&world).len() >= before + 3);
    assert!(rounds(&world).last().unwrap().iter().all(|state| state == "ok"));
    worker.signal("TERM");
    let ended = worker.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for (_, tags, fields, _) in points(&world.archive()) {
        let outcome = tags.get("outcome").map_or("ok", String::as_str);
        assert!(matches!(outcome, "ok" | "local_failed"), "{tags:?} {fields:?}");
        assert_ne!(fields.get(transfer::RUN_OK.name).map(String::as_str), Some("0i"), "{tags:?} {fields:?}");
        assert_ne!(fields.get(node::STATE.name).map(String::as_str), Some("\"dead\""), "{tags:?} {fields:?}");
    }
}

/// What each status round found, a state a node.
fn rounds(world: &World) -> Vec<Vec<String>> {
    let states = values(world, &node::MEASUREMENT, node::STATE.name);
    states.chunks_exact(NODES).map(<[_]>::to_vec).collect()
}

/// The values of a tag or field of a measurement's points.
fn values(world: &World, measurement: &Measurement, key: &str) -> Vec<String> {
    let of = points(&world.archive()).into_iter().filter(|point| point.0 == measurement.name);
    of.map(|(_, tags, fields, _)| tags.get(key).or(fields.get(key)).unwrap().trim_matches('"').to_owned()).collect()
}

/// Limits how many files a process may open; without a number, to the limit of this process.
fn limit(worker: &Child, files: Option<u64>) {
    let pid = Pid::from_raw(worker.id().try_into().unwrap()).unwrap();
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = files.or(maximum);
    prlimit(Some(pid), Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

fn piped(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())
}
