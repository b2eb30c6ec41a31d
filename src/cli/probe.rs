//! `bandprobe probe URL`: probes one URL from this machine, now.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::sleep,
};

use crate::{
    config::{AllowPrivate, Limits, Network, Resolver},
    model::{sample::Sample, target::Vantage, units::Bytes},
    net::dial::Dialer,
    probe::{
        Prober, gate::Gate, identity::user_agent, status::web_server::HeadRefusals, vantage_health::VantageHealth,
    },
    record::{json, transfer::transfer},
    worker::{measuring::MeasuringThread, resolver},
};

mod requests;

use self::requests::TransferRequests;
use super::{
    Exit,
    args::Probe,
    eprint, input, print, print_data,
    repeated::{MAX_PICTURES, Repeated},
    signals::Signals,
    terminal, waterfall,
};

pub(super) async fn probe(args: &Probe) -> anyhow::Result<Exit> {
    if matches!(args.http, super::args::Http::Http2) && args.url.scheme() == "http" {
        eprint("--http 2 needs an https URL: HTTP/2 is negotiated during the TLS handshake");
        return Ok(Exit::Usage);
    }
    let mut prober = prober(args)?;
    let signals = Signals::listen()?;
    // A freeze is not logged here, because the affected transfers report it.
    let measuring = MeasuringThread::start(|_| {})?;
    prober.dialer = prober.dialer.with_clock(measuring.clock().clone());
    let requests = TransferRequests::of(args);
    let (results, mut arriving) = mpsc::channel(MAX_WAITING);
    let transfers = measuring.begin(async move { requests.run(&prober, results).await });
    let (end, mut ended) = watch::channel(None);
    // In another thread, because a write to a terminal or pipe that nothing reads blocks this one, and signals must not
    // wait.
    let _watching = measuring.begin(until_signalled(transfers, signals, end));
    let mut output = Output::new(args);
    let mut exit = Exit::Done;
    let mut batch = vec![];
    while arriving.recv_many(&mut batch, MAX_WAITING).await > 0 {
        if batch.iter().any(|sample| !sample.outcome.is_ok()) {
            exit = Exit::ProbeFailed;
        }
        output.show(&batch)?;
        batch.clear();
        tokio::select! {
            _ = ended.changed() => {}
            () = sleep(PAUSE) => {}
        }
    }
    output.end()?;
    let end = *ended.wait_for(Option::is_some).await.context("this is a bug in bandprobe, please report it")?;
    if end == Some(End::Signal) {
        eprint(&format!("interrupted: {} of {} transfers had finished", output.count, output.planned));
        return Ok(Exit::Failed);
    }
    Ok(exit)
}

/// Why there are no more transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All of them were made.
    Completed,
    /// A signal arrived. Finished transfers are still printed.
    Signal,
}

/// Ends the transfers at the first signal, and the process at the next one, which means that the user does not want to
/// wait for the output. If the transfers panic, it returns without sending to `end`.
async fn until_signalled(mut transfers: JoinSet<()>, mut signals: Signals, end: watch::Sender<Option<End>>) {
    tokio::select! {
        ended = transfers.join_next() => {
            if let Some(Err(_)) = ended {
                return;
            }
            end.send_replace(Some(End::Completed));
            signals.next().await;
        }
        () = signals.next() => {}
    }
    drop(transfers);
    end.send_replace(Some(End::Signal));
    signals.end_at_another().await;
}

/// A prober without restrictions, because a person at a terminal may probe any URL.
fn prober(args: &Probe) -> anyhow::Result<Prober> {
    let extra_ca = match &args.ca_file {
        None => None,
        Some(path) => {
            let bytes = input::read(path).with_context(|| format!("--ca-file {}", path.display()))?;
            let text = String::from_utf8(bytes).with_context(|| format!("--ca-file {}: not PEM", path.display()))?;
            Some(Arc::from(text))
        }
    };
    let network = Network {
        allow_private: AllowPrivate::Everywhere,
        resolver: Resolver::System,
        http: args.http.into(),
        family: args.family.into(),
        extra_ca,
        contact: None,
    };
    Ok(Prober {
        dialer: Dialer::new(&network, resolver::for_transfers(&network.resolver, 1))?,
        gate: Gate::new(&UNLIMITED),
        vantage_health: VantageHealth::default(),
        head_refusals: HeadRefusals::default(),
        vantage: Arc::new(Vantage {
            id: "local".into(),
            worker: "local".into(),
            uplink: None,
            country: None,
            location: None,
        }),
        agent: user_agent(None).into(),
    })
}

/// How transfers are printed: as JSON, as waterfalls, or, if there are many, as lines with a summary at the end.
struct Output<'a> {
    args: &'a Probe,
    many: Option<Repeated>,
    count: u64,
    planned: u64,
}

impl<'a> Output<'a> {
    fn new(args: &'a Probe) -> Self {
        let planned = u64::from(args.repeat) * (u64::from(args.warm) + 1);
        let many = (!args.json && planned > MAX_PICTURES).then(Repeated::default);
        Self { args, many, count: 0, planned }
    }

    fn show(&mut self, samples: &[Sample]) -> anyhow::Result<()> {
        self.count += samples.len() as u64;
        let mut text = String::new();
        if self.args.json {
            for sample in samples {
                json::encode(&transfer(sample), &mut text);
            }
            return print_data(text.as_bytes());
        }
        let look = terminal::look();
        for sample in samples {
            let line = self.many.as_mut().map(|many| many.add(sample, look));
            text += &line
                .filter(|_| !self.args.verbose)
                .unwrap_or_else(|| waterfall::draw(&self.args.url, sample, look, self.args.verbose));
        }
        print(&text)
    }

    fn end(&self) -> anyhow::Result<()> {
        self.many.as_ref().map_or(Ok(()), |many| print(&many.summary(terminal::look())))
    }
}

/// No limits matter, because nothing else measures in this process.
const UNLIMITED: Limits = Limits {
    vantages: 1,
    bytes_per_day: Bytes(u64::MAX),
    bytes_per_node_per_day: Bytes(u64::MAX),
    cold_fetches_per_node_per_day: 1,
    heavy_transfers: 1,
    light_transfers: 1,
    transfers_per_node: 1,
};

/// How long results are collected before they are printed. Short transfers can end by the thousand per second, and a
/// wake-up for each would cost half as much again as printing it.
const PAUSE: Duration = Duration::from_millis(50);

/// The most results that wait to be printed. When there are this many, the next transfer waits until there is room.
/// More than the fastest node yields in one [`PAUSE`].
const MAX_WAITING: usize = 1_000;
