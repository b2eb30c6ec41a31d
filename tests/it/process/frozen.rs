//! bandprobe itself is stopped (SIGSTOP, as by `docker pause`, a cgroup freezer or a VM snapshot), while its nodes go
//! on.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use bandprobe::record::schema::{transfer, worker};
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::{Child, Ended, PATIENCE, World, command, objects, points, sound, until};
use crate::{fault::certificate, rounds};

use self::nodes::{Meeting, Part};

mod nodes;
mod send;
mod states;

/// The expected outcome of a transfer, by the phase in which the prober is frozen.
const CASES: [(&str, Part, &str, &str); 12] = [
    ("connect", nodes::connect, "http", "ok"),
    ("tls", nodes::tls, "https", "ok"),
    ("wait", nodes::wait, "http", "ok"),
    ("receive", nodes::receive, "http", "ok"),
    ("trickle", nodes::trickle, "http", "ok"),
    ("silent head", nodes::silent_head, "http", "headers_timeout"),
    ("silent body", nodes::silent_body, "http", "stalled"),
    ("gives up on tls", nodes::gives_up_on_tls, "https", "local_failed"),
    ("gives up on the body", nodes::gives_up_on_body, "http", "local_failed"),
    ("resets", nodes::resets, "http", "local_failed"),
    ("request timeout", nodes::request_timeout, "http", "local_failed"),
    ("not found", nodes::not_found, "http", "http_4xx"),
];

/// How long the prober is frozen: longer than each deadline, and with `BANDPROBE_LONG_TESTS=1` much longer.
fn lengths() -> &'static [Duration] {
    const LENGTHS: [Duration; 3] = [Duration::from_secs(6), Duration::from_secs(30), Duration::from_secs(120)];
    &LENGTHS[..rounds(1, LENGTHS.len())]
}

/// One test, so that everything is frozen at the same time.
#[test]
fn a_prober_that_was_frozen_blames_no_node() {
    let dir = TempDir::new().unwrap();
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, certificate::ca_pem()).unwrap();
    thread::scope(|scope| {
        for length in lengths() {
            for (name, part, scheme, outcome) in CASES {
                let ca = ca.to_str().unwrap();
                scope.spawn(move || {
                    let listener = nodes::listen();
                    let url = format!("{scheme}://{}/image.webp", listener.local_addr().unwrap());
                    if name == "connect" {
                        nodes::fill(&listener);
                    }
                    let ended = frozen(*length, command(&["probe", &url, "--json", "--ca-file", ca]), move |meeting| {
                        drop(part(&listener, meeting))
                    });
                    let name = format!("{name}, {length:?}");
                    let samples = objects(&ended.stdout);
                    assert_eq!(samples.len(), 1, "{name}: {ended:?}");
                    assert_frozen(&samples[0], outcome, &name);
                    assert_eq!(ended.code, Some(if outcome == "ok" { 0 } else { 3 }), "{name}");
                });
            }
            scope.spawn(move || a_lookup_that_was_frozen(*length));
            scope.spawn(move || states::round(*length));
        }
        scope.spawn(send::in_another_network);
    });
}

/// By a name server of its own, in a round of `once`.
fn a_lookup_that_was_frozen(length: Duration) {
    let dir = TempDir::new().unwrap();
    let (listener, socket) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (port, server) = (listener.local_addr().unwrap().port(), socket.local_addr().unwrap());
    let config = config(
        &dir,
        &format!("resolver = [\"{server}\"]\nfamily = \"4\""),
        "image",
        &[("n", &format!("http://node.test:{port}/"), "http")],
    );
    thread::spawn(move || {
        // Nothing stops here a second time.
        let (reached, _unheard) = mpsc::channel();
        let (_, stopped) = mpsc::channel();
        nodes::wait(&listener, &Meeting { reached, stopped })
    });
    let ended = frozen(length, command(&["once", "-c", &config, "--json"]), move |meeting| {
        drop(nodes::names(&socket, meeting))
    });
    let samples = objects(&ended.stdout);
    assert!(!samples.is_empty(), "{length:?}: {ended:?}");
    // Of the run's further parts the node answers none.
    assert_frozen(&samples[0], "ok", &format!("dns, {length:?}"));
}

