//! The description of one transfer, and the reason why it failed.

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
    Prober, classify,
    connection::Opening,
    requested_bytes::RequestedBytes,
    verify::{ExpectedType, Mismatch},
};

/// What one transfer fetches, from which node and for which probe.
#[derive(Clone, Debug)]
pub struct TransferRequest<'a> {
    /// The node that is asked.
    pub node: &'a Node,
    /// Name of the probe.
    pub probe: &'a Arc<str>,
    /// Kind of the asset. `None` when the answer's type is not checked.
    pub kind: Option<AssetKind>,
    /// Which part of the probe this is. A `check` is a HEAD request.
    pub part: PartName,
    /// The asset to fetch.
    pub asset: &'a Asset,
    /// URL of the asset on the node.
    pub url: &'a Url,
    /// The bytes to request.
    pub wanted: RequestedBytes,
    /// The media types that are accepted. When empty, all types that an asset of its kind can have.
    pub types: &'a [MediaRange],
    /// Size of the asset, if it is known before the transfer.
    pub size: Option<Size>,
    /// The cache state that the check before this transfer found.
    pub checked: CacheState,
    /// Whether it is heavy or light on the uplink.
    pub weight: Weight,
    /// A long body that is slower than this gets a flag.
    pub min_rate: BitRate,
    /// The time limit of each phase.
    pub deadlines: &'a Deadlines,
    /// The most bytes of a whole asset that are downloaded. A longer asset is not fetched, or reading stops at the
    /// limit when the length was unknown.
    pub limit: u64,
    /// When the transfer was due. `None` when it was not scheduled.
    pub due: Option<Instant>,
    /// Counter of body bytes, increased while they arrive.
    pub received: &'a AtomicU64,
}

impl TransferRequest<'_> {
    /// What to connect to.
    pub(super) const fn opening<'a>(&'a self, prober: &'a Prober) -> Opening<'a> {
        Opening { dialer: &prober.dialer, node: self.node, url: self.url, deadlines: self.deadlines }
    }

    /// What the answer's `content-type` may be. `None` when the asset has no kind.
    pub(super) fn expected_type(&self) -> Option<ExpectedType<'_>> {
        // A node that does not hold an object may not know its type. Argus sends the type in an answer to HEAD only on
        // a hit.
        Some(ExpectedType { kind: self.kind?, types: self.types, may_lack: self.part == PartName::Check })
    }
}

/// Why a transfer failed.
#[derive(Debug)]
pub(super) struct TransferFailure {
    pub(super) outcome: Outcome,
    /// The phase that was cut short. `None` when the answer was complete but wrong.
    pub(super) phase: Option<Phase>,
    pub(super) detail: String,
    /// The peer closed the connection instead of answering.
    pub(super) closed: bool,
    /// The connection or the lookup broke off. The failure is neither an answer of the node nor one of our deadlines.
    pub(super) broke_off: bool,
}

impl TransferFailure {
    /// A complete answer that is not what was asked for.
    pub(super) const fn wrong(outcome: Outcome, detail: String) -> Self {
        Self { outcome, phase: None, detail, closed: false, broke_off: false }
    }

    /// Did nothing arrive before one of our deadlines?
    pub(super) const fn is_silence(&self) -> bool {
        self.phase.is_some() && !self.broke_off && self.outcome.is_timeout()
    }
}

impl From<Failure> for TransferFailure {
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

impl From<Mismatch> for TransferFailure {
    fn from(mismatch: Mismatch) -> Self {
        Self::wrong(mismatch.outcome, mismatch.detail)
    }
}
