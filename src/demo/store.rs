//! The objects of a distributor: samples with simulated fetches, or a cache in front of real storage nodes.

use bytes::Bytes;
use http::HeaderValue;
use thiserror::Error;
use tokio::time::Instant;

use crate::model::sample::CacheState;

#[cfg(feature = "fleet")]
use super::fleet::cache::Cache;
use super::{response_body::ResponseBody, static_store::StaticStore};

/// The objects of a node.
pub(super) enum Store {
    /// A node of the standard demo.
    Samples(StaticStore),
    /// A distributor of a simulated fleet.
    #[cfg(feature = "fleet")]
    Cache(std::sync::Arc<Cache>),
}

/// What a node knows about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectStatus {
    /// The node must serve the object.
    Served(ObjectInfo),
    /// The object exists, but only other nodes serve it.
    Elsewhere,
    /// The object does not exist.
    Unknown,
    /// The object is registered, but its content is not uploaded yet.
    #[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "only a fleet has such objects"))]
    NotUploaded,
}

/// What is known about an object without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ObjectInfo {
    /// Size in bytes.
    pub(super) size: u64,
    pub(super) content_type: &'static str,
}

/// The requested bytes of an object, and the trace of the request.
#[derive(Clone, Debug)]
pub(super) struct ObjectRequest<'a> {
    pub(super) id: &'a str,
    /// Offset of the first byte.
    pub(super) first: u64,
    /// Offset of the last byte.
    pub(super) last: u64,
    /// Whether the request has a range.
    #[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "only a fleet's cache reads it"))]
    pub(super) is_part: bool,
    #[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "only a fleet's cache reads it"))]
    pub(super) trace: Option<&'a HeaderValue>,
}

/// The answer to [`ObjectRequest`].
pub(super) struct ObjectReply {
    /// The cache state when the request arrived.
    pub(super) state: CacheState,
    /// Whether the bytes are from the node's own disk. Otherwise they are from a storage node.
    pub(super) local: bool,
    pub(super) body: ResponseBody,
}

/// How much a node has cached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CacheTotals {
    /// Number of whole objects.
    pub(super) cached: usize,
    /// Number of objects that are being fetched.
    pub(super) arriving: usize,
    /// Total size of the whole objects, in bytes.
    pub(super) bytes: u64,
}

/// No storage node can supply the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no storage node supplies the object")]
pub(super) struct NotAvailable;

impl Store {
    pub(super) fn known(&self, id: &str) -> ObjectStatus {
        match self {
            Self::Samples(store) => store.known(id),
            #[cfg(feature = "fleet")]
            Self::Cache(cache) => cache.known(id),
        }
    }

    /// The cache state of an object. Asking changes nothing.
    pub(super) fn state(&self, id: &str, now: Instant) -> CacheState {
        match self {
            Self::Samples(store) => store.object_state(id, now).state(),
            #[cfg(feature = "fleet")]
            Self::Cache(cache) => cache.state(id),
        }
    }

    /// The requested bytes, or the larger number that Argus sends. An absent object is fetched.
    pub(super) async fn supply(&self, wanted: &ObjectRequest<'_>, now: Instant) -> Result<ObjectReply, NotAvailable> {
        match self {
            Self::Samples(store) => store.supply(wanted, now).ok_or(NotAvailable),
            #[cfg(feature = "fleet")]
            Self::Cache(cache) => cache.supply(wanted).await,
        }
    }

    pub(super) fn totals(&self, now: Instant) -> CacheTotals {
        match self {
            Self::Samples(store) => store.totals(now),
            #[cfg(feature = "fleet")]
            Self::Cache(cache) => cache.totals(),
        }
    }
}

impl ObjectRequest<'_> {
    /// Where the body of an object that is still arriving ends. This copies a known defect of Argus: it sends whole
    /// steps from the start of the range, wherever the range ends.
    pub(super) fn end_of_pending(&self, size: u64) -> u64 {
        (self.first + (self.last + 1 - self.first).next_multiple_of(PENDING_STEP)).min(size)
    }
}

/// Bytes `first..end` of an object, without a copy.
pub(super) fn slice(bytes: &Bytes, first: u64, end: u64) -> Bytes {
    let within = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(within(first)..within(end))
}

/// The step in which Argus sends a pending object, in bytes. It checks the end of the range only after each step.
const PENDING_STEP: u64 = 1 << 20;
