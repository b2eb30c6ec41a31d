//! SIGKILL at any moment: what was printed is in the archive, and is delivered by whoever comes next.

use std::{fs, thread, time::Duration};

use bandprobe::archive::status::status;

use super::delivery::stored;
use crate::{
    influxd,
    process::{Child, World, bandprobe, command, printed, sound},
};

/// How many processes are killed.
const KILLS: u64 = 24;

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_printed() {
    let Some(server) = influxd::shared() else { return };
    let world = World::new(vec![sound("a"), sound("b")]);
    let database = server.bucket();
    let config = world.config("config.toml", Some(&database), "");
    let config = config.to_str().unwrap();
    let (mut all, mut orphans) = (Vec::new(), 0);
    for kill in 0..KILLS {
        let args = ["once", "-c", config, "--json", "--splay", "200ms"];
        let mut child = Child::spawn(&mut command(&args));
        // After so many lines, so that each stage is met, and a moment that is no line's.
        for _ in 0..kill % 12 {
            child.line();
        }
        thread::sleep(Duration::from_millis(kill * 7 % 23));
        child.signal("KILL");
        let said = printed(&child.end().stdout);
        let archived = world.archived();
        assert!(said.iter().all(|key| archived.binary_search(key).is_ok()), "kill {kill}: {said:?}");
        all.extend(said);
        orphans += u32::from(has_open_file(&world));
    }
    assert!(orphans > 0 && all.len() > 20, "{orphans} left an open file, {} were printed", all.len());

    let last = bandprobe(&["once", "-c", config, "--json"]);
    assert_eq!(last.code, Some(0), "{}", last.stderr);
    all.extend(printed(&last.stdout));
    let (archived, there) = (world.archived(), stored(server, &database.bucket));
    assert!(all.iter().all(|key| there.binary_search(key).is_ok()));
    assert!(archived.is_sorted_by(|a, b| a < b), "none is there twice");
    assert_eq!(there, archived);
    let left = status(&world.archive()).unwrap();
    assert_eq!((left.open.files, left.spool.files, left.bad.files, left.rejected.files), (0, 0, 0, 0));
}

fn has_open_file(world: &World) -> bool {
    let names = fs::read_dir(world.archive().join("open")).into_iter().flatten().flatten();
    names.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "lp")).count() > 0
}
