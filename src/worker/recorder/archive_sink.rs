//! The output of the recorder. Lines go to the archive's file, and wait in memory while the disk refuses them.
//!
//! All lines take the same path. Each one is added to the end of the [`Backlog`] and is removed from the front once an
//! append with it has succeeded. So no line is lost and the order stays the same while the disk refuses. Appends are
//! tried again once a second. When the memory limit is reached, lines are lost and counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    archive::{self, log::Writer},
    model::sample::Sample,
    record::{line, point::Point, transfer::transfer},
    worker::{log_throttle::LogThrottle, tally::Tally},
};

use super::{OnRecorded, backlog::Backlog, syncer::Syncer};

/// Writes lines to the archive.
pub(super) struct ArchiveSink {
    writer: Writer,
    /// Without a syncer, syncs and seals happen on the calling thread.
    syncer: Option<Syncer>,
    pub(super) backlog: Backlog,
    on_recorded: OnRecorded,
    losses: Losses,
    /// Set while the disk refuses appends.
    refusal: Option<Refusal>,
    refusals: LogThrottle,
    /// Limits the log lines about failed syncs and seals.
    delays: LogThrottle,
}

/// Counts points that are lost for good. Clones share the counts.
#[derive(Clone)]
pub(super) struct Losses {
    ever: Arc<AtomicU64>,
    /// Points that were handed over and are neither written nor lost yet.
    waiting: Arc<AtomicU64>,
    tally: Tally,
}

/// A period in which the disk refuses appends.
struct Refusal {
    since: Instant,
    /// Was it logged?
    was_logged: bool,
    /// Points that waited in memory and are in the archive now.
    saved: u64,
    /// Points lost before the period began.
    lost_before: u64,
}

impl ArchiveSink {
    pub(super) fn new(writer: Writer, losses: Losses, on_recorded: OnRecorded) -> Self {
        Self {
            writer,
            syncer: None,
            backlog: Backlog::new(MEMORY),
            on_recorded,
            losses,
            refusal: None,
            refusals: LogThrottle::default(),
            delays: LogThrottle::default(),
        }
    }

    /// Takes a sample. Drops its intervals and its curve, which no line contains.
    pub(super) fn sample(&mut self, mut sample: Box<Sample>) {
        let point = transfer(&sample);
        (sample.intervals, sample.curve) = (Vec::new(), None);
        self.put(&point, Some(sample));
    }

    /// Takes a point that belongs to no sample.
    pub(super) fn point(&mut self, point: &Point) {
        self.put(point, None);
    }

    /// Writes what has been taken. While the disk refuses, only [`retry`](Self::retry) tries again.
    pub(super) fn flush(&mut self) {
        if self.refusal.is_none() {
            self.retry();
        }
    }

    /// Writes everything that waits, in order, and calls `on_recorded` for each sample written. Returns whether nothing
    /// is left.
    pub(super) fn retry(&mut self) -> bool {
        while !self.backlog.is_empty() {
            // On a nearly full disk, a single line may still fit.
            match self.write_front(APPEND_BYTES).or_else(|_| self.write_front(1)) {
                Ok(()) if self.backlog.is_empty() => self.recovered(),
                Ok(()) => {}
                Err(error @ archive::Error::NotWholeLines { .. }) => self.skip(&error),
                Err(error) => {
                    self.refused(&error);
                    return false;
                }
            }
        }
        true
    }

    /// Writes a point after everything that waits, or not at all. Returns whether it is written.
    pub(super) fn write_now(&mut self, point: &Point) -> bool {
        let mut line = String::new();
        line::encode(point, &mut line);
        if !self.retry() {
            return false;
        }
        match self.append(&line, 1) {
            Ok(()) => self.recovered(),
            Err(ref error) => self.refused(error),
        }
        self.refusal.is_none()
    }

    /// Moves syncs and seals to this thread.
    pub(super) fn sync_on(&mut self, syncer: Syncer) {
        self.syncer = Some(syncer);
    }

    /// Syncs and seals the open file if that is due.
    pub(super) fn housekeep(&mut self, now: Timestamp, sync: Duration) {
        self.note_failures();
        if self.is_busy() {
            return;
        }
        if self.writer.needs_seal(now) {
            self.seal();
        } else if self.writer.needs_sync(now, sync)
            && let Err(error) = self.sync()
        {
            self.delayed(&error);
        }
    }

    /// Seals the open file, so that it can be delivered. If that fails, the file is kept and sealed later.
    pub(super) fn seal(&mut self) {
        // A file that could not be synced must be written again before it is sealed.
        self.note_failures();
        let sealed = match &self.syncer {
            None => self.writer.seal().map(drop),
            Some(syncer) => {
                self.writer.begin_seal().map(|sealing| sealing.into_iter().for_each(|one| syncer.seal(one)))
            }
        };
        if let Err(error) = sealed {
            self.delayed(&error);
        }
    }

    /// Sends a message to `done` when everything that was sealed can be delivered.
    pub(super) fn notify_sealed(&self, done: oneshot::Sender<()>) {
        match &self.syncer {
            Some(syncer) => syncer.notify(done),
            // The caller may have given up.
            None => _ = done.send(()),
        }
    }

