//! The drain: takes a sealed file, sends it in batches, acts on the answers, takes the next file.
//!
//! Every future here can be dropped at any await. A batch leaves the list only after its answer, and a file leaves the
//! spool only when every line of it is in the database or in `rejected/`.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::{
    event::{Counters, Event, LastAnswer, STATE},
    influx::Influx,
    outgoing_file::{BATCH_BYTES, MIN_BATCH_BYTES, OutgoingFile, SuspectSeries},
    policy::{self, Decision},
};
use crate::{
    archive::{Error, format, salvage::Salvaged, spool::Spool, state},
    config::Order,
    model::units::BitRate,
};

mod finish;

pub use self::finish::MAX_TRIES;

/// Delivers one data directory to one database.
#[derive(Debug)]
pub struct Drain {
    spool: Spool,
    influx: Influx,
    outgoing: Option<OutgoingFile>,
    not_before: Instant,
    failures: u32,
    /// Why nothing can be delivered now.
    trouble: Option<String>,
    counters: Counters,
    /// The most bytes of a batch: halved by each timeout, doubled by each success.
    batch_bytes: usize,
    /// The upper limit of `batch_bytes`: halved by each 413, reset when nothing waits.
    max_batch_bytes: usize,
    /// The bucket was missing and has been created. It is not created again before points were stored.
    bucket_created: bool,
    suspects: SuspectSeries,
    /// Files that could not be read, and when the last one was added.
    skipped: HashSet<String>,
    skipped_since: Instant,
    /// When a delivered file was last recorded in the state; `None` after trouble.
    noted: Option<Instant>,
    /// The process is about to end, so nothing is delayed by the rate.
    hurried: bool,
    dice: fn() -> f64,
}

/// What came of the next file.
enum Begun {
    /// It is open, and its batches can be sent.
    Sending(Box<OutgoingFile>),
    /// There is nothing of it to send in this step.
    Done(Event),
}

impl Drain {
    /// Delivers the files that are in this spool now and later.
    #[must_use]
    pub fn new(spool: Spool, influx: Influx) -> Self {
        Self {
            spool,
            influx,
            outgoing: None,
            not_before: Instant::now(),
            failures: 0,
            trouble: None,
            counters: Counters::default(),
            batch_bytes: BATCH_BYTES,
            max_batch_bytes: BATCH_BYTES,
            bucket_created: false,
            suspects: SuspectSeries::default(),
            skipped: HashSet::new(),
            skipped_since: Instant::now(),
            noted: None,
            hurried: false,
            dice: rand::random::<f64>,
        }
    }

    /// Replaces the random numbers of the backoff, uniform in [0, 1), so that tests know when the next try is.
    #[must_use]
    pub fn with_dice(mut self, dice: fn() -> f64) -> Self {
        self.dice = dice;
        self
    }

    /// Switches to another database or token, immediately.
    pub fn use_database(&mut self, influx: Influx) {
        self.influx = influx;
        self.lift_limits();
        self.bucket_created = false;
        self.suspects = SuspectSeries::default();
        self.failures = 0;
        // The next problem is reported again, even if it is the same as before.
        self.trouble = None;
        self.not_before = Instant::now();
    }

    /// Ends the current wait and lifts the rate limit, because the process is about to end.
    pub fn hurry(&mut self) {
        self.hurried = true;
        self.failures = 0;
        self.not_before = Instant::now();
    }

    /// The earliest time of the next step.
    #[must_use]
    pub const fn due(&self) -> Instant {
        self.not_before
    }

