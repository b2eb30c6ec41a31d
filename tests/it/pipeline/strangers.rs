//! A data directory that contains files of others.

use std::fs;

use bandprobe::archive;

use super::delivery::stored;
use crate::{
    influxd,
    process::{World, bandprobe, printed, sound},
};

#[test]
fn foreign_and_newer_files_are_named_and_delay_nothing() {
    let Some(server) = influxd::shared() else { return };
    let world = World::new(vec![sound("a")]);
    let database = server.bucket();
    let config = world.config("config.toml", Some(&database), "");
    archive::create(&world.archive()).unwrap();
    let newer = "# bandprobe lines format=2\nbandprobe_transfer,node=x ok=1i 1\n";
    let notes = "bread\nmilk\n";
    let at = |name: &str| world.archive().join("spool").join(name);
    fs::write(at("2026-11-21T100000.000000000Z-1.lp"), newer).unwrap();
    fs::write(at("2026-11-21T100001.000000000Z-1.lp"), notes).unwrap();
    fs::create_dir(at("2026-11-21T100002.000000000Z-1.lp")).unwrap();
    fs::write(at("notes.txt"), notes).unwrap();

    let ended = bandprobe(&["once", "-c", config.to_str().unwrap(), "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(stored(server, &database.bucket), printed(&ended.stdout));
    assert_eq!(fs::read_to_string(at("2026-11-21T100000.000000000Z-1.lp")).unwrap(), newer);
    assert!(at("2026-11-21T100002.000000000Z-1.lp").is_dir());
    assert_eq!(fs::read_to_string(at("notes.txt")).unwrap(), notes);
    let set_aside = world.archive().join("rejected/2026-11-21T100001.000000000Z-1.lp.bad");
    assert_eq!(fs::read_to_string(set_aside).unwrap(), notes);
    for expected in ["100000.000000000Z-1.lp", "newer version", "100001.000000000Z-1.lp", "100002.000000000Z-1.lp"] {
        assert!(ended.stderr.contains(expected), "{expected}: {}", ended.stderr);
    }

    let archive = world.archive();
    let listed = bandprobe(&["spool", "list", "--archive", archive.to_str().unwrap()]).stdout;
    assert!(listed.contains("newer version (format 2)"), "{listed}");
    let flushed = bandprobe(&["spool", "flush", "-c", config.to_str().unwrap()]);
    assert_eq!(flushed.code, Some(1), "{}", flushed.stderr);
    assert!(flushed.stderr.contains("newer version"), "{}", flushed.stderr);
}
