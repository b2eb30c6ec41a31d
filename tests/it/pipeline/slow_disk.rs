//! A disk whose syncs take 3 s: fsync(2) is delayed in the binary (slow_disk.c), compared with the same run on a fast
//! disk. Also a disk on which every operation is slow, or never returns.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use bandprobe::record::schema::{node, transfer, worker};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    fault::{
        FaultServer,
        server::{Behaviour, Port, Step},
    },
    process::{Child, Ended, Line, World, command, points, until},
    skip::skip,
};

/// How many nodes are probed, each once a second.
const NODES: usize = 11;
/// How long, in slots of each node.
const SLOTS: usize = 8;
/// What a sync takes.
const DELAY: Duration = Duration::from_secs(3);
/// How long a slow disk may delay the end by the docs, and how much longer on a busy machine.
const END: Duration = Duration::from_secs(10 + 25);
/// What it takes on a disk that hangs: longer than any test.
const HANG: Duration = Duration::from_secs(3_600);

/// The shim that delays syncs; nothing without a C compiler.
fn shim(dir: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/slow_disk.c");
    let library = dir.join("slow_disk.so");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    if built.as_ref().is_ok_and(std::process::ExitStatus::success) {
        return Some(library);
    }
    skip("the tests with a slow disk", "no C compiler");
    None
}

/// Sends one small image.
fn images(_: usize) -> Vec<Step> {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: image/webp\r\ncontent-length: 1000\r\n\r\n".to_owned();
    vec![Step::Request, Step::Send((answer + &"x".repeat(1_000)).into())]
}

/// Never answers.
fn silence(_: usize) -> Vec<Step> {
    vec![Step::Request, Step::Hold]
}

fn server() -> FaultServer {
    FaultServer::start(Behaviour { port: Port::Http, script: images })
}

/// A configuration that probes each of this many nodes on `server` once a second.
fn config(world: &World, server: &str, nodes: usize) -> PathBuf {
    let mut text = "vantage.id = \"here\"\narchive = { dir = \"archive\", sync = \"1s\" }\nrecord.window = \"1s\"\n\
         [schedule]\nprobes = [\"./one.toml\", { probe = \"status\", every = \"1s\" }]\n\
         [limits]\nlight-transfers = 64\n[[source]]\nkind = \"static\"\n"
        .to_owned();
    for node in 0..nodes {
        text += &format!(
            "[[source.nodes]]\nid = \"n{node}\"\nendpoint = \"http://{server}/{node}/\"\n\
             assets = [{{ kind = \"image\", path = \"x\", size = \"1 kB\" }}]\n"
        );
    }
    world.write(
        "one.toml",
        "# One image.\nkind = \"image\"\nevery = \"1s\"\nspacing = \"fixed\"\njitter = \"0s\"\nparts = [{ name = \"full\" }]\n",
    );
    world.write("config.toml", &text)
}

/// One worker with the shim.
struct Slow {
    world: World,
    child: Child,
}

impl Slow {
    fn start(server: &str, nodes: usize, delay: Duration) -> Option<Self> {
        let world = World::new(vec![]);
        let shim = shim(world.dir.path())?;
        let config = config(&world, server, nodes);
        let mut run = command(&["run", "-c", config.to_str().unwrap()]);
        run.env("LD_PRELOAD", shim).env("SLOW_DISK_MS", delay.as_millis().to_string());
        run.env("SLOW_DISK_LOG", world.path("calls"));
        Some(Self::spawn(world, run))
    }

    /// One whose disk has everything take this long once it is [slowed](Self::slow_down).
    fn later(server: &str, nodes: usize, delay: Duration) -> Option<Self> {
        let world = World::new(vec![]);
        let shim = shim(world.dir.path())?;
        let config = config(&world, server, nodes);
        let mut run = command(&["run", "-c", config.to_str().unwrap()]);
        run.env("LD_PRELOAD", shim).env("SLOW_DISK_MS", delay.as_millis().to_string());
        run.env("SLOW_DISK_ALL", world.archive()).env("SLOW_DISK_SINCE", world.path("slow"));
        Some(Self::spawn(world, run))
    }

    fn spawn(world: World, mut run: Command) -> Self {
        let child = Child::spawn(&mut run);
        Self { world, child }
    }

