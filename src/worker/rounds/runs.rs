//! The runs under way: begun where the budgets allow it, and settled when they end.

use std::{collections::HashMap, time::Duration};

use tokio::{
    task::{self, JoinError, JoinSet},
    time::sleep,
};

use super::super::{
    allowance::{Allowance, Ticket},
    overload,
    pipeline::Pipeline,
};
use crate::{
    config::Config,
    model::units::Micros,
    probe::run::{Ended, Run},
};

/// The runs under way, each with what it was admitted for.
pub(super) struct Runs<'a> {
    pub(super) pipeline: &'a Pipeline,
    allowance: Allowance,
    running: JoinSet<Ended>,
    /// By task: which entry, its ticket, and from which lateness on the run counts as late.
    tickets: HashMap<task::Id, (u64, Ticket, Micros)>,
}

impl<'a> Runs<'a> {
    pub(super) fn new(pipeline: &'a Pipeline, config: &Config) -> Self {
        Self { pipeline, allowance: Allowance::load(config), running: JoinSet::new(), tickets: HashMap::new() }
    }

    /// Begins a run after some time, if the budgets and the node's own wish allow it.
    pub(super) fn begin(&mut self, key: u64, mut run: Run, after: Duration) -> bool {
        let Some(ticket) = self.allowance.admit(&mut run) else {
            tracing::debug!(node = %run.node.id, probe = %run.probe.name, "run skipped");
            self.pipeline.tally().count(|counters| counters.runs_skipped_budget += 1);
            return false;
        };
        self.pipeline.tally().count_run_started();
        let late_from = overload::late_from(&run.probe);
        let (prober, sink) = (self.pipeline.prober().clone(), self.pipeline.sink());
        let making = async move {
            sleep(after).await;
            run.make(&prober, sink).await
        };
        let task = self.running.spawn_on(making, self.pipeline.measuring().handle());
        self.tickets.insert(task.id(), (key, ticket, late_from));
        true
    }

    /// Waits for a run to end, books it, and says which entry's it was; `None` when none is under way.
    pub(super) async fn next_ended(&mut self) -> Option<u64> {
        loop {
            let joined = self.running.join_next_with_id().await?;
            if let Some(key) = self.settle(joined) {
                return Some(key);
            }
        }
    }

    /// Ends the runs under way, which is no result of theirs.
    pub(super) async fn cut_off(&mut self) {
        self.running.abort_all();
        while self.next_ended().await.is_some() {}
    }

    fn settle(&mut self, joined: Result<(task::Id, Ended), JoinError>) -> Option<u64> {
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let (key, ticket, late_from) = self.tickets.remove(&id)?;
        let ended = match joined {
            Ok((_, ended)) => {
                self.pipeline.tally().count(|counters| counters.runs_skipped_budget += u64::from(ended.was_left_alone));
                if ended.lateness.is_some_and(|lateness| lateness > late_from) {
                    self.pipeline.tally().count_run_late();
                }
                Some(ended)
            }
            Err(error) => {
                if !error.is_cancelled() {
                    tracing::error!("a run ended in a bug of ours, please report it: {error}");
                }
                None
            }
        };
        self.allowance.settle(ticket, ended);
        Some(key)
    }
}
