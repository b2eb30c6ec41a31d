//! Everything that stands between a probe and the database, started and stopped as one:
//!
//! ```text
//! measuring thread ── samples ──▶ recorder ── lines ──▶ archive ── files ──▶ shipping ──▶ InfluxDB
//! ```

use std::{io, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    archive::{self, log::Writer, status::status},
    config::Config,
    deliver::{event::Drained, influx},
    model::{sample::Sample, target::Targets},
    net::dial::{Dialer, DialerError},
    probe::{Prober, gate::Gate, identity::user_agent, suspicion::Suspicion},
    record::point::Point,
};

use super::{
    discovery::Discovery,
    measuring::Measuring,
    recorder::{Inbox, OnRecorded, Recorder},
    shipping::{Reread, Shipping, take_over},
    tally::Tally,
};

/// The running pipeline.
pub struct Pipeline {
    config: Config,
    prober: Prober,
    targets: watch::Receiver<Arc<Targets>>,
    tally: Tally,
    inbox: Inbox,
    tasks: JoinSet<()>,
    shipping: tokio::sync::oneshot::Receiver<Shipping>,
    stop_shipping: Option<tokio::sync::oneshot::Sender<()>>,
    measuring: Measuring,
}

/// Why a worker cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data directory.
    #[error("the data directory cannot be used; set `archive.dir` to one that this user can write")]
    Archive(#[from] archive::Error),
    /// Connections cannot be made.
    #[error(transparent)]
    Dialer(#[from] DialerError),
    /// The database client.
    #[error(transparent)]
    Influx(#[from] influx::Error),
    /// No thread.
    #[error("the measuring thread cannot be started")]
    Thread(#[from] io::Error),
}

/// What became of the results when the pipeline was stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stopped {
    /// What was delivered since the start, and why the rest waits.
    pub drained: Drained,
    /// Points lost to a disk that refused.
    pub lost: u64,
    /// Points that wait in the archive.
    pub waiting: u64,
}

impl Pipeline {
    /// Starts it: takes over what a killed process left, keeps the list of nodes current, and waits for samples.
    /// `on_recorded` is told of each one once it is in the archive; `reread` is asked for `[influxdb]` while delivery waits
    /// for a person to mend it.
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
        take_over(dir, &tally);
        let gate = Gate::new(&config.limits);
        let mut shipping = Shipping::new(&config.archive, config.influxdb.as_ref(), resolver, reread, gate.clone())?;
        let recorder = Recorder::new(config, &hash(config), writer, tally.clone(), on_recorded);
        let measuring = Measuring::start()?;

        let mut tasks = JoinSet::new();
        let (inbox, recording) = recorder.start();
        tasks.spawn(recording);
        let (publish, targets) = watch::channel(Arc::new(discovery.targets()));
        tasks.spawn(discovery.keep_current(publish, tally.clone()));
        let (stop_shipping, stopped) = tokio::sync::oneshot::channel();
        let (give_back, shipping_back) = tokio::sync::oneshot::channel();
        let at_work = (config.archive.clone(), inbox.clone(), tally.clone());
        tasks.spawn(async move {
            let (archive, inbox, tally) = at_work;
            tokio::select! {
                () = shipping.work(&archive, &inbox, &tally) => {}
                _ = stopped => {}
            }
            let _ = give_back.send(shipping);
        });
        let prober = Prober {
            dialer,
            gate,
            suspicion: Suspicion::default(),
            vantage: Arc::new(config.vantage.clone()),
            agent: user_agent(config.network.contact.as_deref()).into(),
        };
        Ok(Self {
            config: config.clone(),
            prober,
            targets,
            tally,
            inbox,
            tasks,
            shipping: shipping_back,
            stop_shipping: Some(stop_shipping),
            measuring,
        })
    }

    /// What transfers need.
    #[must_use]
    pub const fn prober(&self) -> &Prober {
        &self.prober
    }

    /// Whom to ask, now and from now on.
    #[must_use]
    pub fn targets(&self) -> watch::Receiver<Arc<Targets>> {
        self.targets.clone()
    }

    /// Where transfers run.
    #[must_use]
    pub const fn measuring(&self) -> &Measuring {
        &self.measuring
    }

    /// The worker's counters.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Where samples go, for use in another task.
    pub fn sink(&self) -> impl FnMut(Sample) + Send + 'static {
        let inbox = self.inbox.clone();
        move |sample| inbox.record(sample)
    }

    /// What it was started with.
    pub(super) const fn config(&self) -> &Config {
        &self.config
    }

    /// Hands over a point that is no sample's.
    pub(super) fn record(&self, point: Point) {
        self.inbox.record_point(point);
    }

    /// Writes and seals what there is, then delivers for at most `patience` or until `hurry`. What is not delivered by then
    /// waits for the next start.
    pub async fn stop(mut self, patience: Duration, hurry: impl Future<Output = ()>) -> Stopped {
        drop(self.stop_shipping.take());
        let shipping = (&mut self.shipping).await.ok();
        let mut shipping = shipping;
        if let Some(shipping) = shipping.as_mut().filter(|_| self.tally.is_full()) {
            // The last chance of what waits in memory.
            shipping.make_room();
        }
        let lost = self.inbox.finish().await;
        let drained = match shipping {
            Some(shipping) => shipping.finish(patience, hurry, &self.config.archive, &self.tally).await,
            None => Drained::default(),
        };
        self.tasks.abort_all();
        let waiting = status(&self.config.archive.dir).map_or(0, |status| status.spool.points + status.open.points);
        Stopped { drained, lost, waiting }
    }
}

/// Tells configs apart: the first 8 hex digits of the BLAKE3 hash of what was configured. Secrets print as stars.
fn hash(config: &Config) -> String {
    blake3::hash(format!("{config:?}").as_bytes()).to_hex()[..8].to_owned()
}
