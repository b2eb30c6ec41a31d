//! The runs under way: begun where the budgets allow it, and settled when they end.

use std::{collections::HashMap, time::Duration};

use tokio::{
    task::{self, JoinError, JoinSet},
    time::sleep,
};

use super::super::{
    allowance::{Allowance, Made, Ticket, cold::Booking},
    overload,
    pipeline::Pipeline,
};
use crate::{config::Config, probe::run::Run};

/// The runs under way, each with what it was admitted for.
pub(super) struct Runs<'a> {
    pub(super) pipeline: &'a Pipeline,
    allowance: Allowance,
    running: JoinSet<Result<Made, Booking>>,
    /// By task: which entry, and its ticket.
    tickets: HashMap<task::Id, (u64, Ticket)>,
}

/// A run that has come to its end.
pub(super) struct Finished {
    /// Which entry's it was.
    pub(super) key: u64,
    /// Its node has fetched as often as it may today, so it was not made.
    pub(super) was_skipped: bool,
}

impl<'a> Runs<'a> {
    pub(super) fn new(pipeline: &'a Pipeline, config: &Config) -> Self {
        Self {
            pipeline,
            allowance: Allowance::load(config, pipeline.keeper()),
            running: JoinSet::new(),
            tickets: HashMap::new(),
        }
    }

    /// Begins a run after some time, if the budgets and the node's own wish allow it.
    pub(super) fn begin(&mut self, key: u64, mut run: Run, after: Duration) -> bool {
        let Some(ticket) = self.allowance.admit(&mut run) else {
            tracing::debug!(node = %run.node.id, probe = %run.probe.name, "run skipped");
            self.pipeline.tally().count(|counters| counters.runs_skipped_budget += 1);
            return false;
        };
        let (prober, sink) = (self.pipeline.prober().clone(), self.pipeline.sink());
        let (booking, tally) = (self.allowance.booking(&run), self.pipeline.tally().clone());
        let making = async move {
            sleep(after).await;
            let cold = match booking {
                None => None,
                Some(booking) => match booking.await {
                    Booking::On(day) => Some(day),
                    refused => return Err(refused),
                },
            };
            tally.count_run_started();
            let ended = run.make(&prober, sink).await;
            if ended.lateness.is_some_and(|lateness| lateness > overload::late_from(&run.probe)) {
                tally.count_run_late();
            }
            Ok(Made { ended, cold })
        };
        let task = self.running.spawn_on(making, self.pipeline.measuring().handle());
        self.tickets.insert(task.id(), (key, ticket));
        true
    }

    /// Waits for a run to end, and books it; `None` when none is under way.
    pub(super) async fn next_ended(&mut self) -> Option<Finished> {
        loop {
            let joined = self.running.join_next_with_id().await?;
            if let Some(finished) = self.settle(joined) {
                return Some(finished);
            }
        }
    }

    /// Ends the runs under way, which is no result of theirs.
    pub(super) async fn cut_off(&mut self) {
        self.running.abort_all();
        while self.next_ended().await.is_some() {}
    }

    fn settle(&mut self, joined: Result<(task::Id, Result<Made, Booking>), JoinError>) -> Option<Finished> {
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let (key, ticket) = self.tickets.remove(&id)?;
        let skipped =
            |count: bool| self.pipeline.tally().count(|counters| counters.runs_skipped_budget += u64::from(count));
        let made = match joined {
            Ok((_, Ok(made))) => {
                skipped(made.ended.was_left_alone);
                Some(made)
            }
            Ok((_, Err(booking))) => {
                skipped(true);
                self.allowance.give_back(ticket, booking);
                return Some(Finished { key, was_skipped: true });
            }
            Err(error) => {
                if !error.is_cancelled() {
                    tracing::error!("a run ended in a bug of ours, please report it: {error}");
                }
                None
            }
        };
        self.allowance.settle(ticket, made);
        Some(Finished { key, was_skipped: false })
    }
}
