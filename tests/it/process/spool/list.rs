//! `bandprobe spool list` and `bandprobe spool status`.

use std::fs;

use serde_json::Value;

use super::{empty, seal, spool};
use crate::influxd;

#[test]
fn waiting_files_are_listed_oldest_first_with_damaged_ones() {
    let world = empty();
    let config = world.config("here.toml", None, "");
    let line = "m v=1i 1\n";
    seal(&world.archive(), "2026-11-22T10:00:01Z", &line.repeat(2));
    seal(&world.archive(), "2026-11-22T10:00:00Z", line);
    let bad = "2026-11-22T090000.000000000Z-1.lp.bad";
    fs::write(world.archive().join("rejected").join(bad), "torn").unwrap();

    let listed = spool("list", &config, &[]);
    assert_eq!((listed.code, &*listed.stderr), (Some(0), ""));
    let lines: Vec<_> = listed.stdout.lines().collect();
    assert!(lines[0].starts_with("2026-11-22T100000.000000000Z-") && lines[0].contains(" 1 points "), "{lines:?}");
    assert!(lines[1].starts_with("2026-11-22T100001.000000000Z-") && lines[1].contains(" 2 points "), "{lines:?}");
    assert!(lines[0].ends_with(" ago"), "{lines:?}");
    assert_eq!((lines.len(), lines[3]), (5, "damaged, set aside:"), "{lines:?}");
    assert!(lines[4].starts_with(&format!("rejected/{bad} ")) && lines[4].ends_with(" 4 B"), "{lines:?}");

    let rows = spool("list", &config, &["--json"]).stdout;
    let rows: Vec<Value> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let kinds: Vec<_> = rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["waiting", "waiting", "damaged"]);
    assert_eq!((&rows[0]["points"], &rows[0]["opened"]), (&1.into(), &"2026-11-22T10:00:00Z".into()));
    let status: Value = serde_json::from_str(&spool("status", &config, &["--json"]).stdout).unwrap();
    assert_eq!((&status["waiting"]["points"], &status["waiting"]["files"]), (&3.into(), &2.into()));
    assert_eq!((&status["damaged"]["files"], status.get("drainer")), (&1.into(), None), "{status}");
}

/// The database keeps the type that a field had first.
#[test]
fn refused_lines_are_listed_with_the_databases_message() {
    let Some(server) = influxd::shared() else { return };
    let database = server.bucket();
    let world = empty();
    let config = world.config("here.toml", Some(&database), "");
    seal(&world.archive(), "2026-11-22T10:00:00Z", "m,node=a v=\"text\" 1795341600000000000\n");
    let ended = spool("flush", &config, &[]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    let refused = ["m,node=b v=1i 1795341601000000000", "m,node=c v=2i 1795341602000000000"];
    let lines = format!("{}\nm,node=d v=\"fits\" 1795341603000000000\n{}\n", refused[0], refused[1]);
    seal(&world.archive(), "2026-11-22T10:00:01Z", &lines);
    let ended = spool("flush", &config, &[]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "what is refused does not wait: {ended:?}");
    let told =
        format!("1 point in 1 file delivered to {} (bucket {}); 2 points refused", database.url, database.bucket);
    assert!(ended.stdout.starts_with(&told) && ended.stdout.contains("field type conflict"), "{}", ended.stdout);
    assert_eq!(server.count(&database.bucket, "m", "v"), 2);

    let rows = spool("list", &config, &["--json"]).stdout;
    let rows: Vec<Value> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!((rows.len(), &rows[0]["kind"], &rows[0]["points"]), (1, &"rejected".into(), &2.into()), "{rows:?}");
    let message = rows[0]["message"].as_str().unwrap();
    assert!(message.contains("field type conflict") && message.contains("already exists as type string"), "{message}");
    assert_eq!(rows[0]["lines"], Value::from(refused.to_vec()));
    let listed = spool("list", &config, &[]).stdout;
    let expected = format!("\n  {message}\n    {}\n    {}\n", refused[0], refused[1]);
    assert!(listed.starts_with("nothing to deliver\n\nrefused by InfluxDB, newest first:\n2 points, "), "{listed}");
    assert!(listed.ends_with(&expected), "{listed}");

    let status = spool("status", &config, &[]).stdout;
    assert!(status.contains("\ndelivering now: no process\n"), "{status}");
    assert!(status.contains("\nnewest rejection: 2 points, ") && status.contains(message), "{status}");
    let status: Value = serde_json::from_str(&spool("status", &config, &["--json"]).stdout).unwrap();
    assert_eq!((&status["rejected"]["points"], &status["newest_rejection"]["text"]), (&2.into(), &message.into()));
    assert_eq!(status["last_answer"]["text"], "delivered");
}
