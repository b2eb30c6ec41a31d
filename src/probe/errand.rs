//! What one transfer is sent out for, and why it may come back without.

use std::sync::{Arc, atomic::AtomicU64};

use tokio::time::Instant;
use url::Url;

use crate::{
    model::{
        media_type::MediaRange,
        outcome::Outcome,
        phase::Phase,
        probe::{Deadlines, PartName, Weight},
        sample::CacheState,
        size::Size,
        target::{Asset, AssetKind, Node},
        units::BitRate,
    },
    net::failure::Failure,
};

use super::{
    classify,
    verify::{Expected, Mismatch},
    wanted::Wanted,
};

/// What one transfer is to fetch, and for whom.
#[derive(Clone, Debug)]
pub struct Errand<'a> {
    /// Whom to ask.
    pub node: &'a Node,
    /// Which probe asks.
    pub probe: &'a Arc<str>,
    /// Kind of the asset, where there is an expectation of its type.
    pub kind: Option<AssetKind>,
    /// Which part it is. A `check` is a HEAD request.
    pub part: PartName,
    /// What is fetched.
    pub asset: &'a Asset,
    /// Where it lies.
    pub url: &'a Url,
    /// Which bytes.
    pub wanted: Wanted,
    /// The only media types that are accepted; if empty, all that an asset of its kind can have.
    pub types: &'a [MediaRange],
    /// Size of the asset, as far as known by now.
    pub size: Option<Size>,
    /// What a check said of the cache just before.
    pub checked: CacheState,
    /// How much of the uplink it takes.
    pub weight: Weight,
    /// A long body that is slower than this is flagged.
    pub min_rate: BitRate,
    /// When each phase is given up.
    pub deadlines: &'a Deadlines,
    /// A whole asset longer than this is not downloaded, or not read to its end where its length comes out only then.
    pub limit: u64,
    /// When it was due; `None` when nothing was scheduled.
    pub due: Option<Instant>,
    /// Body bytes received are added here as they come.
    pub received: &'a AtomicU64,
}

impl Errand<'_> {
    /// What is expected of the answer's type, where anything is.
    pub(super) fn expected_type(&self) -> Option<Expected<'_>> {
        // A node that does not hold an object may not know its type (Argus tells it in a HEAD's answer on a hit alone).
        Some(Expected { kind: self.kind?, types: self.types, may_lack: self.part == PartName::Check })
    }
}

/// Why a transfer is no success.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) outcome: Outcome,
    /// The phase under way, when it was cut short rather than answered wrongly.
    pub(super) phase: Option<Phase>,
    pub(super) detail: String,
    /// The peer closed the connection, rather than answer anything.
    pub(super) closed: bool,
    /// The connection or the lookup broke off: neither an answer of the node nor a deadline of ours.
    pub(super) broke_off: bool,
}

impl Failed {
    /// A complete answer that is not what was asked for.
    pub(super) const fn wrong(outcome: Outcome, detail: String) -> Self {
        Self { outcome, phase: None, detail, closed: false, broke_off: false }
    }

    /// Did nothing arrive before a deadline of ours?
    pub(super) const fn is_silence(&self) -> bool {
        self.phase.is_some() && !self.broke_off && self.outcome.is_timeout()
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self {
            outcome: classify::outcome(&failure),
            phase: Some(failure.phase),
            detail: failure.to_string(),
            closed: classify::is_close(&failure),
            broke_off: classify::broke_off(&failure),
        }
    }
}

impl From<Mismatch> for Failed {
    fn from(mismatch: Mismatch) -> Self {
        Self::wrong(mismatch.outcome, mismatch.detail)
    }
}
