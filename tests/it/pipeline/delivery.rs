//! What was measured is in the database, and the report agrees, whichever source it reads.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeMap, io::Read, thread};

use bandprobe::{
    archive::status::status,
    config::InfluxDb,
    demo::NodePlan,
    record::schema::{Measurement, transfer, window, worker},
};
use serde_json::{Map, Value};

use crate::{
    influxd::{self, Influxd},
    process::{Child, Key, World, bandprobe, command, key, objects, points, printed, sound, until},
};

/// The transfers in a bucket, sorted.
pub(super) fn stored(server: &Influxd, bucket: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = server.points(bucket, transfer::MEASUREMENT.name).iter().map(key).collect();
    keys.sort_unstable();
    keys
}

/// Everything in a data directory is in a bucket, and nothing else is.
fn same_points(server: &Influxd, database: &InfluxDb, world: &World) {
    let lines = points(&world.archive());
    for measurement in [&transfer::MEASUREMENT, &window::MEASUREMENT, &worker::MEASUREMENT] {
        let here = lines.iter().filter(|line| line.0 == measurement.name).count();
        let there = server.points(&database.bucket, measurement.name).len();
        assert_eq!(there, here, "{}", measurement.name);
    }
    assert_eq!(stored(server, &database.bucket), world.archived());
}

