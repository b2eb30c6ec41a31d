//! Asks all nodes at once, as far as there is room for it.
//!
//! Checks run on a thread of their own ([`Pipeline::checks`](super::super::pipeline::Pipeline::checks)): a thousand TLS
//! handshakes take a second of a CPU, which a transfer that is measured must not lose. They start in small steps, so that
//! their first packets are no burst on the uplink. While they start and answer they hold one light permit, which no heavy
//! transfer runs next to; it is lent to others while all that is left hangs.

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
    model::{availability::Answer, probe::Weight},
    net::run_clock::RunClock,
    probe::gate::Gate,
};

/// Where and how questions are put.
#[derive(Clone)]
pub(super) struct Asking {
    /// Where they run, and what starts them.
    pub(super) handle: Handle,
    pub(super) gate: Gate,
    /// Knows when this process ran.
    pub(super) clock: RunClock,
    /// How many run at the same time, at least 1.
    pub(super) at_once: usize,
}

impl Asking {
    /// The answers to all questions, in their order; of one that ended in a bug of ours it is `bug`'s. Each goes to `note` as
    /// it comes, with its place.
    pub(super) async fn all<Q>(
        self,
        questions: impl ExactSizeIterator<Item = Q> + Send + 'static,
        bug: impl Fn() -> Answer,
        mut note: impl FnMut(usize, &Answer),
    ) -> Vec<Answer>
    where
        Q: Future<Output = Answer> + Send + 'static,
    {
        let mut answers: Vec<Option<Answer>> = vec![None; questions.len()];
        if answers.is_empty() {
            return Vec::new();
        }
        let (answered, mut coming) = mpsc::unbounded_channel();
        // Dropped with this future, and the questions with it.
        let mut putting = JoinSet::new();
        let handle = self.handle.clone();
        putting.spawn_on(self.put(questions, answered), &handle);
        while let Some((place, answer)) = coming.recv().await {
            note(place, &answer);
            answers[place] = Some(answer);
        }
        if let Some(Err(error)) = putting.join_next().await {
            tracing::error!("a status round failed because of a bug in bandprobe, please report it: {error}");
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(&bug)).collect()
    }

    /// Puts the questions, and hands over each answer.
    async fn put<Q>(self, questions: impl Iterator<Item = Q> + Send, answered: UnboundedSender<(usize, Answer)>)
    where
        Q: Future<Output = Answer> + Send + 'static,
    {
        // The round is no transfer from a node: no node has this name.
        let permit = timeout(PATIENCE, self.gate.acquire(Weight::Light, &Arc::from(""))).await.ok();
        let mut is_held = permit.is_some();
        let active = Mutex::new(Instant::now());
        let last_active = || *active.lock().unwrap_or_else(PoisonError::into_inner);
        let stay_active = || *active.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let mut holding = pin!(async {
            if let Some(permit) = permit {
                // A stranger's thousands may answer one by one, and must not keep heavy transfers waiting by that.
                drop(timeout(PERMIT, permit.lend_when_idle(&self.clock, last_active)).await);
            }
        });
        let mut waiting = questions.enumerate().peekable();
        let (mut running, mut places) = (JoinSet::new(), HashMap::new());
        let mut step = Instant::now();
        while waiting.peek().is_some() || !running.is_empty() {
            let room = self.at_once.max(1).saturating_sub(running.len());
            tokio::select! {
                () = sleep_until(step), if room > 0 && waiting.peek().is_some() => {
                    for (place, question) in waiting.by_ref().take(room.min(STEP)) {
                        places.insert(running.spawn_on(question, &self.handle).id(), place);
                    }
                    stay_active();
                    step = Instant::now() + PACE;
                }
                Some(joined) = running.join_next_with_id(), if !running.is_empty() => {
                    stay_active();
                    if let Some(answer) = settle(joined, &mut places) {
                        // Without a receiver the round was cancelled.
                        let _ = answered.send(answer);
                    }
                }
                () = &mut holding, if is_held => is_held = false,
            }
        }
    }
}

fn settle(
    joined: Result<(task::Id, Answer), JoinError>,
    places: &mut HashMap<task::Id, usize>,
) -> Option<(usize, Answer)> {
    match joined {
        Ok((id, answer)) => Some((places.remove(&id)?, answer)),
        Err(error) => {
            places.remove(&error.id());
            if !error.is_cancelled() {
                tracing::error!(
                    "a node's status check failed because of a bug in bandprobe, please report it: {error}"
                );
            }
            None
        }
    }
}

/// This many start together, and the next ones after this pause: 1,024 within a third of a second.
const STEP: usize = 16;
const PACE: Duration = Duration::from_millis(5);
/// A worker whose transfers wait in a long queue still has to know the state of its nodes.
const PATIENCE: Duration = Duration::from_secs(60);
/// The permit is held for no longer, whatever answers.
const PERMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
