//! What the drain tells of its work.

use std::ops::{AddAssign, Sub};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

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
        /// Why the last of these was refused.
        message: Option<String>,
    },
    /// A damaged file was divided: what is not as it was written went to `rejected/`, the rest waits on.
    SetAside {
        /// Its name in the spool.
        name: String,
        /// What is wrong with it.
        damage: String,
        /// Points of it that are as they were written, and wait on.
        kept: u64,
        /// Lines of it that will not be sent.
        points: u64,
    },
    /// The bucket was missing, and is there now.
    BucketCreated,
    /// Somebody has to change something; the next step waits for [`hold`](super::policy::hold).
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
    /// Points of damaged files that are nowhere any more.
    pub points_dropped: u64,
    /// Requests that have to be made again as they were.
    pub retries: u64,
}

impl Sub for Counters {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            points_written: self.points_written - before.points_written,
            points_rejected: self.points_rejected - before.points_rejected,
            points_dropped: self.points_dropped - before.points_dropped,
            retries: self.retries - before.retries,
        }
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, more: Self) {
        self.points_written += more.points_written;
        self.points_rejected += more.points_rejected;
        self.points_dropped += more.points_dropped;
        self.retries += more.retries;
    }
}

/// What [`Drain::drain_once`](super::drain::Drain::drain_once) achieved.
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

/// The last news of the database, kept in the state [`STATE`] for `spool status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAnswer {
    /// When it came; nothing before the first one.
    pub time: Option<Timestamp>,
    /// "delivered", or why not.
    pub text: String,
}

/// The state under which [`LastAnswer`] is kept.
pub const STATE: &str = "drain";