    fn slow_down(&self) {
        self.world.write("slow", "");
    }

    /// Waits for its end after SIGTERM, and says how long that took and what it left.
    fn end(self) -> (Duration, Ended, World) {
        let Self { world, child } = self;
        let began = Instant::now();
        let ended = child.end();
        (began.elapsed(), ended, world)
    }
}

/// How many points of a measurement there are.
fn count(points: &[Line], measurement: &str) -> usize {
    points.iter().filter(|point| point.0 == measurement).count()
}

/// The sum of a counter over the worker's points.
fn sum(points: &[Line], field: &str) -> u64 {
    let of = points.iter().filter(|point| point.0 == worker::MEASUREMENT.name);
    of.map(|point| point.2[field].trim_end_matches('i').parse::<u64>().unwrap()).sum()
}

fn calls(world: &World, what: &str) -> usize {
    let calls = fs::read_to_string(world.path("calls")).unwrap_or_default();
    calls.lines().filter(|call| call.contains(what)).count()
}

#[test]
fn slow_syncs_cost_no_run_and_no_round() {
    let (quick_server, slow_server) = (server(), server());
    let start = |server: &FaultServer, delay| Slow::start(&server.address().to_string(), NODES, delay);
    let Some(slow) = start(&slow_server, DELAY) else { return };
    // Making the data directory is synced before the first run.
    until("the slow one probes", || slow_server.heads().len() > NODES);
    let quick = start(&quick_server, Duration::ZERO).unwrap();
    until("the quick one probes", || quick_server.heads().len() > NODES);
    let before = slow_server.heads().len();
    let began = quick_server.heads().len();
    // An image and a status check a slot.
    until("the slots have passed", || quick_server.heads().len() >= began + 2 * NODES * SLOTS);
    let (made, expected) = (slow_server.heads().len() - before, quick_server.heads().len() - began);
    assert!(made * 10 >= expected * 8, "{made} requests where a quick disk has {expected}");
    [&slow, &quick].iter().for_each(|worker| worker.child.signal("TERM"));
    let (_, _, quick) = quick.end();
    let (took, ended, world) = slow.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(took < END, "stopped after {took:?}");

    assert!(calls(&world, "sync") > 5, "the shim is at work");
    let (slow, quick) = (points(&world.archive()), points(&quick.archive()));
    let runs = count(&slow, transfer::MEASUREMENT.name);
    let rounds = [&slow, &quick].map(|points| count(points, node::MEASUREMENT.name) / NODES);
    assert!(rounds[0] * 10 >= rounds[1] * 6, "status rounds, slow and quick: {rounds:?}");
    assert_eq!(sum(&slow, "points_dropped"), 0, "nothing is lost");
    let [missed, usual] = [&slow, &quick].map(|points| sum(points, "runs_missed"));
    assert!(missed <= usual + runs as u64 / 5, "{missed} runs missed, {usual} with a quick disk");
    let kept = fs::read_to_string(world.path("archive/state/budget.json")).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    let transferred = 1_000 * runs as u64;
    // A run that was cut off at the end may have received its image.
    let spent = kept["total"].as_u64().unwrap();
    assert!((transferred..=transferred + 1_000 * NODES as u64).contains(&spent), "{spent} of {transferred} bytes");
}

#[test]
fn the_budget_is_written_once_a_second_at_most() {
    let (nodes, began) = (1_000, Instant::now());
    // Nothing listens there, so a run costs us little and the node nothing.
    let Some(busy) = Slow::start("127.0.0.1:1", nodes, Duration::ZERO) else { return };
    until("it has probed for a while", || calls(&busy.world, "budget.json") >= 5);
    busy.child.signal("TERM");
    // On a machine that is too busy for it, what waits in memory at the end is lost, and it says so.
    let (_, ended, world) = busy.end();
    assert!(matches!(ended.code, Some(0 | 1)), "{}", ended.stderr);
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    let points = points(&world.archive());
    let (runs, rounds) = (count(&points, transfer::MEASUREMENT.name), count(&points, node::MEASUREMENT.name) / nodes);
    let writes = calls(&world, "budget.json");
    assert!(writes <= seconds + 1, "{writes} writes in {seconds} s");
    assert!(runs > nodes / 2 && rounds > 0, "{runs} runs and {rounds} status rounds in {seconds} s");
}

