//! The recorder: writes samples and points as lines to the archive, in the order in which they arrive.
//!
//! When `on_recorded` is called, the sample is in the archive's file, so a kill of the process no longer loses it.
//! While the disk refuses, lines wait in memory ([`archive_sink`]) and windows are filled and end as usual. The worker's
//! own points are postponed: their counts go into the next one.
//!
//! Appends block this task, so it has its own thread. Syncs and seals have another one ([`syncer`]). Nothing else waits
//! for the disk because of them.

use std::time::Duration;

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};

use crate::{
    archive::log::Writer,
    config::Config,
    model::sample::Sample,
    record::{point::Point, window::Windows},
};

use super::{
    tally::{Counts, Tally},
    threads::ThreadError,
};

use self::{
    archive_sink::{ArchiveSink, Losses},
    syncer::Syncer,
};

mod archive_sink;
mod backlog;
mod syncer;

/// Called for each sample once it is in the archive. The sample no longer has its intervals and its curve.
pub type OnRecorded = Box<dyn FnMut(&Sample) + Send>;

/// A message to the recorder.
pub(super) enum Message {
    Record(Record),
    Command(Command),
}

/// What is written to the archive.
pub(super) enum Record {
    Sample(Box<Sample>),
    /// A point that belongs to no sample.
    Point(Box<Point>),
}

/// What to do after the records of the same batch are written.
pub(super) enum Command {
    /// Seal the open file, so that it can be delivered.
    Seal,
    /// End the windows, write the last points, and seal.
    Finish(Finish),
}

/// Where the recorder reports the end.
pub(super) struct Finish {
    /// Receives the number of lost points when everything else is written.
    written: oneshot::Sender<u64>,
    /// Receives a message when everything can be delivered.
    sealed: oneshot::Sender<()>,
}

/// The sending side of the recorder's channel. Clones share it.
#[derive(Clone)]
pub(super) struct Inbox {
    messages: mpsc::Sender<Message>,
    losses: Losses,
}

/// The state of the recorder; owned by its task.
pub(super) struct Recorder {
    config: Config,
    config_hash: String,
    windows: Windows,
    sink: ArchiveSink,
    losses: Losses,
    tally: Tally,
    /// The last point of the worker is written. No further one is, because it would not be delivered.
    finished: bool,
}

impl Inbox {
    /// Hands a sample over. Never waits, so that probing continues whatever the disk does. A sample that finds the
    /// channel full is lost and counted.
    pub(super) fn record(&self, sample: Sample) {
        self.put(Record::Sample(Box::new(sample)));
    }

    /// Hands over a point that belongs to no sample, through the same channel.
    pub(super) fn record_point(&self, point: Point) {
        self.put(Record::Point(Box::new(point)));
    }

    fn put(&self, record: Record) {
        self.losses.note_waiting(1);
        let Err(refused) = self.messages.try_send(Message::Record(record)) else { return };
        self.losses.give_up(1);
        if matches!(refused, mpsc::error::TrySendError::Closed(_)) {
            tracing::error!(
                "results are no longer recorded, because of a bug in bandprobe: restart the worker, and please report it"
            );
        }
    }

    pub(super) fn seal(&self) {
        // When the channel is full, the file soon reaches its size limit and is sealed anyway.
        let _ = self.messages.try_send(Message::Command(Command::Seal));
    }

    /// Requests that everything handed over so far, and the open windows, are written and sealed. `sealed` receives a
    /// message when that is done. Returns the number of lost points as soon as all others are written. What is not
    /// written when `given_up` completes is lost too.
    pub(super) async fn finish(&self, sealed: oneshot::Sender<()>, given_up: impl Future<Output = ()>) -> u64 {
        let (written, lost) = oneshot::channel();
        let finish = Message::Command(Command::Finish(Finish { written, sealed }));
        let finished = async {
            self.messages.send(finish).await.ok()?;
            lost.await.ok()
        };
        let lost = tokio::select! {
            lost = finished => lost,
            () = given_up => None,
        };
        // The windows may not have ended, so at least one point is lost.
        lost.unwrap_or_else(|| (self.losses.ever() + self.losses.waiting()).max(1))
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
        let losses = Losses::new(tally.clone());
        Self {
            config: config.clone(),
            config_hash: config_hash.to_owned(),
            windows: Windows::new(config.window),
            sink: ArchiveSink::new(writer, losses.clone(), on_recorded),
            losses,
            tally,
            finished: false,
        }
    }

