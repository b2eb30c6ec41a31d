//! InfluxDB 1.8 and 3 at the write endpoint of 2.x, with their own messages. 1.8 is real here. 3 is a scripted server
//! with the answers of InfluxDB 3 Core (influxdb3_server/src/http.rs of its sources).

use super::*;
use crate::{
    influxd::old,
    process::{World, bandprobe, sound},
};

#[tokio::test]
async fn version_1_accepts_a_database_as_a_bucket() {
    let Some(server) = old::shared() else { return };
    let config = server.database();
    server.run(&format!("CREATE RETENTION POLICY kept ON {:?} DURATION INF REPLICATION 1", config.bucket));
    for (policy, from) in [("", "autogen.m"), ("/autogen", "autogen.m"), ("/kept", "kept.m")] {
        let config = config::InfluxDb { bucket: format!("{}{policy}", config.bucket), ..config.clone() };
        let dir = spooled(1000);
        assert_eq!(drain(dir.path(), &config).drain_until(soon()).await.unwrap(), all(1000), "{policy}");
        let database = config.bucket.split('/').next().unwrap();
        assert_eq!(server.count(database, from, "v"), 1000, "{policy}");
    }
}

#[tokio::test]
async fn version_1_refuses_only_the_bad_line() {
    let Some(server) = old::shared() else { return };
    for (bad, expected) in [("m,n=500 v=\"text\" 501", "field type conflict"), ("m,n=500 v= 501", "unable to parse")] {
        let config = server.database();
        let dir = TempDir::new().unwrap();
        append(dir.path(), "2026-11-21T10:00:00Z", &lines(1000).replace("m,n=500 v=500i 501", bad), 1000);
        let drained = drain(dir.path(), &config).drain_until(soon()).await.unwrap();
        assert_eq!(drained, Drained { rejected: 1, ..all(999) });
        assert_eq!(server.count(&config.bucket, "m", "v"), 999);
        let kept = rejected_lines(dir.path());
        assert!(kept.len() == 2 && kept[0].contains(expected) && kept[1] == bad, "{kept:?}");
    }

    let config = server.database();
    server.run(&format!("CREATE RETENTION POLICY short ON {:?} DURATION 1h REPLICATION 1", config.bucket));
    let config = config::InfluxDb { bucket: format!("{}/short", config.bucket), ..config };
    let dir = spooled(1000);
    let mut drain = drain(dir.path(), &config);
    let event = drain.step().await.unwrap();
    assert!(matches!(&event, Event::Divided { message } if message.contains("beyond retention policy")), "{event:?}");
    assert_eq!(drain.take_counters().points_rejected, 1000, "one answer about all of them is enough");
}

#[tokio::test]
async fn version_1_names_what_is_missing() {
    let Some(server) = old::shared() else { return };
    let (there, missing) = (server.database(), server.missing_bucket());
    server.run("CREATE USER stranger WITH PASSWORD 'for-tests-only'");
    let with = |token: &str| config::InfluxDb { token: Secret::new(token), ..there.clone() };
    let policy = config::InfluxDb { bucket: format!("{}/none", there.bucket), ..there.clone() };
    let dir = spooled(100);
    let mut drain = drain(dir.path(), &there);
    for (config, expected) in [
        (&with("tester:wrong"), "hold: answered 401 (authorization failed): the token is not accepted"),
        (&with("no-name-and-password"), "hold: answered 401 (unable to parse authentication credentials): the token"),
        (&with("stranger:for-tests-only"), "hold: answered 403 (\"stranger\" user is not authorized to write"),
        (&policy, "back off: answered 500 (retention policy not found: none)"),
        (&missing, "hold: answered 404 (database not found: "),
    ] {
        drain.use_database(influx(config));
        let event = drain.step().await.unwrap();
        let shown = show(&event).replace(&format!("http://127.0.0.1:{} ", server.port), "");
        assert!(shown.starts_with(expected), "{expected}: {shown}");
    }
    server.run(&format!("CREATE DATABASE {:?}", missing.bucket));
    drain.use_database(influx(&missing));
    assert_eq!(drain.drain_until(soon()).await.unwrap(), all(100));
}