    /// When the oldest waiting file was opened, without those that could not be read. `None` when nothing waits, or
    /// when the spool cannot be read.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        format::opened(&self.spool.next(false, &self.skipped).ok()??)
    }

    /// Asks the database for its time. Returns how far its clock is ahead of ours, in ms, or `None` when it does not
    /// answer.
    pub async fn clock_offset_ms(&self) -> Option<i64> {
        self.influx.clock_offset_ms().await
    }

    /// The spool that is drained. The same process enforces its limits.
    #[must_use]
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Returns the counters and resets them to 0.
    pub fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.counters)
    }

    /// Waits until a step is due, and makes it: see [`Drain::step_now`].
    ///
    /// # Errors
    /// As [`Drain::step_now`].
    pub async fn step(&mut self) -> Result<Event, Error> {
        sleep_until(self.not_before).await;
        self.step_now().await
    }

    /// Makes at most one delivery request and returns the result. Call it when [`Drain::due`] has passed. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// When the data directory cannot be read or written. The next step is due later, with a longer wait each time.
    pub async fn step_now(&mut self) -> Result<Event, Error> {
        match self.prepare() {
            Ok(None) => {}
            Ok(Some(event)) => return Ok(event),
            Err(problem) => {
                self.back_off();
                return Err(problem);
            }
        }
        let batch = self.outgoing.as_ref().and_then(|outgoing| outgoing.pending.last());
        let batch = batch.expect("invariant: a prepared file has a batch");
        let (began, is_smallest) = (Instant::now(), batch.is_smallest());
        let written = self.influx.write(&batch.text()).await;
        let mut decision = policy::decide(&written.answer, self.influx.bucket(), is_smallest);
        if let Decision::NoBucket { reason } = decision {
            decision = match if self.bucket_created {
                Err(ALREADY_CREATED.to_owned())
            } else {
                self.influx.create_bucket().await
            } {
                Ok(()) => {
                    self.bucket_created = true;
                    return Ok(Event::BucketCreated);
                }
                Err(why_not) => Decision::Hold { reason: format!("{reason}; {why_not}") },
            }
        }
        let event = self.conclude(decision);
        if !self.hurried {
            self.not_before = self.not_before.max(began + pause(written.bytes, self.influx.rate()));
        }
        Ok(event)
    }

    /// Puts a batch at the end of the pending list, or returns an event when there is none to send.
    fn prepare(&mut self) -> Result<Option<Event>, Error> {
        let mut outgoing = match self.outgoing.take() {
            Some(outgoing) => outgoing,
            None => {
                if self.skipped_since.elapsed() >= SKIPPED_FOR {
                    self.skipped.clear();
                }
                let recent_first = self.influx.order() == Order::RecentFirst;
                let Some(name) = self.spool.next(recent_first, &self.skipped)? else {
                    self.lift_limits();
                    return Ok(Some(Event::Idle));
                };
                match self.begin(name.clone()) {
                    Ok(Begun::Sending(outgoing)) => *outgoing,
                    Ok(Begun::Done(event)) => return Ok(Some(event)),
                    // A file that cannot be read does not delay the others.
                    Err(problem) => {
                        self.skip(Some(name));
                        return Err(problem);
                    }
                }
            }
        };
        if outgoing.pending.is_empty() {
            let batch = outgoing.read_batch(self.batch_bytes);
            outgoing.pending.extend(batch);
        }
        let done = outgoing.pending.is_empty();
        let outgoing = self.outgoing.insert(outgoing);
        if !done {
            return Ok(None);
        }
        let finished = outgoing.finish(&self.spool);
        // When the file cannot be moved, or its refused lines cannot be stored, it is sent again later, after the
        // others.
        let name = self.outgoing.take().map(|outgoing| outgoing.name);
        let event = finished.inspect_err(|_| self.skip(name))?;
        self.note(DELIVERED);
        Ok(Some(event))
    }

    /// Opens an intact file. A damaged file is salvaged first.
    fn begin(&mut self, name: String) -> Result<Begun, Error> {
        if let Some(salvaged) = self.spool.salvage(&name)? {
            self.counters.points_rejected += salvaged.set_aside;
            self.counters.points_dropped += salvaged.missing;
            let Salvaged { kept, set_aside: points, damage, .. } = salvaged;
            return Ok(Begun::Done(Event::SetAside { name, damage, kept, points }));
        }
        let Some(lines) = self.spool.open(&name)? else { return Ok(Begun::Done(gone(name))) };
        Ok(Begun::Sending(Box::new(OutgoingFile::new(name, lines))))
    }

    /// Acts on the answer to the last batch of the pending list.
    fn conclude(&mut self, decision: Decision) -> Event {
        let outgoing = self.outgoing.as_mut().expect("invariant: an answer belongs to a batch");
        let batch = outgoing.pending.pop().expect("invariant: an answer belongs to a batch");
        let event = match decision {
            Decision::Delivered => {
                let points = batch.lines.len() as u64;
                outgoing.points += points;
                self.counters.points_written += points;
                self.batch_bytes = (self.batch_bytes * 2).min(self.max_batch_bytes);
                self.bucket_created = false;
                Event::Sent { points }
            }
            Decision::Halve { message } => {
                self.max_batch_bytes = (batch.bytes / 2).clamp(MIN_BATCH_BYTES, BATCH_BYTES);
                self.batch_bytes = self.max_batch_bytes;
                self.counters.points_rejected += outgoing.divide(batch, &message, None, &mut self.suspects);
                Event::Divided { message }
            }
            Decision::Refused { message, dropped } => {
                self.counters.points_rejected += outgoing.divide(batch, &message, dropped, &mut self.suspects);
                Event::Divided { message }
            }
            Decision::Hold { reason } | Decision::NoBucket { reason } => {
                outgoing.pending.push(batch);
                // The fix may also lift a limit, so the next batch read from the file has the full size.
                (self.batch_bytes, self.max_batch_bytes) = (BATCH_BYTES, BATCH_BYTES);
                self.failures = self.failures.saturating_add(1);
                let until = Instant::now() + policy::hold(self.failures);
                let is_new = self.stuck(&reason, until);
                return Event::Holding { reason, is_new, until };
            }
            Decision::Retry { reason, less } => {
                if less {
                    self.batch_bytes = (batch.bytes / 2).clamp(MIN_BATCH_BYTES, BATCH_BYTES);
                    outgoing.halve(batch);
                } else {
                    outgoing.pending.push(batch);
                }
                let until = self.back_off();
                let is_new = self.stuck(&reason, until);
                return Event::BackingOff { reason, is_new, until };
            }
        };
        self.failures = 0;
        self.trouble = None;
        event
    }

    /// Delays the next step, longer after each failure.
    fn back_off(&mut self) -> Instant {
        self.failures = self.failures.saturating_add(1);
        self.not_before = Instant::now() + policy::backoff(self.failures, (self.dice)());
        self.not_before
    }

    /// Leaves a file for later.
    fn skip(&mut self, name: Option<String>) {
        self.skipped_since = Instant::now();
        self.skipped.extend(name);
    }

    /// Resets the limits that a server imposed. Another server may accept more, and so may the same one later.
    fn lift_limits(&mut self) {
        (self.batch_bytes, self.max_batch_bytes) = (BATCH_BYTES, BATCH_BYTES);
    }

    /// Records why nothing can be delivered. Returns whether the reason is new.
    fn stuck(&mut self, reason: &str, until: Instant) -> bool {
        self.not_before = until;
        self.counters.retries += 1;
        let is_new = self.trouble.as_deref() != Some(reason);
        if is_new {
            self.trouble = Some(reason.to_owned());
            self.note(reason);
        }
        is_new
    }

    /// Stores the last result for `spool status`. A success is stored at most every [`NOTE_EVERY`]. The first of equal
    /// failures is kept, also across processes. A write error is ignored, because a full disk is reported elsewhere.
    fn note(&mut self, text: &str) {
        if text == DELIVERED && self.noted.is_some_and(|noted| noted.elapsed() < NOTE_EVERY) {
            return;
        }
        self.noted = (text == DELIVERED).then(Instant::now);
        let before: LastAnswer = state::load(self.spool.dir(), STATE).value;
        if text == DELIVERED || before.text != text {
            let answer = LastAnswer { time: Some(Timestamp::now()), text: text.to_owned() };
            let _ = state::store(self.spool.dir(), STATE, &answer);
        }
    }
}

/// The event of a file that was deleted to keep the archive's limits. The archive has counted it.
fn gone(name: String) -> Event {
    Event::Finished { name, points: 0, rejected: 0, message: None }
}

/// Why a bucket is not created again.
const ALREADY_CREATED: &str = "it was created a moment ago, but does not exist yet";

/// How long it takes to send this many bytes at this rate.
fn pause(bytes: u64, rate: BitRate) -> Duration {
    Duration::from_millis((bytes * 8_000).div_ceil(rate.0.max(1)))
}

/// The text of a [`LastAnswer`] after a success.
const DELIVERED: &str = "delivered";
/// How often a success is stored.
const NOTE_EVERY: Duration = Duration::from_secs(10);
/// How long a file that could not be read is skipped.
const SKIPPED_FOR: Duration = Duration::from_secs(600);