/// The worker was stopped between and in its runs.
#[test]
fn a_worker_that_was_frozen_goes_on_and_counts_it() {
    let world = World::new(vec![sound("a"), sound("b")]);
    let config = world.config("worker.toml", None, "");
    let worker = Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]));
    until("a transfer in the archive", || !world.archived().is_empty());
    stand_still(&worker, lengths()[0]);
    let before = world.archived().len();
    until("transfers after it", || world.archived().len() > before + 2);
    worker.signal("TERM");
    let ended = worker.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("bandprobe did not run for"), "{ended:?}");
    let points = points(&world.archive());
    let sum = |field: &str| -> u64 {
        let ours = points.iter().filter(|(measurement, ..)| measurement == worker::MEASUREMENT.name);
        ours.map(|(.., fields, _)| fields[field].trim_end_matches('i').parse::<u64>().unwrap()).sum()
    };
    let frozen = Duration::from_micros(sum(worker::FROZEN.name));
    assert!(frozen >= lengths()[0] - Duration::from_millis(200), "{frozen:?}");
    assert!(sum(worker::RUNS_MISSED.name) >= 4, "slots passed every second during the freeze");
    for (measurement, tags, fields, _) in &points {
        if measurement == transfer::MEASUREMENT.name && tags["outcome"] != "ok" {
            assert_eq!(tags["outcome"], "local_failed", "{tags:?} {fields:?}");
        }
    }
}

/// Runs a process, stops it for this long where the node asks for it, and returns its output.
fn frozen(length: Duration, mut start: Command, node: impl FnOnce(&Meeting) + Send + 'static) -> Ended {
    let (reached, is_reached) = mpsc::channel();
    let (stop, stopped) = mpsc::channel();
    thread::spawn(move || node(&Meeting { reached, stopped }));
    let child = Child::spawn(&mut start);
    is_reached.recv_timeout(PATIENCE).unwrap();
    freeze(&child);
    stop.send(()).unwrap();
    thread::sleep(length);
    child.signal("CONT");
    child.end()
}

fn stand_still(child: &Child, length: Duration) {
    freeze(child);
    thread::sleep(length);
    child.signal("CONT");
}

/// Stops a process, all of its threads (proc(5): the state after the name, which ends with a parenthesis).
pub(super) fn freeze(child: &Child) {
    child.signal("STOP");
    let stat = format!("/proc/{}/stat", child.id());
    until("the process stands still", || {
        fs::read_to_string(&stat).unwrap().rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    });
}

/// A configuration for a round of `once`: network settings, probes, and nodes by id, endpoint and profile.
fn config(dir: &TempDir, network: &str, probe: &str, nodes: &[(&str, &str, &str)]) -> String {
    let mut text = format!(
        "vantage.id = \"here\"\narchive.dir = \"archive\"\nschedule.probes = [\"{probe}\"]\n[network]\n{network}\n\
         [[source]]\nkind = \"static\"\n"
    );
    for (id, endpoint, profile) in nodes {
        // A node of this profile has assets by path, the others by number.
        let asset = if *profile == "http" { "path = \"image.webp\"" } else { "id = \"1\"" };
        text += &format!(
            "[[source.nodes]]\nid = \"{id}\"\nendpoint = \"{endpoint}\"\nprofile = \"{profile}\"\n\
             assets = [{{ kind = \"image\", {asset} }}]\n"
        );
    }
    let path = dir.path().join("bandprobe.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Flagged, not valid, without any time that could be taken for the node's.
fn assert_frozen(sample: &Map<String, Value>, outcome: &str, name: &str) {
    let text = |field: &str| sample.get(field).and_then(Value::as_str).unwrap_or_default();
    assert_eq!(text("outcome"), outcome, "{name}: {sample:?}");
    assert!(text("flags").split(',').any(|flag| flag == "frozen"), "{name}: {sample:?}");
    assert_eq!(sample["valid"], 0, "{name}");
    let said_so = text("error").contains("bandprobe itself did not run for");
    assert_eq!(said_so, outcome == "local_failed", "{name}: {sample:?}");
    for field in [transfer::DNS, transfer::CONNECT, transfer::TLS, transfer::WAIT, transfer::RECEIVE, transfer::TTFB]
        .into_iter()
        .chain([transfer::TOTAL, transfer::SERVER_TIME, transfer::EFFECTIVE, transfer::STALLS, transfer::LONGEST_GAP])
    {
        assert!(!sample.contains_key(field.name), "{name}: {}: {sample:?}", field.name);
    }
    if outcome == "ok" {
        assert_eq!(sample["bytes"], nodes::BODY, "{name}");
    }
}
