//! InfluxDB is unavailable: the round succeeds and reports what is kept, where and why. Later everything is delivered.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{io::Write, net::TcpListener, thread};

use bandprobe::{
    archive::status::status,
    config::{InfluxDb, Secret},
};

use super::delivery::stored;
use crate::{
    influxd,
    process::{Child, World, bandprobe, command, printed, request::read_request, sound, until},
};

/// Answers every request like this, for as long as the tests run.
fn portal(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            read_request(&socket);
            let _ = socket.write_all(answer.as_bytes());
        }
    });
    port
}

const PAGE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 20\r\nconnection: close\r\n\r\n\
    <html>Sign in</html>";
const MOVED: &str =
    "HTTP/1.1 302 Found\r\nlocation: http://portal.invalid/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[test]
fn an_unusable_database_loses_nothing() {
    let Some(server) = influxd::shared() else { return };
    let good = || server.bucket();
    let at = |port: u16| InfluxDb { url: format!("http://127.0.0.1:{port}").parse().unwrap(), ..good() };
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    thread::scope(|scope| {
        for (broken, why) in [
            (at(free()), "onnection refused"),
            (InfluxDb { token: Secret::new("wrong"), ..good() }, "put a valid one in [influxdb] token-file"),
            (server.missing_bucket(), "create the bucket"),
            (at(portal(PAGE)), "captive portal"),
            (at(portal(MOVED)), "captive portal"),
        ] {
            scope.spawn(move || {
                let fixed = InfluxDb { url: good().url, token: Secret::new(influxd::TOKEN), ..broken.clone() };
                kept_and_then_delivered(&broken, why, &fixed);
            });
        }
    });
}

fn kept_and_then_delivered(broken: &InfluxDb, why: &str, fixed: &InfluxDb) {
    let server = influxd::shared().unwrap();
    let world = World::new(vec![sound("a")]);
    let spool_status = || {
        let ended = bandprobe(&["spool", "status", "--archive", world.archive().to_str().unwrap()]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{why}");
        ended.stdout
    };
    let config = world.config("broken.toml", Some(broken), "");
    let ended = bandprobe(&["once", "-c", config.to_str().unwrap(), "--json"]);
    assert_eq!(ended.code, Some(0), "{why}: {}", ended.stderr);
    let first = printed(&ended.stdout);
    assert_eq!((first.len() > 5, &first), (true, &world.archived()), "{why}");
    let waiting = status(&world.archive()).unwrap().spool.points;
    let message = format!(
        "0 points delivered to {} (bucket {}); {waiting} points are waiting in {}: ",
        broken.url,
        broken.bucket,
        world.archive().display()
    );
    assert!(ended.stderr.contains(&message) && ended.stderr.contains(why), "{why}: {}", ended.stderr);
    assert!(!ended.stderr.contains(broken.token.reveal()), "{}", ended.stderr);
    let shown = spool_status();
    assert!(shown.contains(&format!("{waiting} points")) && shown.contains(why), "{why}: {shown}");

    let bucket = &fixed.bucket;
    if server.query(bucket, "SHOW MEASUREMENTS").is_empty() && why.contains("bucket") {
        server.create_bucket(bucket, 0);
    }
    let config = world.config("fixed.toml", Some(fixed), "");
    let ended = bandprobe(&["once", "-c", config.to_str().unwrap(), "--json"]);
    assert_eq!(ended.code, Some(0), "{why}: {}", ended.stderr);
    let mut both = [first, printed(&ended.stdout)].concat();
    both.sort_unstable();
    assert_eq!(stored(server, bucket), both, "{why}");
    assert_eq!(status(&world.archive()).unwrap().spool.points, 0, "{why}");
    assert!(!ended.stderr.contains("kept"), "{why}: {}", ended.stderr);
    let shown = spool_status();
    assert!(shown.contains("last answer: ") && shown.contains(": delivered"), "{shown}");
}

#[test]
fn a_worker_outlives_the_outage_of_its_database() {
    let Some(server) = influxd::own() else { return };
    let world = World::new(vec![sound("a")]);
    let database = server.bucket();
    server.stop();
    let config = world.config("config.toml", Some(&database), "");
    let child = Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]));
    child.wait_for("delivery is waiting, results are kept");
    until("something waits", || !world.archived().is_empty());
    server.restart();
    until("it is delivered", || !stored(&server, &database.bucket).is_empty());
    child.signal("TERM");
    let ended = child.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(stored(&server, &database.bucket), world.archived());
    assert_eq!(status(&world.archive()).unwrap().spool.points, 0);
}

/// A wrong token, put right in its file; a missing bucket, made by hand; both while the worker runs.
#[test]
fn a_fixed_config_is_used_without_a_restart() {
    let Some(server) = influxd::shared() else { return };
    type Repair<'a> = &'a (dyn Fn(&World, &InfluxDb) + Sync);
    let token: Repair<'_> = &|world, _| drop(world.write("config.toml.token", influxd::TOKEN));
    let url: Repair<'_> = &|world, broken| {
        let good = InfluxDb { url: server.missing_bucket().url, ..broken.clone() };
        world.config("config.toml", Some(&good), "");
    };
    let bucket: Repair<'_> = &|_, database| server.create_bucket(&database.bucket, 0);
    let wrong = InfluxDb { token: Secret::new("wrong"), ..server.bucket() };
    let away = InfluxDb { url: "http://127.0.0.1:1/".parse().unwrap(), ..server.bucket() };
    thread::scope(|scope| {
        for (broken, why, fix) in [
            (wrong, "put a valid one in [influxdb] token-file", token),
            (server.missing_bucket(), "create the bucket", bucket),
            (away, "check that InfluxDB is running there", url),
        ] {
            scope.spawn(move || {
                let world = World::new(vec![sound("a")]);
                let config = world.config("config.toml", Some(&broken), "");
                let child = Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]));
                child.wait_for(why);
                fix(&world, &broken);
                until("it is delivered", || !stored(server, &broken.bucket).is_empty());
                child.signal("TERM");
                let ended = child.end();
                assert_eq!(ended.code, Some(0), "{}", ended.stderr);
                assert_eq!(stored(server, &broken.bucket), world.archived(), "{why}");
                assert_eq!(status(&world.archive()).unwrap().spool.points, 0);
                assert!(!ended.stderr.contains("delivery is stopped"), "logged once: {}", ended.stderr);
            });
        }
    });
}