    /// Moves syncs and seals to their own thread, so that only appends wait for the disk here.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(super) fn with_syncer(mut self) -> Result<Self, ThreadError> {
        self.sink.sync_on(Syncer::start()?);
        Ok(self)
    }

    /// Returns an inbox, and the task that receives from it until all clones of the inbox are gone.
    pub(super) fn start(mut self) -> (Inbox, impl Future<Output = ()> + Send) {
        let (messages, mut inbox) = mpsc::channel(INBOX);
        let handle = Inbox { messages, losses: self.losses.clone() };
        let task = async move {
            let mut batch = Vec::with_capacity(BATCH);
            let mut second = interval(Duration::from_secs(1));
            let mut minute = interval(Duration::from_secs(60));
            second.set_missed_tick_behavior(MissedTickBehavior::Delay);
            minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
            minute.tick().await; // the first tick is immediate, and nothing is counted yet
            loop {
                tokio::select! {
                    received = inbox.recv_many(&mut batch, BATCH) => {
                        if received == 0 {
                            return;
                        }
                        self.take(&mut batch);
                    }
                    _ = second.tick() => self.on_second(Timestamp::now()),
                    _ = minute.tick(), if !self.finished => {
                        self.on_minute(Timestamp::now());
                    }
                }
            }
        };
        (handle, task)
    }

    fn take(&mut self, batch: &mut Vec<Message>) {
        let mut commands = Vec::new();
        for message in batch.drain(..) {
            match message {
                Message::Record(Record::Sample(sample)) => {
                    self.windows.record(&sample);
                    self.tally.count_sample(&sample);
                    self.sink.sample(sample);
                    self.losses.note_done(1);
                }
                Message::Record(Record::Point(point)) => {
                    self.sink.point(&point);
                    self.losses.note_done(1);
                }
                Message::Command(command) => commands.push(command),
            }
        }
        // The end writes what is left in one append.
        if !commands.iter().any(|command| matches!(command, Command::Finish(_))) {
            self.sink.flush();
        }
        for command in commands {
            match command {
                Command::Finish(Finish { written, sealed }) => {
                    self.finish();
                    // The caller may have given up.
                    let _ = written.send(self.losses.ever());
                    self.sink.seal();
                    self.sink.notify_sealed(sealed);
                }
                Command::Seal if self.sink.is_busy() => {}
                Command::Seal => self.sink.seal(),
            }
        }
    }

    fn on_second(&mut self, now: Timestamp) {
        for point in self.windows.flush_due(now) {
            self.sink.point(&point);
        }
        self.sink.retry();
        self.sink.housekeep(now, self.config.archive.sync);
    }

    /// Writes the worker's point. Returns whether the disk accepted it.
    fn on_minute(&mut self, now: Timestamp) -> bool {
        let counts = self.take_counts();
        let written = self.sink.write_now(&counts.point(&self.config, &self.config_hash, now));
        if !written {
            self.tally.put_back(counts);
        }
        written
    }

    /// Takes what was counted since the last point of the worker.
    fn take_counts(&mut self) -> Counts {
        let counts = self.windows.take_counts();
        self.tally.count(|counters| {
            counters.values_clamped += counts.clamped;
            counters.values_dropped += counts.dropped;
        });
        self.tally.take()
    }

    /// Writes the last points in one append, because the disk may be slow.
    fn finish(&mut self) {
        self.finished = true;
        for point in self.windows.flush_all() {
            self.sink.point(&point);
        }
        let counts = self.take_counts();
        self.sink.point(&counts.point(&self.config, &self.config_hash, Timestamp::now()));
        self.sink.retry();
        self.sink.give_up();
    }
}

/// Samples and points that may wait for the recorder: more than an hour's worth of a hundred nodes.
const INBOX: usize = 10_000;
const BATCH: usize = 256;

#[cfg(test)]
mod tests;
