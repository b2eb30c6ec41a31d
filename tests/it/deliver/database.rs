//! Delivery to a real InfluxDB.

use super::*;

#[tokio::test]
async fn a_delivered_file_is_read_back() {
    let Some(server) = influxd::shared() else { return };
    let config = server.bucket();
    let dir = TempDir::new().unwrap();
    let lines =
        "m,place=a\\ b v=1i,f=0.5,s=\"x \\\"y\\\" \\\\\" 1763719200000000001\nm,place=c v=-2i 1763719200000000002\n";
    append(dir.path(), "2026-11-21T10:00:00Z", lines, 2);
    let drained = drain(dir.path(), &config).drain_until(soon()).await.unwrap();
    assert_eq!(drained, Drained { delivered: 2, rejected: 0, waiting: 0, reason: None });
    let rows = server.query(&config.bucket, "SELECT v, f, s, place FROM m");
    assert_eq!(
        rows[0],
        serde_json::json!([1763719200000000001_u64, 1, 0.5, "x \"y\" \\", "a b"]).as_array().unwrap()[..]
    );
    assert_eq!(rows[1], serde_json::json!([1763719200000000002_u64, -2, null, null, "c"]).as_array().unwrap()[..]);

    // The same file again, as after a crash before its rename: the same points.
    let mut names = fs::read_dir(dir.path().join("archive")).unwrap().map(|entry| entry.unwrap().file_name());
    let name = names.find(|name| name.to_str().unwrap().ends_with(".lp")).unwrap();
    fs::rename(dir.path().join("archive").join(&name), dir.path().join("spool").join(&name)).unwrap();
    assert_eq!(drain(dir.path(), &config).drain_until(soon()).await.unwrap().delivered, 2);
    assert_eq!(server.count(&config.bucket, "m", "v"), 2);
}

#[tokio::test]
async fn a_wrong_token_or_bucket_stops_delivery_until_fixed() {
    let Some(server) = influxd::shared() else { return };
    let config = server.missing_bucket();
    let dir = spooled(100);
    let wrong = config::InfluxDb { token: Secret::new("wrong"), ..config.clone() };
    let mut drain = drain(dir.path(), &wrong);
    let held = drain.drain_until(soon()).await.unwrap();
    assert_eq!((held.delivered, held.rejected, held.waiting), (0, 0, 100));
    assert!(held.reason.unwrap().contains("[influxdb] token-file"));

    drain.use_database(influx(&config));
    let held = drain.drain_until(soon()).await.unwrap();
    assert_eq!((held.delivered, held.rejected, held.waiting), (0, 0, 100));
    let advice = format!("create the bucket {:?} in org \"dwg\"", config.bucket);
    assert!(held.reason.as_ref().unwrap().contains(&advice), "{held:?}");

    server.create_bucket(&config.bucket, 0);
    drain.use_database(influx(&config));
    assert_eq!(drain.drain_until(soon()).await.unwrap().delivered, 100);
    assert_eq!(server.count(&config.bucket, "m", "v"), 100);
}

#[tokio::test]
async fn points_written_during_an_outage_arrive() {
    let Some(server) = influxd::own() else { return };
    let config = server.bucket();
    let dir = spooled(50);
    let mut drain = drain(dir.path(), &config).with_dice(|| 0.0);
    server.stop();
    let event = drain.step().await.unwrap();
    assert!(matches!(event, Event::BackingOff { .. }), "{event:?}");
    server.restart();
    assert_eq!(drain.drain_until(soon()).await.unwrap().delivered, 50);
    assert_eq!(server.count(&config.bucket, "m", "v"), 50);
}

#[tokio::test]
async fn bad_lines_do_not_delay_the_others() {
    let Some(server) = influxd::shared() else { return };
    for (bad, expected) in [("m,n=500 v=\"text\" 501", "field type conflict"), ("m,n=500 v= 501", "unable to parse")] {
        let config = server.bucket();
        let dir = TempDir::new().unwrap();
        let lines = lines(1000).replace("m,n=500 v=500i 501", bad);
        append(dir.path(), "2026-11-21T10:00:00Z", &lines, 1000);
        let drained = drain(dir.path(), &config).drain_until(soon()).await.unwrap();
        assert_eq!(drained, Drained { delivered: 999, rejected: 1, waiting: 0, reason: None });
        assert_eq!(server.count(&config.bucket, "m", "v"), 999);
        let kept = rejected_lines(dir.path());
        assert!(kept.len() == 2 && kept[0].contains(expected) && kept[1] == bad, "{kept:?}");
    }
}

#[tokio::test]
async fn points_older_than_the_retention_are_quarantined() {
    let Some(server) = influxd::shared() else { return };
    let config = server.missing_bucket();
    server.create_bucket(&config.bucket, 3600);
    let dir = spooled(1000);
    let mut drain = drain(dir.path(), &config);
    let event = drain.step().await.unwrap();
    assert!(matches!(&event, Event::Divided { message } if message.contains("Retention Policy")), "{event:?}");
    assert_eq!(drain.take_counters().points_rejected, 1000, "one answer about all of them is enough");
    let drained = drain.drain_until(soon()).await.unwrap();
    assert_eq!((drained.waiting, drained.rejected, rejected_lines(dir.path()).len()), (0, 0, 2000));
}

/// 200 sources, one point a second each, one of them bad for 90 s.
#[tokio::test]
async fn a_bad_source_loses_only_its_own_points() {
    let Some(server) = influxd::shared() else { return };
    for (bad, expected, most_requests) in [("v=\"text\"", "field type conflict", 60), ("v=", "unable to parse", 250)] {
        let config = server.bucket();
        let dir = TempDir::new().unwrap();
        let line = |n: u64| format!("m,source={} {} {n}\n", n % 200, if n % 200 == 7 { bad } else { "v=1i" });
        append(dir.path(), "2026-11-21T10:00:00Z", &(0..18_000).map(line).collect::<String>(), 18_000);
        let mut drain = drain(dir.path(), &config);
        let mut requests = 0;
        let finished = loop {
            match drain.step().await.unwrap() {
                Event::Sent { .. } | Event::Divided { .. } => requests += 1,
                finished => break finished,
            }
        };
        assert!(matches!(finished, Event::Finished { points: 17_910, rejected: 90, .. }), "{finished:?}");
        assert_eq!(server.count(&config.bucket, "m", "v"), 17_910);
        let kept = rejected_lines(dir.path());
        let (messages, lines): (Vec<_>, Vec<_>) = kept.iter().partition(|line| line.starts_with('#'));
        assert!(messages.len() == 90 && messages.iter().all(|message| message.contains(expected)), "{messages:?}");
        assert!(lines.len() == 90 && lines.iter().all(|line| line.starts_with("m,source=7 ")), "{lines:?}");
        // Four batches of 22 or 23 bad lines. One is searched for; then its series goes apart, and only of a type conflict
        // the server says that it dropped all of that.
        assert!(requests < most_requests, "{requests} requests");
    }
}
