//! One registry, its last known list, and how its answers are handled.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::labels::SeenLabels;
use crate::{
    config::Registry,
    discover::{
        error::DiscoverError,
        joystream::RegistryList,
        known::{KnownList, ListChange, RefreshResult},
    },
    model::units,
    worker::tally::Tally,
};

/// One registry, and its last good list.
pub(super) struct PolledRegistry {
    pub(super) registry: Registry,
    pub(super) known: KnownList,
    /// When the registry is asked next.
    pub(super) due: Instant,
    failures: u32,
    /// The problems of its last list.
    problems: Vec<String>,
    /// The problems of the samples when they were last requested.
    sample_problems: Vec<String>,
    seen: SeenLabels,
}

/// The result of asking a registry.
#[derive(Debug)]
pub struct RegistryAnswer {
    /// The URL of the registry.
    pub url: String,
    /// The nodes that were added and removed, or why there is no new list, as text for a person.
    pub answer: Result<ListChange, String>,
    /// What is missing or odd in the answer, as text for a person. Empty if there was no answer.
    pub problems: Vec<String>,
    /// The age of the list that is now in use; `None` if the registry has never answered.
    pub age: Option<Duration>,
    /// Do the problems differ from those of the previous answer?
    is_new: bool,
}

impl PolledRegistry {
    pub(super) fn new(registry: Registry, known: KnownList, due: Instant) -> Self {
        Self {
            registry,
            known,
            due,
            failures: 0,
            problems: vec![],
            sample_problems: vec![],
            seen: SeenLabels::default(),
        }
    }

    /// Handles an answer or a failure, and sets when the registry is asked next. A list that is held back counts as an
    /// answer, because asking again at once would not help.
    pub(super) fn take(&mut self, found: Result<RegistryList, DiscoverError>, now: Timestamp) -> RegistryAnswer {
        let (answer, problems) = match found {
            Ok(mut found) => {
                self.failures = 0;
                let mut problems = std::mem::take(&mut found.problems);
                if let Some(of_samples) = &mut found.sample_problems {
                    self.sample_problems = std::mem::take(of_samples);
                }
                // These problems remain until the samples are requested again. Without them, each of those requests
                // would look like a new problem.
                problems.extend(self.sample_problems.iter().cloned());
                let (known, change) = std::mem::take(&mut self.known).refreshed(found, &self.registry, now);
                self.known = known;
                problems.extend(self.seen.note(&self.known));
                problems.extend(held_back(change.assets, "nodes have no assets any more in its new list"));
                match held_back(change.result, "nodes are missing from its new list") {
                    None => (Ok(change), problems),
                    Some(reason) => (Err(reason), problems),
                }
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                (Err(error.to_string()), vec![])
            }
        };
        self.due = Instant::now() + pause(self.registry.refresh, self.failures);
        let is_new = problems != self.problems;
        self.problems.clone_from(&problems);
        RegistryAnswer { url: self.registry.url.to_string(), answer, problems, age: self.known.age(now), is_new }
    }
}

impl RegistryAnswer {
    /// All problems, each as one line that begins with the URL of the registry: first why there is no new list, then
    /// the problems of the answer.
    pub fn messages(&self) -> impl Iterator<Item = String> + '_ {
        let all = self.failure().into_iter().chain(self.problems.iter().cloned());
        all.map(|problem| format!("{}: {problem}", self.url))
    }

    fn failure(&self) -> Option<String> {
        let reason = self.answer.as_ref().err()?;
        Some(match self.age.map(|age| (age, age.as_secs())) {
            None => format!("there is no list of nodes yet: {reason}"),
            Some((_, 0)) => format!("the last list of nodes stays in use: {reason}"),
            Some((age, _)) => format!("the list of nodes from {} ago stays in use: {reason}", units::format_age(age)),
        })
    }

    /// Logs the result, and counts added and removed nodes.
    pub(super) fn log(&self, tally: &Tally) {
        // A problem that lasts would fill the log.
        let new = self.problems.iter().filter(|_| self.is_new).cloned();
        for problem in self.failure().into_iter().chain(new) {
            tracing::warn!(registry = self.url, "{problem}");
        }
        let Ok(change) = &self.answer else { return };
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
}

