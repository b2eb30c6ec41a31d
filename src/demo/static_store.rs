//! The objects of a node of the standard demo, and the cache state of each. There is no storage node behind it: a fetch
//! only takes time.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use crate::model::sample::CacheState;

use super::{
    memory_body::{MemoryBody, Pace},
    plan::{ELSEWHERE_ID, Fetch},
    store::{CacheTotals, ObjectInfo, ObjectReply, ObjectRequest, ObjectStatus, slice},
};

/// An object that the node serves.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) bytes: Bytes,
    pub(super) content_type: &'static str,
}

/// The node's objects by id, and its cache.
pub(super) struct StaticStore {
    objects: HashMap<&'static str, Object>,
    /// Objects that were not cached at the start, and when the fetch of each began.
    uncached: Mutex<HashMap<&'static str, Option<Instant>>>,
    fetch: Fetch,
    /// When a simulated viewer asks for each object that is still absent.
    viewer: Option<Instant>,
}

/// The cache state of an object at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ObjectState {
    /// Completely cached.
    Cached,
    /// Not cached, and not being fetched.
    Absent,
    /// Being fetched since this time.
    Fetching(Instant),
}

impl ObjectState {
    /// The value of `x-cache`.
    pub(super) const fn state(self) -> CacheState {
        match self {
            Self::Cached => CacheState::Hit,
            Self::Absent => CacheState::Miss,
            Self::Fetching(_) => CacheState::Pending,
        }
    }
}