#[test]
fn each_field_that_once_prints_is_in_the_database() {
    let Some(server) = influxd::shared() else { return };
    let world = World::new(NodePlan::standard());
    let database = server.bucket();
    let config = world.config("config.toml", Some(&database), "");
    let config = config.to_str().unwrap();
    let ended = bandprobe(&["once", "-c", config, "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let by_key = |mut objects: Vec<Map<String, Value>>| -> BTreeMap<Key, Map<String, Value>> {
        objects.iter_mut().for_each(|object| drop(object.remove("measurement")));
        objects.into_iter().map(|object| (key(&object), object)).collect()
    };
    let (shown, there) =
        (by_key(objects(&ended.stdout)), by_key(server.points(&database.bucket, "bandprobe_transfer")));
    assert_eq!(shown.len(), printed(&ended.stdout).len(), "no two are the same point");
    assert_eq!(shown.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
    for (key, shown) in &shown {
        let there = &there[key];
        assert_eq!(shown.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>(), "{key:?}");
        for (name, value) in shown {
            // The database prints a float without a fraction as an integer; the field's type is asked for below.
            let equal = value == &there[name] || value.is_f64() && value.as_f64() == there[name].as_f64();
            assert!(equal, "{key:?} {name}: {value} is there as {}", there[name]);
        }
    }
    let nodes = world.demo.nodes();
    for node in &nodes {
        let of = |part: &str| shown.values().filter(|o| o["node"] == *node.id && o["part"] == part).count();
        // The first image of the limited node is no hit, so its second one is asked for too.
        assert_eq!(of("check"), if &*node.id == "limited" { 3 } else { 2 }, "{}: one check a run", node.id);
        let nothing = &*node.id == "missing";
        assert_eq!(of("full") > 0 && of("start") > 0, !nothing, "{}", node.id);
        assert_eq!(of("none"), if nothing { 2 } else { 0 }, "{}: not_cached", node.id);
    }
    assert!(shown.values().any(|object| object["ok"] == 0) && shown.values().any(|object| object["valid"] == 1));

    for measurement in [&transfer::MEASUREMENT, &window::MEASUREMENT, &worker::MEASUREMENT] {
        the_database_has_the_types_of_the_schema(server, &database, measurement);
    }
    windows_count_the_transfers(server, &database, shown.values());
    same_points(server, &database, &world);
    let workers = server.points(&database.bucket, "bandprobe_worker");
    assert_eq!((workers.len(), &workers[0]["runs_started"]), (1, &(2 * nodes.len()).into()));
    let requests = shown.values().filter(|object| object["outcome"] != "not_cached").count();
    assert_eq!(workers[0]["transfers"], requests);

    let all = points(&world.archive()).len();
    assert!(
        ended.stderr.contains(&format!("{all} points delivered to {} (bucket {})", database.url, database.bucket)),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("wait"), "{}", ended.stderr);
    reports_agree(&world, config, shown.values());
}

fn the_database_has_the_types_of_the_schema(server: &Influxd, database: &InfluxDb, measurement: &Measurement) {
    let rows = server.query(&database.bucket, &format!("SHOW FIELD KEYS FROM {}", measurement.name));
    assert!(rows.len() > 5, "{rows:?}");
    for row in rows {
        let field = measurement.fields.iter().find(|field| row[0] == field.name);
        assert_eq!(row[1], field.unwrap_or_else(|| panic!("{row:?}")).kind.label(), "{row:?}");
    }
    let keys = server.query(&database.bucket, &format!("SHOW TAG KEYS FROM {}", measurement.name));
    let mut known: Vec<_> = measurement.tags.iter().map(|tag| tag.0).collect();
    known.sort_unstable();
    assert_eq!(keys.iter().map(|row| row[0].as_str().unwrap()).collect::<Vec<_>>(), known);
}

/// A good transfer has one TTFB, in the window of its series.
fn windows_count_the_transfers<'a>(
    server: &Influxd,
    database: &InfluxDb,
    shown: impl Iterator<Item = &'a Map<String, Value>> + Clone,
) {
    let windows = server.points(&database.bucket, "bandprobe_window");
    let series = ["vantage", "node", "region", "probe", "kind", "part", "conn", "cache"];
    for (metric, field) in [("ttfb", "ttfb_us"), ("wait", "wait_us"), ("server", "server_us"), ("total", "total_us")] {
        let mut expected: BTreeMap<Vec<&str>, Vec<i64>> = BTreeMap::new();
        for sample in shown.clone().filter(|sample| sample["ok"] == 1 && sample.contains_key(field)) {
            let tags = series.map(|tag| sample[tag].as_str().unwrap()).to_vec();
            expected.entry(tags).or_default().push(sample[field].as_i64().unwrap());
        }
        let mut found = BTreeMap::new();
        for window in windows.iter().filter(|window| window["metric"] == metric) {
            let tags = series.map(|tag| window[tag].as_str().unwrap()).to_vec();
            assert!(found.insert(tags, window).is_none(), "one window a series: {window:?}");
        }
        assert!(!expected.is_empty());
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{metric}");
        for (tags, values) in expected {
            let window = found[&tags];
            assert_eq!(window["count"], values.len(), "{metric} {tags:?}");
            // Three significant digits, as the histogram has.
            let near = |name: &str, value: i64| (window[name].as_i64().unwrap() - value).abs() * 500 <= value.max(500);
            assert!(near("min", *values.iter().min().unwrap()), "{metric} {values:?} {window:?}");
            assert!(near("max", *values.iter().max().unwrap()), "{metric} {values:?} {window:?}");
        }
    }
}

/// The database, the archive and the samples themselves have the same figures.
fn reports_agree<'a>(world: &World, config: &str, shown: impl Iterator<Item = &'a Map<String, Value>> + Clone) {
    let report = |args: &[&str]| {
        let ended = bandprobe(&[&["report"], args].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        ended.stdout
    };
    let archive = world.archive();
    let archive = archive.to_str().unwrap();
    let json = report(&["--archive", archive, "--format", "json"]);
    assert_eq!(report(&["-c", config, "--format", "json"]), json);
    assert_eq!(report(&["-c", config]), report(&["--archive", archive]), "the table");
    let file = world.path("report.json");
    assert_eq!(report(&["-c", config, "--format", "json", "-o", file.to_str().unwrap()]), "");
    assert_eq!(std::fs::read_to_string(file).unwrap(), json);

    let json: Value = serde_json::from_str(&json).unwrap();
    let rows = json["nodes"].as_array().unwrap();
    assert_eq!(rows.len(), world.demo.nodes().len());
    for row in rows {
        let of = |part: fn(&str) -> bool| {
            shown.clone().filter(move |o| o["node"] == row["node"] && part(o["part"].as_str().unwrap()))
        };
        let downloads = of(|part| !matches!(part, "check" | "none"));
        assert_eq!(row["downloads"], downloads.clone().count(), "{row}");
        assert_eq!(row["downloads_ok"], downloads.clone().filter(|o| o["ok"] == 1).count(), "{row}");
        let runs = of(|_| true).filter(|o| o.contains_key("run_ok"));
        assert_eq!(row["runs"], runs.clone().count(), "{row}");
        assert_eq!(row["runs_ok"], runs.filter(|o| o["run_ok"] == 1).count(), "{row}");
        // An image and a video; a node that holds nothing is charged with no run.
        assert_eq!(row["runs"], if row["node"] == "missing" { 0 } else { 2 }, "{row}");
        let counted = of(|_| true).filter(|o| o.contains_key("hit"));
        assert_eq!(row["checks"], counted.clone().count(), "{row}");
        assert_eq!(row["hits"], counted.filter(|o| o["hit"] == 1).count(), "{row}");
        // One image a run counts, whether one is checked or two.
        assert_eq!(row["checks"], 2, "{row}");
        let cold = downloads.clone().find(|o| o["part"] == "full" && o["conn"] == "cold" && o["ok"] == 1);
        let p50 = row["ttfb"].get("p50_us").and_then(Value::as_f64);
        assert_eq!(p50.is_some(), cold.is_some(), "{row}");
        if let (Some(p50), Some(cold)) = (p50, cold) {
            let ttfb = cold["ttfb_us"].as_f64().unwrap();
            assert!((p50 - ttfb).abs() <= 0.002 * ttfb, "{p50} {ttfb}");
        }
    }
}

#[test]
fn a_worker_delivers_while_it_runs_and_when_it_stops() {
    let Some(server) = influxd::shared() else { return };
    let world = World::new(vec![sound("a"), NodePlan { tls: true, ..sound("b") }]);
    let database = server.bucket();
    let config = world.config("config.toml", Some(&database), "");
    let child = Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]));
    until("transfers of each probe in the database", || {
        let there = stored(server, &database.bucket);
        ["image", "video"].iter().all(|probe| there.iter().filter(|(tags, _)| tags[3] == *probe).count() > 4)
    });
    child.signal("TERM");
    let ended = child.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, "");
    same_points(server, &database, &world);
    let left = status(&world.archive()).unwrap();
    assert_eq!((left.spool.files, left.open.files), (0, 0));
    let delivered = points(&world.archive()).len();
    assert!(ended.stderr.contains(&format!("{delivered} points delivered")), "{}", ended.stderr);
    let workers = server.points(&database.bucket, "bandprobe_worker");
    assert_eq!(workers.len(), 1);
    // Both clocks are this machine's.
    assert!(workers[0]["clock_offset_ms"].as_i64().unwrap().abs() < 2_000, "{workers:?}");
}

