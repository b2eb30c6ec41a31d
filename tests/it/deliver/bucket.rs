//! The bucket does not exist, or the clock is wrong.

use bandprobe::deliver::clock::TOLERANCE_MS;

use super::*;

#[tokio::test]
async fn a_missing_bucket_is_created_if_the_config_allows_it() {
    let Some(server) = influxd::shared() else { return };
    let config = server.missing_bucket();
    let dir = spooled(10);
    let mut held = drain(dir.path(), &config);
    let reason = held.drain_until(soon()).await.unwrap().reason.unwrap();
    assert!(reason.ends_with("or set [influxdb] create-bucket = true"), "{reason}");
    drop(held);

    let create = config::InfluxDb { create_bucket: true, ..config.clone() };
    let mut drain = drain(dir.path(), &create);
    assert_eq!(drain.step().await.unwrap(), Event::BucketCreated);
    assert_eq!(drain.drain_until(soon()).await.unwrap().delivered, 10);
    assert_eq!(server.count(&config.bucket, "m", "v"), 10);
    // Two workers may find it missing at once: the second learns that it exists.
    assert_eq!(influx(&create).create_bucket().await, Ok(()));
}

#[tokio::test]
async fn a_bucket_that_stays_missing_is_created_only_once() {
    let server = Server::asked(|request| {
        Some(if request.head.starts_with("POST /api/v2/write") {
            answer(404, r#"{"message":"bucket \"b\" not found"}"#)
        } else if request.head.starts_with("GET /api/v2/orgs?org=o") {
            answer(200, r#"{"orgs":[{"id":"0123456789abcdef","name":"o"}]}"#)
        } else {
            answer(422, r#"{"message":"bucket with name b already exists"}"#)
        })
    });
    let dir = spooled(10);
    let mut drain = drain(dir.path(), &config::InfluxDb { create_bucket: true, ..server.config() });
    assert_eq!(drain.step().await.unwrap(), Event::BucketCreated);
    let event = drain.step().await.unwrap();
    assert!(
        matches!(&event, Event::Holding { reason, .. } if reason.contains("it was created a moment ago")),
        "{event:?}"
    );
    let asked: Vec<_> =
        server.requests.try_iter().map(|request| request.head.lines().next().unwrap().to_owned()).collect();
    assert_eq!(asked.len(), 4, "{asked:?}");
}

#[tokio::test]
async fn a_bucket_that_cannot_be_created_is_reported() {
    let Some(server) = influxd::shared() else { return };
    let good = server.missing_bucket();
    let nobodys = config::InfluxDb { org: "nobodys".to_owned(), create_bucket: true, ..good.clone() };
    let narrow = server.token_for("first");
    let powerless = config::InfluxDb { token: Secret::new(&narrow), create_bucket: true, ..good };
    for (config, expected) in [(nobodys, "there is no org \"nobodys\""), (powerless, "it could not be created: ")] {
        let dir = spooled(10);
        let drained = drain(dir.path(), &config).drain_until(soon()).await.unwrap();
        let reason = drained.reason.unwrap();
        assert!(reason.contains(expected) && !reason.contains(&narrow), "{reason}");
        assert_eq!(drained.waiting, 10);
    }
}

#[tokio::test]
async fn the_clocks_are_compared() {
    let Some(server) = influxd::shared() else { return };
    let offset = influx(&server.bucket()).clock_offset_ms().await.unwrap();
    assert!(offset.abs() < TOLERANCE_MS, "{offset}: both are on this machine");

    for (date, expected) in [("Mon, 23 Nov 2020 10:00:00 GMT", true), ("soon", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            write!(stream, "HTTP/1.1 204 No Content\r\ndate: {date}\r\nconnection: close\r\n\r\n").unwrap();
            line
        });
        let offset = influx(&config(port)).clock_offset_ms().await;
        assert_eq!(offset.is_some_and(|offset| offset < -86_400_000), expected, "{date}: {offset:?}");
        assert_eq!(server.join().unwrap(), "HEAD /ping HTTP/1.1\r\n");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(influx(&config(closed)).clock_offset_ms().await, None);
}
