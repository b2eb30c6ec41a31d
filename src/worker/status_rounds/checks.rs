//! Asks all nodes at once, as far as the limits allow.
//!
//! Checks have their own thread ([`Pipeline::checks`](super::super::pipeline::Pipeline::checks)): a thousand TLS
//! handshakes take a second of CPU time, which must not be taken from a transfer that is measured. Checks start in
//! small steps, so that their first packets are not a burst on the uplink. While they start and answer, the round holds
//! one light permit, and no heavy transfer runs at the same time. The permit is lent to others while all remaining
//! checks hang.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::mpsc::{self, UnboundedSender},
    task::{self, JoinError, JoinSet},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    model::{health::StatusAnswer, probe::Weight},
    net::run_clock::RunClock,
    probe::gate::Gate,
};

/// Runs status checks at the same time, within these limits.
#[derive(Clone)]
pub(super) struct ConcurrentChecks {
    /// The runtime on which the checks run.
    pub(super) handle: Handle,
    pub(super) gate: Gate,
    /// Knows when this process was frozen.
    pub(super) clock: RunClock,
    /// The most checks that run at the same time; at least 1.
    pub(super) at_once: usize,
}

impl ConcurrentChecks {
    /// Returns the answers of all checks, in their order. `failed_check` makes the answer for a check that panicked.
    /// `note` is called with the index of the check and the answer when each one arrives.
    pub(super) async fn run<Q>(
        self,
        checks: impl ExactSizeIterator<Item = Q> + Send + 'static,
        failed_check: impl Fn() -> StatusAnswer,
        mut note: impl FnMut(usize, &StatusAnswer),
    ) -> Vec<StatusAnswer>
    where
        Q: Future<Output = StatusAnswer> + Send + 'static,
    {
        let mut answers: Vec<Option<StatusAnswer>> = vec![None; checks.len()];
        if answers.is_empty() {
            return Vec::new();
        }
        let (answered, mut coming) = mpsc::unbounded_channel();
        // Dropping this future drops the set, and with it the checks.
        let mut starting = JoinSet::new();
        let handle = self.handle.clone();
        starting.spawn_on(self.start_paced(checks, answered), &handle);
        while let Some((index, answer)) = coming.recv().await {
            note(index, &answer);
            answers[index] = Some(answer);
        }
        if let Some(Err(error)) = starting.join_next().await {
            tracing::error!("a status round failed because of a bug in bandprobe, please report it: {error}");
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(&failed_check)).collect()
    }

    /// Starts the checks in small steps, and sends each answer with its index.
    async fn start_paced<Q>(
        self,
        checks: impl Iterator<Item = Q> + Send,
        answered: UnboundedSender<(usize, StatusAnswer)>,
    ) where
        Q: Future<Output = StatusAnswer> + Send + 'static,
    {
        // A round is not a transfer from one node, so it uses an empty name that no node has.
        let permit = timeout(PATIENCE, self.gate.acquire(Weight::Light, &Arc::from(""))).await.ok();
        let mut is_held = permit.is_some();
        let active = Mutex::new(Instant::now());
        let last_active = || *active.lock().unwrap_or_else(PoisonError::into_inner);
        let stay_active = || *active.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let mut holding = pin!(async {
            if let Some(permit) = permit {
                // An untrusted list may name thousands of nodes that answer one by one. That must not block heavy
                // transfers.
                drop(timeout(PERMIT, permit.lend_when_idle(&self.clock, last_active)).await);
            }
        });
        let mut waiting = checks.enumerate().peekable();
        let (mut running, mut indices) = (JoinSet::new(), HashMap::new());
        let mut step = Instant::now();
        while waiting.peek().is_some() || !running.is_empty() {
            let room = self.at_once.max(1).saturating_sub(running.len());
            tokio::select! {
                () = sleep_until(step), if room > 0 && waiting.peek().is_some() => {
                    for (index, check) in waiting.by_ref().take(room.min(STEP)) {
                        indices.insert(running.spawn_on(check, &self.handle).id(), index);
                    }
                    stay_active();
                    step = Instant::now() + PACE;
                }
                Some(joined) = running.join_next_with_id(), if !running.is_empty() => {
                    stay_active();
                    if let Some(answer) = joined_answer(joined, &mut indices) {
                        // If the receiver is gone, the round was cancelled.
                        let _ = answered.send(answer);
                    }
                }
                () = &mut holding, if is_held => is_held = false,
            }
        }
    }
}

fn joined_answer(
    joined: Result<(task::Id, StatusAnswer), JoinError>,
    indices: &mut HashMap<task::Id, usize>,
) -> Option<(usize, StatusAnswer)> {
    match joined {
        Ok((id, answer)) => Some((indices.remove(&id)?, answer)),
        Err(error) => {
            indices.remove(&error.id());
            if !error.is_cancelled() {
                tracing::error!(
                    "a node's status check failed because of a bug in bandprobe, please report it: {error}"
                );
            }
            None
        }
    }
}

/// Checks that start together. The next ones start after the pause [`PACE`], so 1,024 take a third of a second.
const STEP: usize = 16;
const PACE: Duration = Duration::from_millis(5);
/// How long a round waits for its permit. A worker with a long queue of transfers must still know the state of its
/// nodes.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest time for which a round holds its permit.
const PERMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
