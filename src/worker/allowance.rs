//! What may be asked of the nodes: the download budgets of the day, and the nodes that want to be left alone.
//!
//! It outlives a restart, and holds for `run` and `once` alike. Two processes on one archive at the same time each count
//! their own downloads on top of what they found: the one that writes last is remembered.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    archive::state,
    config::Config,
    model::units::Bytes,
    probe::run::{Ended, Run},
    schedule::budget::{Admission, Budget, Reservation, Spent, planned_at_most},
};

/// The budgets and the wishes of the nodes.
pub(super) struct Allowance {
    dir: PathBuf,
    budget: Budget,
    left_alone: BTreeMap<String, Timestamp>,
}

/// The right to make one run, to be settled when it has ended.
pub(super) struct Ticket {
    node: String,
    reservation: Reservation,
    /// What the run has downloaded so far.
    received: Arc<AtomicU64>,
}

/// What is kept.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    spent: Spent,
    /// By node id, until when.
    left_alone: BTreeMap<String, Timestamp>,
}

impl Allowance {
    /// As the last process left it.
    pub(super) fn load(config: &Config) -> Self {
        let loaded: state::Loaded<Kept> = state::load(&config.archive.dir, STATE);
        if let Some(problem) = loaded.problem {
            tracing::warn!("{problem}");
        }
        let Kept { mut spent, mut left_alone } = loaded.value;
        // Written while the clock was wrong: what it says would keep us from probing until then.
        if spent.day > today() + 1 {
            spent = Spent::default();
        }
        let latest = Timestamp::now().saturating_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX);
        left_alone.retain(|_, until| *until <= latest);
        let limits = &config.limits;
        let budget = Budget::new(limits.bytes_per_day, limits.bytes_per_node_per_day, spent);
        Self { dir: config.archive.dir.clone(), budget, left_alone }
    }

    /// May this run be made now? Judged by the largest asset that it may take.
    pub(super) fn admit(&mut self, run: &Run) -> Option<Ticket> {
        let node = &run.node;
        if self.left_alone.get(&*node.id).is_some_and(|until| *until > Timestamp::now()) {
            return None;
        }
        match self.budget.admit(today(), &node.id, planned_at_most(&run.probe, node)?) {
            Admission::Go(reservation) => {
                Some(Ticket { node: node.id.to_string(), reservation, received: run.received.clone() })
            }
            Admission::SkipDay | Admission::SkipNode => None,
        }
    }

    /// Books a run that ended, or was cut off (`None`), with what it downloaded.
    pub(super) fn settle(&mut self, ticket: Ticket, ended: Option<Ended>) {
        let Ticket { node, reservation, received } = ticket;
        self.budget.spend(today(), reservation, Bytes(received.load(Relaxed)));
        let now = Timestamp::now();
        self.left_alone.retain(|_, until| *until > now);
        if let Some(wait) = ended.and_then(|ended| ended.leave_alone) {
            tracing::warn!(node, seconds = wait.as_secs(), "the node limits us: no downloads from it for a while");
            let until = SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok());
            self.left_alone.insert(node, until.unwrap_or(Timestamp::MAX));
        }
        let kept = Kept { spent: self.budget.spent().clone(), left_alone: self.left_alone.clone() };
        if let Err(error) = state::store(&self.dir, STATE, &kept) {
            tracing::debug!("the budget's state is not kept: {error}");
        }
    }
}

/// Days since 1970-01-01, UTC.
fn today() -> u64 {
    u64::try_from(Timestamp::now().as_second() / 86_400).unwrap_or(0)
}

const STATE: &str = "budget";
/// No node is left alone for longer.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(24);
