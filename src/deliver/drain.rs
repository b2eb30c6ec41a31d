//! The drain: takes the oldest sealed file, sends it in batches, does what the answer means, takes the next.
//!
//! Every future here can be dropped at any await: a batch leaves the list only with its answer, and a file leaves the
//! spool only when every line of it is in the database or in `rejected/`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    influx::Influx,
    policy::{self, Verdict},
    sending::{BATCH_BYTES, LEAST_BATCH_BYTES, Sending},
};
use crate::archive::{Error, spool::Spool, state, status};

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
    /// Bytes of a batch at the most: halved by each 413.
    batch_bytes: usize,
    dice: fn() -> f64,
}

/// What one step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing waits: seal the open file, or wait until one is sealed before the next step.
    Idle,
    /// Points were stored.
    Sent {
        /// How many.
        points: u64,
    },
    /// A batch was refused or too large, and is sent in parts now, or its only line was quarantined.
    Divided {
        /// What the server said.
        message: String,
    },
    /// A file is done with.
    Finished {
        /// Its name.
        name: String,
        /// Points of it that the database has.
        points: u64,
        /// Lines of it that went to `rejected/`.
        rejected: u64,
    },
    /// A damaged file was divided: what is not as it was written went to `rejected/`, the rest waits on.
    SetAside {
        /// Its name in the spool.
        name: String,
        /// What is wrong with it.
        damage: String,
        /// Lines of it that will not be sent.
        points: u64,
    },
    /// Somebody has to change something; the next step waits for [`policy::HOLD`].
    Holding {
        /// What to change.
        reason: String,
        /// Whether it is another reason than last time: say it once.
        news: bool,
        /// When the next step goes on.
        until: Instant,
    },
    /// The database is away or busy; the next step waits.
    BackingOff {
        /// What happened.
        reason: String,
        /// Whether it is another reason than last time: say it once.
        news: bool,
        /// When the next step goes on.
        until: Instant,
    },
}

/// What was delivered, since the counters were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Points that the database stored.
    pub points_written: u64,
    /// Points that went to `rejected/`.
    pub points_rejected: u64,
    /// Requests that have to be made again as they were.
    pub retries: u64,
}

/// What [`Drain::drain_once`] achieved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Points that the database stored.
    pub delivered: u64,
    /// Points that went to `rejected/`.
    pub rejected: u64,
    /// Points that wait in sealed files.
    pub waiting: u64,
    /// Why they wait.
    pub reason: Option<String>,
}

/// The last news of the database, kept in the state `drain` for `spool status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAnswer {
    /// When it came; nothing before the first one.
    pub time: Option<Timestamp>,
    /// "delivered", or why not.
    pub text: String,
}

/// After so many failures in a row, [`Drain::drain_once`] gives a database up that is away or busy: some 3 s by the
/// [`policy::backoff`] when it refuses at once.
pub const LAST_TRIES: u32 = 3;

/// The state under which [`LastAnswer`] is kept.
pub const STATE: &str = "drain";

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
        self.batch_bytes = BATCH_BYTES;
        self.failures = 0;
        // Whatever is wrong next is news, even when it is what was wrong before.
        self.trouble = None;
        self.not_before = Instant::now();
    }

    /// Forgets how long it was to wait: somebody is about to leave, and this is the last chance.
    pub fn hurry(&mut self) {
        self.failures = 0;
        self.not_before = Instant::now();
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
        let answer = self.influx.write(&batch.text()).await;
        let verdict = policy::judge(&answer, self.influx.place(), batch.is_least());
        Ok(self.conclude(verdict))
    }

    /// Delivers until nothing waits, somebody has to change something, the database failed [`LAST_TRIES`] times in a row,
    /// or the deadline. What is under way then is sent again another time.
    ///
    /// # Errors
    /// When the data directory cannot be read or written.
    pub async fn drain_once(&mut self, deadline: Instant) -> Result<Drained, Error> {
        let before = self.counters;
        let reason = loop {
            let Ok(event) = timeout_at(deadline, self.step()).await else {
                break Some(self.trouble.clone().unwrap_or_else(|| "no time left to send more".to_owned()));
            };
            match event? {
                Event::Idle => break None,
                Event::Holding { reason, .. } => break Some(reason),
                Event::BackingOff { reason, .. } if self.failures >= LAST_TRIES => break Some(reason),
                _ => {}
            }
        };
        Ok(Drained {
            delivered: self.counters.points_written - before.points_written,
            rejected: self.counters.points_rejected - before.points_rejected,
            waiting: status::waiting(self.spool.dir())?.iter().map(|file| file.points).sum(),
            reason,
        })
    }

    /// Brings a batch to the top of the list, or says why there is none.
    fn prepare(&mut self) -> Result<Option<Event>, Error> {
        let mut sending = match self.sending.take() {
            Some(sending) => sending,
            None => {
                let Some(name) = self.spool.oldest()? else { return Ok(Some(Event::Idle)) };
                match self.begin(name)? {
                    Ok(sending) => sending,
                    Err(event) => return Ok(Some(event)),
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
        let event = sending.finish(&self.spool)?;
        self.sending = None;
        self.note("delivered");
        Ok(Some(event))
    }

    /// Opens a file that is as it was written; a damaged one becomes that first.
    fn begin(&mut self, name: String) -> Result<Result<Sending, Event>, Error> {
        if let Some(salvaged) = self.spool.salvage(&name)? {
            self.counters.points_rejected += salvaged.set_aside;
            return Ok(Err(Event::SetAside { name, damage: salvaged.damage, points: salvaged.set_aside }));
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
                Event::Sent { points }
            }
            Verdict::Halve { message } => {
                self.batch_bytes = (batch.bytes / 2).clamp(LEAST_BATCH_BYTES, BATCH_BYTES);
                self.counters.points_rejected += sending.divide(batch, &message, None);
                Event::Divided { message }
            }
            Verdict::Refused { message, dropped } => {
                self.counters.points_rejected += sending.divide(batch, &message, dropped);
                Event::Divided { message }
            }
            Verdict::Hold { reason } => {
                sending.pending.push(batch);
                // Whoever puts it right may lift a limit, too: what is read next is as large as at the start.
                self.batch_bytes = BATCH_BYTES;
                let until = Instant::now() + policy::HOLD;
                let news = self.stuck(&reason, until);
                return Event::Holding { reason, news, until };
            }
            Verdict::Retry { reason } => {
                sending.pending.push(batch);
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

    /// Keeps the news for whoever asks later. A disk that refuses will say so where it matters.
    fn note(&self, text: &str) {
        let answer = LastAnswer { time: Some(Timestamp::now()), text: text.to_owned() };
        let _ = state::store(self.spool.dir(), STATE, &answer);
    }
}

/// A file that was deleted to keep within the archive's limits, and counted there.
fn gone(name: String) -> Event {
    Event::Finished { name, points: 0, rejected: 0 }
}
