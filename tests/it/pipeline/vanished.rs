//! The data directory is removed under a running worker.

use std::fs;

use bandprobe::archive::status::status;

use super::delivery::stored;
use crate::{
    influxd,
    process::{Child, World, command, sound, until},
};

#[test]
fn a_worker_continues_in_a_new_directory() {
    let Some(server) = influxd::shared() else { return };
    let world = World::new(vec![sound("a")]);
    let database = server.bucket();
    let config = world.config("config.toml", Some(&database), "");
    let child = Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]));
    until("something is delivered", || !stored(server, &database.bucket).is_empty());
    fs::rename(world.archive(), world.path("elsewhere")).unwrap();
    let before = stored(server, &database.bucket);
    child.wait_for("was removed or replaced while bandprobe ran");
    // What was delivered before is elsewhere: all that is archived here came later.
    until("it goes on", || world.archive().is_dir() && world.archived().len() > 10);
    until("it delivers", || stored(server, &database.bucket).len() > before.len() + 10);
    child.signal("TERM");
    let ended = child.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let (there, here) = (stored(server, &database.bucket), world.archived());
    assert!(here.iter().all(|key| there.binary_search(key).is_ok()), "all of the new one is delivered");
    assert!(here.is_sorted_by(|a, b| a < b), "none is duplicated");
    let left = status(&world.archive()).unwrap();
    assert_eq!((left.open.files, left.spool.files), (0, 0), "{}", ended.stderr);
}
