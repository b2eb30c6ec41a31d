//! `bandprobe spool flush`.

use std::{io::Write, net::TcpListener, sync::mpsc, thread, time::Duration};

use bandprobe::{
    archive::status::{Totals, status},
    config::{InfluxDb, Secret},
};

use super::{empty, seal, spool, written};
use crate::{
    influxd,
    process::{Child, World, bandprobe, command, request::read_request, sound, until},
};

pub(crate) const STORED: &str = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
const AT_ONCE: Duration = Duration::ZERO;
const BUSY: &str = "HTTP/1.1 503 X\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbusy";

/// A server that gives these answers to the first requests, each after a delay, and no answer to later ones. It reports
/// every request.
pub(crate) fn scripted(pace: Duration, answers: Vec<&'static str>) -> (InfluxDb, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        let (mut answers, mut left) = (answers.into_iter(), Vec::new());
        for mut stream in listener.incoming().map_while(Result::ok) {
            read_request(&stream);
            match answers.next() {
                Some(answer) => {
                    thread::sleep(pace);
                    stream.write_all(answer.as_bytes()).unwrap();
                }
                None => left.push(stream),
            }
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    (InfluxDb::new(url, "o", "b", Secret::new("t")), requests)
}

fn waiting(world: &World) -> Totals {
    status(&world.archive()).unwrap().spool
}

#[test]
fn results_of_an_outage_are_delivered_by_flush() {
    let Some(server) = influxd::own() else { return };
    let world = World::new(vec![sound("a")]);
    let database = server.bucket();
    server.stop();
    let config = world.config("here.toml", Some(&database), "");
    let once = bandprobe(&["once", "-c", config.to_str().unwrap()]);
    assert_eq!(once.code, Some(0), "{}", once.stderr);
    let kept = waiting(&world);
    // One file, or two if the round took longer than a file stays open.
    assert!(kept.points > 7 && (1..=2).contains(&kept.files), "{kept:?}");
    let files = |count: u64| if count == 1 { "1 file".to_owned() } else { format!("{count} files") };

    let ended = spool("flush", &config, &[]);
    assert_eq!((ended.code, waiting(&world)), (Some(1), kept), "{ended:?}");
    let told = format!(
        "bandprobe: {} points in {} in {} are waiting: ",
        kept.points,
        files(kept.files),
        world.archive().display()
    );
    assert!(ended.stderr.starts_with(&told) && ended.stderr.contains("onnection refused"), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("0 points in 0 files delivered to "), "{}", ended.stdout);

    server.restart();
    // The open file of a killed process is delivered, too.
    drop(written(&world.archive(), "2026-11-22T10:00:00Z", "m v=1i 1\n"));
    let ended = spool("flush", &config, &[]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    let place = format!("delivered to {} (bucket {})\n", database.url, database.bucket);
    assert_eq!(ended.stdout, format!("{} points in {} {place}", kept.points + 1, files(kept.files + 1)));
    let stored = server.points(&database.bucket, "bandprobe_transfer").len();
    assert_eq!((waiting(&world), stored), (Totals::default(), world_transfers(&world)));
    assert_eq!(server.count(&database.bucket, "m", "v"), 1);

    server.stop();
    let ended = spool("flush", &config, &[]);
    let told = format!("nothing to deliver in {}\n", world.archive().display());
    assert_eq!((ended.code, &*ended.stderr, ended.stdout), (Some(0), "", told), "the database is not asked");
}

fn world_transfers(world: &World) -> usize {
    let lines = bandprobe::archive::reader::lines(&world.archive(), None).unwrap();
    lines.filter(|line| line.as_ref().is_ok_and(|line| line.starts_with("bandprobe_transfer,"))).count()
}

#[test]
fn flush_fails_at_once_if_a_person_must_act_and_keeps_all() {
    let Some(server) = influxd::shared() else { return };
    let wrong = InfluxDb { token: Secret::new("wrong"), ..server.bucket() };
    for (database, advice) in
        [(wrong, "put a valid one in [influxdb] token-file"), (server.missing_bucket(), "create the bucket")]
    {
        let world = empty();
        let config = world.config("here.toml", Some(&database), "");
        seal(&world.archive(), "2026-11-22T10:00:00Z", "m v=1i 1\nm v=2i 2\n");
        let kept = waiting(&world);
        // A hold does not end by itself. `--patience` is for a database that is unreachable.
        let ended = spool("flush", &config, &["--patience", "1d"]);
        assert_eq!((ended.code, waiting(&world)), (Some(1), kept), "{ended:?}");
        assert!(ended.stderr.contains("2 points in 1 file in ") && ended.stderr.contains(advice), "{}", ended.stderr);
        assert!(!ended.stderr.contains("wrong"), "{}", ended.stderr);
    }
}

#[test]
fn next_to_a_worker_flush_names_who_delivers() {
    let world = World::new(vec![sound("a")]);
    let (database, _requests) = scripted(AT_ONCE, vec![]);
    let config = world.config("here.toml", Some(&database), "");
    let child = Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]));
    until("something waits", || waiting(&world).points > 0);
    let pid = child.process.id();
    let ended = spool("flush", &config, &[]);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{ended:?}");
    let told = format!("is being delivered by another process (pid {pid})");
    assert!(
        ended.stderr.contains(" are waiting; another process is delivering them: ") && ended.stderr.contains(&told),
        "{ended:?}"
    );
    let shown = spool("status", &config, &[]).stdout;
    assert!(shown.contains(&format!("\ndelivering now: process {pid}\n")), "{shown}");
    let shown = spool("status", &config, &["--json"]).stdout;
    assert!(shown.contains(&format!(r#""drainer":"{pid}""#)), "{shown}");
}

#[test]
fn a_signal_ends_a_flush_at_once_and_the_rest_waits() {
    for signal in ["INT", "TERM"] {
        let world = empty();
        for second in 0..3 {
            seal(&world.archive(), &format!("2026-11-22T10:00:0{second}Z"), "m v=1i 1\nm v=2i 2\n");
        }
        let (database, requests) = scripted(AT_ONCE, vec![STORED]);
        let config = world.config("here.toml", Some(&database), "");
        let child = Child::spawn(&mut command(&["spool", "flush", "-c", config.to_str().unwrap()]));
        // The second one gets no answer.
        requests.iter().take(2).for_each(drop);
        child.signal(signal);
        let ended = child.end();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.stdout, format!("2 points in 1 file delivered to {} (bucket b)\n", database.url));
        let told = format!(
            "bandprobe: 4 points in 2 files in {} are waiting: a signal stopped the delivery\n",
            world.archive().display()
        );
        assert_eq!(ended.stderr, told);
        assert_eq!((waiting(&world).files, waiting(&world).points), (2, 4));
    }
}

#[test]
fn patience_limits_how_long_a_busy_database_is_retried() {
    for (patience, code) in [(&[][..], 1), (&["--patience", "10m"], 0)] {
        let world = empty();
        seal(&world.archive(), "2026-11-22T10:00:00Z", "m v=1i 1\n");
        let (database, requests) = scripted(AT_ONCE, vec![BUSY, BUSY, BUSY, STORED]);
        let config = world.config("here.toml", Some(&database), "");
        let ended = spool("flush", &config, patience);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(requests.try_iter().count(), if code == 0 { 4 } else { 3 });
        assert_eq!(ended.stderr.contains("answered 503 (busy)"), code == 1, "{}", ended.stderr);
        assert_eq!(waiting(&world).points, u64::from(code == 1));
    }
    // The last attempt is made when the time is up, because the database may be back by then.
    let world = empty();
    seal(&world.archive(), "2026-11-22T10:00:00Z", "m v=1i 1\n");
    let (database, requests) = scripted(AT_ONCE, vec![BUSY; 100]);
    let config = world.config("here.toml", Some(&database), "");
    let ended = spool("flush", &config, &["--patience", "6s"]);
    assert_eq!((ended.code, waiting(&world).points), (Some(1), 1), "{ended:?}");
    assert!(requests.try_iter().count() > 3);
}

#[test]
fn a_config_without_a_usable_database_is_refused() {
    let world = empty();
    let config = world.config("here.toml", None, "");
    seal(&world.archive(), "2026-11-22T10:00:00Z", "m v=1i 1\n");
    let ended = spool("flush", &config, &[]);
    assert_eq!((ended.code, waiting(&world).points), (Some(78), 1), "{ended:?}");
    assert!(ended.stderr.contains("add an [influxdb] section"), "{}", ended.stderr);
    let ended = bandprobe(&["spool", "flush", "--archive", world.archive().to_str().unwrap()]);
    assert_eq!(ended.code, Some(2), "which database is not in the directory: {ended:?}");
}