#[test]
fn two_rounds_share_an_archive_and_one_delivers() {
    let Some(server) = influxd::shared() else { return };
    let world = World::new(vec![sound("a"), sound("b")]);
    let database = server.bucket();
    let config = world.config("config.toml", Some(&database), "");
    let config = config.to_str().unwrap();
    let args = ["once", "-c", config, "--json", "--splay", "1s"];
    let rounds = [(); 2].map(|()| Child::spawn(&mut command(&args)));
    let rounds = rounds.map(|round| thread::spawn(|| round.end())).map(|round| round.join().unwrap());
    let mut shown = Vec::new();
    for round in &rounds {
        assert_eq!(round.code, Some(0), "{round:?}");
        shown.extend(printed(&round.stdout));
    }
    shown.sort_unstable();
    assert_eq!(world.archived(), shown);
    let left = status(&world.archive()).unwrap();
    assert_eq!(left.open.files, 0);
    if left.spool.points > 0 {
        let message = format!("{} points are waiting in {}", left.spool.points, world.archive().display());
        assert!(rounds.iter().any(|round| round.stderr.contains(&message)), "{message}: {rounds:?}");
        assert!(rounds.iter().any(|round| round.stderr.contains("by another process (pid ")), "{rounds:?}");
    }
    assert_eq!(bandprobe(&["once", "-c", config, "--node", "a", "--probe", "image"]).code, Some(0));
    same_points(server, &database, &world);
}

