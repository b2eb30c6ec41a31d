//! Everything between a probe and the database, started and stopped together:
//!
//! ```text
//! measuring thread ── samples ──▶ recorder ── lines ──▶ archive ── files ──▶ outbox ──▶ InfluxDB
//! ```

use std::{
    future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    archive::log::Writer,
    config::Config,
    deliver::event::Drained,
    model::{sample::Sample, target::Targets},
    net::dial::Dialer,
    probe::{
        Prober, gate::Gate, identity::user_agent, status::web_server::HeadRefusals, vantage_health::VantageHealth,
    },
    record::point::Point,
};

use super::{
    admission::AdmissionControl,
    descriptors,
    discovery::Discovery,
    histories::NodeHistories,
    measuring::MeasuringThread,
    outbox::{GRACE, Outbox, OutboxEnd, OutboxThread, Reread},
    recorder::{Inbox, OnRecorded, Recorder},
    restarts::Restarts,
    start_error::StartError,
    state_writer::StateWriter,
    tally::Tally,
    threads,
};

/// The running pipeline.
pub struct Pipeline {
    prober: Prober,
    targets: watch::Receiver<Arc<Targets>>,
    tally: Tally,
    histories: NodeHistories,
    inbox: Inbox,
    state_writer: StateWriter,
    /// Loaded at the start; the first runs take it.
    admission: Mutex<Option<AdmissionControl>>,
    restarts: Arc<Restarts>,
    tasks: JoinSet<()>,
    outbox: OutboxThread,
    measuring: MeasuringThread,
    checks: MeasuringThread,
    /// The prober for status checks: it uses the clock of their thread.
    checker: Prober,
    /// The most connections that runs may have open.
    connections: usize,
    /// Progress of the status round under way: nodes that have answered or timed out, and all nodes.
    checked: watch::Sender<(usize, usize)>,
    /// The config names a database.
    delivers: bool,
}

/// The state of the results when the pipeline stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stopped {
    /// What was delivered since the start, and why the rest is waiting.
    pub drained: Drained,
    /// Points that are lost, because the disk refused them or was too slow.
    pub lost: u64,
    /// Points that wait in the archive; 0 if `is_cut_short`.
    pub waiting: u64,
    /// The disk did not answer in time, so the number of waiting points is unknown.
    pub is_cut_short: bool,
}

impl Pipeline {
    /// Starts the pipeline: recovers what a killed process left, keeps the list of nodes current, and waits for
    /// samples. `on_recorded` is called for each sample once it is in the archive. `reread` reads `[influxdb]` again
    /// while delivery waits for a person to fix it.
    ///
    /// # Errors
    /// When a part cannot start; nothing is left running then.
    pub fn start(
        config: &Config,
        discovery: Discovery,
        on_recorded: OnRecorded,
        reread: Reread,
    ) -> Result<Self, StartError> {
        let resolver = discovery.resolver();
        let dialer = Dialer::new(&config.network, resolver.clone())?;
        let dir = &config.archive.dir;
        let writer = Writer::open(dir)?;
        let tally = Tally::default();
        tally.follow_lookups(&resolver);
        let connections = descriptors::connections(config.limits.transfers());
        let gate = Gate::with_connections(&config.limits, connections);
        let outbox = Outbox::new(&config.archive, config.influxdb.as_ref(), resolver, reread, gate.clone())?;
        let recorder = Recorder::new(config, &hash(config), writer, tally.clone(), on_recorded).with_syncer()?;
        let measuring = MeasuringThread::start(tally.on_freeze())?;
        let checks = MeasuringThread::start_for_checks()?;
        let state_writer = StateWriter::start()?;
        let admission = AdmissionControl::load(config, gate.cool_downs(), &state_writer);
        let restarts = Arc::new(Restarts::load(dir));
        state_writer.register(restarts.clone());
        state_writer.register(discovery.state_file());

        let (inbox, recording) = recorder.start();
        threads::spawn_future("recorder", recording)?;
        let outbox = OutboxThread::start(outbox, config.archive.clone(), inbox.clone(), tally.clone())?;
        let mut tasks = JoinSet::new();
        let (publish, targets) = watch::channel(Arc::new(discovery.targets()));
        tasks.spawn(discovery.keep_current(publish, tally.clone()));
        let prober = Prober {
            dialer: dialer.with_clock(measuring.clock().clone()),
            gate,
            vantage_health: VantageHealth::default(),
            head_refusals: HeadRefusals::default(),
            vantage: Arc::new(config.vantage.clone()),
            agent: user_agent(config.network.contact.as_deref()).into(),
        };
        let histories = NodeHistories::load(dir, &state_writer);
        let dialer = prober.dialer.clone().with_clock(checks.clock().clone());
        let checker = Prober { dialer, ..prober.clone() };
        Ok(Self {
            prober,
            targets,
            tally,
            histories,
            inbox,
            state_writer,
            admission: Mutex::new(Some(admission)),
            restarts,
            tasks,
            outbox,
            measuring,
            checks,
            checker,
            connections,
            checked: watch::Sender::new((0, 0)),
            delivers: config.influxdb.is_some(),
        })
    }

