//! Tests of the recorder.

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::Path as FilePath,
    sync::{Arc, Mutex},
};

use super::{archive_sink::APPEND_BYTES, backlog::Backlog, *};
use crate::{
    archive::{log::SEAL_BYTES, reader, status::status},
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
    let told = Arc::new(Mutex::new(Vec::new()));
    let on_recorded: OnRecorded = {
        let (told, dir) = (told.clone(), dir.clone());
        Box::new(move |sample| {
            let mut line = String::new();
            line::encode(&transfer(sample), &mut line);
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
    assert_eq!(finish(&inbox).await, 0);
    assert_eq!(*told.lock().unwrap(), (0..count).collect::<Vec<_>>());
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

/// A recorder, the samples that it has reported as recorded, and a disk that can be made to refuse.
struct Bench {
    root: tempfile::TempDir,
    recorder: Recorder,
    told: Arc<Mutex<Vec<u64>>>,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let config = config(root.path());
        let writer = Writer::open(&config.archive.dir).unwrap();
        let told: Arc<Mutex<Vec<u64>>> = Arc::default();
        let on_recorded: OnRecorded = {
            let told = told.clone();
            Box::new(move |sample| told.lock().unwrap().push(sample.lateness.0))
        };
        let recorder = Recorder::new(&config, "hash", writer, Tally::default(), on_recorded);
        Self { root, recorder, told }
    }

    /// From now on no file can be created, because a file is in the place of their folder.
    fn refuse(&mut self) {
        self.recorder.sink.seal();
        self.block("open");
    }

    fn mend(&self) {
        self.unblock("open");
    }

    fn block(&self, folder: &str) {
        let path = self.root.path().join("archive").join(folder);
        fs::rename(&path, path.with_extension("away")).unwrap();
        fs::write(&path, "").unwrap();
    }

    fn unblock(&self, folder: &str) {
        let path = self.root.path().join("archive").join(folder);
        fs::remove_file(&path).unwrap();
        fs::rename(path.with_extension("away"), &path).unwrap();
    }

    fn take(&mut self, numbers: Range<u64>) {
        self.recorder
            .take(&mut numbers.map(|number| Message::Record(Record::Sample(Box::new(sample(number))))).collect());
    }

    fn told(&self) -> Vec<u64> {
        self.told.lock().unwrap().clone()
    }

    fn lines(&self, measurement: &str) -> Vec<String> {
        lines(self.root.path(), measurement)
    }

    /// Asserts the sums of these fields over the worker's points.
    fn worker_says(&self, sums: &[(&str, u64)]) {
        for (name, expected) in sums {
            let told = self.lines("bandprobe_worker").iter().map(|line| field(line, name)).sum::<u64>();
            assert_eq!(told, *expected, "{name}");
        }
    }
}

#[test]
fn refused_lines_wait_and_are_written_in_order_later() {
    let mut bench = Bench::new();
    bench.take(0..2);
    bench.refuse();
    bench.take(2..5);
    // The window ends, and a minute is over.
    bench.recorder.on_second(later());
    bench.recorder.on_minute(Timestamp::now());
    bench.take(5..7);
    bench.recorder.on_second(later());
    assert_eq!((bench.told(), bench.recorder.losses.ever()), (vec![0, 1], 0));

    bench.mend();
    bench.take(7..8);
    assert_eq!(bench.told(), [0, 1], "it is asked once a second, not at each sample");
    bench.recorder.on_second(later());
    assert_eq!(bench.told(), (0..8).collect::<Vec<_>>());
    bench.take(8..9);
    assert_eq!(bench.told().len(), 9, "life goes on");
    bench.recorder.finish();
    let late: Vec<u64> = bench.lines("bandprobe_transfer").iter().map(|line| field(line, "lateness_us")).collect();
    assert_eq!(late, (0..9).collect::<Vec<_>>());
    let kinds: String = bench.lines("").iter().map(|line| &line["bandprobe_".len()..][..1]).collect();
    assert_eq!(kinds, "tttttwwttttwww", "two windows of two metrics, each in its place, and the worker");
    bench.worker_says(&[("transfers", 9), ("points_dropped", 0), ("bytes_downloaded", 90)]);
    assert_eq!(bench.recorder.losses.ever(), 0);
}

#[test]
fn beyond_the_limit_the_oldest_samples_are_lost() {
    let mut bench = Bench::new();
    bench.refuse();
    bench.recorder.sink.backlog = Backlog::new(20_000);
    bench.take(0..3);
    bench.recorder.on_second(later());
    bench.take(3..100);
    bench.mend();
    bench.recorder.finish();
    let lost = bench.recorder.losses.ever();
    assert!((50..97).contains(&lost), "{lost}");
    assert_eq!(bench.told(), (lost..100).collect::<Vec<_>>());
    assert_eq!(bench.lines("bandprobe_transfer").len() as u64, 100 - lost);
    // The numbers of the lost samples are still in their window and in the counts.
    let counts: Vec<u64> = bench.lines("bandprobe_window").iter().map(|line| field(line, "count")).collect();
    assert_eq!(counts, [3, 3, 97, 97]);
    bench.worker_says(&[("transfers", 100), ("points_dropped", lost)]);
}

#[test]
fn lines_still_waiting_at_the_end_are_counted_as_lost() {
    let mut bench = Bench::new();
    bench.take(0..2);
    bench.refuse();
    bench.take(2..5);
    bench.recorder.finish();
    // Three samples, two points of the window, and the point of the worker.
    assert_eq!((bench.told(), bench.recorder.losses.ever()), (vec![0, 1], 6));
    bench.mend();
    assert_eq!(bench.lines("").len(), 2);
}

#[test]
fn an_invalid_line_loses_only_itself() {
    let mut bench = Bench::new();
    bench.recorder.sink.backlog.push("two\nlines\n".to_owned(), None);
    bench.take(0..3);
    assert_eq!((bench.told(), bench.recorder.losses.ever()), (vec![0, 1, 2], 1));
    assert_eq!(bench.lines("").len(), 3);
}

#[test]
fn counts_that_cannot_be_written_go_into_the_next_point() {
    let mut bench = Bench::new();
    bench.take(0..1);
    bench.refuse();
    assert!(!bench.recorder.on_minute(Timestamp::now()));
    bench.mend();
    bench.recorder.on_second(later());
    assert!(bench.lines("bandprobe_worker").is_empty());
    assert!(bench.recorder.on_minute(Timestamp::now()));
    bench.worker_says(&[("transfers", 1), ("points_dropped", 0), ("lateness_p99_us", 0)]);
}

#[test]
fn a_file_that_cannot_be_sealed_grows_and_is_sealed_later() {
    let mut bench = Bench::new();
    bench.take(0..2);
    bench.block("spool");
    bench.recorder.take(&mut vec![Message::Command(Command::Seal)]);
    bench.take(2..4);
    bench.unblock("spool");
    let waiting = status(&bench.recorder.config.archive.dir).unwrap();
    assert_eq!((waiting.open.points, waiting.spool.points), (4, 0));
    bench.recorder.take(&mut vec![Message::Command(Command::Seal)]);
    assert_eq!((bench.lines("bandprobe_transfer").len(), bench.told()), (4, vec![0, 1, 2, 3]));
    let waiting = status(&bench.recorder.config.archive.dir).unwrap();
    assert_eq!((waiting.open.files, waiting.spool.points), (0, 4));
}

#[test]
fn the_backlog_is_written_in_limited_appends_and_files() {
    let mut bench = Bench::new();
    bench.refuse();
    bench.take(0..6_000);
    bench.mend();
    bench.recorder.on_second(later());
    assert_eq!(bench.told(), (0..6_000).collect::<Vec<_>>());
    bench.recorder.finish();
    let sizes: Vec<u64> = fs::read_dir(bench.root.path().join("archive/spool"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .collect();
    let most = SEAL_BYTES + 2 * APPEND_BYTES as u64;
    assert!(sizes.len() > 1 && sizes.iter().all(|size| *size < most), "{sizes:?}");
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
