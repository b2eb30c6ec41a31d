//! A distributor's cache with the life cycle of the real one. The first download of an absent object fetches the whole
//! object from a storage node. Others can read it while it arrives. It stays until other objects need the room.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::BodyExt;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::model::{sample::CacheState, units::BitRate};

use super::{
    super::{
        memory_body::MemoryBody,
        store::{CacheTotals, NotAvailable, ObjectInfo, ObjectReply, ObjectRequest, ObjectStatus, slice},
    },
    arriving::ArrivingObject,
    fetch::{self, FetchRequest},
    fetched_body::{ArrivingRange, FetchedBody},
};

/// The cache of one distributor.
pub(in crate::demo) struct Cache {
    /// All objects that the node knows, cached or not.
    known: HashMap<Arc<str>, ObjectStatus>,
    kept: Mutex<Kept>,
    room: Room,
    storage: Vec<SocketAddr>,
    /// Sends jobs to [`Cache::fetch_all`]. Each object has at most one job at a time.
    jobs: UnboundedSender<Job>,
}

/// How much a cache can hold, and how fast objects arrive.
#[derive(Clone, Copy, Debug)]
pub(in crate::demo) struct Room {
    /// The total size of whole objects, in bytes. A larger object is passed through and never kept.
    pub(in crate::demo) capacity: u64,
    /// The rate limit of one arriving object; `None` means unlimited.
    pub(in crate::demo) rate: Option<BitRate>,
}

/// An object to fetch from a storage node.
pub(in crate::demo) struct Job {
    id: Arc<str>,
    object: Arc<ArrivingObject>,
    trace: Option<HeaderValue>,
}

#[derive(Default)]
struct Kept {
    objects: HashMap<Arc<str>, Entry>,
    /// Counts uses, so that the least recently used object is known.
    uses: u64,
}

enum Entry {
    Whole { bytes: Bytes, used: u64 },
    Arriving(Arc<ArrivingObject>),
}

/// What a download finds in the cache.
enum Found {
    Whole(Bytes),
    Arriving(Arc<ArrivingObject>, CacheState),
    TooLarge,
}

impl Cache {
    /// A cache that knows the objects in `known` and holds those in `held`. `storage` must not be empty. The receiver
    /// is for [`Cache::fetch_all`].
    pub(in crate::demo) fn new(
        known: HashMap<Arc<str>, ObjectStatus>,
        held: impl IntoIterator<Item = (Arc<str>, Bytes)>,
        room: Room,
        storage: Vec<SocketAddr>,
    ) -> (Arc<Self>, UnboundedReceiver<Job>) {
        let (jobs, receiver) = unbounded_channel();
        let mut kept = Kept::default();
        for (id, bytes) in held {
            kept.keep(&id, bytes, room.capacity);
        }
        (Arc::new(Self { known, kept: Mutex::new(kept), room, storage, jobs }), receiver)
    }

    pub(in crate::demo) fn known(&self, id: &str) -> ObjectStatus {
        self.known.get(id).copied().unwrap_or(ObjectStatus::Unknown)
    }

    /// The cache state of an object. Asking changes nothing, not even which object is evicted next.
    pub(in crate::demo) fn state(&self, id: &str) -> CacheState {
        match self.lock().objects.get(id) {
            Some(Entry::Whole { .. }) => CacheState::Hit,
            Some(Entry::Arriving(_)) => CacheState::Pending,
            None => CacheState::Miss,
        }
    }

    pub(in crate::demo) fn totals(&self) -> CacheTotals {
        let mut totals = CacheTotals::default();
        for entry in self.lock().objects.values() {
            match entry {
                Entry::Whole { bytes, .. } => {
                    totals.cached += 1;
                    totals.bytes += bytes.len() as u64;
                }
                Entry::Arriving(_) => totals.arriving += 1,
            }
        }
        totals
    }

    /// The requested bytes: from the cache, from an object that is still arriving, or passed through from a storage
    /// node.
    pub(in crate::demo) async fn supply(&self, wanted: &ObjectRequest<'_>) -> Result<ObjectReply, NotAvailable> {
        let ObjectStatus::Served(ObjectInfo { size, .. }) = self.known(wanted.id) else { return Err(NotAvailable) };
        let (object, state) = match self.find(wanted, size) {
            Found::Whole(bytes) => {
                let body = MemoryBody::of(slice(&bytes, wanted.first, wanted.last + 1)).into();
                return Ok(ObjectReply { state: CacheState::Hit, local: true, body });
            }
            Found::TooLarge => return self.pass(wanted, CacheState::Miss).await,
            Found::Arriving(object, state) => (object, state),
        };
        if !object.begun().await {
            return Err(NotAvailable);
        }
        // The first byte of the range may be the next one to arrive.
        if wanted.first > object.length() {
            return self.pass(wanted, state).await;
        }
        let (next, end) = (wanted.first, wanted.end_of_pending(size));
        Ok(ObjectReply { state, local: true, body: FetchedBody::Arriving(ArrivingRange { object, next, end }).into() })
    }

