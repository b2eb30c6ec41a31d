//! Delivery: how it reacts to each answer, and that a real InfluxDB ends up with every point.

#![expect(clippy::unwrap_used, reason = "the lint's exception for tests does not reach their helpers")]

mod backlog;
mod bucket;
mod compat;
mod database;
mod prefix;
mod server;
mod storm;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use bandprobe::{
    archive::{log::Writer, spool::Spool, state, status::status},
    config::{self, Secret},
    deliver::{
        drain::Drain,
        event::{Counters, Drained, Event, LastAnswer, STATE},
        influx::{Influx, Timeouts},
    },
};
use flate2::read::GzDecoder;
use jiff::Timestamp;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, time::Instant};

use self::server::{NO_CONTENT, Server, answer};
use crate::influxd;

#[tokio::test]
async fn each_answer_has_its_event() {
    let message = r#"{"code":"invalid","message":"no good"}"#;
    let portal = "HTTP/1.1 302 Found\r\nlocation: http://portal.example/\r\ncontent-length: 0\r\n\r\n";
    for (answer, expected) in [
        (NO_CONTENT.to_owned(), "sent 3"),
        (answer(400, message), "divided: no good"),
        (answer(422, message), "divided: no good"),
        (answer(413, message), "divided: no good"),
        (answer(413, "<html>"), "hold: answered 413 (<html>): even the smallest batch is too large for this server"),
        (answer(400, "Bad Request"), "hold: answered 400 (Bad Request): InfluxDB does not answer like this"),
        (answer(401, message), "hold: answered 401 (no good): the token is not accepted"),
        (answer(403, message), "hold: answered 403 (no good): the token may not write to bucket"),
        (answer(404, message), "hold: answered 404 (no good): create the bucket \"b\" in org \"o\""),
        (answer(200, "<html>sign in"), "hold: answered 200 (<html>sign in): this is not InfluxDB"),
        (portal.to_owned(), "hold: answered 302 (no text): this is not InfluxDB"),
        (answer(429, message), "back off: answered 429 (no good)"),
        (answer(500, ""), "back off: answered 500 (no text)"),
        (answer(503, "busy\nnow"), "back off: answered 503 (busy now)"),
        ("HTTP/1.1 204 No".to_owned(), "back off: "),
        ("nonsense\r\n\r\n".to_owned(), "back off: "),
        (String::new(), "back off: "),
    ] {
        let server = Server::start(vec![answer.clone()]);
        let dir = spooled(3);
        let mut drain = drain(dir.path(), &server.config());
        let event = drain.step().await.unwrap();
        let stays = !matches!(event, Event::Sent { .. });
        let shown = show(&event).replace(&format!("http://127.0.0.1:{} ", server.port), "");
        assert!(shown.starts_with(expected), "{answer:?}: {shown}");
        assert_eq!(status(dir.path()).unwrap().spool.points, 3, "nothing leaves before its whole file is answered");
        assert_eq!(drain.take_counters().points_written, if stays { 0 } else { 3 });
        assert!(!shown.contains("secret"), "{shown}");
        let request = server.requests.recv().unwrap();
        assert!(
            request.head.starts_with("POST /api/v2/write?bucket=b&org=o&precision=ns HTTP/1.1"),
            "{}",
            request.head
        );
        assert!(request.head.contains("authorization: Token secret"), "{}", request.head);
        assert_eq!(request.body, "m,n=0 v=0i 1\nm,n=1 v=1i 2\nm,n=2 v=2i 3\n");
    }
}

#[tokio::test]
async fn a_silent_server_and_a_closed_port_are_retried_later() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (port, expected) in [(silent.local_addr().unwrap().port(), "timed out"), (closed, "refused")] {
        let dir = spooled(1);
        let timeouts = Timeouts { connect: Duration::from_secs(30), total: Duration::from_millis(200) };
        let influx = Influx::with_timeouts(&config(port), &crate::resolver(), timeouts).unwrap();
        let event = Drain::new(Spool::lock(dir.path()).unwrap(), influx).step().await.unwrap();
        assert!(matches!(&event, Event::BackingOff { reason, .. } if reason.contains(expected)), "{event:?}");
    }
}

