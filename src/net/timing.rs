//! Turns instants into phases. Only here does a clock reading become an offset from t0.

use tokio::time::Instant;

use crate::model::{
    phase::{Phase, Phases},
    units::Micros,
};

/// The phase boundaries of one transfer so far.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    t0: Instant,
    phases: Phases,
}

impl Timing {
    /// Starts the clock of a transfer at `t0`.
    #[must_use]
    pub fn start(t0: Instant) -> Self {
        Self { t0, phases: Phases::default() }
    }

    /// Ends a phase at this instant.
    ///
    /// # Panics
    /// When the phase or a later one has already ended.
    pub fn end(&mut self, phase: Phase, at: Instant) {
        self.phases.end(phase, self.offset(at));
    }

    /// The offset of an instant from t0. Zero for an instant before t0.
    #[must_use]
    pub fn offset(&self, at: Instant) -> Micros {
        at.saturating_duration_since(self.t0).into()
    }

    /// The instant of the last boundary; t0 before the first one.
    #[must_use]
    pub fn last(&self) -> Instant {
        self.t0 + self.phases.total().as_duration()
    }

    /// The start of the transfer.
    #[must_use]
    pub const fn t0(&self) -> Instant {
        self.t0
    }

    /// The phases that have ended so far.
    #[must_use]
    pub const fn phases(&self) -> &Phases {
        &self.phases
    }
}
