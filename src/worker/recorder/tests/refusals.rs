//! A disk that refuses for a while: what waits, what is lost, and in which order the rest is written.

use std::{fs, ops::Range};

use super::{
    super::{archive_sink::APPEND_BYTES, backlog::Backlog},
    *,
};
use crate::archive::log::SEAL_BYTES;

/// A recorder, the samples that it has reported as recorded, and a disk that can be made to refuse.
struct RefusingDisk {
    root: tempfile::TempDir,
    recorder: Recorder,
    reported: Arc<Mutex<Vec<u64>>>,
}

impl RefusingDisk {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let config = config(root.path());
        let writer = Writer::open(&config.archive.dir).unwrap();
        let reported: Arc<Mutex<Vec<u64>>> = Arc::default();
        let on_recorded: OnRecorded = {
            let reported = reported.clone();
            Box::new(move |sample| reported.lock().unwrap().push(sample.lateness.0))
        };
        let recorder = Recorder::new(&config, "hash", writer, Tally::default(), on_recorded);
        Self { root, recorder, reported }
    }

    /// From now on no file can be created, because a file is in the place of their folder.
    fn refuse(&mut self) {
        self.recorder.sink.seal();
        self.block("open");
    }

    fn accept(&self) {
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

    fn reported(&self) -> Vec<u64> {
        self.reported.lock().unwrap().clone()
    }

    fn lines(&self, measurement: &str) -> Vec<String> {
        lines(self.root.path(), measurement)
    }

    /// Asserts the sums of these fields over the worker's points.
    fn assert_worker_sums(&self, sums: &[(&str, u64)]) {
        for (name, expected) in sums {
            let reported = self.lines("bandprobe_worker").iter().map(|line| field(line, name)).sum::<u64>();
            assert_eq!(reported, *expected, "{name}");
        }
    }
}

#[test]
fn refused_lines_wait_and_are_written_in_order_later() {
    let mut disk = RefusingDisk::new();
    disk.take(0..2);
    disk.refuse();
    disk.take(2..5);
    // The window ends, and a minute is over.
    disk.recorder.on_second(later());
    disk.recorder.on_minute(Timestamp::now());
    disk.take(5..7);
    disk.recorder.on_second(later());
    assert_eq!((disk.reported(), disk.recorder.losses.ever()), (vec![0, 1], 0));

    disk.accept();
    disk.take(7..8);
    assert_eq!(disk.reported(), [0, 1], "the disk is tried once a second, not at each sample");
    disk.recorder.on_second(later());
    assert_eq!(disk.reported(), (0..8).collect::<Vec<_>>());
    disk.take(8..9);
    assert_eq!(disk.reported().len(), 9, "later samples are written at once");
    disk.recorder.finish();
    let late: Vec<u64> = disk.lines("bandprobe_transfer").iter().map(|line| field(line, "lateness_us")).collect();
    assert_eq!(late, (0..9).collect::<Vec<_>>());
    let kinds: String = disk.lines("").iter().map(|line| &line["bandprobe_".len()..][..1]).collect();
    assert_eq!(kinds, "tttttwwttttwww", "two windows of two metrics, each in its place, and the worker");
    disk.assert_worker_sums(&[("transfers", 9), ("points_dropped", 0), ("bytes_downloaded", 90)]);
    assert_eq!(disk.recorder.losses.ever(), 0);
}

#[test]
fn beyond_the_limit_the_oldest_samples_are_lost() {
    let mut disk = RefusingDisk::new();
    disk.refuse();
    disk.recorder.sink.backlog = Backlog::new(20_000);
    disk.take(0..3);
    disk.recorder.on_second(later());
    disk.take(3..100);
    disk.accept();
    disk.recorder.finish();
    let lost = disk.recorder.losses.ever();
    assert!((50..97).contains(&lost), "{lost}");
    assert_eq!(disk.reported(), (lost..100).collect::<Vec<_>>());
    assert_eq!(disk.lines("bandprobe_transfer").len() as u64, 100 - lost);
    // The numbers of the lost samples are still in their window and in the counts.
    let counts: Vec<u64> = disk.lines("bandprobe_window").iter().map(|line| field(line, "count")).collect();
    assert_eq!(counts, [3, 3, 97, 97]);
    disk.assert_worker_sums(&[("transfers", 100), ("points_dropped", lost)]);
}

#[test]
fn lines_still_waiting_at_the_end_are_counted_as_lost() {
    let mut disk = RefusingDisk::new();
    disk.take(0..2);
    disk.refuse();
    disk.take(2..5);
    disk.recorder.finish();
    // Three samples, two points of the window, and the point of the worker.
    assert_eq!((disk.reported(), disk.recorder.losses.ever()), (vec![0, 1], 6));
    disk.accept();
    assert_eq!(disk.lines("").len(), 2);
}

#[test]
fn an_invalid_line_loses_only_itself() {
    let mut disk = RefusingDisk::new();
    disk.recorder.sink.backlog.push("two\nlines\n".to_owned(), None);
    disk.take(0..3);
    assert_eq!((disk.reported(), disk.recorder.losses.ever()), (vec![0, 1, 2], 1));
    assert_eq!(disk.lines("").len(), 3);
}

#[test]
fn counts_that_cannot_be_written_go_into_the_next_point() {
    let mut disk = RefusingDisk::new();
    disk.take(0..1);
    disk.refuse();
    assert!(!disk.recorder.on_minute(Timestamp::now()));
    disk.accept();
    disk.recorder.on_second(later());
    assert!(disk.lines("bandprobe_worker").is_empty());
    assert!(disk.recorder.on_minute(Timestamp::now()));
    disk.assert_worker_sums(&[("transfers", 1), ("points_dropped", 0), ("lateness_p99_us", 0)]);
}

#[test]
fn a_file_that_cannot_be_sealed_grows_and_is_sealed_later() {
    let mut disk = RefusingDisk::new();
    disk.take(0..2);
    disk.block("spool");
    disk.recorder.take(&mut vec![Message::Command(Command::Seal)]);
    disk.take(2..4);
    disk.unblock("spool");
    let waiting = status(&disk.recorder.config.archive.dir).unwrap();
    assert_eq!((waiting.open.points, waiting.spool.points), (4, 0));
    disk.recorder.take(&mut vec![Message::Command(Command::Seal)]);
    assert_eq!((disk.lines("bandprobe_transfer").len(), disk.reported()), (4, vec![0, 1, 2, 3]));
    let waiting = status(&disk.recorder.config.archive.dir).unwrap();
    assert_eq!((waiting.open.files, waiting.spool.points), (0, 4));
}

#[test]
fn the_backlog_is_written_in_limited_appends_and_files() {
    let mut disk = RefusingDisk::new();
    disk.refuse();
    disk.take(0..6_000);
    disk.accept();
    disk.recorder.on_second(later());
    assert_eq!(disk.reported(), (0..6_000).collect::<Vec<_>>());
    disk.recorder.finish();
    let sizes: Vec<u64> = fs::read_dir(disk.root.path().join("archive/spool"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .collect();
    let most = SEAL_BYTES + 2 * APPEND_BYTES as u64;
    assert!(sizes.len() > 1 && sizes.iter().all(|size| *size < most), "{sizes:?}");
}
