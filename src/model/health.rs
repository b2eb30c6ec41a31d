//! Health: what a node answered in a status round, and what follows for its state.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    flag::Flag,
    outcome::Outcome,
    target::{Listing, Profile},
    units::{BitRate, Micros},
};

/// The state of a node, from best to worst. When several states apply, the worst one is reported.
/// [`Blocked`](Self::Blocked) and [`Unknown`](Self::Unknown) exclude all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HealthState {
    /// Healthy, as far as the node was judged.
    Ok,
    /// The node works, but it lags behind the others, limits our requests, or serves badly.
    Degraded,
    /// The node answers, but its operator has to change something.
    Misconfigured,
    /// The node does not answer, or a proxy in front of it reports that it is down.
    Dead,
    /// Our address policy refuses the node, so it is never contacted.
    Blocked,
    /// Nothing can be concluded about the node, for example because this vantage itself seems to be down.
    Unknown,
}

/// What a node reports in its status document. A field is `None` when it is missing or has another type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusDocument {
    /// Version of the node's software.
    pub version: Option<String>,
    /// `nodeEnv`; may be empty. Nodes of 2023 do not send it.
    pub node_env: Option<String>,
    /// Seconds since the node's process started.
    pub uptime_s: Option<u64>,
    /// Bytes that its stored objects use.
    pub storage_used: Option<u64>,
    /// Bytes that its stored objects may use.
    pub storage_limit: Option<u64>,
    /// Number of objects in its storage or cache.
    pub cached_objects: Option<u64>,
    /// Number of objects that it is fetching from storage.
    pub downloads_in_progress: Option<u64>,
    /// Number of blocks that its query node has processed.
    pub blocks_processed: Option<u64>,
    /// Height of the chain as its query node sees it.
    pub chain_head: Option<u64>,
}

/// The answer of one node in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusAnswer {
    /// Wall clock at t0.
    pub at: Timestamp,
    /// Time from t0 to the last byte; `None` when the answer is not complete.
    pub latency: Option<Micros>,
    /// HTTP status of the final response; `None` when there was no response.
    pub status: Option<u16>,
    /// What the answer says.
    pub content: AnswerContent,
    /// How the node failed to answer a HEAD request, as one clause. Set only when this is the answer to a GET of one
    /// byte that replaced the HEAD request.
    pub head_refusal: Option<String>,
}

/// One node of a round, with everything that its health depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEvidence<'a> {
    /// The answer of the node.
    pub answer: &'a StatusAnswer,
    /// The kind of server.
    pub profile: Profile,
    /// Whether the node is switched on in the registry; `None` when it has no such switch.
    pub distributing: Option<bool>,
    /// How the last downloads from the node ended.
    pub downloads: RecentDownloads,
    /// Whether the node's numbers change from round to round.
    pub progress: ChainProgress,
}

/// Whether the numbers of a node change from round to round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainProgress {
    /// Motion of the number of processed blocks.
    pub blocks: Motion,
    /// Motion of the chain head.
    pub head: Motion,
}

/// Whether a number changes from round to round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Motion {
    /// Too few rounds have reported the number.
    #[default]
    Unknown,
    /// It changed since an earlier round.
    Moves,
    /// It has not changed for this long, and was never seen to change.
    StandsStill(Duration),
    /// It changed before, but not for this long.
    Stopped(Duration),
}

/// How the last downloads from a node ended. A download here is a whole run of a probe. Runs that say nothing about the
/// node are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecentDownloads {
    /// The last few runs, oldest first.
    pub ended: Vec<EndedRun>,
    /// Number of runs that have to fail before they affect the health.
    pub enough: usize,
    /// The error of the last failed fetch from storage; `None` when a later download shows that the node can fetch.
    pub fetch_failed: Option<String>,
}

/// The result of a run that was charged to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedRun {
    /// Wall clock at t0 of its last transfer.
    pub at: Timestamp,
    /// What was wrong with the run; `None` when it was good.
    pub fault: Option<RunFault>,
}