impl StaticStore {
    /// Takes objects as (id, object, whether it is cached).
    pub(super) fn new(
        objects: impl IntoIterator<Item = (&'static str, Object, bool)>,
        fetch: Fetch,
        viewer: Option<Instant>,
    ) -> Self {
        let objects: Vec<_> = objects.into_iter().collect();
        Self {
            uncached: Mutex::new(objects.iter().filter(|(.., cached)| !cached).map(|(id, ..)| (*id, None)).collect()),
            objects: objects.into_iter().map(|(id, object, _)| (id, object)).collect(),
            fetch,
            viewer,
        }
    }

    /// What the node knows about an object.
    pub(super) fn known(&self, id: &str) -> ObjectStatus {
        match self.objects.get(id) {
            Some(Object { bytes, content_type }) => {
                ObjectStatus::Served(ObjectInfo { size: bytes.len() as u64, content_type })
            }
            None if id == ELSEWHERE_ID => ObjectStatus::Elsewhere,
            None => ObjectStatus::Unknown,
        }
    }

    /// The requested bytes; `None` when the node does not serve the object.
    pub(super) fn supply(&self, wanted: &ObjectRequest<'_>, now: Instant) -> Option<ObjectReply> {
        let object = self.objects.get(wanted.id)?;
        let (first, last, size) = (wanted.first, wanted.last, object.bytes.len() as u64);
        let per_byte = self.nanos_per_byte(size);
        // During a fetch, bytes that have arrived are read from disk. Later bytes, and objects that are never kept, are
        // passed through from a storage node.
        let on_disk =
            |since: Instant| u64::try_from((now - since).as_nanos() / u128::from(per_byte.max(1))).unwrap_or(u64::MAX);
        let state = self.object_state(wanted.id, now).state();
        let all =
            |local| ObjectReply { state, local, body: MemoryBody::of(slice(&object.bytes, first, last + 1)).into() };
        Some(match self.fetch(wanted.id, now) {
            ObjectState::Cached => all(true),
            ObjectState::Fetching(since) if first <= on_disk(since) => {
                let bytes = slice(&object.bytes, first, wanted.end_of_pending(size));
                let from = since + Duration::from_nanos(per_byte.saturating_mul(first));
                let body = MemoryBody::fetched(bytes, Pace { from, nanos_per_byte: per_byte }).into();
                ObjectReply { state, local: true, body }
            }
            ObjectState::Fetching(_) | ObjectState::Absent => all(false),
        })
    }

    /// The cache state of an object. Asking changes nothing.
    pub(super) fn object_state(&self, id: &str, now: Instant) -> ObjectState {
        let uncached = self.uncached.lock().expect("invariant: nothing panics under this lock");
        let Some(asked) = uncached.get(id) else { return ObjectState::Cached };
        let since = asked.or_else(|| self.viewer.filter(|viewer| *viewer <= now));
        match (since, self.fetch) {
            (Some(since), Fetch::Takes(time)) if now >= since + time => ObjectState::Cached,
            (Some(since), Fetch::Takes(_)) => ObjectState::Fetching(since),
            (None, _) | (_, Fetch::Never) => ObjectState::Absent,
        }
    }

    /// Handles a request for an object: if the object is absent and the node keeps objects, its fetch begins now.
    pub(super) fn fetch(&self, id: &str, now: Instant) -> ObjectState {
        if self.fetch != Fetch::Never && self.object_state(id, now) == ObjectState::Absent {
            let mut uncached = self.uncached.lock().expect("invariant: nothing panics under this lock");
            if let Some(since) = uncached.get_mut(id) {
                since.get_or_insert(now);
            }
        }
        self.object_state(id, now)
    }

    /// The time to fetch one byte of an object of `size` bytes, in nanoseconds.
    pub(super) fn nanos_per_byte(&self, size: u64) -> u64 {
        let Fetch::Takes(time) = self.fetch else { return 0 };
        u64::try_from(time.as_nanos() / u128::from(size.max(1))).unwrap_or(u64::MAX)
    }

    /// How much is cached, and how many objects are being fetched.
    pub(super) fn totals(&self, now: Instant) -> CacheTotals {
        let mut totals = CacheTotals::default();
        for (id, object) in &self.objects {
            match self.object_state(id, now) {
                ObjectState::Cached => {
                    totals.cached += 1;
                    totals.bytes += object.bytes.len() as u64;
                }
                ObjectState::Fetching(_) => totals.arriving += 1,
                ObjectState::Absent => {}
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(fetch: Fetch, viewer: Option<Instant>) -> StaticStore {
        let object = Object { bytes: Bytes::from_static(b"0123456789"), content_type: "video/mp4" };
        StaticStore::new([("1", object.clone(), true), ("2", object, false)], fetch, viewer)
    }

    #[test]
    fn a_download_turns_a_miss_into_pending_and_then_into_a_hit() {
        let store = store(Fetch::Takes(Duration::from_secs(10)), None);
        let start = Instant::now();
        assert_eq!(store.object_state("1", start), ObjectState::Cached);
        assert_eq!(store.object_state("2", start), ObjectState::Absent);
        assert_eq!(store.fetch("1", start), ObjectState::Cached);
        assert_eq!(store.fetch("2", start), ObjectState::Fetching(start));
        store.fetch("2", start + Duration::from_secs(5));
        assert_eq!(store.object_state("2", start + Duration::from_secs(9)), ObjectState::Fetching(start));
        assert_eq!(store.totals(start), CacheTotals { cached: 1, arriving: 1, bytes: 10 });
        let fetched = start + Duration::from_secs(10);
        assert_eq!(store.object_state("2", fetched), ObjectState::Cached);
        assert_eq!(store.totals(fetched), CacheTotals { cached: 2, arriving: 0, bytes: 20 });
        assert_eq!(store.nanos_per_byte(10), 1_000_000_000);
    }

    #[test]
    fn a_simulated_viewer_requests_the_missing_object() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let store = store(Fetch::Takes(Duration::from_secs(2)), Some(at(5)));
        assert_eq!(store.object_state("2", at(4)), ObjectState::Absent);
        assert_eq!(store.object_state("2", at(6)), ObjectState::Fetching(at(5)));
        assert_eq!(store.fetch("2", at(6)), ObjectState::Fetching(at(5)), "it is on its way already");
        assert_eq!(store.object_state("2", at(7)), ObjectState::Cached);
    }

    #[test]
    fn objects_that_are_never_cached_stay_misses() {
        let start = Instant::now();
        let store = store(Fetch::Never, Some(start));
        assert_eq!(store.fetch("2", start), ObjectState::Absent);
        assert_eq!(store.object_state("2", start + Duration::from_secs(99)), ObjectState::Absent);
        assert_eq!(store.totals(start), CacheTotals { cached: 1, arriving: 0, bytes: 10 });
    }
}
