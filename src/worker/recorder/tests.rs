//! What holds of the recorder.

use std::{
    collections::BTreeMap,
    fs,
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
        sample::{CacheState, Conn, Labels, Path, Rates, Trail},
        units::Micros,
    },
};

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

fn sample(number: u64) -> Sample {
    let mut phases = Phases::default();
    phases.end(Phase::Wait, Micros(1_000 + number));
    Sample {
        at: Timestamp::from_nanosecond(1_795_341_600_000_000_000 + i128::from(number)).unwrap(),
        labels: Labels {
            vantage: "here".into(),
            node: "n".into(),
            region: None,
            probe: "image".into(),
            kind: None,
            part: None,
            conn: Some(Conn::Cold),
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
        flags: Flags::NONE,
        distance_km: None,
        path: Path::default(),
        trail: Trail::default(),
    }
}

/// The lines of a measurement in the archive.
fn lines(dir: &FilePath, measurement: &str) -> Vec<String> {
    let all = reader::lines(&dir.join("archive"), None).unwrap().map(Result::unwrap);
    all.filter(|line| line.starts_with(measurement)).collect()
}

#[tokio::test]
async fn a_sample_is_told_of_only_when_it_is_in_the_file_and_in_order() {
    let root = tempfile::tempdir().unwrap();
    let (dir, config) = (root.path().to_owned(), config(root.path()));
    let writer = Writer::open(&config.archive.dir).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let on_recorded: OnRecorded = {
        let (told, dir) = (told.clone(), dir.clone());
        Box::new(move |sample, point| {
            let mut line = String::new();
            line::encode(point, &mut line);
            assert!(lines(&dir, "bandprobe_transfer").contains(&line.trim_end().to_owned()), "{line}");
            told.lock().unwrap().push(sample.lateness.0);
        })
    };
    let (inbox, task) = Recorder::new(&config, "hash", writer, Tally::default(), on_recorded).start();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(task);
    // More than one batch.
    let count = BATCH as u64 + 44;
    (0..count).for_each(|number| inbox.record(sample(number)));
    assert_eq!(inbox.finish().await, 0);
    assert_eq!(*told.lock().unwrap(), (0..count).collect::<Vec<_>>());
    assert_eq!(lines(&dir, "bandprobe_transfer").len() as u64, count);
    // A window may end meanwhile.
    let totals = lines(&dir, "bandprobe_window").into_iter().filter(|line| line.contains("metric=total"));
    let counts = totals.map(|line| {
        let (_, counted) = line.split_once("count=").unwrap();
        counted.split_once('i').unwrap().0.parse::<u64>().unwrap()
    });
    assert_eq!(counts.sum::<u64>(), count);
    assert!(lines(&dir, "bandprobe_worker")[0].contains(&format!(",transfers={count}i,")));
    let status = status(&config.archive.dir).unwrap();
    assert_eq!((status.open.files, status.spool.points), (0, lines(&dir, "bandprobe_").len() as u64), "sealed");
    drop(inbox);
    tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn what_the_disk_refuses_is_not_told_but_counted_and_the_count_is_written_later() {
    let root = tempfile::tempdir().unwrap();
    let (dir, config) = (root.path().to_owned(), config(root.path()));
    let writer = Writer::open(&config.archive.dir).unwrap();
    let told = Arc::new(Mutex::new(0));
    let on_recorded: OnRecorded = {
        let told = told.clone();
        Box::new(move |_, _| *told.lock().unwrap() += 1)
    };
    let mut recorder = Recorder::new(&config, "hash", writer, Tally::default(), on_recorded);
    let open = config.archive.dir.join("open");
    fs::remove_dir(&open).unwrap();
    recorder.take(&mut (0..3).map(|number| Entry::Sample(Box::new(sample(number)))).collect());
    recorder.on_minute(Timestamp::now());
    assert_eq!((*told.lock().unwrap(), recorder.lost), (0, 4), "three samples and the point of the minute");

    fs::create_dir(&open).unwrap();
    recorder.take(&mut vec![Entry::Sample(Box::new(sample(3)))]);
    recorder.on_minute(Timestamp::now());
    assert_eq!((*told.lock().unwrap(), recorder.lost), (1, 4));
    assert_eq!(lines(&dir, "bandprobe_transfer").len(), 1);
    let worker = lines(&dir, "bandprobe_worker");
    let tells = |field: &str| assert!(worker[0].contains(field), "{worker:?}");
    ["transfers=4i", "points_dropped=4i", "bytes_downloaded=40i", "lateness_p99_us=3i"].iter().for_each(|f| tells(f));
}

#[test]
fn a_full_inbox_drops_and_counts_and_never_waits() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path());
    let tally = Tally::default();
    let writer = Writer::open(&config.archive.dir).unwrap();
    let (inbox, _task) = Recorder::new(&config, "hash", writer, tally.clone(), Box::new(|_, _| {})).start();
    (0..INBOX as u64 + 3).for_each(|number| inbox.record(sample(number)));
    let mut dropped = 0;
    tally.count(|counters| dropped = counters.points_dropped);
    assert_eq!(dropped, 3);
}
