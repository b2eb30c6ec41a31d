//! A full disk: a limit on the size of files (RLIMIT_FSIZE of setrlimit(2)), lifted while the process runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::{Command, Stdio},
};

use bandprobe::{
    archive::{log::Writer, status::status},
    record::schema::{transfer, window, worker},
};

use super::{archived_ids, ids};
use crate::{
    fault::{
        FaultServer,
        server::{Behaviour, Port, Step},
    },
    process::{Child, Line, World, command, points, printed, until},
};

/// How many nodes are probed, each twice a second.
const NODES: usize = 8;

/// How long a file may get, in blocks of 512 bytes: some nine lines.
const BLOCKS: &str = "16";

/// Sends two small images.
fn images(_: usize) -> Vec<Step> {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: image/webp\r\ncontent-length: 1000\r\n\r\n".to_owned();
    let image = [Step::Request, Step::Send((answer + &"x".repeat(1_000)).into())];
    [image.clone(), image].concat()
}

/// A server that keeps the heads of its requests, and a configuration that has it probed as many nodes.
fn world() -> (FaultServer, World, PathBuf) {
    let server = FaultServer::start(Behaviour { port: Port::Http, script: images });
    let world = World::new(vec![]);
    let mut text = "vantage.id = \"here\"\nschedule.probes = [\"./image.toml\"]\narchive.dir = \"archive\"\n\
         record.window = \"1s\"\n\
         deadline = { connect = \"100s\", headers = \"100s\", body = \"100s\", stall = \"100s\" }\n[[source]]\nkind = \"static\"\n"
        .to_owned();
    for node in 0..NODES {
        text += &format!(
            "[[source.nodes]]\nid = \"n{node}\"\nendpoint = \"http://{}/{node}/\"\n\
             assets = [{{ kind = \"image\", path = \"x\", size = \"1 kB\" }}]\n",
            server.address()
        );
    }
    let config = world.write("config.toml", &text);
    (server, world, config)
}

/// The binary with a limit on the size of its files. It is refused like a write to a full disk, with EFBIG, where SIGXFSZ is
/// ignored.
fn limited(args: &[&str]) -> Command {
    let plain = command(args);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("trap '' XFSZ; ulimit -S -f {BLOCKS}; exec \"$@\""), "sh"]);
    limited.arg(plain.get_program()).args(plain.get_args());
    for (name, _) in plain.get_envs() {
        limited.env_remove(name);
    }
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    limited
}

/// The sum of a field over all points of a measurement.
fn sum(points: &[Line], measurement: &str, field: &str) -> usize {
    let of = points.iter().filter(|(name, ..)| name == measurement);
    of.map(|(_, _, fields, _)| fields[field].trim_end_matches('i').parse::<usize>().unwrap()).sum()
}

#[test]
fn a_full_disk_loses_nothing_that_fits_in_memory() {
    let (server, world, config) = world();
    let child = Child::spawn(&mut limited(&["run", "-c", config.to_str().unwrap()]));
    let line = child.wait_for("the archive cannot be written, probing continues");
    assert!(line.contains("ERROR") && line.contains("File too large"), "{line}");
    let requested = || server.heads().len();
    let (before, safe) = (requested(), archived_ids(&world).len());
    until("probing continues", || requested() > before + 10 * NODES);
    let asked: BTreeSet<String> = ids(&server.heads().concat()).collect();
    assert_eq!(archived_ids(&world).len(), safe, "and nothing is written");

    let lifted = Command::new("prlimit").args(["--pid", &child.id().to_string(), "--fsize=unlimited:"]).status();
    assert!(lifted.unwrap().success());
    let line = child.wait_for("the archive is written again");
    assert!(line.contains("INFO") && line.contains("lost: 0)"), "{line}");
    until("every requested object is archived", || asked.is_subset(&archived_ids(&world)));
    child.signal("TERM");
    let ended = child.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("were lost"), "{}", ended.stderr);

    let points = points(&world.archive());
    let transfers: Vec<&Line> = points.iter().filter(|point| point.0 == transfer::MEASUREMENT.name).collect();
    assert!(transfers.iter().all(|transfer| transfer.1["outcome"] == "ok"), "{transfers:?}");
    let totals: Vec<Line> =
        points.iter().filter(|point| point.1.get("metric").is_some_and(|is| is == "total")).cloned().collect();
    for (what, count) in [
        ("that the worker counted", sum(&points, worker::MEASUREMENT.name, "transfers")),
        ("that are in windows", sum(&totals, window::MEASUREMENT.name, "count")),
    ] {
        assert_eq!(count, transfers.len(), "transfers {what}");
    }
    assert_eq!(sum(&points, worker::MEASUREMENT.name, "points_dropped"), 0);
    assert_eq!(status(&world.archive()).unwrap().open.files, 0, "sealed");
}

