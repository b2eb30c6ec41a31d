//! The wall clock jumps: the binary runs under libfaketime, which reads its offset from a file.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, path::PathBuf};

use crate::{
    fault::{
        FaultServer,
        server::{Behaviour, Port, Step},
    },
    process::{Child, World, command, until},
    skip::skip,
};

/// The library of the Debian package `faketime`; nothing where it is not installed.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
    let library = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file());
    if library.is_none() {
        skip("the test of a clock that jumps", "no libfaketime (apt-get install faketime)");
    }
    library
}

/// Sends one small image.
fn images(_: usize) -> Vec<Step> {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: image/webp\r\ncontent-length: 1000\r\n\r\n".to_owned();
    vec![Step::Request, Step::Send((answer + &"x".repeat(1_000)).into())]
}

#[test]
fn a_clock_that_was_ahead_costs_no_later_budget() {
    let Some(library) = faketime() else { return };
    let server = FaultServer::start(Behaviour { port: Port::Http, script: images });
    let world = World::new(vec![]);
    world.write("one.toml", "# One image.\nkind = \"image\"\nevery = \"1s\"\nparts = [{ name = \"full\" }]\n");
    // Eight runs a day.
    let mut text = "vantage.id = \"here\"\nschedule.probes = [\"./one.toml\"]\narchive.dir = \"archive\"\n\
         limits.bytes-per-day = \"8 kB\"\n[[source]]\nkind = \"static\"\n"
        .to_owned();
    for node in 0..4 {
        text += &format!(
            "[[source.nodes]]\nid = \"n{node}\"\nendpoint = \"http://{}/{node}/\"\n\
             assets = [{{ kind = \"image\", path = \"x\", size = 1000 }}]\n",
            server.address()
        );
    }
    let config = world.write("config.toml", &text);
    let offset = world.write("offset", "+0\n");
    let set = |to: &str| {
        world.write("offset.new", &format!("{to}\n"));
        fs::rename(world.path("offset.new"), &offset).unwrap();
    };
    let mut run = command(&["run", "-c", config.to_str().unwrap()]);
    run.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &offset);
    run.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
    let child = Child::spawn(&mut run);
    let used_up = || child.wait_for("the download budget of the day is used up (limits.bytes-per-day");
    let runs = || server.heads().len();
    used_up();
    // The last of them may be under way.
    until("all runs of the day", || runs() == 8);
    set("+3d");
    used_up();
    until("all runs of the day that the clock shows", || runs() == 16);
    set("+0");
    used_up();
    assert_eq!(runs(), 16, "what was spent today counts");
    for (day, all) in [("+1d", 24), ("+2d", 32), ("+3d", 40), ("+4d", 48)] {
        set(day);
        until(day, || runs() == all);
        used_up();
    }
    child.signal("TERM");
    let ended = child.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(runs(), 48);
}
