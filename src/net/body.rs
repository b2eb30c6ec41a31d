//! How much of a body to read, when its bytes arrive, and when to give up on a body without new bytes.

use std::{mem, time::Duration};

use tokio::time::Instant;

use crate::model::phase::Phase;

use super::{
    failure::{Cause, Failure},
    meter::Meter,
    run_clock::RunClock,
};

/// The part of a body that arrived, and why reading stopped.
#[derive(Debug)]
pub struct ReceivedBody {
    /// Body bytes up to the limit of the caller.
    pub bytes: u64,
    /// Body bytes that arrived beyond the limit.
    pub surplus: u64,
    /// Why reading stopped.
    pub end: BodyEnd,
}

/// Why reading a body stopped.
#[derive(Debug)]
pub enum BodyEnd {
    /// All wanted bytes have arrived.
    Enough,
    /// The body ended. The caller decides whether that was too early.
    Finished,
    /// The body deadline passed while bytes were still arriving.
    Partial,
    /// The transfer failed.
    Failed(Failure),
}

/// Limits for reading a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit {
    /// Stop after this many bytes.
    pub bytes: u64,
    /// The deadline for the last byte, counted from the response head.
    pub body: Duration,
    /// The longest permitted time without a body byte.
    pub stall: Duration,
}

/// Tracks when body bytes arrive, including those of a TLS record or HTTP/2 frame that arrives slowly and is handed
/// over as a whole. Everything else that a peer sends, such as pings and chunk extensions, counts as silence.
pub(super) struct BodyArrivals {
    pub(super) last: Instant,
    /// The longest time without a body byte since the last chunk.
    silence: Duration,
    /// Bytes that had arrived at the last look but were not handed over.
    unfinished: u64,
}

impl BodyArrivals {
    /// Starts at the last read: silence before the response head is not a pause of the body.
    pub(super) fn start(meter: &Meter) -> Self {
        Self { last: meter.last_read(), silence: Duration::ZERO, unfinished: meter.unfinished() }
    }

    /// Call this when a chunk is handed over. Returns the longest silence since the previous chunk.
    pub(super) fn chunk_arrived(&mut self, meter: &Meter) -> Duration {
        self.advance(meter);
        mem::take(&mut self.silence)
    }

    /// Call this after each turn: it detects whether the turn brought part of a record or frame.
    pub(super) fn note_unfinished(&mut self, meter: &Meter) {
        let unfinished = meter.unfinished();
        if unfinished > mem::replace(&mut self.unfinished, unfinished) {
            self.advance(meter);
        }
    }

    fn advance(&mut self, meter: &Meter) {
        let read = meter.last_read();
        self.silence = self.silence.max(read.saturating_duration_since(self.last));
        self.last = read;
        meter.note_progress();
    }
}

/// The body deadline and the stall deadline.
pub(super) struct BodyDeadlines {
    limit: BodyLimit,
    clock: RunClock,
    began: Instant,
    /// When the last body byte arrived.
    pub(super) last_byte: Instant,
    /// Whether any body byte has arrived.
    pub(super) any_byte: bool,
}

impl BodyDeadlines {
    pub(super) fn start(limit: BodyLimit, clock: RunClock) -> Self {
        let now = Instant::now();
        Self { limit, clock, began: now, last_byte: now, any_byte: false }
    }

    pub(super) fn next_alarm(&self) -> Instant {
        self.clock.due(self.began, self.limit.body).min(self.clock.due(self.last_byte, self.limit.stall))
    }

    /// Whether the body is over, and how. Call it after a turn, so that bytes waiting in the socket do not count as
    /// silence.
    pub(super) fn end(&self) -> Option<BodyEnd> {
        // A freeze never makes a deadline earlier, and this runs for every read: ask the run clock only when it can
        // matter.
        if Instant::now() < self.plain_deadline() {
            return None;
        }
        if self.clock.is_over(self.last_byte, self.limit.stall) {
            let silent = self.clock.ran_since(self.last_byte);
            return Some(BodyEnd::Failed(Cause::Stall(silent).during(Phase::Receive)));
        }
        let is_over = self.clock.is_over(self.began, self.limit.body);
        is_over.then(|| self.at_deadline(self.clock.ran_since(self.last_byte)))
    }

    /// When the body is over if this process runs without interruption.
    fn plain_deadline(&self) -> Instant {
        (self.began + self.limit.body).min(self.last_byte + self.limit.stall)
    }

    fn at_deadline(&self, silent: Duration) -> BodyEnd {
        if self.any_byte && silent < STILL_FLOWING {
            return BodyEnd::Partial;
        }
        let cause = match self.any_byte || self.limit.body >= STILL_FLOWING {
            true => Cause::Stall(silent),
            false => Cause::Deadline(self.limit.body),
        };
        BodyEnd::Failed(cause.during(Phase::Receive))
    }
}

/// A body that received a byte this shortly before its deadline is still flowing.
const STILL_FLOWING: Duration = Duration::from_secs(2);
