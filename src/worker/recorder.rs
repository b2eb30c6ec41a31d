//! The one who writes: samples and points become lines in the archive, in the order in which they came.
//!
//! What has been told to `on_recorded` is in the archive's file: a kill of the process no longer loses it. While the disk
//! refuses, lines wait in memory ([`outlet`]), windows are filled and end as ever, and the worker's own points are put off:
//! their counts go into the next one.
//!
//! Appends block this task, which therefore has a thread of its own, and syncs and seals have another one ([`syncer`]): nothing
//! else waits for the disk with them.

use std::time::Duration;

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};

use crate::{
    archive::log::Writer,
    config::Config,
    model::sample::Sample,
    record::{point::Point, window::Windows},
};

use super::tally::{Counts, Tally};

use self::{
    outlet::{Losses, Outlet},
    syncer::Syncer,
};

mod backlog;
mod outlet;
mod syncer;

/// What is told of each sample once it is safe, with its point. Intervals and curve of the sample are gone by then.
pub type OnRecorded = Box<dyn FnMut(&Sample, &Point) + Send>;

/// Something to be recorded.
pub(super) enum Entry {
    Sample(Box<Sample>),
    /// A point that is no sample's.
    Point(Box<Point>),
    /// Seal the open file, so that it can be delivered.
    Seal,
    /// End the windows, write the last points, and seal.
    Finish(Finish),
}

/// How the end is reported.
pub(super) struct Finish {
    /// Everything is written, except for this many points, which are lost.
    written: oneshot::Sender<u64>,
    /// It can be delivered.
    sealed: oneshot::Sender<()>,
}

/// Where samples go. Clones share it.
#[derive(Clone)]
pub(super) struct Inbox {
    entries: mpsc::Sender<Entry>,
    losses: Losses,
}

/// The writer's own state; lives in its task.
pub(super) struct Recorder {
    config: Config,
    config_hash: String,
    windows: Windows,
    outlet: Outlet,
    losses: Losses,
    tally: Tally,
    /// The last point of the worker is written: another one would find nobody to deliver it.
    finished: bool,
}

impl Inbox {
    /// Hands a sample over. Never waits: probing continues whatever the disk does, and what finds no room is counted.
    pub(super) fn record(&self, sample: Sample) {
        self.put(Entry::Sample(Box::new(sample)));
    }

    /// Hands over a point that is no sample's, on the same road.
    pub(super) fn record_point(&self, point: Point) {
        self.put(Entry::Point(Box::new(point)));
    }

    fn put(&self, entry: Entry) {
        self.losses.note_waiting(1);
        let Err(refused) = self.entries.try_send(entry) else { return };
        self.losses.give_up(1);
        if matches!(refused, mpsc::error::TrySendError::Closed(_)) {
            tracing::error!(
                "results are no longer recorded, because of a bug in bandprobe: restart the worker, and please report it"
            );
        }
    }

    pub(super) fn seal(&self) {
        // A full inbox is sealed by size soon enough.
        let _ = self.entries.try_send(Entry::Seal);
    }

    /// Has everything handed over so far, and the open windows, written and sealed; `sealed` hears when that is done. Returns
    /// how many points are lost, as soon as all others are written. What is not written at `deadline` is lost too.
    pub(super) async fn finish(&self, sealed: oneshot::Sender<()>, deadline: Instant) -> u64 {
        let (written, lost) = oneshot::channel();
        let finish = Entry::Finish(Finish { written, sealed });
        let finished = timeout_at(deadline, async {
            self.entries.send(finish).await.ok()?;
            lost.await.ok()
        });
        // The windows may not have ended: that is at least a point.
        finished.await.ok().flatten().unwrap_or_else(|| (self.losses.ever() + self.losses.waiting()).max(1))
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
            outlet: Outlet::new(writer, losses.clone(), on_recorded),
            losses,
            tally,
            finished: false,
        }
    }

    /// Leaves syncs and seals to a thread of their own: nothing waits for the disk then but what appends to it.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn with_syncer(mut self) -> std::io::Result<Self> {
        self.outlet.sync_on(Syncer::start()?);
        Ok(self)
    }

    /// An inbox, and the task that empties it until every inbox is gone.
    pub(super) fn start(mut self) -> (Inbox, impl Future<Output = ()> + Send) {
        let (entries, mut inbox) = mpsc::channel(INBOX);
        let handle = Inbox { entries, losses: self.losses.clone() };
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
                    _ = minute.tick(), if !self.finished => {
                        self.on_minute(Timestamp::now());
                    }
                }
            }
        };
        (handle, task)
    }

    fn take(&mut self, batch: &mut Vec<Entry>) {
        let mut after = Vec::new();
        for entry in batch.drain(..) {
            match entry {
                Entry::Sample(sample) => {
                    self.windows.record(&sample);
                    self.tally.count_sample(&sample);
                    self.outlet.sample(sample);
                    self.losses.note_done(1);
                }
                Entry::Point(point) => {
                    self.outlet.point(&point);
                    self.losses.note_done(1);
                }
                other => after.push(other),
            }
        }
        self.outlet.flush();
        for entry in after {
            match entry {
                Entry::Finish(Finish { written, sealed }) => {
                    self.finish();
                    // The caller may have given up.
                    let _ = written.send(self.losses.ever());
                    self.outlet.seal();
                    self.outlet.tell_sealed(sealed);
                }
                Entry::Seal if self.outlet.is_busy() => {}
                Entry::Seal | Entry::Sample(_) | Entry::Point(_) => self.outlet.seal(),
            }
        }
    }

    fn on_second(&mut self, now: Timestamp) {
        for point in self.windows.flush_due(now) {
            self.outlet.point(&point);
        }
        self.outlet.retry();
        self.outlet.keep_house(now, self.config.archive.sync);
    }

    /// Writes the worker's point. Does the disk take it?
    fn on_minute(&mut self, now: Timestamp) -> bool {
        let counts = self.take_counts();
        let written = self.outlet.write_now(&counts.point(&self.config, &self.config_hash, now));
        if !written {
            self.tally.put_back(counts);
        }
        written
    }

    /// What was counted since the last point of the worker.
    fn take_counts(&mut self) -> Counts {
        let counts = self.windows.take_counts();
        self.tally.count(|counters| {
            counters.values_clamped += counts.clamped;
            counters.values_dropped += counts.dropped;
        });
        self.tally.take()
    }

    /// Writes the last points in one append, as the disk may be slow.
    fn finish(&mut self) {
        self.finished = true;
        for point in self.windows.flush_all() {
            self.outlet.point(&point);
        }
        let counts = self.take_counts();
        self.outlet.point(&counts.point(&self.config, &self.config_hash, Timestamp::now()));
        self.outlet.retry();
        self.outlet.give_up();
    }
}

/// Samples that may wait for the disk: an hour of a hundred nodes.
const INBOX: usize = 10_000;
const BATCH: usize = 256;

#[cfg(test)]
mod tests;