#[test]
fn a_slow_disk_loses_nothing() {
    let server = server();
    let Some(slow) = Slow::later(&server.address().to_string(), NODES, DELAY) else { return };
    until("it records", || slow.world.archived().len() > NODES);
    slow.slow_down();
    let before = server.heads().len();
    until("it goes on probing", || server.heads().len() > before + 2 * NODES * SLOTS);
    slow.child.signal("TERM");
    let (took, ended, world) = slow.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(took < END, "stopped after {took:?}");
    let points = points(&world.archive());
    assert_eq!(sum(&points, "transfers"), count(&points, transfer::MEASUREMENT.name) as u64, "{}", ended.stderr);
}

#[test]
fn a_hanging_disk_delays_the_end_only_up_to_the_limit() {
    let server = server();
    let Some(hanging) = Slow::later(&server.address().to_string(), NODES, HANG) else { return };
    until("it records", || hanging.world.archived().len() > NODES);
    hanging.slow_down();
    let before = server.heads().len();
    until("it goes on probing", || server.heads().len() > before + 2 * NODES * SLOTS);
    hanging.child.signal("TERM");
    let (took, ended, _) = hanging.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(" points were lost: the archive could not be written"), "{}", ended.stderr);
    assert!(took < END, "stopped after {took:?}");
}

/// `once` may deliver for 30 s, but has nothing to deliver to here, or has to hurry.
#[test]
fn once_waits_for_a_hanging_disk_as_documented() {
    for is_hurried in [false, true] {
        let (world, server) = (World::new(vec![]), FaultServer::start(Behaviour { port: Port::Http, script: silence }));
        let Some(shim) = shim(world.dir.path()) else { return };
        let config = config(&world, &server.address().to_string(), 1);
        if is_hurried {
            let database = "[influxdb]\nurl = \"http://127.0.0.1:1\"\norg = \"o\"\nbucket = \"b\"\n";
            fs::write(&config, fs::read_to_string(&config).unwrap() + database).unwrap();
        }
        let mut once = command(&["once", "-c", config.to_str().unwrap()]);
        once.env("LD_PRELOAD", shim).env("SLOW_DISK_MS", HANG.as_millis().to_string());
        once.env("SLOW_DISK_ALL", world.archive()).env("SLOW_DISK_SINCE", world.path("slow"));
        if is_hurried {
            once.env("BANDPROBE_INFLUXDB_TOKEN", "t");
        }
        let once = Child::spawn(&mut once);
        until("it probes", || !server.heads().is_empty());
        world.write("slow", "");
        let began = Instant::now();
        once.signal("TERM");
        let ended = std::thread::scope(|scope| {
            let id = once.id().to_string();
            let ending = scope.spawn(|| once.end());
            // A signal within a second of the first one does not count.
            while is_hurried && !ending.is_finished() {
                std::thread::sleep(Duration::from_millis(1_500));
                let _ = Command::new("kill").args(["-s", "TERM", &id]).stderr(std::process::Stdio::null()).status();
            }
            ending.join().unwrap()
        });
        let took = began.elapsed();
        assert!(took < END, "stopped after {took:?}, hurried: {is_hurried}: {}", ended.stderr);
    }
}

#[test]
fn a_start_on_a_hanging_disk_can_be_interrupted() {
    for (name, code) in [("run", 0), ("once", 1)] {
        let world = World::new(vec![]);
        let Some(shim) = shim(world.dir.path()) else { return };
        let config = config(&world, "127.0.0.1:1", 1);
        let mut start = command(&[name, "-c", config.to_str().unwrap()]);
        start.env("LD_PRELOAD", shim).env("SLOW_DISK_MS", HANG.as_millis().to_string());
        start.env("SLOW_DISK_LOG", world.path("calls"));
        let child = Child::spawn(&mut start);
        until("it waits for the disk", || calls(&world, "sync") > 0);
        child.signal("TERM");
        let ended = child.end();
        assert_eq!(ended.code, Some(code), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains("nothing was probed"), "{name}: {}", ended.stderr);
    }
}
