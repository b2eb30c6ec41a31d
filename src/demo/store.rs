//! What a distributor has: samples whose fetches are only pretended, or a cache before real storage nodes.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use thiserror::Error;
use tokio::time::Instant;

use crate::model::sample::CacheState;

use super::{cache::Cache, flow::Flow, shelf::Shelf};

/// The node's objects.
pub(super) enum Store {
    /// Those of the standard demo.
    Samples(Shelf),
    /// Those of a fleet.
    Cache(Arc<Cache>),
}

/// What a node knows of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It has to serve it.
    Served(About),
    /// It exists, and others have to.
    Elsewhere,
    /// It does not exist, or nobody has uploaded it yet.
    Unknown,
    NotUploaded,
}

/// What is known of an object before its content is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// In bytes.
    pub(super) size: u64,
    pub(super) content_type: &'static str,
}

/// What of an object is wanted, and for whom.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) id: &'a str,
    /// Offset of the first byte.
    pub(super) first: u64,
    /// Offset of the last byte.
    pub(super) last: u64,
    /// Less than all was asked for.
    pub(super) is_part: bool,
    pub(super) trace: Option<&'a HeaderValue>,
}

/// What is sent of it.
pub(super) struct Supply {
    /// How the object stood when it was asked for.
    pub(super) state: CacheState,
    /// It comes from the node's own disk, else from a storage node.
    pub(super) local: bool,
    pub(super) body: Flow,
}

/// How much a node holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    /// Whole objects.
    pub(super) cached: usize,
    /// Objects on their way.
    pub(super) arriving: usize,
    /// Bytes of the whole ones.
    pub(super) bytes: u64,
}

/// No storage node can supply the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no storage node supplies the object")]
pub(super) struct NoSupply;

impl Store {
    pub(super) fn known(&self, id: &str) -> Known {
        match self {
            Self::Samples(shelf) => shelf.known(id),
            Self::Cache(cache) => cache.known(id),
        }
    }

    /// How the object stands. Asking has no effect.
    pub(super) fn state(&self, id: &str, now: Instant) -> CacheState {
        match self {
            Self::Samples(shelf) => shelf.standing(id, now).state(),
            Self::Cache(cache) => cache.state(id),
        }
    }

    /// The wanted bytes, or as many more as Argus sends. What is not there is fetched.
    pub(super) async fn supply(&self, wanted: &Wanted<'_>, now: Instant) -> Result<Supply, NoSupply> {
        match self {
            Self::Samples(shelf) => shelf.supply(wanted, now).ok_or(NoSupply),
            Self::Cache(cache) => cache.supply(wanted).await,
        }
    }

    pub(super) fn census(&self, now: Instant) -> Census {
        match self {
            Self::Samples(shelf) => shelf.census(now),
            Self::Cache(cache) => cache.census(),
        }
    }
}

impl Wanted<'_> {
    /// Where the body of an object ends that is still on its way. The known defect: whole steps are sent from the start
    /// of the range on, whatever its end.
    pub(super) fn end_of_pending(&self, size: u64) -> u64 {
        (self.first + (self.last + 1 - self.first).next_multiple_of(PENDING_STEP)).min(size)
    }
}

/// Bytes `first..end` of an object, shared.
pub(super) fn slice(bytes: &Bytes, first: u64, end: u64) -> Bytes {
    let within = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(within(first)..within(end))
}

/// The piece that a pending object is read in, from disk to client: the end of a range is only looked at after it.
const PENDING_STEP: u64 = 1 << 20;