#[test]
fn a_round_on_a_full_disk_counts_what_is_lost() {
    let (server, world, config) = world();
    let ended = Child::spawn(&mut limited(&["once", "-c", config.to_str().unwrap(), "--json", "--splay", "2s"])).end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let reported = printed(&ended.stdout);
    assert_eq!(reported, world.archived());
    let unreported = server.heads().len() - reported.len();
    let (_, lost) = ended.stderr.rsplit_once("; ").unwrap();
    let lost: usize =
        lost.strip_suffix(" points were lost: the archive could not be written\n").unwrap().parse().unwrap();
    assert!(
        unreported > 0 && lost > unreported,
        "{unreported} samples, the windows and the worker's point: {}",
        ended.stderr
    );

    // What is in the file is taken over, trailer or not.
    let next = Child::spawn(&mut command(&["once", "-c", config.to_str().unwrap(), "--json"])).end();
    assert_eq!(next.code, Some(0), "{}", next.stderr);
    let mut all = [reported, printed(&next.stdout)].concat();
    all.sort_unstable();
    assert_eq!(world.archived(), all);
    assert_eq!(status(&world.archive()).unwrap().open.files, 0);
}

#[test]
fn a_worker_that_lost_points_exits_with_1() {
    let (server, _world, config) = world();
    let child = Child::spawn(&mut limited(&["run", "-c", config.to_str().unwrap()]));
    child.wait_for("the archive cannot be written, probing continues");
    let before = server.heads().len();
    until("probing continues", || server.heads().len() > before + NODES);
    child.signal("TERM");
    let ended = child.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("points were lost: the archive could not be written"), "{}", ended.stderr);
}

#[test]
fn an_unsealable_orphan_does_not_stop_probing() {
    let (server, world, config) = world();
    let mut dead = Writer::open(&world.archive()).unwrap();
    let lines = format!("m,t=a s=\"{}\" 1\n", "x".repeat(1_000)).repeat(40);
    dead.append("2026-11-21T10:00:00Z".parse().unwrap(), lines.as_bytes(), 40).unwrap();
    drop(dead);
    let child = Child::spawn(&mut limited(&["run", "-c", config.to_str().unwrap()]));
    child.wait_for("cannot recover a file of a killed process yet");
    until("it probes", || server.heads().len() > NODES);
    let lifted = Command::new("prlimit").args(["--pid", &child.id().to_string(), "--fsize=unlimited:"]).status();
    assert!(lifted.unwrap().success());
    child.signal("TERM");
    let ended = child.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(status(&world.archive()).unwrap().open.files, 0, "taken over at the end: {}", ended.stderr);
    let orphans = points(&world.archive()).iter().filter(|point| point.0 == "m").count();
    assert_eq!(orphans, 40);
}

#[test]
fn points_lost_in_a_power_cut_are_counted_and_reported() {
    let (_server, world, config) = world();
    let mut dead = Writer::open(&world.archive()).unwrap();
    let lines: String = (0..10).map(|n| format!("m,t=a v={n}i {n}\n")).collect();
    dead.append("2026-11-21T10:00:00Z".parse().unwrap(), lines.as_bytes(), 10).unwrap();
    drop(dead);
    let folder = std::fs::read_dir(world.archive().join("open")).unwrap();
    let file = folder.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some()).unwrap();
    let length = std::fs::metadata(&file).unwrap().len();
    // Half of the last line but one.
    std::fs::File::options().write(true).open(&file).unwrap().set_len(length - 18).unwrap();
    let ended = Child::spawn(&mut command(&["once", "-c", config.to_str().unwrap()])).end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("points=2"), "{}", ended.stderr);
    let points = points(&world.archive());
    assert_eq!(points.iter().filter(|point| point.0 == "m").count(), 8);
    // The worker's last point may be written before the recovery is over; the total on disk has them in any case.
    assert!([0, 2].contains(&sum(&points, worker::MEASUREMENT.name, "points_dropped")));
    let archive = world.archive();
    let status =
        Child::spawn(&mut command(&["spool", "status", "--archive", archive.to_str().unwrap(), "--json"])).end();
    assert!(status.stdout.contains("\"lost\":2"), "{}", status.stdout);
}
