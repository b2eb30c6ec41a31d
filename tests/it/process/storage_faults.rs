//! A node that could not fetch from storage yesterday, and serves today.

use std::fs;

use serde_json::Value;

use super::{World, bandprobe, objects, sound};

/// The state of the node and its reason, by a round of these probes.
fn state(config: &str, probes: &[&str]) -> (String, String) {
    let named: Vec<_> = probes.iter().flat_map(|probe| ["--probe", probe]).collect();
    let ended = bandprobe(&[&["once", "--json", "-c", config], &named[..]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let points = objects(&ended.stdout);
    let node = points.iter().find(|point| point["measurement"] == "bandprobe_node").unwrap();
    ["state", "reason"].map(|key| node[key].as_str().unwrap().to_owned()).into()
}

#[test]
fn a_download_shows_that_a_node_can_fetch_again() {
    let world = World::new(vec![sound("a")]);
    let config = world.config("config.toml", None, "");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"./video.toml\"", "\"status\"")).unwrap();
    let config = config.to_str().unwrap();
    fs::create_dir_all(world.archive().join("state")).unwrap();
    let file = world.archive().join("state/storage-faults.json");
    let at = jiff::Timestamp::now().to_string();
    let fault = serde_json::json!({ "at": at, "error": "status 500: no storage", "held_nothing": true });
    let faults = serde_json::json!({ "a": fault, "elsewhere": fault });
    fs::write(&file, faults.to_string()).unwrap();

    let (state_by_status, reason) = state(config, &["status"]);
    assert_eq!((&*state_by_status, &*reason), ("degraded", "cannot fetch from storage: status 500: no storage"));
    let (state_by_both, reason) = state(config, &["status", "image"]);
    assert_eq!(state_by_both, "ok", "{reason}");
    let kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!((kept.get("a"), kept.get("elsewhere")), (None, Some(&fault)));
    assert_eq!(state(config, &["status"]).0, "ok");
}