/// Why a run was not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunFault {
    /// A transfer of the run failed with this outcome.
    Failed(Outcome),
    /// A transfer ended well, but below this rate, the minimum of its probe.
    TooSlow(BitRate),
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerContent {
    /// 200 with a status document.
    Document(Box<StatusDocument>),
    /// The requested object is there. Only for servers that have no status document.
    Present,
    /// A complete answer without a status document.
    Other(OtherContent),
    /// There was no answer, and this process did not run for this part of the time. Nothing can be concluded about the
    /// node.
    Frozen(Micros),
    /// There was no answer, or it broke off.
    Nothing {
        /// The outcome that this failure has.
        outcome: Outcome,
        /// The phase and the error text from the library or the system.
        error: String,
    },
}

/// What a body looks like that is not a status document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherContent {
    /// JSON with a `message`: the node's own error text, made printable and cut.
    Error {
        /// Whether it also has a `type`. For a 404 this means that the path is wrong, not that an object is missing.
        is_typed: bool,
        /// The message; may be empty.
        message: String,
    },
    /// No body, which is how many proxies answer a request for an unknown path.
    Empty,
    /// An HTML page.
    Page,
    /// A redirect to this target; empty when the response does not name one.
    Redirect(String),
    /// Anything else.
    Unknown,
}

/// The result of a round for one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The state of the node.
    pub state: HealthState,
    /// The reasons for its operator to read; the worst one first.
    pub reason: String,
    /// Whether the node works; `None` when unknown.
    pub up: Option<bool>,
    /// Median of the processed blocks in this round minus the node's own; negative when the node is ahead.
    pub blocks_behind: Option<i64>,
    /// Median of the chain heads in this round minus the node's own; negative when the node is ahead.
    pub head_behind: Option<i64>,
}

/// One node of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedNode {
    /// The node's tag.
    pub node: Arc<str>,
    /// What its source says about it.
    pub listing: Listing,
    /// When it was asked, or would have been asked.
    pub at: Timestamp,
    /// Its answer; `None` when the node was not contacted.
    pub answer: Option<StatusAnswer>,
    /// What the round says about it.
    pub health: Health,
    /// Whether it restarted since it was last seen; `None` when it was not seen before or does not report an uptime.
    pub restarted: Option<bool>,
}

impl HealthState {
    /// All states, in the order of their codes.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::Degraded, Self::Misconfigured, Self::Dead, Self::Blocked, Self::Unknown];

    /// The value of the `state` field.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Misconfigured => "misconfigured",
            Self::Dead => "dead",
            Self::Blocked => "blocked",
            Self::Unknown => "unknown",
        }
    }

    /// The value of the `state_code` field.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Ok => 0,
            Self::Degraded => 1,
            Self::Misconfigured => 2,
            Self::Dead => 3,
            Self::Blocked => 4,
            Self::Unknown => 5,
        }
    }
}

impl RunFault {
    /// The label of the outcome, or of the flag `too_slow`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Failed(outcome) => outcome.label(),
            Self::TooSlow(_) => Flag::TooSlow.label(),
        }
    }
}

impl StatusAnswer {
    /// Whether a server responded. A TLS handshake that fails with `tls_unsupported` counts as a response.
    #[must_use]
    pub const fn is_heard(&self) -> bool {
        let is_refused = matches!(self.content, AnswerContent::Nothing { outcome: Outcome::TlsUnsupported, .. });
        self.status.is_some() || is_refused
    }

    /// Whether this process did not run and there was no answer. Such an answer says nothing about the node or our
    /// network.
    #[must_use]
    pub const fn is_frozen(&self) -> bool {
        matches!(self.content, AnswerContent::Frozen(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_schema() {
        let codes: Vec<_> = HealthState::ALL.iter().map(|state| (state.label(), state.code())).collect();
        let expected = [("ok", 0), ("degraded", 1), ("misconfigured", 2), ("dead", 3), ("blocked", 4), ("unknown", 5)];
        assert_eq!(codes, expected);
        assert!(HealthState::ALL.is_sorted());
    }
}