/// Why the new list is not used yet, and when it will be; `None` if it is used.
fn held_back(result: RefreshResult, lost: &str) -> Option<String> {
    match result {
        RefreshResult::Accepted => None,
        RefreshResult::HeldBack { lost: number, of, times } => Some(format!(
            "{number} of {of} {lost}, as if the registry were still syncing; the loss counts once the registry reports it three times in \
             a row, one `refresh` apart (this was time {times})"
        )),
        RefreshResult::Emptied { of } => {
            Some(format!("its new list leaves none of the {of} nodes to probe, so the old list stays"))
        }
    }
}

/// The pause until the next request. It is short after the first failure and doubles with each further one, up to
/// `refresh`.
fn pause(refresh: Duration, failures: u32) -> Duration {
    match failures {
        0 => refresh,
        failures => refresh.min(FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(16))),
    }
}

const FIRST_RETRY: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Dialect,
        discover::joystream::MissingParts,
        model::target::{Listing, Node, Origin, Profile},
    };

    const HOUR: Duration = Duration::from_secs(3_600);

    fn registry() -> PolledRegistry {
        let url = "https://query.example/graphql".parse().unwrap();
        let registry =
            Registry { url, refresh: HOUR, refresh_assets: HOUR, dialect: None, exclude: vec![], fixed: vec![] };
        PolledRegistry::new(registry, KnownList::default(), Instant::now())
    }

    fn found(nodes: std::ops::Range<u32>) -> Result<RegistryList, DiscoverError> {
        let node = |number| {
            let host = format!("n{number}.example");
            let endpoint = format!("https://{host}/").parse().unwrap();
            let listing = Listing::bare(Origin::Joystream, Profile::Argus);
            Node { id: host.into(), endpoint, listing, assets: vec![] }
        };
        let (dialect, gaps) = (Dialect::Orion, MissingParts::default());
        let problems = vec!["something is odd".to_owned()];
        Ok(RegistryList {
            dialect,
            nodes: nodes.map(node).collect(),
            blocked: vec![],
            excluded: 0,
            problems,
            sample_problems: Some(vec![]),
            gaps,
        })
    }

    /// Each case: the answer, the pause after it, and the beginnings of the complaints.
    #[tokio::test(start_paused = true)]
    async fn only_a_failed_request_is_repeated_early() {
        let (mut polled, mut now) = (registry(), Timestamp::UNIX_EPOCH);
        let down = || Err(DiscoverError::Empty);
        let seconds = Duration::from_secs;
        for (answer, wait, messages_found) in [
            (down(), seconds(15), &["there is no list of nodes yet: the registry lists no active"][..]),
            (down(), seconds(30), &["there is no list of nodes yet: "]),
            (found(0..4), HOUR, &["something is odd"]),
            (
                found(3..4),
                HOUR,
                &["the list of nodes from 1h ago stays in use: 3 of 4 nodes are missing", "something is odd"],
            ),
            (found(3..4), HOUR, &["(this was time 2)", "something is odd"]),
            (down(), seconds(15), &["the list of nodes from 3h ago stays in use: "]),
            (found(0..0), HOUR, &["leaves none of the 4 nodes to probe", "something is odd"]),
            (found(3..4), HOUR, &["something is odd"]),
        ] {
            let asked = polled.take(answer, now);
            now += HOUR;
            assert_eq!(polled.due - Instant::now(), wait, "{asked:?}");
            let messages: Vec<_> = asked.messages().collect();
            assert_eq!(messages.len(), messages_found.len(), "{messages:?}");
            for (message, messages_found) in messages.iter().zip(messages_found) {
                let is_named = message.starts_with("https://query.example/graphql: ");
                assert!(is_named && message.contains(messages_found), "{messages_found}: {message}");
            }
        }
        assert_eq!(polled.known.nodes().len(), 1);
    }

    #[test]
    fn the_pause_grows_with_failures_up_to_a_refresh() {
        for (refresh, failures, seconds) in
            [(600, 0, 600), (600, 1, 15), (600, 2, 30), (600, 6, 480), (600, 7, 600), (600, u32::MAX, 600), (5, 1, 5)]
        {
            assert_eq!(pause(Duration::from_secs(refresh), failures), Duration::from_secs(seconds), "{failures}");
        }
    }
}
