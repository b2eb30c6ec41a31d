//! `bandprobe probe URL`: one URL, from here, now.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use anyhow::Context;
use tokio::{
    sync::mpsc::{UnboundedSender, error::SendError},
    task::JoinError,
    time::sleep,
};
use url::Position;

use crate::{
    config::{AllowPrivate, FamilyChoice, Limits, Network, Resolver},
    model::{
        probe::{Deadlines, Extent, PartName, Weight},
        sample::{CacheState, Sample},
        target::{Asset, AssetKind, Listing, Node, Origin, Profile, Vantage},
        units::Bytes,
    },
    net::dial::Dialer,
    probe::{Prober, errand::Errand, gate::Gate, identity::user_agent, suspicion::Suspicion, wanted::Wanted},
    record::{json, transfer::transfer},
    worker::measuring::Measuring,
};

use super::{
    Exit,
    args::Probe,
    complain, input, print, print_data,
    repeated::{MOST_PICTURES, Repeated},
    screen,
    signals::Signals,
    waterfall,
};

pub(super) async fn probe(args: &Probe) -> anyhow::Result<Exit> {
    if matches!(args.http, super::args::Http::Http2) && args.url.scheme() == "http" {
        complain("--http 2 needs an https URL: without TLS there is no way to agree on HTTP/2");
        return Ok(Exit::Usage);
    }
    let prober = prober(args)?;
    let mut signals = Signals::listen()?;
    let measuring = Measuring::start()?;
    let errands = Errands::of(args);
    let (results, mut arriving) = tokio::sync::mpsc::unbounded_channel();
    let mut transfers = measuring.begin(async move { errands.run(&prober, results).await });
    let mut shown = Shown::new(args);
    let mut exit = Exit::Done;
    let mut batch = vec![];
    loop {
        let count = tokio::select! {
            () = signals.next() => {
                shown.end()?;
                return Ok(Exit::Failed);
            }
            count = arriving.recv_many(&mut batch, MOST_AT_ONCE) => count,
        };
        if count == 0 {
            sound(transfers.join_next().await)?;
            shown.end()?;
            return Ok(exit);
        }
        if batch.iter().any(|sample| !sample.outcome.is_ok()) {
            exit = Exit::ProbeFailed;
        }
        shown.show(&batch)?;
        batch.clear();
        if !transfers.is_empty() {
            tokio::select! {
                ended = transfers.join_next() => sound(ended)?,
                () = sleep(PAUSE) => {}
            }
        }
    }
}

