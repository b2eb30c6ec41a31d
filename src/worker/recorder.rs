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
mod tests;
