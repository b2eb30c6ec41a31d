//! SIGKILL at any moment: every printed result is in the archive, and the next process delivers it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeSet, env, fs, path::Path, thread, time::Duration};

use bandprobe::{archive::status::status, config::InfluxDb};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{archived_ids, delivery::stored, ids};
use crate::{
    influxd::{self, Influxd},
    process::{Child, Key, World, bandprobe, command, printed, sound},
};

/// How many processes are killed in the short form, and in the long one.
const KILLS: (u64, u64) = (24, 100);

/// The moment of a kill: after this many results and this time.
struct Moment {
    results: u32,
    pause: Duration,
}

/// The seed of `BANDPROBE_SEED`, or a new one. Tests print it, so that one that fails can be repeated.
fn seed() -> u64 {
    env::var("BANDPROBE_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap())
}

fn moments(seed: u64, most_results: u32) -> impl Iterator<Item = (u64, Moment)> {
    let kills = crate::rounds(KILLS.0, KILLS.1);
    let mut dice = StdRng::seed_from_u64(seed);
    (0..kills).map(move |kill| {
        let pause = Duration::from_micros(dice.random_range(0..30_000));
        (kill, Moment { results: dice.random_range(0..=most_results), pause })
    })
}

#[test]
fn a_killed_round_loses_nothing_that_was_printed() {
    let Some(server) = influxd::shared() else { return };
    let world = World::new(vec![sound("a"), sound("b")]);
    let database = server.bucket();
    let config = world.config("config.toml", Some(&database), "");
    let (mut all, mut orphans) = (Vec::new(), 0);
    let seed = seed();
    println!("BANDPROBE_SEED={seed}");
    // A round has fourteen results.
    for (kill, moment) in moments(seed, 14) {
        let args = ["once", "-c", config.to_str().unwrap(), "--json", "--splay", "200ms"];
        let mut child = Child::spawn(&mut command(&args));
        for _ in 0..moment.results {
            child.line();
        }
        thread::sleep(moment.pause);
        child.signal("KILL");
        let output = printed(&child.end().stdout);
        let archived = world.archived();
        assert!(output.iter().all(|key| archived.binary_search(key).is_ok()), "kill {kill}: {output:?}");
        all.extend(output);
        orphans += u32::from(has_open_file(&world));
    }
    assert!(orphans > 0 && all.len() > 20, "{orphans} left an open file, {} were printed", all.len());
    let there = delivered(server, &database, &world, &config);
    assert!(all.iter().all(|key| there.binary_search(key).is_ok()));
}

#[test]
fn a_killed_worker_loses_no_sample_that_it_printed() {
    let Some(server) = influxd::shared() else { return };
    let world = World::new(["a", "b", "c", "d", "e", "f"].map(sound).into());
    let database = server.bucket();
    let config = world.config("config.toml", Some(&database), "[record]\nwindow = \"1s\"\n");
    let (mut reported, mut orphans) = (BTreeSet::new(), 0);
    let seed = seed();
    println!("BANDPROBE_SEED={seed}");
    for (kill, moment) in moments(seed, 40) {
        let mut run = command(&["run", "-c", config.to_str().unwrap()]);
        let child = Child::spawn(run.env("BANDPROBE_LOG", "bandprobe=debug"));
        let mut output = String::new();
        for _ in 0..moment.results {
            output += &child.wait_for("recorded");
        }
        thread::sleep(moment.pause);
        child.signal("KILL");
        output += &child.end().stderr;
        reported.extend(ids(&output));
        let there = archived_ids(&world);
        assert!(reported.is_subset(&there), "kill {kill}: {:?}", reported.difference(&there));
        orphans += u32::from(has_open_file(&world));
    }
    assert!(orphans > 0 && reported.len() > 200, "{orphans} left an open file, {} were printed", reported.len());
    delivered(server, &database, &world, &config);
    let there = archived_ids(&world);
    assert!(reported.is_subset(&there), "{:?}", reported.difference(&there));
}

/// Makes one more round, which delivers what the killed ones left. Returns what is in the database: all that is in the
/// archive, and nothing twice.
fn delivered(server: &Influxd, database: &InfluxDb, world: &World, config: &Path) -> Vec<Key> {
    let last = bandprobe(&["once", "-c", config.to_str().unwrap(), "--json"]);
    assert_eq!(last.code, Some(0), "{}", last.stderr);
    let (archived, there) = (world.archived(), stored(server, &database.bucket));
    assert!(archived.is_sorted_by(|a, b| a < b), "none is duplicated");
    assert_eq!(there, archived);
    assert!(printed(&last.stdout).iter().all(|key| there.binary_search(key).is_ok()));
    let left = status(&world.archive()).unwrap();
    assert_eq!((left.open.files, left.spool.files, left.bad.files, left.rejected.files), (0, 0, 0, 0));
    there
}

fn has_open_file(world: &World) -> bool {
    let names = fs::read_dir(world.archive().join("open")).into_iter().flatten().flatten();
    names.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "lp")).count() > 0
}
