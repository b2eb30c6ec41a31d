//! Signals during a run, and a reader of the logs that disappears.

use std::{
    io::{BufRead, BufReader},
    time::Duration,
};

use bandprobe::{
    archive::status::status,
    demo::{Behaviour, NodePlan},
};

use crate::{
    fault::{FaultServer, cases},
    process::{Child, World, command, printed, sound, until},
};

#[test]
fn an_interrupted_round_keeps_and_prints_its_results() {
    let silent = NodePlan { behaviour: Behaviour::SlowBackEnd(Duration::from_secs(1_000)), ..sound("silent") };
    let world = World::new(vec![sound("a"), silent]);
    let config = world.config("config.toml", None, "[deadline]\nheaders = \"100s\"\n");
    let mut all = Vec::new();
    for signal in ["INT", "TERM"] {
        let mut child = Child::spawn(&mut command(&["once", "-c", config.to_str().unwrap(), "--json"]));
        // Image: check, cold, warm; video: check and three parts.
        for _ in 0..7 {
            assert!(child.line().unwrap().contains("\"node\":\"a\""));
        }
        child.signal(signal);
        let ended = child.end();
        assert_eq!(ended.code, Some(0), "{signal}: {ended:?}");
        all.extend(printed(&ended.stdout));
        all.sort_unstable();
        assert_eq!(world.archived(), all, "{signal}");
        assert!(ended.stderr.contains("results are in "), "{}", ended.stderr);
    }
    assert_eq!(all.len(), 14, "what was cut off is no result");
}

#[test]
fn a_run_cut_off_is_charged_with_what_it_received() {
    let case = cases().find(|case| case.name == "stall_before_head").unwrap();
    let server = FaultServer::start(case.behaviour);
    let world = World::new(vec![]);
    let config = world.write(
        "config.toml",
        &format!(
            "vantage.id = \"here\"\nschedule.probes = [\"./image.toml\"]\narchive.dir = \"archive\"\n\
             [deadline]\nheaders = \"100s\"\nbody = \"100s\"\nstall = \"100s\"\n[[source]]\nkind = \"static\"\n\
             nodes = [{{ id = \"a\", endpoint = \"http://{}/\", \
             assets = [{{ kind = \"image\", path = \"/x\", size = \"5 kB\" }}] }}]\n",
            server.address()
        ),
    );
    let child = Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]));
    until("the request has come", || !server.heads().is_empty());
    child.signal("TERM");
    let ended = child.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(world.archived().is_empty(), "what was cut off is no result");
    let spent = std::fs::read_to_string(world.path("archive/state/budget.json")).unwrap();
    let spent: serde_json::Value = serde_json::from_str(&spent).unwrap();
    assert_eq!((&spent["total"], &spent["by_node"]["a"]), (&0.into(), &0.into()), "no byte of a body came");
}

#[test]
fn a_worker_outlives_the_reader_of_its_logs() {
    let world = World::new(vec![sound("a")]);
    let config = world.config("config.toml", None, "");
    let mut run = command(&["run", "-c", config.to_str().unwrap()]);
    let mut process = run.env("BANDPROBE_LOG", "debug").spawn().unwrap();
    let mut logs = BufReader::new(process.stderr.take().unwrap());
    logs.read_line(&mut String::new()).unwrap();
    drop(logs);
    let before = world.archived().len();
    until("it goes on", || world.archived().len() > before + 6);
    let pid = process.id().to_string();
    assert!(std::process::Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert_eq!(status(&world.archive()).unwrap().open.files, 0);
}
