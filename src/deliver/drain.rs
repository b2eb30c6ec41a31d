//! The drain: takes a sealed file, sends it in batches, does what the answer means, takes the next.
//!
//! Every future here can be dropped at any await: a batch leaves the list only with its answer, and a file leaves the
//! spool only when every line of it is in the database or in `rejected/`.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::{
    event::{Counters, Event, LastAnswer, STATE},
    influx::Influx,
    policy::{self, Verdict},
    sending::{BATCH_BYTES, LEAST_BATCH_BYTES, Sending, Suspects},
};
use crate::{
    archive::{Error, format, salvage::Salvaged, spool::Spool, state},
    config::Order,
    model::units::BitRate,
};

mod finish;

pub use self::finish::LAST_TRIES;

/// Delivers one data directory to one database.
#[derive(Debug)]
pub struct Drain {
    spool: Spool,
    influx: Influx,
    sending: Option<Sending>,
    not_before: Instant,
    failures: u32,
    /// Why nothing goes through at the moment.
    trouble: Option<String>,
    counters: Counters,
    /// Bytes of a batch at the most: halved by each timeout, doubled by each success.
    batch_bytes: usize,
    /// What it can be at the most: halved by each 413, until nothing waits.
    most_batch_bytes: usize,
    /// The bucket was missing and was made: it is not made again before something was stored.
    bucket_made: bool,
    suspects: Suspects,
    /// Files that could not be read, since when.
    passed: HashSet<String>,
    passed_since: Instant,
    /// When it was last noted that a file was delivered; not since there was trouble.
    noted: Option<Instant>,
    /// Somebody is about to leave: as fast as it goes.
    hurried: bool,
    dice: fn() -> f64,
}

impl Drain {
    /// Delivers what waits in this spool, and will wait.
    #[must_use]
    pub fn new(spool: Spool, influx: Influx) -> Self {
        Self {
            spool,
            influx,
            sending: None,
            not_before: Instant::now(),
            failures: 0,
            trouble: None,
            counters: Counters::default(),
            batch_bytes: BATCH_BYTES,
            most_batch_bytes: BATCH_BYTES,
            bucket_made: false,
            suspects: Suspects::default(),
            passed: HashSet::new(),
            passed_since: Instant::now(),
            noted: None,
            hurried: false,
            dice: rand::random::<f64>,
        }
    }

    /// Replaces the dice of the backoff, uniform in [0, 1), so that a test can tell when the next try is.
    #[must_use]
    pub fn with_dice(mut self, dice: fn() -> f64) -> Self {
        self.dice = dice;
        self
    }

    /// Goes on with another database or token, at once.
    pub fn use_database(&mut self, influx: Influx) {
        self.influx = influx;
        self.lift_limits();
        self.bucket_made = false;
        self.suspects = Suspects::default();
        self.failures = 0;
        // Whatever is wrong next is news, even when it is what was wrong before.
        self.trouble = None;
        self.not_before = Instant::now();
    }

    /// Forgets how long it was to wait, and the rate: somebody is about to leave, and this is the last chance.
    pub fn hurry(&mut self) {
        self.hurried = true;
        self.failures = 0;
        self.not_before = Instant::now();
    }

    /// When the next step does something.
    #[must_use]
    pub const fn due(&self) -> Instant {
        self.not_before
    }

