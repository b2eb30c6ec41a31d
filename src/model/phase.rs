//! The phases of a transfer, and the boundaries between them.
//!
//! ```text
//! t0 ── dns ── connected ── tls ── sent ── first_byte ── last_byte
//!    dns   connect       tls   send    wait         receive
//! ```
//!
//! A boundary is an offset from t0 in whole microseconds, and a phase is the difference of two neighbouring boundaries.
//! The phases therefore add up exactly to the total, and no time is missing between them.

use super::units::Micros;

/// One phase of a transfer, in the order in which the phases happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Name look-up. Absent when the URL holds an address, and on a warm connection.
    Dns,
    /// TCP handshake.
    Connect,
    /// TLS handshake.
    Tls,
    /// From the start of the request until the kernel accepts its last byte.
    Send,
    /// From then until the socket read that completes the first byte of the final response head.
    Wait,
    /// From then until the last body byte wanted.
    Receive,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 6] = [Self::Dns, Self::Connect, Self::Tls, Self::Send, Self::Wait, Self::Receive];

    /// The name in fields, messages and output.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::Wait => "wait",
            Self::Receive => "receive",
        }
    }
}

/// How long each phase took. The phases are ended in order. A phase that did not happen is absent.
///
/// In a failed transfer, the phase that failed holds the time until the failure. The phases therefore add up to the
/// total here too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    took: [Option<Micros>; 6],
    /// Offset of the last boundary from t0.
    total: Micros,
}

impl Phases {
    /// Ends `phase` at `boundary`, an offset from t0. A boundary that is earlier than the previous one is moved up to
    /// it: the resolution of the clocks can put two neighbouring boundaries in one instant, but never in the wrong
    /// order.
    ///
    /// # Panics
    /// When `phase` or a later one has already ended: each boundary is set once, and in order.
    pub fn end(&mut self, phase: Phase, boundary: Micros) {
        let later_ended = self.took[phase as usize..].iter().any(Option::is_some);
        assert!(!later_ended, "invariant: {} ends once, and before later phases", phase.label());
        self.took[phase as usize] = Some(boundary.saturating_sub(self.total));
        self.total = self.total.max(boundary);
    }

    /// The duration of one phase; `None` when it did not happen.
    #[must_use]
    pub const fn took(&self, phase: Phase) -> Option<Micros> {
        self.took[phase as usize]
    }

    /// Time from t0 to the last boundary: the exact sum of the phases.
    #[must_use]
    pub const fn total(&self) -> Micros {
        self.total
    }

    /// Time from t0 to the first response byte; `None` when there was none. Includes DNS, TCP and TLS for a cold
    /// transfer.
    #[must_use]
    pub fn ttfb(&self) -> Option<Micros> {
        let receive = self.took(Phase::Receive)?;
        Some(self.total.saturating_sub(receive))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up_to_the_total_exactly() {
        let mut phases = Phases::default();
        for (phase, at) in [
            (Phase::Dns, 1_200),
            (Phase::Connect, 31_207),
            (Phase::Tls, 62_001),
            (Phase::Send, 62_001),
            (Phase::Wait, 99_999),
            (Phase::Receive, 180_000),
        ] {
            phases.end(phase, Micros(at));
        }
        let sum: u64 = Phase::ALL.into_iter().filter_map(|phase| phases.took(phase)).map(|took| took.0).sum();
        assert_eq!(sum, phases.total().0);
        assert_eq!(phases.ttfb(), Some(Micros(99_999)));
    }

    #[test]
    fn phases_that_did_not_happen_are_absent() {
        let mut phases = Phases::default();
        phases.end(Phase::Send, Micros(40));
        phases.end(Phase::Wait, Micros(9_000));
        assert_eq!(phases.took(Phase::Connect), None);
        assert_eq!(phases.ttfb(), None, "no byte of the body was waited for");
        phases.end(Phase::Receive, Micros(9_000));
        assert_eq!(phases.ttfb(), Some(Micros(9_000)));
    }

    #[test]
    #[should_panic(expected = "ends once")]
    fn a_boundary_is_stamped_once() {
        let mut phases = Phases::default();
        phases.end(Phase::Wait, Micros(1));
        phases.end(Phase::Connect, Micros(2));
    }
}
