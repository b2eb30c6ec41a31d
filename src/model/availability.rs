//! Availability: what a node answered in a status round, and what that means.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    flag::Flag,
    outcome::Outcome,
    target::{Listing, Profile},
    units::{BitRate, Micros},
};

/// How a node fares. The worst one last: where several hold, the last of them is told; [`Blocked`](Self::Blocked) and
/// [`Unknown`](Self::Unknown) exclude all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing wrong.
    Ok,
    /// It works, and lags behind the others, limits us, or serves badly.
    Degraded,
    /// It answers, and its operator has to change something.
    Misconfigured,
    /// It does not answer, or what stands before it says so.
    Dead,
    /// Our own address policy refuses it.
    Blocked,
    /// This vantage itself seems to be down: nothing can be said of the node.
    Unknown,
}

/// What a node says of itself in its status document. What it does not say, or says in another type, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its software.
    pub version: Option<String>,
    /// `nodeEnv`, empty where it is sent empty; nodes of 2023 do not send it.
    pub node_env: Option<String>,
    /// Seconds since its start.
    pub uptime_s: Option<u64>,
    /// Bytes that its objects take.
    pub storage_used: Option<u64>,
    /// Bytes that they may take.
    pub storage_limit: Option<u64>,
    /// Objects that it holds.
    pub cached_objects: Option<u64>,
    /// Objects that it is fetching.
    pub downloads_in_progress: Option<u64>,
    /// Blocks that its query node has processed.
    pub blocks_processed: Option<u64>,
    /// Height of the chain, as its query node sees it.
    pub chain_head: Option<u64>,
}

/// The answer of one node in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Wall clock at t0.
    pub at: Timestamp,
    /// From t0 to the last byte, when the answer is complete.
    pub latency: Option<Micros>,
    /// HTTP status of the final response; `None` when none came.
    pub status: Option<u16>,
    /// What it says.
    pub said: Said,
    /// What came of a HEAD request, where this is the answer to a GET of one byte that took its place: one clause.
    pub head_refused: Option<String>,
}

/// One node of a round, with everything that its verdict depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// What it answered.
    pub answer: &'a Answer,
    /// What kind of server it is.
    pub profile: Profile,
    /// Is it switched on in the registry? `None` where nobody can switch it.
    pub distributing: Option<bool>,
    /// How the last downloads from it ended.
    pub downloads: Downloads,
    /// Do its numbers change from round to round?
    pub progress: Progress,
}

/// Whether the numbers of a node change from round to round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Of the blocks processed.
    pub blocks: Motion,
    /// Of the height of the chain.
    pub head: Motion,
}

/// Whether a number changes from round to round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Motion {
    /// Not enough was seen of it.
    #[default]
    Unknown,
    /// It does.
    Moves,
    /// It has been the same for this long.
    StandsStill(Duration),
}

/// How the last downloads from a node ended. A download here is a whole run of a probe; runs that say nothing about the node
/// are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Downloads {
    /// The last few, oldest first.
    pub ended: Vec<EndedRun>,
    /// How many have to fail before the node is judged by them.
    pub enough: usize,
    /// What happened when it last failed to fetch an object from storage, if nothing has shown since that it can.
    pub fetch_failed: Option<String>,
}

/// How a run ended that was charged to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedRun {
    /// When its last transfer began.
    pub at: Timestamp,
    /// What was wrong with it; `None` of a good run.
    pub fault: Option<RunFault>,
}

/// Why a run was not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunFault {
    /// A transfer failed.
    Failed(Outcome),
    /// A transfer ended well, below this rate, which its probe asks for.
    TooSlow(BitRate),
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// 200 with a status document.
    Report(Box<Report>),
    /// What was asked for is there, of a server that has no status document.
    Present,
    /// Another complete answer.
    Other(Shape),
    /// No answer, and this process did not run for this part of the time: nothing can be said of the node.
    Frozen(Micros),
    /// No answer, or one that broke off.
    Nothing {
        /// What that is called.
        outcome: Outcome,
        /// The phase and the error, in the words of whoever reported it.
        error: String,
    },
}

/// What a body that is no status document looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// JSON with a `message`, the node's own word of what was wrong, made printable and cut.
    Error {
        /// With a `type` too: of a 404 it says that the path is wrong, and not that an object is missing.
        is_typed: bool,
        /// The message; may be empty.
        message: String,
    },
    /// Nothing at all: what proxies send for a path that they do not know.
    Empty,
    /// A web page.
    Page,
    /// Where a redirect leads; empty when it does not say.
    Redirect(String),
    /// Anything else.
    Unknown,
}

/// What a round says of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How it fares.
    pub state: State,
    /// Why, in words for its operator; the worst first.
    pub reason: String,
    /// Does it answer as what it is? `None` when unknown.
    pub up: Option<bool>,
    /// Median of the blocks processed in this round − its own; negative when it is ahead.
    pub blocks_behind: Option<i64>,
    /// Median of the chain's height in this round − its own; negative when it is ahead.
    pub head_behind: Option<i64>,
}

/// One node of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The node's tag.
    pub node: Arc<str>,
    /// What its source says of it.
    pub listing: Listing,
    /// When it was asked, or would have been.
    pub at: Timestamp,
    /// What it answered; `None` of a node that was not contacted.
    pub answer: Option<Answer>,
    /// What that means.
    pub verdict: Verdict,
    /// Did it start anew since it was last seen? `None` when it was not seen before, or does not say.
    pub restarted: Option<bool>,
}

impl State {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::Degraded, Self::Misconfigured, Self::Dead, Self::Blocked, Self::Unknown];

    /// The word that the outside sees.
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

    /// The number that the outside sees.
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
    /// The word that the outside sees.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Failed(outcome) => outcome.label(),
            Self::TooSlow(_) => Flag::TooSlow.label(),
        }
    }
}

impl Answer {
    /// Did anything that speaks HTTP answer?
    #[must_use]
    pub const fn is_heard(&self) -> bool {
        let is_refused = matches!(self.said, Said::Nothing { outcome: Outcome::TlsUnsupported, .. });
        self.status.is_some() || is_refused
    }

    /// Were we ourselves away, and nothing was heard? Then it says nothing, neither of the node nor of our network.
    #[must_use]
    pub const fn is_frozen(&self) -> bool {
        matches!(self.said, Said::Frozen(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_schema() {
        let codes: Vec<_> = State::ALL.iter().map(|state| (state.label(), state.code())).collect();
        let expected = [("ok", 0), ("degraded", 1), ("misconfigured", 2), ("dead", 3), ("blocked", 4), ("unknown", 5)];
        assert_eq!(codes, expected);
        assert!(State::ALL.is_sorted());
    }
}
