//! When bytes of a body come, and whether it is over when none do.

use std::{mem, time::Duration};

use tokio::time::Instant;

use crate::model::phase::Phase;

use super::{
    failure::Cause,
    http::{Appetite, End},
    meter::Meter,
    run_clock::RunClock,
};

/// When body bytes come, be it in a TLS record or an HTTP/2 frame that trickles in and is handed over whole. What else a peer
/// sends is silence: pings, extensions of chunks.
pub(super) struct Flow {
    pub(super) last: Instant,
    /// The longest time without since the last chunk.
    silence: Duration,
    /// What was here at the last look and not handed over.
    unfinished: u64,
}

impl Flow {
    /// What was silent before the response head is no pause of its body.
    pub(super) fn start(meter: &Meter) -> Self {
        Self { last: meter.last_read(), silence: Duration::ZERO, unfinished: meter.unfinished() }
    }

    /// A chunk is handed over; how long there was nothing of it, at the longest.
    pub(super) fn came(&mut self, meter: &Meter) -> Duration {
        self.go_on(meter);
        mem::take(&mut self.silence)
    }

    /// After a turn: did it bring a part of something?
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

/// The two clocks of a body.
pub(super) struct Watch {
    appetite: Appetite,
    clock: RunClock,
    began: Instant,
    /// When the last byte of it came.
    pub(super) last_byte: Instant,
    /// Did any byte of the body come?
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

    /// Is it over by now? Asked after a turn, so that bytes which lie ready are no silence.
    pub(super) fn verdict(&self) -> Option<End> {
        // No freeze makes a deadline earlier, and this is asked for every read: the run clock is asked only when it may matter.
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

    /// When the body is over if this process runs all the time.
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

/// A byte within this time before the body deadline means that the body is flowing.
const FLOWING: Duration = Duration::from_secs(2);
