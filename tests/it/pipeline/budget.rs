//! The daily budgets are kept, and survive a restart.

use bandprobe::record::schema::worker;

use crate::process::{Child, World, bandprobe, command, points, sound};

#[test]
fn runs_beyond_the_budget_are_skipped_after_a_restart_too() {
    let world = World::new(vec![sound("a")]);
    world.write(
        "image.toml",
        "# Twice a thumbnail.\nkind = \"image\"\nevery = \"1s\"\nspacing = \"fixed\"\njitter = \"0s\"\n\
         parts = [{ name = \"full\" }, { name = \"full\" }]\n",
    );
    // A run needs room for two images of 1 MiB, because their sizes are unknown, and takes at least 40 kB.
    let config = world.config("config.toml", None, "[limits]\nbytes-per-node-per-day = \"2120 kB\"\n");
    let text = std::fs::read_to_string(&config).unwrap().replace(", \"./video.toml\"", "");
    std::fs::write(&config, text).unwrap();
    for (life, expected) in [("first", [1, 3]), ("second", [0, 0])] {
        let mut run = command(&["run", "-c", config.to_str().unwrap()]);
        let child = Child::spawn(run.env("BANDPROBE_LOG", "bandprobe=debug"));
        child.wait_for("run skipped");
        child.signal("TERM");
        let ended = child.end();
        assert_eq!(ended.code, Some(0), "{life}: {}", ended.stderr);
        let workers = points(&world.archive()).into_iter().filter(|point| point.0 == worker::MEASUREMENT.name);
        let (.., fields, _) = workers.max_by_key(|point| point.3).unwrap();
        let count = |name: &str| fields[name].strip_suffix('i').unwrap().parse::<u64>().unwrap();
        assert_eq!([count("runs_started"), count("transfers")], expected, "{life}");
        assert!(count("runs_skipped_budget") > 0, "{life}");
    }
    assert_eq!(world.archived().len(), 3, "check, cold, warm");
}

#[test]
fn once_reports_the_runs_that_it_skipped() {
    let world = World::new(vec![]);
    let config = world.write(
        "config.toml",
        "vantage.id = \"here\"\narchive.dir = \"archive\"\n[limits]\nbytes-per-node-per-day = \"1 kB\"\n\
         [[source]]\nkind = \"static\"\nnodes = [{ id = \"a\", endpoint = \"http://127.0.0.1:9/\", \
         assets = [{ kind = \"image\", path = \"/x\", size = \"5 kB\" }] }, { id = \"b\", endpoint = \"http://127.0.0.1:10/\", \
         assets = [{ kind = \"video\", path = \"/y\", size = \"20 MB\" }] }]\n",
    );
    let config = config.to_str().unwrap();
    for (more, code, expected) in [
        (&[][..], 0, "2 runs skipped"),
        (&["--strict"], 3, "2 runs skipped"),
        (&["--node", "a", "--probe", "video"], 2, "nothing to probe"),
    ] {
        let ended = bandprobe(&[&["once", "-c", config], more].concat());
        assert_eq!(ended.code, Some(code), "{more:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{more:?}: {}", ended.stderr);
    }
    assert!(world.archived().is_empty(), "no node was probed");
}
