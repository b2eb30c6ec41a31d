//! A database behind the proxy of the environment, and one whose clock differs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{io::Write, net::TcpListener, sync::mpsc, thread};

use bandprobe::config::{InfluxDb, Secret};

use crate::process::{Child, World, command, points, request::read_request, sound};

/// Answers every request as a database whose clock is years behind; reports the request lines.
fn proxy() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, asked) = mpsc::channel();
    thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let _ = sender.send(read_request(&socket));
            let _ = socket.write_all(ANSWER);
        }
    });
    (port, asked)
}

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\ndate: Mon, 23 Nov 2020 10:00:00 GMT\r\nconnection: close\r\n\r\n";

#[test]
fn a_wrong_clock_is_reported_and_recorded() {
    let (port, _asked) = proxy();
    let world = World::new(vec![sound("a")]);
    let url = format!("http://127.0.0.1:{port}/").parse().unwrap();
    let config = world.config("config.toml", Some(&InfluxDb::new(url, "dwg", "bandprobe", Secret::new("t"))), "");
    let child = Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]));
    child.wait_for("ahead of the database's");
    child.signal("TERM");
    assert_eq!(child.end().code, Some(0));
    let worker = points(&world.archive()).into_iter().find(|point| point.0 == "bandprobe_worker").unwrap();
    let offset: i64 = worker.2["clock_offset_ms"].strip_suffix('i').unwrap().parse().unwrap();
    assert!(offset < -86_400_000, "{offset}");
}

#[test]
fn only_delivery_uses_the_proxy_of_the_environment() {
    let (port, asked) = proxy();
    let world = World::new(vec![sound("a")]);
    let database =
        InfluxDb::new("http://influxdb.invalid:8086/".parse().unwrap(), "dwg", "bandprobe", Secret::new("t"));
    let config = world.config("config.toml", Some(&database), "");
    let proxy = format!("http://127.0.0.1:{port}");
    let mut once = command(&["once", "-c", config.to_str().unwrap()]);
    let ended = Child::spawn(once.env("HTTP_PROXY", &proxy).env("http_proxy", &proxy)).end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("points delivered to http://influxdb.invalid:8086/"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("wait"), "{}", ended.stderr);
    let asked: Vec<_> = asked.try_iter().collect();
    assert!(!asked.is_empty());
    let write = "POST http://influxdb.invalid:8086/api/v2/write?bucket=bandprobe&org=dwg&precision=ns HTTP/1.1";
    let ping = "HEAD http://influxdb.invalid:8086/ping HTTP/1.1";
    assert!(asked.iter().all(|line| [write, ping].contains(&line.trim())), "{asked:?}");
}
