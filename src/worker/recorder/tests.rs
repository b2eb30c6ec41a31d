use std::{
    collections::BTreeMap,
    path::Path as FilePath,
    sync::{Arc, Mutex},
};

use super::*;
use crate::{
    archive::{reader, status::status},
    config::check::{Input, load},
    model::{
        flag::Flags,
        outcome::Outcome,
        phase::{Phase, Phases},
        sample::{CacheState, ConnectionKind, Labels, NetworkPath, Rates, ReaderStats, TlsInfo, TraceInfo},
        units::Micros,
    },
    record::{line, transfer::transfer},
};

mod refusals;

/// When the first sample began, in ns since 1970: a full hour.
const BEGIN: i128 = 1_795_341_600_000_000_000;

const CONFIG: &str = r#"
vantage.id = "here"
archive.dir = "archive"
source = [{ kind = "static", nodes = [
{ id = "n", endpoint = "http://n.example/", assets = [{ kind = "image", path = "/1.webp" }] } ] }]
"#;

fn config(dir: &FilePath) -> Config {
    let read = |_: &FilePath| Ok(CONFIG.as_bytes().to_vec());
    load(&Input { path: &dir.join("b.toml"), environment: &BTreeMap::new(), read: &read }).unwrap()
}

pub(super) fn sample(number: u64) -> Sample {
    let mut phases = Phases::default();
    phases.end(Phase::Wait, Micros(1_000 + number));
    Sample {
        at: Timestamp::from_nanosecond(BEGIN + i128::from(number)).unwrap(),
        labels: Labels {
            vantage: "here".into(),
            node: "n".into(),
            region: None,
            probe: "image".into(),
            kind: None,
            part: None,
            conn: Some(ConnectionKind::Cold),
            http: None,
            family: None,
            cache: CacheState::Hit,
        },
        outcome: Outcome::Ok,
        failed_phase: None,
        error: None,
        lateness: Micros(number),
        phases,
        bytes: Some(10),
        expected_bytes: None,
        status: Some(200),
        rates: Rates::default(),
        intervals: vec![],
        curve: None,
        hit: None,
        run_ok: None,
        flags: Flags::NONE,
        distance_km: None,
        path: NetworkPath::default(),
        reader: ReaderStats::default(),
        tls: TlsInfo::default(),
        trail: TraceInfo::default(),
    }
}

/// A time at which the window of the samples has ended and the next one has not.
fn later() -> Timestamp {
    Timestamp::from_nanosecond(BEGIN).unwrap() + Duration::from_secs(7_200)
}

/// The lines of a measurement in the archive.
fn lines(dir: &FilePath, measurement: &str) -> Vec<String> {
    let all = reader::lines(&dir.join("archive"), None).unwrap().map(Result::unwrap);
    all.filter(|line| line.starts_with(measurement)).collect()
}

#[tokio::test]
async fn samples_are_reported_in_order_once_they_are_on_disk() {
    let root = tempfile::tempdir().unwrap();
    let (dir, config) = (root.path().to_owned(), config(root.path()));
    let writer = Writer::open(&config.archive.dir).unwrap();
    let reported = Arc::new(Mutex::new(Vec::new()));
    let on_recorded: OnRecorded = {
        let (reported, dir) = (reported.clone(), dir.clone());
        Box::new(move |sample| {
            let mut line = String::new();
            line::encode(&transfer(sample), &mut line);
            assert!(lines(&dir, "bandprobe_transfer").contains(&line.trim_end().to_owned()), "{line}");
            reported.lock().unwrap().push(sample.lateness.0);
        })
    };
    let (inbox, task) = Recorder::new(&config, "hash", writer, Tally::default(), on_recorded).start();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(task);
    // More than one batch.
    let count = BATCH as u64 + 44;
    (0..count).for_each(|number| inbox.record(sample(number)));
    assert_eq!(finish(&inbox).await, 0);
    assert_eq!(*reported.lock().unwrap(), (0..count).collect::<Vec<_>>());
    assert_eq!(lines(&dir, "bandprobe_transfer").len() as u64, count);
    // A window may end during the test, so its points are added up.
    let totals = lines(&dir, "bandprobe_window").into_iter().filter(|line| line.contains("metric=total"));
    assert_eq!(totals.map(|line| field(&line, "count")).sum::<u64>(), count);
    assert!(lines(&dir, "bandprobe_worker")[0].contains(&format!(",transfers={count}i,")));
    let status = status(&config.archive.dir).unwrap();
    assert_eq!((status.open.files, status.spool.points), (0, lines(&dir, "bandprobe_").len() as u64), "sealed");
    drop(inbox);
    tasks.join_next().await.unwrap().unwrap();
}

