//! Whom to ask now: the nodes of the config, and those that its registries list.
//!
//! The last good list of each registry outlives the process, so that a worker knows its nodes while a registry is down. A
//! node that the user named goes before the same one on a list.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    archive::state,
    config::{Config, Registry},
    discover::{
        joystream,
        known::{Change, Known, Verdict},
    },
    model::target::{Blocked, Node, Targets},
    net::{dial::DialerError, fetch::Fetcher, guard::Guard},
};

use super::tally::Tally;

/// The sources of a config, and what they are known to list.
pub struct Discovery {
    named: Vec<Arc<Node>>,
    sources: Vec<Source>,
    /// None is needed without registries.
    fetcher: Option<Fetcher>,
    guard: Guard,
    dir: PathBuf,
}

/// One registry, and its last good list.
struct Source {
    registry: Registry,
    known: Known,
    /// When it is to be asked next.
    due: Instant,
    failures: u32,
}

/// What came of asking a registry.
#[derive(Debug)]
pub struct Asked {
    /// Whom.
    pub url: String,
    /// Who came and went, or why the last list holds, for a person.
    pub answer: Result<Change, String>,
    /// What of the answer was missing or odd, for a person.
    pub problems: Vec<String>,
}

impl Discovery {
    /// With the lists that the last process left.
    ///
    /// # Errors
    /// When no connection to a registry could be made.
    pub fn load(config: &Config) -> Result<Self, DialerError> {
        let mut kept = kept(config);
        let now = Instant::now();
        let guard = Guard::new(config.network.allow_private.clone());
        let sources = config.registries.iter().map(|registry| Source {
            registry: registry.clone(),
            // Who is excluded, and what the guard refuses, may have changed since.
            known: kept.remove(registry.url.as_str()).unwrap_or_default().under(&registry.exclude, &guard),
            due: now,
            failures: 0,
        });
        let sources: Vec<_> = sources.collect();
        let fetcher = if sources.is_empty() { None } else { Some(Fetcher::over(&config.network)?) };
        let named = config.nodes.iter().cloned().map(Arc::new).collect();
        Ok(Self { named, sources, fetcher, guard, dir: config.archive.dir.clone() })
    }

    /// Asks every registry once.
    pub async fn ask_all(&mut self) -> Vec<Asked> {
        let mut asked = Vec::new();
        for index in 0..self.sources.len() {
            asked.extend(self.ask(index).await);
        }
        asked
    }

    /// Everyone known now.
    #[must_use]
    pub fn targets(&self) -> Targets {
        merge(&self.named, self.sources.iter().map(|source| &source.known))
    }

    /// What is known of each registry.
    pub fn lists(&self) -> impl Iterator<Item = (&Registry, &Known)> {
        self.sources.iter().map(|source| (&source.registry, &source.known))
    }

    /// How old the oldest list is; `None` without registries, or where one has never answered.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        let ages: Option<Vec<_>> = self.sources.iter().map(|source| source.known.age(now)).collect();
        ages?.into_iter().max()
    }

    /// Keeps the lists for the next process. They are hints: it can be without them.
    pub fn keep(&self) {
        let lists: BTreeMap<&str, &Known> =
            self.sources.iter().map(|source| (source.registry.url.as_str(), &source.known)).collect();
        if lists.is_empty() {
            return;
        }
        if let Err(error) = state::store(&self.dir, STATE, &lists) {
            tracing::warn!("the list of nodes is not kept for the next start: {error}");
        }
    }

    /// Asks each registry whenever it is due, and publishes who is to be asked. Never returns while there are registries.
    pub(super) async fn keep_current(mut self, publish: watch::Sender<Arc<Targets>>, tally: Tally) {
        loop {
            tally.note_targets(publish.borrow().nodes.len() as u64, self.age(Timestamp::now()));
            let Some((index, due)) = self.next() else { return };
            sleep_until(due).await;
            if let Some(asked) = self.ask(index).await {
                asked.tell(&tally);
                self.keep();
            }
            let targets = self.targets();
            publish.send_if_modified(|current| {
                let is_new = **current != targets;
                if is_new {
                    *current = Arc::new(targets);
                }
                is_new
            });
        }
    }

    fn next(&self) -> Option<(usize, Instant)> {
        let dues = self.sources.iter().map(|source| source.due).enumerate();
        dues.min_by_key(|(_, due)| *due)
    }

    async fn ask(&mut self, index: usize) -> Option<Asked> {
        let (source, fetcher) = (self.sources.get_mut(index)?, self.fetcher.as_ref()?);
        let mut problems = Vec::new();
        let answer = match joystream::find(fetcher, &source.registry, &self.guard).await {
            Ok(found) => {
                problems.clone_from(&found.problems);
                let (known, change) = std::mem::take(&mut source.known).weigh(found, Timestamp::now());
                source.known = known;
                accepted(change)
            }
            Err(error) => Err(error.to_string()),
        };
        source.failures = if answer.is_ok() { 0 } else { source.failures.saturating_add(1) };
        source.due = Instant::now() + pause(source.registry.refresh, source.failures);
        Some(Asked { url: source.registry.url.to_string(), answer, problems })
    }
}

