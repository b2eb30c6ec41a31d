//! The events of the drain.

use std::ops::{AddAssign, Sub};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What one step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing waits. The caller seals the open file, or waits until a file is sealed, before the next step.
    Idle,
    /// Points were stored.
    Sent {
        /// Number of points.
        points: u64,
    },
    /// A batch was refused or too large. It is sent in parts now, or its lines were quarantined.
    Divided {
        /// The server's message.
        message: String,
    },
    /// A file is complete.
    Finished {
        /// Name of the file.
        name: String,
        /// Number of its points that the database has.
        points: u64,
        /// Number of its lines that went to `rejected/`.
        rejected: u64,
        /// Why the last of these was refused. `None` when none was.
        message: Option<String>,
    },
    /// A damaged file was divided: the changed lines went to `rejected/`, and the intact ones still wait.
    SetAside {
        /// Its name in the spool.
        name: String,
        /// A description of the damage.
        damage: String,
        /// Number of intact points, which still wait.
        kept: u64,
        /// Number of lines that will not be sent.
        points: u64,
    },
    /// The bucket was missing and has been created.
    BucketCreated,
    /// The user has to change something. The next step waits for [`hold`](super::policy::hold).
    Holding {
        /// What to change.
        reason: String,
        /// The reason differs from the last one, so it is printed.
        is_new: bool,
        /// When the next step continues.
        until: Instant,
    },
    /// The database is away or busy. The next step waits.
    BackingOff {
        /// What happened.
        reason: String,
        /// The reason differs from the last one, so it is printed.
        is_new: bool,
        /// When the next step continues.
        until: Instant,
    },
}

/// What was delivered since the counters were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Points that the database stored.
    pub points_written: u64,
    /// Points that went to `rejected/`.
    pub points_rejected: u64,
    /// Points of damaged files that are lost.
    pub points_dropped: u64,
    /// Requests that have to be repeated.
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

/// The result of [`Drain::drain_until`](super::drain::Drain::drain_until).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Points that the database stored.
    pub delivered: u64,
    /// Points that went to `rejected/`.
    pub rejected: u64,
    /// Points that wait in sealed files.
    pub waiting: u64,
    /// Why they wait. `None` when nothing prevented delivery.
    pub reason: Option<String>,
}

/// The last result of delivery, stored in the state [`STATE`] for `spool status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAnswer {
    /// When the result was stored. `None` before the first one.
    pub time: Option<Timestamp>,
    /// `delivered`, or why nothing can be delivered.
    pub text: String,
}

/// The name of the state file that contains [`LastAnswer`].
pub const STATE: &str = "drain";
