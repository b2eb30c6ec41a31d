//! `bandprobe demo`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use bandprobe::{archive::status::status, record::schema};
use tempfile::TempDir;

use super::{Child, Ended, bandprobe, command, points};

const NODES: [&str; 6] = ["fast", "limited", "slow-backend", "stalling", "missing", "failing"];

/// The directory that a demo printed, and the number of points that it printed.
fn left_behind(root: &TempDir, stdout: &str) -> (PathBuf, u64) {
    let line = stdout.lines().find(|line| line.contains(" points are in ")).unwrap();
    let (points, rest) = line.split_once(" points are in ").unwrap();
    (root.path().join(rest.split_once(';').unwrap().0), points.parse().unwrap())
}

fn demo(root: &TempDir, duration: &str) -> Child {
    Child::spawn(command(&["demo", "--duration", duration]).current_dir(root.path()))
}

/// Checks that the table has a row and the introduction a line for each of these nodes.
fn table_holds(nodes: &[&str], ended: &Ended) {
    let (introduction, table) =
        ended.stdout.split_once("downloads, seen from demo").unwrap_or_else(|| panic!("no table: {ended:?}"));
    assert!(NODES.iter().all(|node| introduction.contains(&format!("\n  {node} "))), "{introduction}");
    for node in nodes {
        assert!(table.lines().any(|line| line.trim_start().starts_with(node)), "{node}: {table}");
    }
}

#[test]
fn two_demos_at_once_each_show_every_node_and_keep_points() {
    let root = TempDir::new().unwrap();
    let demos = [demo(&root, "6s"), demo(&root, "6s")];
    let ended = demos.map(|demo| thread::spawn(|| demo.end())).map(|demo| demo.join().unwrap());
    let mut dirs = Vec::new();
    for ended in &ended {
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        let (dir, said) = left_behind(&root, &ended.stdout);
        let seen = probed(&dir);
        assert!(!seen.is_empty());
        table_holds(&seen, ended);
        let waiting = status(&dir).unwrap();
        assert_eq!((waiting.spool.points, waiting.open.points), (said, 0));
        assert_eq!(points(&dir).len() as u64, said);
        figures_are_those_of_the_nodes(&dir);
        let report = bandprobe(&["report", "--archive", dir.to_str().unwrap()]);
        assert_eq!(report.code, Some(0));
        assert!(ended.stdout.contains(report.stdout.trim_end()), "the same table:\n{}", report.stdout);
        dirs.push(dir);
    }
    assert_ne!(dirs[0], dirs[1]);
}

/// The nodes with a transfer in the archive. A short demo may miss one by chance.
fn probed(dir: &Path) -> Vec<&'static str> {
    let seen = super::archived(dir);
    NODES.into_iter().filter(|node| seen.iter().any(|(tags, _)| tags.iter().any(|tag| tag == node))).collect()
}

/// Whether that node has a good start of a video.
fn has_video(dir: &Path, node: &str) -> bool {
    let wanted = [node, "start", "ok"].map(str::to_owned);
    super::archived(dir).iter().any(|(tags, _)| wanted.iter().all(|word| tags.contains(word)))
}

/// The figures show how each node was planned, however busy this machine is: only what is slow on purpose
/// has a limit, and a transfer that this machine delayed does not decide.
fn figures_are_those_of_the_nodes(dir: &Path) {
    let transfers: Vec<_> =
        points(dir).into_iter().filter(|point| point.0 == schema::transfer::MEASUREMENT.name).collect();
    let number = |fields: &BTreeMap<String, String>, name: &str| -> Option<u64> {
        fields.get(name)?.strip_suffix('i')?.parse().ok()
    };
    // The values of a field in the successful transfers of a node that fetched this part.
    let values = |node: &str, part: &str, name: &str| -> Vec<u64> {
        let is_wanted =
            |tags: &BTreeMap<String, String>| tags["node"] == node && tags["part"] == part && tags["outcome"] == "ok";
        let of = transfers.iter().filter(|(_, tags, ..)| is_wanted(tags));
        of.filter_map(|(_, _, fields, _)| number(fields, name)).collect()
    };
    let waits = values("slow-backend", "full", "wait_us");
    assert!(waits.iter().max().is_none_or(|wait| *wait >= 80_000), "the back end answers 80 ms late: {waits:?}");
    // A late first read makes a rate look higher, but never the median as high as twice the link's.
    let mut rates = values("limited", "start", "goodput_bps");
    rates.sort_unstable();
    assert!(rates.get(rates.len() / 2).is_none_or(|rate| *rate <= 30_000_000), "a link of 15 Mbit/s: {rates:?}");
    // It pauses at 2 MiB and at 4 MiB of 6.
    let stalls = values("stalling", "start", "stalls");
    assert!(stalls.iter().max().is_none_or(|count| *count >= 1), "it stalls: {stalls:?}");
    for (_, tags, ..) in transfers.iter().filter(|(_, tags, ..)| tags["outcome"] != "ok") {
        match tags["node"].as_str() {
            "failing" => {}
            "missing" => assert_eq!(tags["outcome"], "not_cached"),
            node => panic!("{node}: {tags:?}"),
        }
    }
}

#[test]
fn an_interrupt_ends_the_demo_early_with_its_table() {
    let root = TempDir::new().unwrap();
    let child = demo(&root, "10m");
    super::until("every node was probed, and the videos of those whose figures are known", || {
        let Some(dir) = std::fs::read_dir(root.path()).unwrap().flatten().next() else { return false };
        probed(&dir.path()) == NODES && ["limited", "stalling"].iter().all(|node| has_video(&dir.path(), node))
    });
    child.signal("INT");
    let ended = child.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    table_holds(&NODES, &ended);
    let (dir, said) = left_behind(&root, &ended.stdout);
    assert_eq!(points(&dir).len() as u64, said);
    figures_are_those_of_the_nodes(&dir);
}

/// A file size limit simulates a full disk: the write fails in the same way.
#[test]
fn a_full_disk_is_reported_at_once_and_counted_at_the_end() {
    let root = TempDir::new().unwrap();
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" demo --duration 6s";
    let mut limited = Command::new("sh");
    limited.args(["-c", script, env!("CARGO_BIN_EXE_bandprobe")]).current_dir(root.path());
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = Child::spawn(&mut limited).end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let (dir, kept) = left_behind(&root, &ended.stdout);
    assert_eq!(points(&dir).len() as u64, kept, "what was written is whole");
    let told = ["the archive cannot be written", "points could not be written to bandprobe-demo-"];
    assert!(told.iter().all(|words| ended.stderr.contains(words)), "{ended:?}");
}
