//! The start times of nodes, from what they report in status rounds. They are kept on disk, so that a restart of a node
//! is noticed even if bandprobe restarted too.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::{
    archive::{self, state},
    measure::restarts::NodeStarts,
    model::{
        health::{AnswerContent, StatusAnswer},
        target::Node,
    },
};

use super::state_writer::StateFile;

/// The start times of all nodes. They change in memory, and the state writer stores them.
pub(super) struct Restarts {
    dir: PathBuf,
    known: Mutex<Known>,
}

struct Known {
    starts: NodeStarts,
    is_changed: bool,
}

impl Restarts {
    /// Loads what the previous process left.
    pub(super) fn load(dir: &Path) -> Self {
        let loaded: state::Loaded<NodeStarts> = state::load(dir, STATE);
        if let Some(problem) = loaded.problem {
            tracing::warn!("{problem}");
        }
        Self { dir: dir.to_owned(), known: Mutex::new(Known { starts: loaded.value, is_changed: false }) }
    }

    /// Notes a round. Returns for each node, in order, whether it has restarted since it was last seen; `None` if that
    /// is unknown.
    pub(super) fn note<'a>(&self, round: impl Iterator<Item = (&'a Node, &'a StatusAnswer)>) -> Vec<Option<bool>> {
        let mut known = self.known();
        let note = |(node, answer): (&Node, &StatusAnswer)| match &answer.content {
            AnswerContent::Document(document) => {
                known.is_changed = true;
                known.starts.note(&node.id, answer.at, document.uptime_s?)
            }
            _ => None,
        };
        let restarts = round.map(note).collect();
        known.starts.forget(Timestamp::now());
        restarts
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut starts: NodeStarts) -> Result<(), archive::Error> {
        let _held = state::lock(&self.dir, STATE)?;
        starts.learn(state::load::<NodeStarts>(&self.dir, STATE).value);
        starts.forget(Timestamp::now());
        state::store_often(&self.dir, STATE, &starts)
    }
}

impl StateFile for Restarts {
    fn save(&self, _: bool) {
        let starts = {
            let mut known = self.known();
            if !std::mem::take(&mut known.is_changed) {
                return;
            }
            known.starts.clone()
        };
        if let Err(error) = self.write(starts) {
            tracing::debug!("cannot save the start times of nodes: {error}");
        }
    }
}

const STATE: &str = "starts";