#[tokio::test]
async fn a_private_certificate_is_trusted_only_when_it_is_configured() {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async || {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await?;
        stream.write_all(NO_CONTENT.as_bytes()).await?;
        stream.flush().await?;
        Ok::<_, std::io::Error>(stream)
    };
    let url = format!("https://127.0.0.1:{port}").parse().unwrap();
    let stranger = config::InfluxDb { url, ..config(port) };
    let pem = format!("# our own\n{}{}", certified.cert.pem(), certified.cert.pem());
    let known = config::InfluxDb { extra_ca: Some(pem.into()), ..stranger.clone() };

    let dir = spooled(1);
    let mut drain = drain(dir.path(), &stranger);
    let (event, served) = tokio::join!(drain.step(), serve());
    let event = event.unwrap();
    assert!(
        matches!(&event, Event::BackingOff { reason, .. } if reason.contains("not trusted here") && !reason.contains("UnknownIssuer")),
        "{event:?}"
    );
    assert!(served.is_err());
    drain.use_database(influx(&known));
    let (event, served) = tokio::join!(drain.step(), serve());
    assert_eq!(event.unwrap(), Event::Sent { points: 1 });
    assert!(served.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_backoff_doubles_and_its_reason_is_new_once() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dir = spooled(1);
    let mut drain = drain(dir.path(), &config(closed)).with_dice(|| 1.0);
    let mut due = Instant::now();
    for (attempt, seconds) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
        let event = drain.step().await.unwrap();
        assert!(Instant::now() >= due, "attempt {attempt} came early");
        let Event::BackingOff { is_new, until, .. } = event else { panic!("{event:?}") };
        assert_eq!((is_new, until - Instant::now()), (attempt == 0, Duration::from_secs(seconds)), "attempt {attempt}");
        due = until;
    }
    assert_eq!(drain.take_counters(), Counters { retries: 8, ..Counters::default() });
    assert!(state::load::<LastAnswer>(dir.path(), STATE).value.text.contains("refused"));
}

#[tokio::test(start_paused = true)]
async fn a_disk_error_delays_the_next_step() {
    let server = Server::judging(|_| 204);
    let dir = spooled(1);
    let mut drain = drain(dir.path(), &server.config()).with_dice(|| 1.0);
    fs::rename(dir.path().join("spool"), dir.path().join("elsewhere")).unwrap();
    fs::write(dir.path().join("spool"), "not a folder").unwrap();
    let start = Instant::now();
    for waited in [0, 1, 3, 7] {
        let problem = drain.step().await.unwrap_err().to_string();
        assert!(problem.contains("cannot list") && problem.contains("spool: Not a directory"), "{problem}");
        assert!(Instant::now() >= start + Duration::from_secs(waited));
    }
}

#[tokio::test]
async fn a_hold_grows_and_ends_with_a_new_database() {
    let server = Server::start(vec![answer(401, ""), answer(401, ""), NO_CONTENT.to_owned()]);
    let dir = spooled(2);
    let mut drain = drain(dir.path(), &server.config());
    for (seconds, expected) in [(5, true), (10, false)] {
        let before = Instant::now();
        let event = drain.step().await.unwrap();
        let Event::Holding { is_new, until, .. } = event else { panic!("{event:?}") };
        assert_eq!((is_new, until >= before + Duration::from_secs(seconds)), (expected, true));
        // Time stands still only while no answer is awaited: it would run ahead to the request's timeout.
        tokio::time::pause();
        let early = tokio::time::timeout_at(until - Duration::from_millis(5), drain.step()).await;
        assert!(early.is_err(), "{early:?}");
        if expected {
            tokio::time::sleep_until(until).await;
        }
        tokio::time::resume();
    }
    drain.use_database(influx(&server.config()));
    assert_eq!(drain.step().await.unwrap(), Event::Sent { points: 2 });
    assert!(matches!(drain.step().await.unwrap(), Event::Finished { points: 2, rejected: 0, .. }));
    assert_eq!(state::load::<LastAnswer>(dir.path(), STATE).value.text, "delivered");
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved_until_it_fits() {
    let server = Server::judging(|body| if body.lines().count() > 2 || body.contains("n=6 ") { 413 } else { 204 });
    let dir = spooled(9);
    let mut drain = drain(dir.path(), &server.config());
    let drained = drain.drain_until(soon()).await.unwrap();
    assert_eq!(drained, Drained { delivered: 8, rejected: 1, waiting: 0, reason: None });
    assert_eq!(rejected_lines(dir.path()), ["# said 413", "m,n=6 v=6i 7"]);
}

#[tokio::test]
async fn the_size_limit_of_a_proxy_is_respected() {
    for (limit, delivered) in [(5000, 2000), (600, 0), (0, 0)] {
        let server = Server::answering(move |body| {
            let too_large = answer(413, "<html>413 Request Entity Too Large");
            Some(if body.len() > limit { too_large } else { NO_CONTENT.to_owned() })
        });
        let dir = spooled(2000);
        let mut drain = drain(dir.path(), &server.config());
        let drained = drain.drain_until(soon()).await.unwrap();
        assert_eq!((drained.delivered, drained.rejected), (delivered, 0), "limit {limit}");
        assert_eq!(drained.waiting, 2000 - delivered, "limit {limit}");
        let reason = drained.reason.unwrap_or_default();
        assert_eq!(reason.contains("raise the limit of the proxy"), delivered == 0, "limit {limit}: {reason}");
        assert_eq!(fs::read_dir(dir.path().join("rejected")).unwrap().count(), 0, "limit {limit}");
        // Put right, it goes on where it stood.
        let server = Server::judging(|_| 204);
        drain.use_database(influx(&server.config()));
        let rest = drain.drain_until(soon()).await.unwrap();
        assert_eq!((rest.delivered, rest.waiting), (2000 - delivered, 0), "limit {limit}");
    }
}

#[tokio::test]
async fn only_the_refused_lines_are_quarantined() {
    let server = Server::judging(|body| if body.contains("n=13 ") || body.contains("n=700 ") { 400 } else { 204 });
    let dir = spooled(1000);
    let mut drain = drain(dir.path(), &server.config());
    let drained = drain.drain_until(soon()).await.unwrap();
    assert_eq!(drained, Drained { delivered: 998, rejected: 2, waiting: 0, reason: None });
    let kept = ["# said 400", "m,n=13 v=13i 14", "# said 400", "m,n=700 v=700i 701"];
    assert_eq!(rejected_lines(dir.path()), kept);
    let found = status(dir.path()).unwrap();
    assert_eq!((found.spool.files, found.archived.files, found.rejected.points), (0, 1, 2));
    assert!(server.requests.try_iter().count() < 45, "two searches through 1000 lines");
}

#[tokio::test]
async fn files_are_sent_oldest_first_in_limited_batches() {
    let server = Server::judging(|_| 204);
    let dir = spooled(12_000);
    append(dir.path(), "2026-11-21T09:00:00Z", "m,n=first v=1i 1\n", 1);
    let mut drain = drain(dir.path(), &server.config());
    assert_eq!(drain.drain_until(soon()).await.unwrap().delivered, 12_001);
    let sizes: Vec<_> = server.requests.try_iter().map(|request| request.body.lines().count()).collect();
    assert_eq!(sizes, [1, 5000, 5000, 2000]);
    assert_eq!(drain.step().await.unwrap(), Event::Idle);
}

#[tokio::test]
async fn the_good_lines_of_a_damaged_file_are_sent() {
    for (damage, sent, kept) in
        [(("v=1i", "v=7i"), 2, 1), (("# end points", "# no"), 3, 0), (("# sums ", "# lost: "), 0, 3)]
    {
        let server = Server::judging(|_| 204);
        let dir = spooled(3);
        let mut paths = fs::read_dir(dir.path().join("spool")).unwrap().map(|entry| entry.unwrap().path());
        let path = paths.find(|path| path.extension().is_some_and(|extension| extension == "lp")).unwrap();
        fs::write(&path, fs::read_to_string(&path).unwrap().replace(damage.0, damage.1)).unwrap();
        let mut drain = drain(dir.path(), &server.config());
        let drained = drain.drain_until(soon()).await.unwrap();
        assert_eq!((drained.delivered, drained.rejected, drained.waiting), (sent, kept, 0), "{damage:?}");
        let found = status(dir.path()).unwrap();
        assert_eq!((found.bad.points, found.archived.points, found.spool.files), (kept, sent, 0), "{damage:?}");
    }
}

#[tokio::test]
async fn a_dropped_step_loses_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = spooled(3);
    let mut drain = drain(dir.path(), &config(silent.local_addr().unwrap().port()));
    let drained = drain.drain_until(Instant::now() + Duration::from_millis(20)).await.unwrap();
    assert_eq!((drained.delivered, drained.waiting, drained.reason.is_some()), (0, 3, true));
    let server = Server::judging(|_| 204);
    drain.use_database(Influx::new(&server.config(), &crate::resolver()).unwrap());
    assert_eq!(drain.drain_until(soon()).await.unwrap().delivered, 3);
}

