//! A chain head that stands still for the whole fleet is not charged to a node, and is in the worker's point.

use std::fs;

use super::{answer, serve};
use crate::{
    fault::{FaultServer, server::Step},
    process::{Child, World, command, objects, points, sound, until},
};

/// The status document of a healthy distributor.
fn document(head: usize) -> Vec<Step> {
    let body = format!(
        r#"{{"version":"2.1.2","nodeEnv":"production","queryNodeStatus":{{"chainHead":{head},"blocksProcessed":{head}}}}}"#
    );
    vec![Step::Request, Step::Send(answer("200 OK", "", &body))]
}

/// For how long the chain stood still, and the reasons of the nodes, by a worker that made at least five rounds over
/// three nodes.
fn watched(script: fn(usize) -> Vec<Step>) -> (Option<u64>, Vec<String>) {
    let servers: Vec<FaultServer> = (0..3).map(|_| serve(script)).collect();
    let world = World::new(vec![sound("unused")]);
    let mut text = "vantage.id = \"here\"\nschedule.probes = [{ probe = \"status\", every = \"1s\" }]\n\
                    archive.dir = \"archive\"\n[[source]]\nkind = \"static\"\n"
        .to_owned();
    for (n, server) in servers.iter().enumerate() {
        let address = server.address();
        text += &format!("[[source.nodes]]\nid = \"n{n}\"\nprofile = \"argus\"\nendpoint = \"http://{address}/\"\n");
    }
    let config = world.write("b.toml", &text);
    let worker = Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]));
    let rounds = || {
        points(&world.archive())
            .iter()
            .filter(|(name, tags, ..)| name == "bandprobe_node" && tags["node"] == "n0")
            .count()
    };
    until("five rounds", || rounds() >= 5);
    worker.signal("TERM");
    let ended = worker.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let points = points(&world.archive());
    let worker = points.iter().rfind(|(name, ..)| name == "bandprobe_worker").unwrap();
    let still = worker.2.get("chain_still_s").map(|field| field.trim_end_matches('i').parse().unwrap());
    let once = Child::spawn(&mut command(&["once", "--json", "-c", config.to_str().unwrap()])).end();
    let reasons = objects(&once.stdout).iter().map(|point| point["reason"].as_str().unwrap().to_owned()).collect();
    fs::remove_file(config).unwrap();
    (still, reasons)
}

#[test]
fn the_worker_reports_how_long_the_chain_stands_still() {
    let (still, reasons) = watched(|_| document(5_000_000));
    // Between the ends of the first round and the fourth one are two seconds or more, however slow the machine is.
    assert!(still.is_some_and(|still| still >= 2), "{still:?}");
    assert_eq!(reasons, ["nothing wrong"; 3], "no node is blamed for it");

    let (still, reasons) = watched(|connection| document(5_000_000 + connection));
    assert_eq!((still, reasons), (Some(0), vec!["nothing wrong".to_owned(); 3]));

    let silent = |_| vec![Step::Request, Step::Send(answer("200 OK", "", r#"{"version":"1.2.0","uptime":9}"#))];
    assert_eq!(watched(silent).0, None, "no node reports a height");
}