impl Asked {
    fn tell(&self, tally: &Tally) {
        for problem in &self.problems {
            tracing::warn!(registry = self.url, "{problem}");
        }
        match &self.answer {
            Ok(change) => {
                tally.count(|counters| {
                    counters.targets_added += change.added.len() as u64;
                    counters.targets_removed += change.removed.len() as u64;
                });
                if !change.added.is_empty() || !change.removed.is_empty() {
                    tracing::info!(
                        registry = self.url,
                        added = change.added.join(", "),
                        removed = change.removed.join(", "),
                        "nodes have changed"
                    );
                }
            }
            Err(reason) => tracing::warn!(registry = self.url, "the last list of nodes holds: {reason}"),
        }
    }
}

/// The lists that were kept, by URL of the registry.
fn kept(config: &Config) -> BTreeMap<String, Known> {
    if config.registries.is_empty() {
        return BTreeMap::new();
    }
    let loaded = state::load(&config.archive.dir, STATE);
    if let Some(problem) = loaded.problem {
        tracing::warn!("{problem}");
    }
    loaded.value
}

/// A list that is held back is none, for now.
fn accepted(change: Change) -> Result<Change, String> {
    match change.verdict {
        Verdict::Accepted => Ok(change),
        Verdict::HeldBack { lost, of, times } => Err(format!(
            "its new list lacks {lost} of {of} nodes, which looks like a registry that syncs anew; it counts when it says so \
             three times in a row (this was number {times})"
        )),
    }
}

/// After a failure it is asked again sooner, and less and less often.
fn pause(refresh: Duration, failures: u32) -> Duration {
    match failures {
        0 => refresh,
        failures => refresh.min(FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(16))),
    }
}

/// Endpoints and ids are unique in what comes of it: whoever comes first keeps his.
fn merge<'k>(named: &[Arc<Node>], lists: impl Iterator<Item = &'k Known>) -> Targets {
    let mut targets = Targets { nodes: named.to_vec(), blocked: Vec::new() };
    let mut endpoints: HashSet<_> = named.iter().map(|node| node.endpoint.clone()).collect();
    let mut ids: HashSet<_> = named.iter().map(|node| node.id.clone()).collect();
    for known in lists {
        for node in known.nodes() {
            if targets.nodes.len() < MAX_NODES && endpoints.insert(node.endpoint.clone()) {
                let id = unique(&node.id, Some(node.endpoint.as_url().as_str()), &mut ids);
                targets.nodes.push(Arc::new(Node { id, ..node.clone() }));
            }
        }
        for blocked in known.blocked() {
            if targets.blocked.len() < MAX_NODES {
                let id = unique(&blocked.id, None, &mut ids);
                targets.blocked.push(Blocked { id, ..blocked.clone() });
            }
        }
    }
    targets
}

/// The id, or where another node has it the endpoint, or the id with a number.
fn unique(id: &Arc<str>, endpoint: Option<&str>, ids: &mut HashSet<Arc<str>>) -> Arc<str> {
    let numbered = (2_u32..).map(|number| Arc::from(format!("{id}:{number}")));
    let mut names = std::iter::once(id.clone()).chain(endpoint.map(Arc::from)).chain(numbered);
    let free = names.find(|name| !ids.contains(name)).expect("invariant: there are more numbers than nodes");
    ids.insert(free.clone());
    free
}

const STATE: &str = "targets";
const FIRST_RETRY: Duration = Duration::from_secs(15);
/// Over all sources.
const MAX_NODES: usize = 10_000;
