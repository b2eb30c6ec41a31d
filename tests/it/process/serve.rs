//! `bandprobe demo --serve`: the printed commands work when they are pasted.

use std::{net::TcpListener, path::Path, process::Command};

use bandprobe::demo::UNCACHED_IMAGE_ID;
use tempfile::TempDir;

use super::{Child, bandprobe, command, objects};

/// Starts it in a directory, with its config in a file, and reads its output up to the last hint.
fn serve(root: &TempDir, args: &[&str]) -> (Child, String) {
    let mut command = command(&["demo", "--serve", "-o", "demo.toml"]);
    let mut child = Child::spawn(command.args(args).current_dir(root.path()));
    let mut said = String::new();
    while !said.contains(UNCACHED_IMAGE_ID) {
        said += &child.line().unwrap_or_else(|| panic!("no hint: {said}"));
    }
    (child, said)
}

/// The lines of a text that are bandprobe commands. They use the path with which bandprobe was started.
pub(super) fn commands(said: &str) -> Vec<Vec<&str>> {
    let us = concat!("  ", env!("CARGO_BIN_EXE_bandprobe"), " ");
    let lines = said.lines().filter_map(|line| line.strip_prefix(us));
    lines.map(|line| line.split_whitespace().collect()).collect()
}

fn run_in(dir: &Path, args: &[&str]) -> super::Ended {
    Child::spawn(command(args).current_dir(dir)).end()
}

#[test]
fn the_hints_of_serve_work_when_pasted() {
    let root = TempDir::new().unwrap();
    let (served, said) = serve(&root, &[]);
    let commands = commands(&said);
    let names: Vec<_> = commands.iter().map(|words| words[0]).collect();
    assert_eq!(names, ["check", "once", "run", "probe", "probe", "probe"], "{said}");
    for words in commands.iter().filter(|words| !matches!(words[0], "once" | "run")) {
        let ended = run_in(root.path(), words);
        assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
    }
    let run = Child::spawn(command(&commands[2]).current_dir(root.path()));
    run.wait_for("nodes=6");
    super::until("a result is there", || !super::archived(&root.path().join("bandprobe-demo-data")).is_empty());
    run.signal("TERM");
    assert_eq!(run.end().code, Some(0));
    let once = run_in(root.path(), &[&commands[1], &["--node", "fast", "--probe", "image", "--strict"][..]].concat());
    assert_eq!(once.code, Some(0), "{once:?}");

    served.signal("INT");
    let ended = served.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let mut left: Vec<_> = std::fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort_unstable();
    assert_eq!(left, ["bandprobe-demo-data", "demo.toml"], "what was named, and nothing else");
    let after = run_in(root.path(), &commands[3]);
    assert!(after.code == Some(3) && after.stdout.contains("connect_refused"), "the nodes are gone: {after:?}");
}

#[test]
fn the_simulated_miss_becomes_a_hit_after_a_viewer() {
    let root = TempDir::new().unwrap();
    let (_served, said) = serve(&root, &[]);
    let checks = || {
        let ended =
            run_in(root.path(), &["once", "-c", "demo.toml", "--node", "limited", "--probe", "image", "--json"]);
        let checks = objects(&ended.stdout).into_iter().filter(|sample| sample["part"] == "check");
        let state = |sample: serde_json::Map<String, serde_json::Value>| {
            (sample["asset_id"].as_str().unwrap().to_owned(), sample["cache"].as_str().unwrap().to_owned())
        };
        checks.map(state).collect::<Vec<_>>()
    };
    let cache = |state: &str| (UNCACHED_IMAGE_ID.to_owned(), state.to_owned());
    assert_eq!(checks()[0], cache("miss"));
    // From now on, the other asset is checked first, because it was measured, and this one only in its turn.
    let its_turn = || {
        let mut seen = std::iter::repeat_with(&checks).take(40).flatten();
        seen.find(|(id, _)| id == UNCACHED_IMAGE_ID).expect("every other time")
    };
    assert_eq!(its_turn(), cache("miss"), "looking at it changes nothing");
    let download = commands(&said).pop().unwrap();
    assert_eq!(run_in(root.path(), &download).code, Some(0));
    super::until("it is a hit", || its_turn() == cache("hit"));
}

#[test]
fn without_a_file_stdout_is_a_whole_config() {
    let root = TempDir::new().unwrap();
    let ended = run_in(root.path(), &["demo", "--serve", "--duration", "1s"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("save it as demo.toml. Then, in another terminal:\n"), "{ended:?}");
    let config = root.path().join("own.toml");
    std::fs::write(&config, &ended.stdout).unwrap();
    let checked = bandprobe(&["check", "-c", config.to_str().unwrap()]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1, "it writes nothing itself");
}

#[test]
fn serve_overwrites_only_its_own_configs() {
    let root = TempDir::new().unwrap();
    let serve = ["demo", "--serve", "--duration", "1ms", "-o", "x.toml"];
    for _ in 0..2 {
        assert_eq!(run_in(root.path(), &serve).code, Some(0), "one of a demo before is replaced");
    }
    let config = root.path().join("x.toml");
    std::fs::write(&config, "[vantage]\nid = 'precious'\n").unwrap();
    let ended = run_in(root.path(), &serve);
    assert!(ended.code == Some(1) && ended.stderr.contains("x.toml exists and is not a demo config"), "{ended:?}");
    assert_eq!(std::fs::read_to_string(config).unwrap(), "[vantage]\nid = 'precious'\n");
}

#[test]
fn taken_ports_and_senseless_options_are_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (args, code, words) in [
        (&["--serve", "--port", &port][..], 1, vec!["`fast`", "127.0.0.1", &port, "in use"]),
        (&["--serve", "-o", "/no/such/place/demo.toml"], 1, vec!["/no/such/place/demo.toml"]),
        (&["--serve", "--port", "65536"], 2, vec!["65536"]),
        (&["--serve", "--archive", "x"], 2, vec!["--archive"]),
        (&["--port", "18000"], 2, vec!["--serve"]),
    ] {
        let ended = bandprobe(&[&["demo"], args].concat());
        assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
        assert!(ended.stdout.is_empty() && words.iter().all(|word| ended.stderr.contains(word)), "{args:?}: {ended:?}");
    }
}

#[test]
fn serve_ends_cleanly_at_any_moment() {
    let root = TempDir::new().unwrap();
    for (index, args) in [&["demo"][..], &["demo", "--serve"], &["demo", "--serve", "-o", "x.toml"]].iter().enumerate()
    {
        let mut early: Command = command(args);
        let child = Child::spawn(early.current_dir(root.path()));
        // It reacts to signals once it has a handler. Before that, nothing is on the disk either.
        super::until("it catches signals", || child.catches_signals());
        child.signal(if index == 0 { "INT" } else { "TERM" });
        let ended = child.end();
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        for entry in std::fs::read_dir(root.path()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(ended.stdout.contains(&name) || name == "x.toml", "{name} is named: {ended:?}");
            let _ = std::fs::remove_dir_all(root.path().join(&name));
            let _ = std::fs::remove_file(root.path().join(&name));
        }
    }
}
