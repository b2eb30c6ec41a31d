//! The runs under way. They begin if the budgets allow it, and are charged to them when they end.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    task::{self, JoinError, JoinSet},
    time::sleep,
};

use super::super::{
    admission::{AdmissionControl, CompletedRun, Ticket, cold_fetches::Booking},
    pipeline::Pipeline,
    tally::late_from,
};
use crate::{
    config::{Config, check::shipped},
    measure::history::RunUnderWay,
    model::{probe::Probe, sample::Sample, target::Node},
    probe::run::Run,
};

/// The runs under way, each with its ticket.
pub(super) struct ActiveRuns<'a> {
    pub(super) pipeline: &'a Pipeline,
    admission: AdmissionControl,
    running: JoinSet<Result<CompletedRun, Booking>>,
    /// By task.
    active: HashMap<task::Id, ActiveRun>,
    storage_check: Option<Arc<Probe>>,
}

/// A run under way.
struct ActiveRun {
    key: u64,
    node: Arc<Node>,
    ticket: Ticket,
}

/// A run that has ended.
pub(super) struct FinishedRun {
    /// The key that was passed to [`ActiveRuns::begin`].
    pub(super) key: u64,
    /// The run was not made: its node has reached the limit of cold fetches, or the fetch could not be booked.
    pub(super) was_skipped: bool,
}

impl<'a> ActiveRuns<'a> {
    pub(super) fn new(pipeline: &'a Pipeline, config: &Config) -> Self {
        Self {
            pipeline,
            admission: pipeline.take_admission().unwrap_or_else(|| {
                AdmissionControl::load(config, pipeline.prober().gate.cool_downs(), pipeline.state_writer())
            }),
            running: JoinSet::new(),
            active: HashMap::new(),
            storage_check: shipped("cold-cache").map(|probe| Arc::new(probe.storage_check())),
        }
    }

    /// Begins a run after a delay. Returns `false` if the run is skipped, because it does not fit a budget or its node
    /// is cooling down.
    pub(super) fn begin(&mut self, key: u64, mut run: Run, after: Duration) -> bool {
        let Some(ticket) = self.admission.admit(&mut run) else {
            tracing::debug!(node = %run.node.id, probe = %run.probe.name, "run skipped");
            self.pipeline.tally().count(|counters| counters.runs_skipped_budget += 1);
            return false;
        };
        self.spawn(key, run, ticket, after);
        true
    }

    fn spawn(&mut self, key: u64, run: Run, ticket: Ticket, after: Duration) {
        let (prober, mut sink) = (self.pipeline.prober().clone(), self.pipeline.sink());
        let (booking, tally) = (self.admission.booking(&run), self.pipeline.tally().clone());
        let (histories, node, probe) = (self.pipeline.histories().clone(), run.node.clone(), run.probe.clone());
        let mut under_way = RunUnderWay::default();
        let emit = move |sample: Sample| {
            histories.note(&mut under_way, &sample, &probe);
            sink(sample);
        };
        let making = async move {
            sleep(after).await;
            let booked_on = match booking {
                None => None,
                Some(booking) => match booking.await {
                    Booking::Booked(day) => Some(day),
                    refused => return Err(refused),
                },
            };
            tally.count_run_started();
            let result = run.make(&prober, emit).await;
            if result.lateness.is_some_and(|lateness| lateness > late_from(&run.probe)) {
                tally.count_run_late();
            }
            Ok(CompletedRun { result, booked_on })
        };
        let task = self.running.spawn_on(making, self.pipeline.measuring().handle());
        self.active.insert(task.id(), ActiveRun { key, node, ticket });
    }

    /// If several runs in a row found nothing cached, begins a run that tests whether the node can fetch anything from
    /// storage. At most once a day.
    fn check_storage(&mut self, node: &Arc<Node>) {
        let Some(probe) = self.storage_check.as_ref().filter(|_| self.pipeline.histories().takes_fetch(&node.id))
        else {
            return;
        };
        let mut run = Run {
            node: node.clone(),
            probe: probe.clone(),
            turn: 0,
            remembered: None,
            due: None,
            received: Arc::default(),
        };
        if let Some(ticket) = self.admission.admit(&mut run) {
            tracing::debug!(node = %node.id, "runs find nothing cached: can the node fetch anything?");
            self.spawn(STORAGE_CHECK, run, ticket, Duration::ZERO);
        }
    }

    /// Waits for a scheduled run to end; `None` when none is under way.
    pub(super) async fn next_ended(&mut self) -> Option<FinishedRun> {
        loop {
            let joined = self.running.join_next_with_id().await?;
            if let Some(finished) = self.finish(joined).filter(|finished| finished.key != STORAGE_CHECK) {
                return Some(finished);
            }
        }
    }

    /// Cancels the runs under way. What they measured so far is kept, but they have no further result.
    pub(super) async fn cut_off(&mut self) {
        self.running.abort_all();
        while self.next_ended().await.is_some() {}
    }

    /// Charges the budgets with a run that ended, and may begin a storage check.
    fn finish(&mut self, joined: Result<(task::Id, Result<CompletedRun, Booking>), JoinError>) -> Option<FinishedRun> {
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let ActiveRun { key, node, ticket } = self.active.remove(&id)?;
        let skipped =
            |count: bool| self.pipeline.tally().count(|counters| counters.runs_skipped_budget += u64::from(count));
        let completed = match joined {
            Ok((_, Ok(completed))) => {
                skipped(completed.result.was_refused);
                Some(completed)
            }
            Ok((_, Err(booking))) => {
                // A storage check was not planned, so a refused one does not count as a skipped run.
                skipped(key != STORAGE_CHECK);
                self.admission.give_back(ticket, booking);
                return Some(FinishedRun { key, was_skipped: true });
            }
            Err(error) => {
                if !error.is_cancelled() {
                    tracing::error!("a run failed because of a bug in bandprobe, please report it: {error}");
                }
                None
            }
        };
        let was_cut_off = completed.is_none();
        self.admission.charge(ticket, completed);
        if !was_cut_off {
            self.check_storage(&node);
        }
        Some(FinishedRun { key, was_skipped: false })
    }
}

/// The key of storage checks, which are not on the schedule.
const STORAGE_CHECK: u64 = u64::MAX;