    /// Like [`start`](Self::start), but on another thread, because the disk may hang. Dropping the future ends the
    /// wait.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_aside(
        config: &Config,
        discovery: Discovery,
        on_recorded: OnRecorded,
        reread: Reread,
    ) -> Result<Self, StartError> {
        let config = config.clone();
        threads::run_on_new("start", move || Self::start(&config, discovery, on_recorded, reread)).await?
    }

    /// The parts that transfers need.
    #[must_use]
    pub const fn prober(&self) -> &Prober {
        &self.prober
    }

    /// The current targets; the receiver is notified of changes.
    #[must_use]
    pub fn targets(&self) -> watch::Receiver<Arc<Targets>> {
        self.targets.clone()
    }

    /// The thread on which transfers run.
    #[must_use]
    pub const fn measuring(&self) -> &MeasuringThread {
        &self.measuring
    }

    /// The thread on which status checks run.
    pub(super) const fn checks(&self) -> &MeasuringThread {
        &self.checks
    }

    /// The parts that status checks need.
    pub(super) const fn checker(&self) -> &Prober {
        &self.checker
    }

    /// The most connections that runs may have open.
    pub(super) const fn connections(&self) -> usize {
        self.connections
    }

    /// The progress of the status round under way: how many nodes have answered or timed out, and how many there are.
    pub const fn checked(&self) -> &watch::Sender<(usize, usize)> {
        &self.checked
    }

    /// The worker's counters.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The recent history of each node.
    pub(super) const fn histories(&self) -> &NodeHistories {
        &self.histories
    }

    /// A function that hands samples to the recorder, for use in another task. It never blocks.
    pub fn sink(&self) -> impl FnMut(Sample) + Send + 'static {
        let inbox = self.inbox.clone();
        move |sample| inbox.record(sample)
    }

    /// The thread that writes the state files.
    pub(super) const fn state_writer(&self) -> &StateWriter {
        &self.state_writer
    }

    /// The admission control that was loaded at the start; `None` after the first call.
    pub(super) fn take_admission(&self) -> Option<AdmissionControl> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The start times of nodes.
    pub(super) fn restarts(&self) -> &Restarts {
        &self.restarts
    }

    /// Hands a point that belongs to no sample to the recorder.
    pub(super) fn record(&self, point: Point) {
        self.inbox.record_point(point);
    }

    /// Writes and seals all results, then delivers for at most `patience` or until `hurry` completes. What is not
    /// delivered waits for the next start. A slow disk delays the stop by 10 s at most, and by 5 s after `hurry`;
    /// results that are not written by the end of that time are lost.
    pub async fn stop(mut self, patience: Duration, hurry: impl Future<Output = ()>) -> Stopped {
        self.tasks.abort_all();
        let recorded_by = Instant::now() + DISK;
        // While results are delivered, the disk has that time too.
        let deadline = if self.delivers { recorded_by + patience } else { recorded_by };
        let (hurried, is_hurried) = watch::channel(false);
        let stopping = async {
            if self.tally.is_full() {
                // The points in memory are lost unless there is room now.
                before(signal(&is_hurried), self.outbox.make_room(recorded_by)).await;
            }
            let (sealed, is_sealed) = oneshot::channel();
            let inbox = self.inbox;
            let delivering = async {
                // A file that is not sealed in time stays on disk, and the next start recovers it.
                before(signal(&is_hurried), timeout_at(recorded_by, is_sealed)).await;
                self.outbox.finish(patience, signal(&is_hurried), deadline).await
            };
            let given_up = || given_up(deadline, signal(&is_hurried));
            tokio::join!(inbox.finish(sealed, given_up()), delivering, self.state_writer.stop(given_up()))
        };
        let hurrying = async {
            hurry.await;
            hurried.send_replace(true);
            future::pending().await
        };
        let (lost, OutboxEnd { drained, waiting }, kept) = tokio::select! {
            stopped = stopping => stopped,
            never = hurrying => never,
        };
        if !kept {
            tracing::warn!("the disk is too slow: the state of the budgets may not be written");
        }
        Stopped { drained, lost, waiting: waiting.unwrap_or_default(), is_cut_short: waiting.is_none() }
    }
}

/// Completes at `deadline`, or [`GRACE`] after `hurry` if that is earlier.
async fn given_up(deadline: Instant, hurry: impl Future<Output = ()>) {
    if timeout_at(deadline, hurry).await.is_ok() {
        sleep_until(deadline.min(Instant::now() + GRACE)).await;
    }
}

/// Completes when the value is `true`.
fn signal(is_hurried: &watch::Receiver<bool>) -> impl Future<Output = ()> + use<> {
    let mut is_hurried = is_hurried.clone();
    async move { _ = is_hurried.wait_for(|hurried| *hurried).await }
}

/// Waits for `work`, but no longer than until `hurry` completes.
async fn before<T>(hurry: impl Future<Output = ()>, work: impl Future<Output = T>) {
    tokio::select! {
        _ = work => {}
        () = hurry => {}
    }
}

/// A short fingerprint of the config: the first 8 hex digits of the BLAKE3 hash of its debug output. Secrets are
/// printed as stars there.
fn hash(config: &Config) -> String {
    blake3::hash(format!("{config:?}").as_bytes()).to_hex()[..8].to_owned()
}

/// The longest time by which the disk may delay the end.
const DISK: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_shortens_the_wait_for_the_disk() {
        let cases = [(None, 10), (Some(0), 5), (Some(2), 7), (Some(8), 10), (Some(12), 10)];
        for (hurried, expected) in cases {
            let began = Instant::now();
            let hurry = async {
                match hurried {
                    Some(seconds) => sleep(Duration::from_secs(seconds)).await,
                    None => future::pending().await,
                }
            };
            given_up(began + DISK, hurry).await;
            let seconds = Instant::now().duration_since(began).as_secs();
            assert_eq!(seconds, expected, "with a second signal after {hurried:?} s");
        }
    }
}
