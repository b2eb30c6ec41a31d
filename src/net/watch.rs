//! Tracks when body bytes arrive, and decides when a body without new bytes is over.

use std::{mem, time::Duration};

use tokio::time::Instant;

use crate::model::phase::Phase;

use super::{
    failure::Cause,
    http::{Appetite, End},
    meter::Meter,
    run_clock::RunClock,
};

/// Tracks when body bytes arrive, including those of a TLS record or HTTP/2 frame that arrives slowly and is handed
/// over as a whole. Everything else that a peer sends, such as pings and chunk extensions, counts as silence.
pub(super) struct Flow {
    pub(super) last: Instant,
    /// The longest time without a body byte since the last chunk.
    silence: Duration,
    /// Bytes that had arrived at the last look but were not handed over.
    unfinished: u64,
}

impl Flow {
    /// Starts at the last read: silence before the response head is not a pause of the body.
    pub(super) fn start(meter: &Meter) -> Self {
        Self { last: meter.last_read(), silence: Duration::ZERO, unfinished: meter.unfinished() }
    }

    /// Call this when a chunk is handed over. Returns the longest silence since the previous chunk.
    pub(super) fn came(&mut self, meter: &Meter) -> Duration {
        self.go_on(meter);
        mem::take(&mut self.silence)
    }

    /// Call this after each turn: it detects whether the turn brought part of a record or frame.
    pub(super) fn look(&mut self, meter: &Meter) {
        let unfinished = meter.unfinished();
        if unfinished > mem::replace(&mut self.unfinished, unfinished) {
            self.go_on(meter);
        }
    }

    fn go_on(&mut self, meter: &Meter) {
        let read = meter.last_read();
        self.silence = self.silence.max(read.saturating_duration_since(self.last));
        self.last = read;
        meter.note_progress();
    }
}

/// The body deadline and the stall deadline.
pub(super) struct Watch {
    appetite: Appetite,
    clock: RunClock,
    began: Instant,
    /// When the last body byte arrived.
    pub(super) last_byte: Instant,
    /// Whether any body byte has arrived.
    pub(super) any_byte: bool,
}

impl Watch {
    pub(super) fn start(appetite: Appetite, clock: RunClock) -> Self {
        let now = Instant::now();
        Self { appetite, clock, began: now, last_byte: now, any_byte: false }
    }

    pub(super) fn next_alarm(&self) -> Instant {
        self.clock.due(self.began, self.appetite.body).min(self.clock.due(self.last_byte, self.appetite.stall))
    }

    /// Whether the body is over, and how. Call it after a turn, so that bytes waiting in the socket do not count as
    /// silence.
    pub(super) fn verdict(&self) -> Option<End> {
        // A freeze never makes a deadline earlier, and this runs for every read: ask the run clock only when it can
        // matter.
        if Instant::now() < self.plain_deadline() {
            return None;
        }
        if self.clock.is_over(self.last_byte, self.appetite.stall) {
            let silent = self.clock.ran_since(self.last_byte);
            return Some(End::Failed(Cause::Stall(silent).during(Phase::Receive)));
        }
        let is_over = self.clock.is_over(self.began, self.appetite.body);
        is_over.then(|| self.at_deadline(self.clock.ran_since(self.last_byte)))
    }

    /// When the body is over if this process runs without interruption.
    fn plain_deadline(&self) -> Instant {
        (self.began + self.appetite.body).min(self.last_byte + self.appetite.stall)
    }

    fn at_deadline(&self, silent: Duration) -> End {
        if self.any_byte && silent < FLOWING {
            return End::Partial;
        }
        let cause = match self.any_byte || self.appetite.body >= FLOWING {
            true => Cause::Stall(silent),
            false => Cause::Deadline(self.appetite.body),
        };
        End::Failed(cause.during(Phase::Receive))
    }
}

/// A body that received a byte this shortly before its deadline is still flowing.
const FLOWING: Duration = Duration::from_secs(2);