fn config(port: u16) -> config::InfluxDb {
    config::InfluxDb::new(format!("http://127.0.0.1:{port}").parse().unwrap(), "o", "b", Secret::new("secret"))
}

fn influx(config: &config::InfluxDb) -> Influx {
    Influx::new(config, &crate::resolver()).unwrap()
}

fn drain(dir: &Path, config: &config::InfluxDb) -> Drain {
    Drain::new(Spool::lock(dir).unwrap(), influx(config))
}

fn lines(count: u64) -> String {
    (0..count).map(|n| format!("m,n={n} v={n}i {}\n", n + 1)).collect()
}

/// A data directory with one sealed file that has this number of points.
fn spooled(count: u64) -> TempDir {
    let dir = TempDir::new().unwrap();
    append(dir.path(), "2026-11-21T10:00:00Z", &lines(count), count);
    dir
}

fn append(dir: &Path, time: &str, lines: &str, points: u64) {
    let mut writer = Writer::open(dir).unwrap();
    writer.append(time.parse::<Timestamp>().unwrap(), lines.as_bytes(), points).unwrap();
    writer.seal().unwrap().unwrap();
}

/// The one file of quarantined lines, without header, sums and trailer.
fn rejected_lines(dir: &Path) -> Vec<String> {
    let paths: Vec<_> = fs::read_dir(dir.join("rejected")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    let text = fs::read_to_string(&paths[0]).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("# sums ")).map(str::to_owned).collect();
    lines[1..lines.len() - 1].to_vec()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn show(event: &Event) -> String {
    match event {
        Event::Sent { points } => format!("sent {points}"),
        Event::Divided { message } => format!("divided: {message}"),
        Event::Holding { reason, .. } => format!("hold: {reason}"),
        Event::BackingOff { reason, .. } => format!("back off: {reason}"),
        other => format!("{other:?}"),
    }
}