    /// Returns whether a sync or seal is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.syncer.as_ref().is_some_and(Syncer::is_busy)
    }

    /// Handles the failures of the sync thread.
    fn note_failures(&mut self) {
        for failure in self.syncer.iter().flat_map(Syncer::take_failures).collect::<Vec<_>>() {
            if let Some(syncing) = failure.unsynced {
                self.writer.distrust(syncing.path());
            }
            self.delayed(&failure.error);
        }
    }

    fn sync(&mut self) -> Result<(), archive::Error> {
        match &self.syncer {
            None => self.writer.sync(),
            Some(syncer) => {
                self.writer.begin_sync().map(|syncing| syncing.into_iter().for_each(|one| syncer.sync(one)))
            }
        }
    }

    /// Drops what still waits, because no later write will take place.
    pub(super) fn give_up(&mut self) {
        self.losses.give_up(self.backlog.clear());
    }

    fn put(&mut self, point: &Point, sample: Option<Box<Sample>>) {
        let mut line = String::new();
        line::encode(point, &mut line);
        if line.is_empty() {
            return; // a point without fields has no line
        }
        self.losses.note_waiting(1);
        self.losses.give_up(self.backlog.push(line, sample));
        if self.backlog.bytes() >= APPEND_BYTES {
            self.flush();
        }
    }

    /// Writes the first lines, up to this many bytes but at least one.
    fn write_front(&mut self, bytes: usize) -> Result<(), archive::Error> {
        let (lines, count) = self.backlog.front(bytes);
        self.append(&lines, count as u64)?;
        if let Some(refusal) = &mut self.refusal {
            refusal.saved += count as u64;
        }
        self.losses.note_done(count as u64);
        for sample in (0..count).filter_map(|_| self.backlog.pop()?.sample) {
            (self.on_recorded)(&sample);
        }
        Ok(())
    }

    fn append(&mut self, lines: &str, points: u64) -> Result<(), archive::Error> {
        let now = Timestamp::now();
        self.writer.append(now, lines.as_bytes(), points)?;
        if self.writer.needs_seal(now) && !self.is_busy() {
            self.seal();
        }
        Ok(())
    }

    /// Drops the first line, which the archive does not accept as a line. It must not block the lines after it.
    fn skip(&mut self, error: &archive::Error) {
        self.backlog.pop();
        self.losses.give_up(1);
        tracing::error!("a result could not be written because of a bug in bandprobe, please report it: {error}");
    }

    fn refused(&mut self, error: &archive::Error) {
        let begun = || Refusal { since: Instant::now(), was_logged: false, saved: 0, lost_before: self.losses.ever() };
        let refusal = self.refusal.get_or_insert_with(begun);
        self.losses.tally.note_full(error.is_full());
        if self.refusals.allows() {
            refusal.was_logged = true;
            let (waiting, lost) = (self.backlog.len(), self.losses.ever() - refusal.lost_before);
            let advice = if error.is_full() {
                "; free some space there, and set archive.max-size to less than the disk has"
            } else {
                ""
            };
            tracing::error!(
                "the archive cannot be written, probing continues (points waiting in memory: {waiting}, lost: {lost}): \
                 {error}{advice}"
            );
        }
    }

    fn recovered(&mut self) {
        self.losses.tally.note_full(false);
        let Some(Refusal { since, was_logged: true, saved, lost_before }) = self.refusal.take() else { return };
        let (seconds, lost) = (since.elapsed().as_secs(), self.losses.ever() - lost_before);
        tracing::info!(
            "the archive is written again, after {seconds} s (points saved from memory: {saved}, lost: {lost})"
        );
    }

    fn delayed(&mut self, error: &archive::Error) {
        self.losses.tally.note_full(error.is_full());
        if self.delays.allows() {
            tracing::error!("results are kept, and bandprobe tries again: {error}");
        }
    }
}

impl Losses {
    pub(super) fn new(tally: Tally) -> Self {
        Self { ever: Arc::default(), waiting: Arc::default(), tally }
    }

    /// Counts points as lost; they no longer wait.
    pub(super) fn give_up(&self, points: u64) {
        if points > 0 {
            self.note_done(points);
            self.ever.fetch_add(points, Ordering::Relaxed);
            self.tally.count_dropped(points);
        }
    }

    /// Counts points that were handed over.
    pub(super) fn note_waiting(&self, points: u64) {
        self.waiting.fetch_add(points, Ordering::Relaxed);
    }

    /// Counts points that no longer wait.
    pub(super) fn note_done(&self, points: u64) {
        self.waiting.fetch_sub(points, Ordering::Relaxed);
    }

    /// The number of points that wait.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The number of points lost since the start.
    pub(super) fn ever(&self) -> u64 {
        self.ever.load(Ordering::Relaxed)
    }
}

/// The memory limit of the backlog, in bytes. A sample takes about 1.3 kB, so it holds eight minutes of a hundred
/// samples a second, or four days of ten nodes with the shipped probes.
const MEMORY: usize = 64 << 20;

/// The most bytes in one append, unless a single line is longer. It is small, so that a nearly full disk can still take
/// some lines.
pub(super) const APPEND_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::{super::tests::sample, *};

    #[test]
    fn appended_lines_are_synced_when_due() {
        let dir = tempfile::tempdir().unwrap();
        let writer = Writer::open(dir.path()).unwrap();
        let mut sink = ArchiveSink::new(writer, Losses::new(Tally::default()), Box::new(|_| {}));
        let every = Duration::from_secs(10);
        sink.sample(Box::new(sample(1)));
        sink.flush();
        let now = Timestamp::now();
        let later = now + every * 2;
        sink.housekeep(now, every);
        assert!(sink.writer.needs_sync(later, every));
        sink.housekeep(later, every);
        assert!(!sink.writer.needs_sync(later + every * 100, every));
    }
}