    fn find(&self, wanted: &ObjectRequest<'_>, size: u64) -> Found {
        let mut kept = self.lock();
        kept.uses += 1;
        let now = kept.uses;
        match kept.objects.get_mut(wanted.id) {
            Some(Entry::Whole { bytes, used }) => {
                *used = now;
                return Found::Whole(bytes.clone());
            }
            Some(Entry::Arriving(object)) => return Found::Arriving(Arc::clone(object), CacheState::Pending),
            None if size > self.room.capacity => return Found::TooLarge,
            None => {}
        }
        let id: Arc<str> = wanted.id.into();
        let object = Arc::new(ArrivingObject::new(usize::try_from(size).unwrap_or(usize::MAX)));
        kept.objects.insert(Arc::clone(&id), Entry::Arriving(Arc::clone(&object)));
        let job = Job { id, object: Arc::clone(&object), trace: wanted.trace.cloned() };
        if let Err(unsent) = self.jobs.send(job) {
            // There is no receiver any more: the node is shutting down.
            unsent.0.object.fail();
        }
        Found::Arriving(object, CacheState::Miss)
    }

    /// Passes on the response of a storage node.
    async fn pass(&self, wanted: &ObjectRequest<'_>, state: CacheState) -> Result<ObjectReply, NotAvailable> {
        let range = wanted.is_part.then_some((wanted.first, wanted.last));
        let order = FetchRequest { id: wanted.id.into(), range, trace: wanted.trace.cloned() };
        let passed = fetch::from_any(&self.storage, &order).await.map_err(|_| NotAvailable)?;
        Ok(ObjectReply { state, local: false, body: FetchedBody::Proxied(passed).into() })
    }

    /// Runs all fetch jobs. Dropping the future stops them.
    pub(in crate::demo) async fn fetch_all(self: Arc<Self>, mut jobs: UnboundedReceiver<Job>) {
        let mut under_way = JoinSet::new();
        while let Some(job) = jobs.recv().await {
            while under_way.try_join_next().is_some() {}
            let cache = Arc::clone(&self);
            under_way.spawn(async move { cache.fetch(job).await });
        }
    }

    async fn fetch(&self, job: Job) {
        if self.receive(&job).await.is_none() {
            self.lock().objects.remove(&job.id);
            job.object.fail();
        }
    }

    /// Receives the whole object; `None` when it did not arrive completely.
    async fn receive(&self, job: &Job) -> Option<()> {
        let order = FetchRequest { id: job.id.as_ref().into(), range: None, trace: job.trace.clone() };
        let mut body = FetchedBody::Proxied(fetch::from_any(&self.storage, &order).await.ok()?);
        job.object.begin();
        let (began, mut arrived) = (Instant::now(), 0);
        while let Some(frame) = body.frame().await {
            let Ok(mut chunk) = frame.ok()?.into_data() else { continue };
            while !chunk.is_empty() {
                let piece = chunk.split_to(chunk.len().min(PIECE_BYTES));
                arrived += piece.len() as u64;
                if let Some(rate) = self.room.rate {
                    sleep_until(began + takes(arrived, rate)).await;
                }
                // Under the lock, so that a client that has read the last byte finds the object cached.
                let mut kept = self.lock();
                if let Some(whole) = job.object.push(&piece) {
                    kept.keep(&job.id, whole, self.room.capacity);
                    return Some(());
                }
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Keeps a whole object, and evicts the least recently used objects until there is room for it.
    fn keep(&mut self, id: &Arc<str>, bytes: Bytes, capacity: u64) {
        self.uses += 1;
        let size = bytes.len() as u64;
        self.objects.remove(id);
        while self.bytes() + size > capacity {
            let Some(oldest) = self.least_used() else { break };
            self.objects.remove(&oldest);
        }
        self.objects.insert(Arc::clone(id), Entry::Whole { bytes, used: self.uses });
    }

    fn bytes(&self) -> u64 {
        let size = |entry: &Entry| if let Entry::Whole { bytes, .. } = entry { bytes.len() as u64 } else { 0 };
        self.objects.values().map(size).sum()
    }

    fn least_used(&self) -> Option<Arc<str>> {
        let used =
            |(id, entry): (_, &Entry)| if let Entry::Whole { used, .. } = entry { Some((*used, id)) } else { None };
        self.objects.iter().filter_map(used).min().map(|(_, id): (_, &Arc<str>)| Arc::clone(id))
    }
}

/// The time for `bytes` at `rate`.
fn takes(bytes: u64, rate: BitRate) -> Duration {
    let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(rate.0.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The step in which the rate limit is applied, in bytes.
const PIECE_BYTES: usize = 16 << 10;
