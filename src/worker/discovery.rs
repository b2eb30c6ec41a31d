//! The current targets: the nodes of the config, and those that its registries list.
//!
//! The last good list of each registry is kept on disk, so that a worker knows its nodes while a registry is down. A
//! node that the user names in the config takes precedence over the same node on a list.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until},
};

use crate::{
    archive::state,
    config::{Config, Registry},
    discover::{
        error::DiscoverError,
        joystream::{self, RegistryList},
        known::KnownList,
    },
    model::target::{Node, Targets},
    net::{dial::DialerError, fetch::Fetcher, guard::Guard, resolve::Resolver},
};

pub use self::polled::RegistryAnswer;
use self::{labels::Regions, merge::merge, polled::PolledRegistry};
use super::{resolver, state_writer::StateFile, tally::Tally};

mod labels;
mod merge;
mod polled;

/// The sources of a config, and their last known lists.
pub struct Discovery {
    named: Vec<Arc<Node>>,
    sources: Vec<PolledRegistry>,
    resolver: Resolver,
    regions: Regions,
    /// `None` without registries.
    fetcher: Option<Fetcher>,
    guard: Guard,
    dir: PathBuf,
    targets_file: Arc<TargetsFile>,
}

/// The index of a source, and what it lists.
type Answered = (usize, Result<RegistryList, DiscoverError>);

impl Discovery {
    /// Starts with the lists that the previous process kept.
    ///
    /// # Errors
    /// When the trusted CA certificates cannot be loaded.
    pub fn load(config: &Config) -> Result<Self, DialerError> {
        let mut stored = stored_lists(config);
        let now = Instant::now();
        let guard = Guard::new(config.network.allow_private.clone());
        let mut regions = Regions::default();
        let sources = config.registries.iter().map(|registry| {
            // The excluded nodes and the rules of the guard may have changed since the list was stored.
            let mut known = stored.remove(registry.url.as_str()).unwrap_or_default().under(&registry.exclude, &guard);
            // Too many regions are reported when the next list arrives.
            let _ = regions.bound(known.listings_mut());
            PolledRegistry::new(registry.clone(), known, now)
        });
        let sources: Vec<_> = sources.collect();
        let resolver = resolver::for_config(config);
        let fetcher = if sources.is_empty() { None } else { Some(Fetcher::over(&config.network, resolver.clone())?) };
        let named = config.nodes.iter().cloned().map(Arc::new).collect();
        let dir = config.archive.dir.clone();
        let targets_file = Arc::new(TargetsFile { dir: dir.clone(), lists: Mutex::default() });
        Ok(Self { named, sources, regions, resolver, fetcher, guard, dir, targets_file })
    }

    /// The resolver, shared with everything else that this process connects to.
    pub(super) fn resolver(&self) -> Resolver {
        self.resolver.clone()
    }

    /// Asks every registry once, all at the same time. Returns the results in the order of the config.
    pub async fn ask_all(&mut self) -> Vec<RegistryAnswer> {
        let mut asking = JoinSet::new();
        (0..self.sources.len()).for_each(|index| self.ask(index, &mut asking));
        let mut asked = BTreeMap::new();
        while let Some(answered) = asking.join_next().await {
            asked.extend(self.take(answered));
        }
        asked.into_values().collect()
    }

    /// All nodes and blocked operators that are known now.
    #[must_use]
    pub fn targets(&self) -> Targets {
        merge(&self.named, self.lists())
    }

    /// Each registry with its last known list.
    pub fn lists(&self) -> impl Iterator<Item = (&Registry, &KnownList)> {
        self.sources.iter().map(|source| (&source.registry, &source.known))
    }