#[test]
fn a_worker_takes_over_delivery_from_a_finished_round() {
    let Some(server) = influxd::shared() else { return };
    let world = World::new(vec![sound("a")]);
    let database = server.bucket();
    let config = world.config("config.toml", Some(&database), "");
    // Holds the spool, as a round of another process would.
    let spool = bandprobe::archive::spool::Spool::lock(&world.archive()).unwrap();
    let child = Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]));
    until("something waits", || !world.archived().is_empty());
    assert_eq!(stored(server, &database.bucket), []);
    drop(spool);
    until("it is delivered", || !stored(server, &database.bucket).is_empty());
    child.signal("TERM");
    assert_eq!(child.end().code, Some(0));
    same_points(server, &database, &world);
}

#[test]
fn a_closed_stdout_ends_only_the_printing() {
    let world = World::new(vec![sound("a"), sound("b")]);
    let config = world.config("config.toml", None, "");
    let config = config.to_str().unwrap();
    let full = bandprobe(&["once", "-c", config, "--json"]);
    let before = world.archived();
    assert_eq!(printed(&full.stdout), before);

    let archive = world.archive();
    for args in [&["once", "-c", config, "--json"][..], &["report", "--archive", archive.to_str().unwrap()]] {
        let mut process = command(args).spawn().unwrap();
        drop(process.stdout.take());
        let mut stderr = String::new();
        process.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((process.wait().unwrap().code(), stderr.as_str()), (Some(0), ""), "{args:?}");
    }
    assert_eq!(world.archived().len(), 2 * before.len(), "the second round was made all the same");
}

#[test]
fn strict_exits_3_when_a_transfer_failed() {
    let world = World::new(vec![sound("a"), NodePlan { tls: false, link: None, ..NodePlan::standard().remove(5) }]);
    let config = world.config("config.toml", None, "");
    let config = config.to_str().unwrap();
    for (node, strict, code) in [("failing", true, 3), ("failing", false, 0), ("a", true, 0)] {
        let strict: &[&str] = if strict { &["--strict"] } else { &[] };
        let ended = bandprobe(&[&["once", "-c", config, "--node", node, "--probe", "image"], strict].concat());
        assert_eq!(ended.code, Some(code), "{node} {strict:?}: {ended:?}");
        let named = ended.stdout.lines().filter(|line| line.trim_start().starts_with(node)).count();
        assert!(named > 0, "{}", ended.stdout);
        assert!(ended.stderr.contains(&format!("results are in {}", world.archive().display())), "{}", ended.stderr);
    }
}

#[test]
fn a_second_worker_records_and_the_first_delivers() {
    let Some(server) = influxd::shared() else { return };
    let world = World::new(vec![sound("a")]);
    let database = server.bucket();
    let [first, second] = ["first", "second"].map(|id| {
        let config = world.config(&format!("{id}.toml"), Some(&database), "");
        let text = std::fs::read_to_string(&config).unwrap().replace("id = \"here\"", &format!("id = \"{id}\""));
        std::fs::write(&config, text).unwrap();
        config
    });
    let delivering = Child::spawn(&mut command(&["run", "-c", first.to_str().unwrap()]));
    delivering.wait_for("probing");
    let recording = Child::spawn(&mut command(&["run", "-c", second.to_str().unwrap()]));
    let shown = recording.wait_for("this process only records");
    assert!(shown.contains("delivered by another process (pid "), "{shown}");
    until("the results of both are delivered while both run", || {
        let there = stored(server, &database.bucket);
        ["first", "second"].iter().all(|vantage| there.iter().any(|(tags, _)| tags[0] == *vantage))
    });
    for child in [recording, delivering] {
        child.signal("TERM");
        assert_eq!(child.end().code, Some(0));
    }
    assert_eq!(stored(server, &database.bucket), world.archived());
}
