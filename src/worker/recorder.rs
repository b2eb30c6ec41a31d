//! The one who writes: samples and points become lines in the archive, in the order in which they came.
//!
//! What has been told to `on_recorded` is in the archive's file: a kill of the process no longer loses it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    archive::log::Writer,
    config::Config,
    model::sample::Sample,
    record::{line, point::Point, transfer::transfer, window::Windows},
};

use super::tally::Tally;

/// What is told of each sample once it is safe.
pub type OnRecorded = Box<dyn FnMut(&Sample, &Point) + Send>;

/// Something to be recorded.
pub(super) enum Entry {
    Sample(Box<Sample>),
    /// Seal the open file, so that it can be delivered.
    Seal,
    /// End the windows, write the last points, seal, and answer with the count of points that could not be written.
    Finish(oneshot::Sender<u64>),
}

/// Where samples go. Clones share it.
#[derive(Clone)]
pub(super) struct Inbox {
    entries: mpsc::Sender<Entry>,
    tally: Tally,
}

/// The writer's own state; lives in its task.
pub(super) struct Recorder {
    config: Config,
    config_hash: String,
    writer: Writer,
    windows: Windows,
    tally: Tally,
    on_recorded: OnRecorded,
    lines: String,
    points: u64,
    /// Points lost to a disk that refuses, ever.
    lost: u64,
    complained: Option<Instant>,
}

impl Inbox {
    /// Hands a sample over. Never waits: probing goes on whatever the disk does, and what finds no room is counted.
    pub(super) fn record(&self, sample: Sample) {
        let Err(refused) = self.entries.try_send(Entry::Sample(Box::new(sample))) else { return };
        self.tally.count(|counters| counters.points_dropped += 1);
        if matches!(refused, mpsc::error::TrySendError::Closed(_)) {
            tracing::error!(
                "nobody records any more, which is a bug of ours: restart the worker, and please report it"
            );
        }
    }

    pub(super) fn seal(&self) {
        // A full inbox is sealed by size soon enough.
        let _ = self.entries.try_send(Entry::Seal);
    }

    /// Everything handed over so far, and the open windows, are written and sealed. Returns how many points were lost.
    pub(super) async fn finish(&self) -> u64 {
        let (done, finished) = oneshot::channel();
        match self.entries.send(Entry::Finish(done)).await {
            Ok(()) => finished.await.unwrap_or_default(),
            Err(_) => 0,
        }
    }
}

impl Recorder {
    pub(super) fn new(
        config: &Config,
        config_hash: &str,
        writer: Writer,
        tally: Tally,
        on_recorded: OnRecorded,
    ) -> Self {
        Self {
            config: config.clone(),
            config_hash: config_hash.to_owned(),
            writer,
            windows: Windows::new(config.window),
            tally,
            on_recorded,
            lines: String::new(),
            points: 0,
            lost: 0,
            complained: None,
        }
    }

    /// An inbox, and the task that empties it until every inbox is gone.
    pub(super) fn start(mut self) -> (Inbox, impl Future<Output = ()> + Send) {
        let (entries, mut inbox) = mpsc::channel(INBOX);
        let handle = Inbox { entries, tally: self.tally.clone() };
        let task = async move {
            let mut batch = Vec::with_capacity(BATCH);
            let mut second = interval(Duration::from_secs(1));
            let mut minute = interval(Duration::from_secs(60));
            second.set_missed_tick_behavior(MissedTickBehavior::Delay);
            minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
            minute.tick().await; // the first one comes at once, with nothing to tell
            loop {
                tokio::select! {
                    received = inbox.recv_many(&mut batch, BATCH) => {
                        if received == 0 {
                            return;
                        }
                        self.take(&mut batch);
                    }
                    _ = second.tick() => self.on_second(Timestamp::now()),
                    _ = minute.tick() => self.on_minute(Timestamp::now()),
                }
            }
        };
        (handle, task)
    }

    fn take(&mut self, batch: &mut Vec<Entry>) {
        let mut told = Vec::new();
        let mut after = Vec::new();
        for entry in batch.drain(..) {
            match entry {
                Entry::Sample(sample) => {
                    let point = transfer(&sample);
                    self.write(&point);
                    self.windows.record(&sample);
                    self.tally.count_sample(&sample);
                    told.push((sample, point));
                }
                other => after.push(other),
            }
        }
        if self.append() {
            told.iter().for_each(|(sample, point)| (self.on_recorded)(sample, point));
        }
        for entry in after {
            match entry {
                Entry::Finish(done) => {
                    self.finish();
                    // Nobody who waits any more needs no answer.
                    let _ = done.send(self.lost);
                }
                Entry::Seal | Entry::Sample(_) => self.seal(),
            }
        }
    }

    fn on_second(&mut self, now: Timestamp) {
        for point in self.windows.flush_due(now) {
            line::encode(&point, &mut self.lines);
            self.points += 1;
        }
        self.append();
        if self.writer.needs_sync(now, self.config.archive.sync)
            && let Err(error) = self.writer.sync()
        {
            self.complain(&error.to_string());
        }
        if self.writer.needs_seal(now) {
            self.seal();
        }
    }

    fn on_minute(&mut self, now: Timestamp) {
        let counts = self.windows.take_counts();
        self.tally.count(|counters| {
            counters.values_clamped += counts.clamped;
            counters.values_dropped += counts.dropped;
        });
        let counts = self.tally.take();
        self.write(&counts.point(&self.config, &self.config_hash, now));
        if !self.append() {
            self.tally.put_back(counts);
        }
    }

    fn finish(&mut self) {
        for point in self.windows.flush_all() {
            line::encode(&point, &mut self.lines);
            self.points += 1;
        }
        // By itself, so that a disk that refuses these lets the counts be told later.
        self.append();
        self.on_minute(Timestamp::now());
        self.seal();
    }

    fn write(&mut self, point: &Point) {
        line::encode(point, &mut self.lines);
        self.points += 1;
    }

    /// Everything encoded so far goes to the file in one write. Did it?
    fn append(&mut self) -> bool {
        let result = self.writer.append(Timestamp::now(), self.lines.as_bytes(), self.points);
        self.lines.clear();
        let points = std::mem::take(&mut self.points);
        let Err(error) = result else { return true };
        self.lost += points;
        self.tally.count(|counters| counters.points_dropped += points);
        self.complain(&format!("{error}; {points} results are lost, {} so far", self.lost));
        false
    }

    fn seal(&mut self) {
        if let Err(error) = self.writer.seal() {
            self.complain(&error.to_string());
        }
    }

    /// Loud, but not more than once in a while: a full disk must not fill the log too.
    fn complain(&mut self, what: &str) {
        if self.complained.is_none_or(|last| last.elapsed() >= COMPLAIN_EVERY) {
            self.complained = Some(Instant::now());
            tracing::error!("the archive cannot be written: {what}");
        }
    }
}

/// Samples that may wait for the disk: an hour of a hundred nodes.
const INBOX: usize = 10_000;
const BATCH: usize = 256;
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
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
        ["transfers=4i", "points_dropped=4i", "bytes_downloaded=40i", "lateness_p99_us=3i"]
            .iter()
            .for_each(|f| tells(f));
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
}
