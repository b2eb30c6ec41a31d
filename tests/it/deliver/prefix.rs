//! InfluxDB behind a proxy, under a path prefix: writes, creating a bucket, the clock, reports.

use super::*;
use crate::{
    nginx::Nginx,
    process::{World, bandprobe, sound},
};

fn below(config: &config::InfluxDb, url: &str) -> config::InfluxDb {
    config::InfluxDb { url: url.parse().unwrap(), ..config.clone() }
}

#[tokio::test]
async fn every_request_goes_below_the_path_of_the_url() {
    let server = Server::asked(|request| {
        let first = request.head.lines().next().unwrap();
        let head = "HTTP/1.1 204 No Content\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n";
        Some(match first.split(' ').next().unwrap() {
            "HEAD" => head.to_owned(),
            _ if request.body.contains("never") => answer(404, r#"{"message":"bucket \"b\" not found"}"#),
            "POST" if first.contains("/write") => NO_CONTENT.to_owned(),
            "GET" => answer(200, r#"{"orgs":[{"id":"other","name":"x"},{"id":"0123456789abcdef","name":"o"}]}"#),
            _ => answer(201, "{}"),
        })
    });
    let config = below(&server.config(), &format!("http://127.0.0.1:{}/influx/a%20b/", server.port));
    let config = config::InfluxDb { create_bucket: true, org: "o".to_owned(), ..config };
    let influx = influx(&config);
    assert_eq!(influx.bucket().root, format!("http://127.0.0.1:{}/influx/a%20b", server.port));
    let written = influx.write("m v=1i 1\n").await;
    assert_eq!(written.answer, bandprobe::deliver::answer::Answer::Stored);
    assert_eq!(influx.create_bucket().await, Ok(()));
    assert!(influx.clock_offset_ms().await.is_some());
    let asked: Vec<_> = server.requests.try_iter().collect();
    let lines: Vec<_> = asked.iter().map(|request| request.head.lines().next().unwrap()).collect();
    assert_eq!(
        lines,
        [
            "POST /influx/a%20b/api/v2/write?bucket=b&org=o&precision=ns HTTP/1.1",
            "GET /influx/a%20b/api/v2/orgs?org=o HTTP/1.1",
            "POST /influx/a%20b/api/v2/buckets HTTP/1.1",
            "HEAD /influx/a%20b/ping HTTP/1.1",
        ]
    );
    assert!(asked[..3].iter().all(|request| request.head.contains("authorization: Token secret")));
    assert_eq!(asked[0].body, "m v=1i 1\n");
    let bucket: serde_json::Value = serde_json::from_str(&asked[2].body).unwrap();
    assert_eq!((&bucket["orgID"], &bucket["name"]), (&"0123456789abcdef".into(), &"b".into()));
}

/// A 404 of the proxy, where the path is wrong, is no missing bucket.
#[tokio::test]
async fn a_wrong_path_is_named() {
    let server = Server::start(vec![answer(404, "<html>404 Not Found</html>")]);
    let dir = spooled(1);
    let config = below(&server.config(), &format!("http://127.0.0.1:{}/influx/", server.port));
    let event = drain(dir.path(), &config).step().await.unwrap();
    let shown = show(&event);
    assert!(shown.contains(&format!("hold: http://127.0.0.1:{}/influx answered 404", server.port)), "{shown}");
    assert!(shown.contains("or correct [influxdb] url"), "{shown}");
}

/// A real InfluxDB behind a real nginx, at `/influx/`, and the URL of that.
fn proxied(server: &influxd::Influxd) -> Option<(Nginx, String)> {
    let location = format!("location /influx/ {{ proxy_pass http://127.0.0.1:{}/; }}", server.port);
    let nginx = Nginx::start(&location)?;
    let url = format!("http://127.0.0.1:{}/influx/", nginx.port);
    Some((nginx, url))
}

#[tokio::test]
async fn a_bucket_is_created_and_written_through_a_real_proxy() {
    let Some(server) = influxd::shared() else { return };
    let Some((_nginx, url)) = proxied(server) else { return };
    let missing = server.missing_bucket();
    let config = config::InfluxDb { create_bucket: true, ..below(&missing, &url) };
    let dir = spooled(10);
    let mut drain = drain(dir.path(), &config);
    assert_eq!(drain.step().await.unwrap(), Event::BucketCreated);
    assert_eq!(drain.drain_until(soon()).await.unwrap().delivered, 10);
    assert_eq!(server.count(&missing.bucket, "m", "v"), 10);
    assert!(influx(&config).clock_offset_ms().await.is_some());
}

#[test]
fn results_are_reported_through_a_real_proxy() {
    let Some(server) = influxd::shared() else { return };
    let Some((_nginx, url)) = proxied(server) else { return };
    let world = World::new(vec![sound("a")]);
    let file = world.config("config.toml", Some(&below(&server.bucket(), &url)), "");
    let stdout_of = |args: &[&str]| {
        let ended = bandprobe(args);
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
        ended
    };
    let once = stdout_of(&["once", "-c", file.to_str().unwrap()]);
    assert!(once.stderr.contains(&format!("delivered to {url}")), "{}", once.stderr);
    let report = stdout_of(&["report", "-c", file.to_str().unwrap(), "--format", "json"]);
    let archived = stdout_of(&["report", "--archive", world.archive().to_str().unwrap(), "--format", "json"]);
    assert_eq!(report.stdout, archived.stdout);
}

#[test]
fn a_refused_token_is_named_by_its_source() {
    let refused = || answer(401, r#"{"code":"unauthorized","message":"unauthorized access"}"#);
    let server = Server::asked(move |_| Some(refused()));
    let world = World::new(vec![sound("a")]);
    let file = world.config("config.toml", Some(&server.config()), "");
    let once = bandprobe(&["once", "-c", file.to_str().unwrap()]);
    let from = format!("[influxdb] token-file ({})", world.path("config.toml.token").display());
    assert!(once.stderr.contains(&format!("put a valid one in {from}")), "{}", once.stderr);
    let report = bandprobe(&["report", "-c", file.to_str().unwrap()]);
    assert_eq!(report.code, Some(1));
    assert!(report.stderr.contains(&format!("it rejects the token from {from}")), "{}", report.stderr);
    assert!(!format!("{}{}", once.stderr, report.stderr).contains("secret"));
}
