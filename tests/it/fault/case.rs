//! One row of the table: the request, what the server does, and what the sample must contain.

use bandprobe::{
    config::HttpChoice,
    model::{flag::Flag, outcome::Outcome, phase::Phase},
};

use super::server::{Behaviour, Port, Step};

/// What to ask for. The asset is an image, and no answer may be longer than what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// GET of `FIRST..=LAST`.
    Range,
    /// The same twice in one run, the second on the connection of the first where that still holds. Outcome and flags
    /// are those of the second.
    Twice,
    /// GET without a range.
    Full,
    /// The same for an asset of unknown size.
    Unsized,
    /// HEAD.
    Head,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) ask: Ask,
    pub(crate) behaviour: Behaviour,
    pub(crate) outcome: Outcome,
    /// The flags, without `too_small`, which every good body here is, and those that only the machine can raise.
    pub(crate) flags: &'static [Flag],
    failed: Failed,
    /// What the client offers.
    pub(crate) http: HttpChoice,
}

/// Which phase fails.
#[derive(Clone, Copy, Debug)]
enum Failed {
    AsUsual,
    In(Phase),
    Nowhere,
}

/// A case that fails in the phase that is usual for its outcome, without flags.
pub(super) const fn row(
    name: &'static str,
    ask: Ask,
    port: Port,
    script: fn(usize) -> Vec<Step>,
    outcome: Outcome,
) -> Case {
    let behaviour = Behaviour { port, script };
    Case { name, ask, behaviour, outcome, flags: &[], failed: Failed::AsUsual, http: HttpChoice::Auto }
}

impl Case {
    /// With these flags.
    pub(super) const fn flagged(self, flags: &'static [Flag]) -> Self {
        Self { flags, ..self }
    }

    /// By a client that offers this.
    pub(super) const fn over(self, http: HttpChoice) -> Self {
        Self { http, ..self }
    }

    /// Failing in another phase than is usual for its outcome.
    pub(super) const fn failing(self, phase: Phase) -> Self {
        Self { failed: Failed::In(phase), ..self }
    }

    /// Refused for what the whole answer says, where such an outcome usually cuts a phase short.
    pub(super) const fn answered(self) -> Self {
        Self { failed: Failed::Nowhere, ..self }
    }

    /// The phase that fails; `None` when all went by and the answer itself was refused, or nothing was.
    pub(crate) const fn failed_phase(&self) -> Option<Phase> {
        match self.failed {
            Failed::In(phase) => Some(phase),
            Failed::Nowhere => None,
            Failed::AsUsual => usual_phase(self.outcome),
        }
    }
}

/// The phase in which a transfer with this outcome usually fails.
const fn usual_phase(outcome: Outcome) -> Option<Phase> {
    Some(match outcome {
        Outcome::ConnectRefused => Phase::Connect,
        Outcome::TlsUntrusted
        | Outcome::TlsExpired
        | Outcome::TlsWrongName
        | Outcome::TlsUnsupported
        | Outcome::TlsFailed
        | Outcome::TlsTimeout => Phase::Tls,
        Outcome::HeadersTimeout | Outcome::HeadersInvalid | Outcome::HeadersTooLarge | Outcome::Reset => Phase::Wait,
        Outcome::Stalled | Outcome::Truncated | Outcome::BodyInvalid => Phase::Receive,
        _ => return None,
    })
}
