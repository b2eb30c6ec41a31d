//! What a node holds: objects, and for each where it stands between miss and hit.

use std::{collections::HashMap, sync::Mutex};

use bytes::Bytes;
use tokio::time::Instant;

use super::plan::Fetch;
use crate::model::sample::CacheState;

/// An object that the node serves.
#[derive(Clone, Debug)]
pub(super) struct Object {
    /// Its content.
    pub(super) bytes: Bytes,
    /// Its type.
    pub(super) content_type: &'static str,
}

/// The node's objects by id, and its cache.
pub(super) struct Shelf {
    objects: HashMap<&'static str, Object>,
    /// Objects that were not cached at start, and when the fetch of each began.
    uncached: Mutex<HashMap<&'static str, Option<Instant>>>,
    fetch: Fetch,
    /// When a viewer asks for each object that is still absent then.
    viewer: Option<Instant>,
}

/// How an object stands in the cache at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Standing {
    /// Wholly there.
    Cached,
    /// Not there, and not asked for either.
    Absent,
    /// On its way since then.
    Fetching(Instant),
}

impl Standing {
    /// The word for it in `x-cache`.
    pub(super) const fn state(self) -> CacheState {
        match self {
            Self::Cached => CacheState::Hit,
            Self::Absent => CacheState::Miss,
            Self::Fetching(_) => CacheState::Pending,
        }
    }
}

impl Shelf {
    /// Objects as (id, object, cached).
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

    /// The object of that id.
    pub(super) fn object(&self, id: &str) -> Option<&Object> {
        self.objects.get(id)
    }

    /// Where the object stands now. Asking has no effect.
    pub(super) fn standing(&self, id: &str, now: Instant) -> Standing {
        let uncached = self.uncached.lock().expect("invariant: nothing panics under this lock");
        let Some(asked) = uncached.get(id) else { return Standing::Cached };
        let since = asked.or_else(|| self.viewer.filter(|viewer| *viewer <= now));
        match (since, self.fetch) {
            (Some(since), Fetch::Takes(time)) if now >= since + time => Standing::Cached,
            (Some(since), Fetch::Takes(_)) => Standing::Fetching(since),
            (None, _) | (_, Fetch::Never) => Standing::Absent,
        }
    }

    /// Somebody asks for the object: if it is absent and is ever kept, it is on its way from now on.
    pub(super) fn fetch(&self, id: &str, now: Instant) -> Standing {
        if self.fetch != Fetch::Never && self.standing(id, now) == Standing::Absent {
            let mut uncached = self.uncached.lock().expect("invariant: nothing panics under this lock");
            if let Some(since) = uncached.get_mut(id) {
                since.get_or_insert(now);
            }
        }
        self.standing(id, now)
    }

    /// How long one byte of an object of `size` bytes takes to fetch, in nanoseconds.
    pub(super) fn nanos_per_byte(&self, size: u64) -> u64 {
        let Fetch::Takes(time) = self.fetch else { return 0 };
        u64::try_from(time.as_nanos() / u128::from(size.max(1))).unwrap_or(u64::MAX)
    }

    /// How many objects are in the cache, and how many are on their way.
    pub(super) fn census(&self, now: Instant) -> (usize, usize) {
        let count =
            |wanted: fn(Standing) -> bool| self.objects.keys().filter(|id| wanted(self.standing(id, now))).count();
        (count(|at| at == Standing::Cached), count(|at| matches!(at, Standing::Fetching(_))))
    }

    /// Bytes of the objects in the cache.
    pub(super) fn bytes_held(&self, now: Instant) -> u64 {
        let held = self.objects.iter().filter(|(id, _)| self.standing(id, now) == Standing::Cached);
        held.map(|(_, object)| object.bytes.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shelf(fetch: Fetch, viewer: Option<Instant>) -> Shelf {
        let object = Object { bytes: Bytes::from_static(b"0123456789"), content_type: "video/mp4" };
        Shelf::new([("1", object.clone(), true), ("2", object, false)], fetch, viewer)
    }

    #[test]
    fn a_download_turns_a_miss_into_pending_and_then_into_a_hit() {
        let shelf = shelf(Fetch::Takes(Duration::from_secs(10)), None);
        let start = Instant::now();
        assert_eq!(shelf.standing("1", start), Standing::Cached);
        assert_eq!(shelf.standing("2", start), Standing::Absent);
        assert_eq!(shelf.fetch("1", start), Standing::Cached);
        assert_eq!(shelf.fetch("2", start), Standing::Fetching(start));
        shelf.fetch("2", start + Duration::from_secs(5));
        assert_eq!(shelf.standing("2", start + Duration::from_secs(9)), Standing::Fetching(start));
        assert_eq!((shelf.census(start), shelf.bytes_held(start)), ((1, 1), 10));
        let fetched = start + Duration::from_secs(10);
        assert_eq!(shelf.standing("2", fetched), Standing::Cached);
        assert_eq!((shelf.census(fetched), shelf.bytes_held(fetched)), ((2, 0), 20));
        assert_eq!(shelf.nanos_per_byte(10), 1_000_000_000);
    }

    #[test]
    fn a_viewer_asks_for_what_nobody_else_has() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let shelf = shelf(Fetch::Takes(Duration::from_secs(2)), Some(at(5)));
        assert_eq!(shelf.standing("2", at(4)), Standing::Absent);
        assert_eq!(shelf.standing("2", at(6)), Standing::Fetching(at(5)));
        assert_eq!(shelf.fetch("2", at(6)), Standing::Fetching(at(5)), "it is on its way already");
        assert_eq!(shelf.standing("2", at(7)), Standing::Cached);
    }

    #[test]
    fn what_is_never_kept_stays_a_miss() {
        let start = Instant::now();
        let shelf = shelf(Fetch::Never, Some(start));
        assert_eq!(shelf.fetch("2", start), Standing::Absent);
        assert_eq!(shelf.standing("2", start + Duration::from_secs(99)), Standing::Absent);
        assert_eq!(shelf.census(start), (1, 0));
    }
}