    /// When the oldest of what waits was opened; nothing when nothing waits, or the disk does not say.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        format::opened(&self.spool.next(false, &self.passed).ok()??)
    }

    /// How far the database's clock is ahead of ours, in ms; asks it.
    pub async fn clock_offset_ms(&self) -> Option<i64> {
        self.influx.clock_offset_ms().await
    }

    /// The spool that is drained: its limits are kept by the same process.
    #[must_use]
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// The counters, which start again at 0.
    pub fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.counters)
    }

    /// Waits until it is time, then makes at most one request, and says what came of it. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// When the data directory cannot be read or written; the next step tries the same again, later each time.
    pub async fn step(&mut self) -> Result<Event, Error> {
        sleep_until(self.not_before).await;
        match self.prepare() {
            Ok(None) => {}
            Ok(Some(event)) => return Ok(event),
            Err(problem) => {
                self.back_off();
                return Err(problem);
            }
        }
        let batch = self.sending.as_ref().and_then(|sending| sending.pending.last());
        let batch = batch.expect("invariant: a prepared file has a batch");
        let (began, is_least) = (Instant::now(), batch.is_least());
        let written = self.influx.write(&batch.text()).await;
        let mut verdict = policy::judge(&written.answer, self.influx.place(), is_least);
        if let Verdict::NoBucket { reason } = verdict {
            verdict = match if self.bucket_made { Err(MADE.to_owned()) } else { self.influx.create_bucket().await } {
                Ok(()) => {
                    self.bucket_made = true;
                    return Ok(Event::BucketCreated);
                }
                Err(why_not) => Verdict::Hold { reason: format!("{reason}; {why_not}") },
            }
        }
        let event = self.conclude(verdict);
        if !self.hurried {
            self.not_before = self.not_before.max(began + pause(written.bytes, self.influx.rate()));
        }
        Ok(event)
    }

    /// Brings a batch to the top of the list, or says why there is none.
    fn prepare(&mut self) -> Result<Option<Event>, Error> {
        let mut sending = match self.sending.take() {
            Some(sending) => sending,
            None => {
                if self.passed_since.elapsed() >= PASSED_OVER {
                    self.passed.clear();
                }
                let recent_first = self.influx.order() == Order::RecentFirst;
                let Some(name) = self.spool.next(recent_first, &self.passed)? else {
                    self.lift_limits();
                    return Ok(Some(Event::Idle));
                };
                match self.begin(name.clone()) {
                    Ok(Ok(sending)) => sending,
                    Ok(Err(event)) => return Ok(Some(event)),
                    // One file that cannot be read does not hold up the others.
                    Err(problem) => {
                        self.pass_over(Some(name));
                        return Err(problem);
                    }
                }
            }
        };
        if sending.pending.is_empty() {
            let batch = sending.read_batch(self.batch_bytes);
            sending.pending.extend(batch);
        }
        let done = sending.pending.is_empty();
        let sending = self.sending.insert(sending);
        if !done {
            return Ok(None);
        }
        let finished = sending.finish(&self.spool);
        // Where it cannot be moved, or its refused lines cannot be kept, it is sent again later, after the others.
        let name = self.sending.take().map(|sending| sending.name);
        let event = finished.inspect_err(|_| self.pass_over(name))?;
        self.note(DELIVERED);
        Ok(Some(event))
    }

    /// Opens a file that is as it was written; a damaged one becomes that first.
    fn begin(&mut self, name: String) -> Result<Result<Sending, Event>, Error> {
        if let Some(salvaged) = self.spool.salvage(&name)? {
            self.counters.points_rejected += salvaged.set_aside;
            self.counters.points_dropped += salvaged.missing;
            let Salvaged { kept, set_aside: points, damage, .. } = salvaged;
            return Ok(Err(Event::SetAside { name, damage, kept, points }));
        }
        let Some(lines) = self.spool.open(&name)? else { return Ok(Err(gone(name))) };
        Ok(Ok(Sending::new(name, lines)))
    }

    /// Does what the answer to the batch on top means.
    fn conclude(&mut self, verdict: Verdict) -> Event {
        let sending = self.sending.as_mut().expect("invariant: an answer belongs to a batch");
        let batch = sending.pending.pop().expect("invariant: an answer belongs to a batch");
        let event = match verdict {
            Verdict::Delivered => {
                let points = batch.lines.len() as u64;
                sending.points += points;
                self.counters.points_written += points;
                self.batch_bytes = (self.batch_bytes * 2).min(self.most_batch_bytes);
                self.bucket_made = false;
                Event::Sent { points }
            }
            Verdict::Halve { message } => {
                self.most_batch_bytes = (batch.bytes / 2).clamp(LEAST_BATCH_BYTES, BATCH_BYTES);
                self.batch_bytes = self.most_batch_bytes;
                self.counters.points_rejected += sending.divide(batch, &message, None, &mut self.suspects);
                Event::Divided { message }
            }
            Verdict::Refused { message, dropped } => {
                self.counters.points_rejected += sending.divide(batch, &message, dropped, &mut self.suspects);
                Event::Divided { message }
            }
            Verdict::Hold { reason } | Verdict::NoBucket { reason } => {
                sending.pending.push(batch);
                // Whoever puts it right may lift a limit, too: what is read next is as large as at the start.
                (self.batch_bytes, self.most_batch_bytes) = (BATCH_BYTES, BATCH_BYTES);
                self.failures = self.failures.saturating_add(1);
                let until = Instant::now() + policy::hold(self.failures);
                let news = self.stuck(&reason, until);
                return Event::Holding { reason, news, until };
            }
            Verdict::Retry { reason, less } => {
                if less {
                    self.batch_bytes = (batch.bytes / 2).clamp(LEAST_BATCH_BYTES, BATCH_BYTES);
                    sending.halve(batch);
                } else {
                    sending.pending.push(batch);
                }
                let until = self.back_off();
                let news = self.stuck(&reason, until);
                return Event::BackingOff { reason, news, until };
            }
        };
        self.failures = 0;
        self.trouble = None;
        event
    }

    /// Lets the next step wait, longer each time.
    fn back_off(&mut self) -> Instant {
        self.failures = self.failures.saturating_add(1);
        self.not_before = Instant::now() + policy::backoff(self.failures, (self.dice)());
        self.not_before
    }

    /// Leaves a file for later.
    fn pass_over(&mut self, name: Option<String>) {
        self.passed_since = Instant::now();
        self.passed.extend(name);
    }

    /// Forgets what a server could not take: another one may take more, and so may the same one later.
    fn lift_limits(&mut self) {
        (self.batch_bytes, self.most_batch_bytes) = (BATCH_BYTES, BATCH_BYTES);
    }

    /// Notes why nothing goes through; whether that is news.
    fn stuck(&mut self, reason: &str, until: Instant) -> bool {
        self.not_before = until;
        self.counters.retries += 1;
        let news = self.trouble.as_deref() != Some(reason);
        if news {
            self.trouble = Some(reason.to_owned());
            self.note(reason);
        }
        news
    }

    /// Keeps the news for whoever asks later: of good ones the last, of a trouble the first, whoever met it. A disk that
    /// refuses will say so where it matters.
    fn note(&mut self, text: &str) {
        if text == DELIVERED && self.noted.is_some_and(|noted| noted.elapsed() < NOTE_AGAIN) {
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

/// A file that was deleted to keep within the archive's limits, and counted there.
fn gone(name: String) -> Event {
    Event::Finished { name, points: 0, rejected: 0, message: None }
}

/// Why a bucket is not made again.
const MADE: &str = "it was made a moment ago, and is not there yet";

/// How long so many bytes take at a rate.
fn pause(bytes: u64, rate: BitRate) -> Duration {
    Duration::from_millis((bytes * 8_000).div_ceil(rate.0.max(1)))
}

/// The text of a [`LastAnswer`] while all is well.
const DELIVERED: &str = "delivered";
/// How often that is noted.
const NOTE_AGAIN: Duration = Duration::from_secs(10);
/// So long a file that could not be read is passed over.
const PASSED_OVER: Duration = Duration::from_secs(600);