    /// The age of the oldest list; `None` without registries, or if one has never answered.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        let ages: Option<Vec<_>> = self.sources.iter().map(|source| source.known.age(now)).collect();
        ages?.into_iter().max()
    }

    /// Writes the lists to disk for the next process. A failure is only logged, because bandprobe can start without
    /// them.
    pub fn keep(&self) {
        if let Some(lists) = self.encoded() {
            store(&self.dir, &lists);
        }
    }

    /// The lists as JSON; `None` without registries, or if encoding fails.
    fn encoded(&self) -> Option<Vec<u8>> {
        let lists: BTreeMap<&str, &KnownList> =
            self.sources.iter().map(|source| (source.registry.url.as_str(), &source.known)).collect();
        let encoded = (!lists.is_empty()).then(|| state::json(STATE, &lists))?;
        encoded.inspect_err(|error| tracing::warn!("cannot save the list of nodes for the next start: {error}")).ok()
    }

    /// The file of the lists, which is written after each answer of a registry.
    pub(super) fn state_file(&self) -> Arc<dyn StateFile> {
        self.targets_file.clone()
    }

    /// Asks each registry when it is due, independently of the others, and publishes the targets when they change.
    /// Never returns while there are registries.
    pub(super) async fn keep_current(mut self, publish: watch::Sender<Arc<Targets>>, tally: Tally) {
        let (mut asking, mut busy) = (JoinSet::new(), HashSet::new());
        while !self.sources.is_empty() {
            tally.note_targets(publish.borrow().nodes.len() as u64, self.age(Timestamp::now()));
            let next = self.next(&busy);
            let due = next.map_or_else(Instant::now, |(_, due)| due);
            let answered = tokio::select! {
                Some(answered) = asking.join_next() => answered,
                () = sleep_until(due), if next.is_some() => {
                    if let Some((index, _)) = next {
                        busy.insert(index);
                        self.ask(index, &mut asking);
                    }
                    continue;
                }
            };
            let Some((index, asked)) = self.take(answered) else { return };
            busy.remove(&index);
            asked.log(&tally);
            self.publish(&publish);
        }
    }

    fn publish(&self, publish: &watch::Sender<Arc<Targets>>) {
        let targets = self.targets();
        publish.send_if_modified(|current| {
            let is_new = **current != targets;
            if is_new {
                *current = Arc::new(targets);
            }
            is_new
        });
    }

    /// The registry that is due next, except for those that are being asked now.
    fn next(&self, busy: &HashSet<usize>) -> Option<(usize, Instant)> {
        let dues = self.sources.iter().map(|source| source.due).enumerate();
        dues.filter(|(index, _)| !busy.contains(index)).min_by_key(|(_, due)| *due)
    }

    fn ask(&self, index: usize, asking: &mut JoinSet<Answered>) {
        if let Some((source, fetcher)) = self.sources.get(index).zip(self.fetcher.clone()) {
            let (registry, guard) = (source.registry.clone(), self.guard.clone());
            let sampled = source.known.sampled(&registry, Timestamp::now());
            asking.spawn(async move { (index, joystream::find(&fetcher, &registry, &guard, &sampled).await) });
        }
    }

    fn take(&mut self, answered: Result<Answered, JoinError>) -> Option<(usize, RegistryAnswer)> {
        let (index, mut found) = match answered {
            Ok(answered) => answered,
            Err(error) => std::panic::resume_unwind(error.try_into_panic().ok()?),
        };
        if let Ok(found) = &mut found {
            let listings = found.nodes.iter_mut().map(|node| &mut node.listing);
            let blocked = found.blocked.iter_mut().map(|blocked| &mut blocked.listing);
            found.problems.extend(self.regions.bound(listings.chain(blocked)));
        }
        let asked = self.sources.get_mut(index)?.take(found, Timestamp::now());
        self.targets_file.put(self.encoded());
        Some((index, asked))
    }
}

/// The most recent lists, not yet on disk. Newer lists replace older ones, so a slow disk causes no queue.
struct TargetsFile {
    dir: PathBuf,
    lists: Mutex<Option<Vec<u8>>>,
}

impl TargetsFile {
    fn put(&self, lists: Option<Vec<u8>>) {
        *self.lists.lock().unwrap_or_else(PoisonError::into_inner) = lists;
    }
}

impl StateFile for TargetsFile {
    fn save(&self, _: bool) {
        let lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(lists) = lists {
            store(&self.dir, &lists);
        }
    }
}

fn store(dir: &Path, lists: &[u8]) {
    if let Err(error) = state::store_json(dir, STATE, lists) {
        tracing::warn!("cannot save the list of nodes for the next start: {error}");
    }
}

/// The stored lists, by URL of the registry.
fn stored_lists(config: &Config) -> BTreeMap<String, KnownList> {
    if config.registries.is_empty() {
        return BTreeMap::new();
    }
    let loaded = state::load(&config.archive.dir, STATE);
    if let Some(problem) = loaded.problem {
        tracing::warn!("{problem}");
    }
    loaded.value
}

const STATE: &str = "targets";