/// Waits until everything is written and sealed; returns the number of lost points.
async fn finish(inbox: &Inbox) -> u64 {
    let (sealed, is_sealed) = oneshot::channel();
    let lost = inbox.finish(sealed, std::future::pending()).await;
    is_sealed.await.unwrap();
    lost
}

#[tokio::test]
async fn a_full_inbox_drops_and_counts_without_waiting() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path());
    let tally = Tally::default();
    let writer = Writer::open(&config.archive.dir).unwrap();
    let (inbox, task) = Recorder::new(&config, "hash", writer, tally.clone(), Box::new(|_| {})).start();
    (0..INBOX as u64 + 3).for_each(|number| inbox.record(sample(number)));
    let mut dropped = 0;
    tally.count(|counters| dropped = counters.points_dropped);
    assert_eq!(dropped, 3);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(task);
    assert_eq!(finish(&inbox).await, 3);
    assert_eq!(lines(root.path(), "bandprobe_transfer").len(), INBOX);
}

#[tokio::test]
async fn unwritten_points_are_lost_when_the_caller_gives_up() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path());
    for (samples, lost) in [(0, 1), (1, 1), (5, 5)] {
        let writer = Writer::open(&config.archive.dir).unwrap();
        // The task never runs.
        let (inbox, _task) = Recorder::new(&config, "hash", writer, Tally::default(), Box::new(|_| {})).start();
        (0..samples).for_each(|number| inbox.record(sample(number)));
        assert_eq!(inbox.finish(oneshot::channel().0, std::future::ready(())).await, lost, "{samples}");
    }
}

#[tokio::test]
async fn no_point_counts_as_waiting_once_written_or_lost() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path());
    let writer = Writer::open(&config.archive.dir).unwrap();
    let (inbox, task) = Recorder::new(&config, "hash", writer, Tally::default(), Box::new(|_| {})).start();
    (0..INBOX as u64 + 3).for_each(|number| inbox.record(sample(number)));
    assert_eq!(inbox.losses.waiting(), INBOX as u64);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(task);
    assert_eq!((finish(&inbox).await, inbox.losses.waiting()), (3, 0));
}

/// An integer field of a line. `name` must not be the end of another field's name.
fn field(line: &str, name: &str) -> u64 {
    let (_, rest) = line.split_once(&format!("{name}=")).unwrap();
    rest.split_once('i').unwrap().0.parse().unwrap()
}

#[tokio::test]
async fn syncs_and_seals_have_a_thread_of_their_own() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path());
    let writer = Writer::open(&config.archive.dir).unwrap();
    let recorder = Recorder::new(&config, "hash", writer, Tally::default(), Box::new(|_| {})).with_syncer().unwrap();
    let (inbox, task) = recorder.start();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(task);
    for number in 0..200 {
        inbox.record(sample(number));
        inbox.seal();
        tokio::task::yield_now().await;
    }
    assert_eq!(finish(&inbox).await, 0);
    let status = status(&config.archive.dir).unwrap();
    assert_eq!(status.open.files, 0, "all of them are sealed at the end");
    assert!(status.spool.files > 0);
    assert_eq!(lines(root.path(), "bandprobe_transfer").len(), 200);
}