/// Everything is allowed that a person at a terminal asks for.
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
        family: FamilyChoice::Any,
        extra_ca,
        contact: None,
    };
    Ok(Prober {
        dialer: Dialer::new(&network)?,
        gate: Gate::new(&ALONE),
        suspicion: Suspicion::default(),
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

/// Did what has ended do so without a panic?
fn sound(ended: Option<Result<(), JoinError>>) -> anyhow::Result<()> {
    ended.transpose().context("a bug of ours, please report it").map(drop)
}

/// How transfers are told: as data, as pictures, or many of them as lines that end with what they have in common.
struct Shown<'a> {
    args: &'a Probe,
    many: Option<Repeated>,
}

impl<'a> Shown<'a> {
    fn new(args: &'a Probe) -> Self {
        let planned = u64::from(args.repeat) * (u64::from(args.warm) + 1);
        Self { args, many: (!args.json && planned > MOST_PICTURES).then(Repeated::default) }
    }

    fn show(&mut self, samples: &[Sample]) -> anyhow::Result<()> {
        let mut text = String::new();
        if self.args.json {
            for sample in samples {
                json::encode(&transfer(sample), &mut text);
            }
            return print_data(text.as_bytes());
        }
        let look = screen::look();
        let canvas = waterfall::Canvas { width: look.width, colour: look.colour };
        for sample in samples {
            let line = self.many.as_mut().map(|many| many.add(sample, look));
            text += &line
                .filter(|_| !self.args.verbose)
                .unwrap_or_else(|| waterfall::draw(&self.args.url, sample, canvas, self.args.verbose));
        }
        print(&text)
    }

    fn end(&self) -> anyhow::Result<()> {
        self.many.as_ref().map_or(Ok(()), |many| print(&many.summary(screen::look())))
    }
}

/// The transfers that the arguments ask for: one cold, some warm.
struct Errands {
    url: url::Url,
    node: Node,
    asset: Asset,
    kind: Option<AssetKind>,
    extent: Extent,
    repeat: u32,
    warm: u32,
    deadlines: Deadlines,
}

impl Errands {
    fn of(args: &Probe) -> Self {
        let url = args.url.clone();
        let kind = args.expect.map(AssetKind::from);
        let asset = Asset {
            kind: kind.unwrap_or(AssetKind::Video),
            id: url[Position::BeforePath..].into(),
            size: None,
            hash: None,
            fixed: true,
        };
        let root = &url[..Position::BeforePath];
        let node = Node {
            id: url[Position::BeforeHost..Position::AfterPort].into(),
            endpoint: root.parse().expect("invariant: the root of a checked URL is an endpoint"),
            listing: Listing::bare(Origin::Static, Profile::Http),
            assets: vec![],
        };
        let deadlines = Deadlines { body: args.deadline, ..Deadlines::default() };
        Self {
            url,
            node,
            asset,
            kind,
            extent: args.range.unwrap_or(Extent::Full),
            repeat: args.repeat,
            warm: args.warm,
            deadlines,
        }
    }

    async fn run(self, prober: &Prober, results: UnboundedSender<Sample>) {
        let mut size = None;
        for _ in 0..self.repeat {
            if self.round(prober, &results, &mut size).await.is_err() {
                return;
            }
        }
    }

    /// One cold transfer and the warm ones after it, up to the first that fails.
    async fn round(
        &self,
        prober: &Prober,
        results: &UnboundedSender<Sample>,
        size: &mut Option<Bytes>,
    ) -> Result<(), SendError<Sample>> {
        let name = "probe".into();
        let received = AtomicU64::new(0);
        let mut kept = None;
        for number in 0..=self.warm {
            let errand = Errand {
                node: &self.node,
                probe: &name,
                kind: self.kind,
                part: part(self.extent),
                asset: &self.asset,
                url: &self.url,
                wanted: Wanted::of(self.extent, None).unwrap_or(Wanted::Whole),
                size: *size,
                checked: CacheState::Unknown,
                weight: Weight::Light,
                deadlines: &self.deadlines,
                limit: u64::MAX - 1,
                due: None,
                received: &received,
            };
            let mut done = errand.run(prober, kept.take()).await;
            if number == 0 {
                done.sample.count_hit();
            }
            (*size, kept) = (done.size, done.connection);
            let ok = done.sample.outcome.is_ok();
            results.send(done.sample)?;
            if !ok {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// A range that begins at the beginning is a start; any other one is a seek.
const fn part(extent: Extent) -> PartName {
    match extent {
        Extent::Full => PartName::Full,
        Extent::Exactly { first: 0, .. } | Extent::First(_) => PartName::Start,
        Extent::Last(_) => PartName::Tail,
        Extent::From { .. } | Extent::Exactly { .. } => PartName::Seek,
    }
}

/// Nobody else measures in this process.
const ALONE: Limits = Limits {
    vantages: 1,
    bytes_per_day: Bytes(u64::MAX),
    bytes_per_node_per_day: Bytes(u64::MAX),
    cold_fetches_per_node_per_day: 1,
    heavy_transfers: 1,
    light_transfers: 1,
    transfers_per_node: 1,
};

/// Short transfers end by the thousand a second: to be woken for each would cost half as much again as telling it.
const PAUSE: Duration = Duration::from_millis(50);
const MOST_AT_ONCE: usize = 1_000;
