//! From instants to phases: the only place where a clock reading becomes an offset from t0.

use tokio::time::Instant;

use crate::model::{
    phase::{Phase, Phases},
    units::Micros,
};

/// The running record of one transfer's boundaries.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    t0: Instant,
    phases: Phases,
}

impl Timing {
    /// Starts the clock of a transfer.
    #[must_use]
    pub fn start(t0: Instant) -> Self {
        Self { t0, phases: Phases::default() }
    }

    /// Ends a phase at an instant.
    ///
    /// # Panics
    /// When the phase, or a later one, has already ended.
    pub fn end(&mut self, phase: Phase, at: Instant) {
        self.phases.end(phase, self.offset(at));
    }

    /// The offset of an instant from t0, zero for one before it.
    #[must_use]
    pub fn offset(&self, at: Instant) -> Micros {
        at.saturating_duration_since(self.t0).into()
    }

    /// The instant of the last boundary.
    #[must_use]
    pub fn last(&self) -> Instant {
        self.t0 + self.phases.total().as_duration()
    }

    /// The start of the transfer.
    #[must_use]
    pub const fn t0(&self) -> Instant {
        self.t0
    }

    /// The phases ended so far.
    #[must_use]
    pub const fn phases(&self) -> &Phases {
        &self.phases
    }
}