/// Spaces, non-ASCII characters and colons, which `Token` cannot carry to 1.8; a byte order mark before them in the file.
#[test]
fn version_1_accepts_credentials_with_any_characters() {
    let Some(server) = old::shared() else { return };
    for (user, password) in [("two words", "päss wörd"), ("jürgen", "geheim"), ("plain", "a:b c"), ("日本", "ключ")]
    {
        server.run(&format!("CREATE USER \"{user}\" WITH PASSWORD '{password}' WITH ALL PRIVILEGES"));
        let world = World::new(vec![sound("a")]);
        let database = server.database();
        let marked = config::InfluxDb { token: Secret::new(&format!("\u{feff}{user}:{password}\r\n")), ..database };
        let config = world.config("config.toml", Some(&marked), "");
        let once = bandprobe(&["once", "-c", config.to_str().unwrap()]);
        assert!(once.code == Some(0) && once.stderr.contains("delivered to"), "{user}: {}", once.stderr);
        assert!(server.count(&marked.bucket, "bandprobe_transfer", "ok") > 0, "{user}: {}", once.stderr);
        let report = bandprobe(&["report", "-c", config.to_str().unwrap()]);
        assert_eq!(report.code, Some(0), "{user}: {}", report.stderr);
    }
}

#[test]
fn a_report_from_version_1_equals_one_from_the_archive() {
    let Some(server) = old::shared() else { return };
    for policy in ["", "/autogen"] {
        let world = World::new(vec![sound("a")]);
        let mut database = server.database();
        database.bucket += policy;
        let config = world.config("config.toml", Some(&database), "");
        let stdout_of = |args: &[&str]| {
            let ended = bandprobe(args);
            assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
            ended.stdout
        };
        stdout_of(&["once", "-c", config.to_str().unwrap()]);
        let json = stdout_of(&["report", "-c", config.to_str().unwrap(), "--format", "json"]);
        assert!(json.contains("\"node\""), "{json}");
        assert_eq!(json, stdout_of(&["report", "--archive", world.archive().to_str().unwrap(), "--format", "json"]));
    }
}

/// As InfluxDB 3 does, which stores the good lines and names the others.
fn version_3(body: &str) -> Option<String> {
    let bad = |line: &str| line.contains("n=13 ") || line.contains("n=700 ");
    let refused: Vec<_> = (1..)
        .zip(body.lines())
        .filter(|(_, line)| bad(line))
        .map(|(number, line)| {
            let message = format!("line {} is bad", line.split(' ').next().unwrap());
            serde_json::json!({"original_line": line, "line_number": number, "error_message": message})
        })
        .collect();
    let partial = serde_json::json!({"error": "partial write of line protocol occurred", "data": refused});
    Some(if refused.is_empty() { NO_CONTENT.to_owned() } else { answer(400, &partial.to_string()) })
}

#[tokio::test]
async fn version_3_names_each_refused_line_and_its_error() {
    let server = Server::answering(version_3);
    let dir = spooled(1000);
    let drained = drain(dir.path(), &server.config()).drain_until(soon()).await.unwrap();
    assert_eq!(drained, Drained { rejected: 2, ..all(998) });
    let message = |node: u32| format!("# partial write of line protocol occurred: line m,n={node} is bad");
    let (first, second) = (message(13), message(700));
    assert_eq!(rejected_lines(dir.path()), [&first, "m,n=13 v=13i 14", &second, "m,n=700 v=700i 701"]);
}

#[tokio::test]
async fn a_batch_that_version_3_refuses_whole_is_kept() {
    for (status, body, expected) in [
        (400, r#"{"error":"db name did not start with a number or letter","data":null}"#, "correct [influxdb] bucket"),
        (422, r#"{"error":"Adding a new database would exceed limit of 5 databases","data":null}"#, "raise the limit"),
        (401, "", "the token is not accepted"),
        (403, "", "the token may not write"),
        (404, "not found", "create the bucket"),
    ] {
        let server = Server::answering(move |_| Some(answer(status, body)));
        let dir = spooled(1000);
        let held = drain(dir.path(), &server.config()).drain_until(soon()).await.unwrap();
        assert_eq!((held.delivered, held.rejected, held.waiting), (0, 0, 1000), "{status}");
        assert!(held.reason.as_ref().unwrap().contains(expected), "{held:?}");
    }
}

fn all(points: u64) -> Drained {
    Drained { delivered: points, rejected: 0, waiting: 0, reason: None }
}
