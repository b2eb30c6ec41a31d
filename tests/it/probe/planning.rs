//! Which asset a run takes, what its checks count for, and what it does not download: against a server with a scripted
//! cache.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bandprobe::{
    config::{AllowPrivate, Network, check::shipped},
    model::{
        flag::Flag,
        outcome::Outcome,
        probe::{CachePolicy, Deadlines, PartName, Pick, Probe},
        sample::{CacheState, Sample},
        target::{Asset, AssetKind, Listing, Node, Origin, Profile},
        units::{Bytes, Micros},
    },
    probe::run::{Run, RunResult, StickyAsset},
    record::{line, window::Windows},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{network, prober_within};

mod cold;
mod decided;
mod hostile;
mod limited;

/// What the server says to a request of this method for the object of this id: the head but for its end, and the body;
/// `None` to say nothing for ever.
type Script = fn(&str, &str) -> Option<(String, Vec<u8>)>;

/// A server, and the requests that it got.
struct World {
    node: Node,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

const SIZE: usize = 2_000;

/// A good answer with these further header lines.
fn answer(lines: &str) -> Option<(String, Vec<u8>)> {
    Some((format!("HTTP/1.1 200 OK\r\ncontent-type: image/webp\r\n{lines}content-length: {SIZE}\r\n"), vec![7; SIZE]))
}

fn status(line: &str) -> Option<(String, Vec<u8>)> {
    Some((format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n"), vec![]))
}

impl World {
    async fn start(profile: Profile, ids: &[&str], script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let asked = Arc::new(Mutex::new(vec![]));
        let mut tasks = JoinSet::new();
        let log = asked.clone();
        tasks.spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                serving.spawn(serve(socket, script, log.clone()));
            }
        });
        let assets = ids.iter().map(|id| asset(id)).collect();
        let node = Node { id: "n".into(), endpoint, listing: Listing::bare(Origin::Joystream, profile), assets };
        Self { node, asked, _tasks: tasks }
    }

    /// One run; its samples, and how it ended.
    async fn run(&self, probe: &Probe, turn: usize, remembered: Option<Asset>) -> (Vec<Sample>, RunResult) {
        let node = Arc::new(self.node.clone());
        let run = Run { node, probe: Arc::new(probe.clone()), turn, remembered, due: None, received: Arc::default() };
        let mut samples = vec![];
        let lab = Network { allow_private: AllowPrivate::Everywhere, ..network(None) };
        let result = run.make(&prober_within(&lab, [1, 8, 1]), |sample| samples.push(sample)).await;
        // A run that was not scheduled is late by nothing, or did not begin.
        assert_eq!(result.lateness.unwrap_or_default(), Micros::ZERO);
        (samples, RunResult { lateness: None, ..result })
    }

    /// What was asked since the last call, as `HEAD id` and `GET id`.
    fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

async fn serve(mut socket: TcpStream, script: Script, log: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while let Ok(byte) = socket.read_u8().await {
        head.push(byte);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
        let (method, rest) = text.split_once(' ').unwrap();
        let id = rest.split(' ').next().unwrap().rsplit('/').next().unwrap();
        log.lock().unwrap().push(format!("{method} {id}"));
        let Some((head, body)) = script(method, id) else { return std::future::pending().await };
        let body = if method == "HEAD" { &[] } else { &*body };
        if socket.write_all(&[format!("{head}\r\n").as_bytes(), body].concat()).await.is_err() {
            return;
        }
    }
}

fn asset(id: &str) -> Asset {
    Asset { kind: AssetKind::Image, id: id.into(), size: None, hash: None, fixed: false }
}

/// The shipped image probe: cold and warm, and short of patience.
fn image() -> Probe {
    let deadlines = Deadlines { headers: Duration::from_millis(300), ..Deadlines::default() };
    Probe { deadlines, ..shipped("image").unwrap() }
}

/// Asset, part, what the node said of its cache, outcome, and what counts for the hit ratio.
type Row<'a> = (&'a str, Option<PartName>, CacheState, Outcome, Option<bool>);

fn rows(samples: &[Sample]) -> Vec<Row<'_>> {
    let rows = samples.iter().map(|sample| {
        let labels = &sample.labels;
        (sample.trail.asset_id.as_deref().unwrap(), labels.part, labels.cache, sample.outcome, sample.hit)
    });
    rows.collect()
}

const CHECK: Option<PartName> = Some(PartName::Check);
const FULL: Option<PartName> = Some(PartName::Full);
const HIT: CacheState = CacheState::Hit;
const MISS: CacheState = CacheState::Miss;
const OK: Outcome = Outcome::Ok;

/// Objects named h… are held, p… are on their way, g… are gone, and others are missing.
fn by_name(_: &str, id: &str) -> Option<(String, Vec<u8>)> {
    match id.get(..1) {
        Some("h") => answer("x-cache: hit\r\n"),
        Some("p") => answer("x-cache: pending\r\n"),
        Some("g") => status("421 Misdirected Request"),
        _ => answer("x-cache: miss\r\n"),
    }
}

#[tokio::test]
async fn the_drawn_asset_counts_for_the_hit_ratio() {
    let world = World::start(Profile::Argus, &["h1", "m2", "h3"], by_name).await;
    let not = Some(false);
    let (samples, result) = world.run(&image(), 1, Some(asset("h3"))).await;
    let full = ("h3", FULL, HIT, OK, None);
    assert_eq!(rows(&samples), [("h3", CHECK, HIT, OK, None), ("m2", CHECK, MISS, OK, not), full, full]);
    assert_eq!(result, RunResult { sticky: StickyAsset::Measured(asset("h3")), ..RunResult::default() });
    assert_eq!(world.take_asked(), ["HEAD h3", "HEAD m2", "GET h3", "GET h3"]);

    let (samples, _) = world.run(&image(), 2, Some(asset("h3"))).await;
    assert_eq!(rows(&samples), [("h3", CHECK, HIT, OK, Some(true)), full, full], "it is its turn: no further check");
    // Not in the list any more, but still served.
    let (samples, _) = world.run(&image(), 1, Some(asset("h-old"))).await;
    assert_eq!(samples[0].trail.asset_id.as_deref(), Some("h-old"));
    assert!(samples.len() == 4 && samples.iter().all(|sample| sample.outcome.is_ok()));
}

#[tokio::test]
async fn an_asset_that_is_gone_is_replaced_by_the_next_hit() {
    let world = World::start(Profile::Argus, &["m1", "h2", "m3"], by_name).await;
    for (remembered, turn, asked, sticky) in [
        ("m1", 1, &["HEAD m1", "HEAD h2", "GET h2", "GET h2"][..], StickyAsset::Measured(asset("h2"))),
        ("m1", 2, &["HEAD m1", "HEAD m3", "HEAD h2", "GET h2", "GET h2"], StickyAsset::Measured(asset("h2"))),
        ("gone", 0, &["HEAD gone", "HEAD m1", "HEAD h2", "GET h2", "GET h2"], StickyAsset::Measured(asset("h2"))),
    ] {
        let (_, result) = world.run(&image(), turn, Some(asset(remembered))).await;
        assert_eq!((result.sticky, world.take_asked()), (sticky, asked.map_to_strings()), "{remembered} {turn}");
    }
    let missing = World::start(Profile::Argus, &["m1", "p2", "g3", "m4", "p5", "m6", "h7"], by_name).await;
    let (samples, result) = missing.run(&image(), 1, Some(asset("m4"))).await;
    let asked = ["HEAD m4", "HEAD p2", "HEAD g3", "HEAD p5", "HEAD m6"];
    assert_eq!((result.sticky, missing.take_asked()), (StickyAsset::Gone, asked.map_to_strings()), "at most five");
    let counted: Vec<_> = samples.iter().filter_map(|sample| sample.hit).collect();
    assert_eq!(counted, [false], "the drawn one alone, however many are tried after it");
    let last = samples.last().unwrap();
    assert_eq!((last.outcome, last.labels.part, last.hit), (Outcome::NotCached, None, None));
}

trait Strings {
    fn map_to_strings(&self) -> Vec<String>;
}

impl<const N: usize> Strings for [&str; N] {
    fn map_to_strings(&self) -> Vec<String> {
        self.as_slice().map_to_strings()
    }
}

impl Strings for [&str] {
    fn map_to_strings(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[tokio::test]
async fn the_mean_of_hit_is_the_share_of_cached_objects() {
    let ids = ["m1", "h2", "m3", "m4", "h5", "p6"];
    let world = World::start(Profile::Argus, &ids, by_name).await;
    for pick in [Pick::Sticky, Pick::Rotate] {
        let (mut hits, mut counted, mut measured, mut remembered) = (0, 0, 0, None);
        for turn in 0..12 {
            let (samples, result) = world.run(&Probe { pick, ..image() }, turn, remembered.clone()).await;
            let said: Vec<_> = samples.iter().filter_map(|sample| sample.hit).collect();
            assert_eq!(said.len(), 1, "one a run");
            hits += u32::from(said[0]);
            counted += 1;
            measured += u32::from(samples.last().unwrap().labels.part == FULL);
            if let StickyAsset::Measured(asset) = result.sticky {
                remembered = Some(asset);
            }
        }
        assert_eq!((hits, counted, measured), (4, 12, 12), "{pick:?}: though every run measured a hit");
    }
}

#[tokio::test]
async fn without_a_check_the_first_transfer_counts_as_hit_or_miss() {
    let held: Script = |_, _| answer("cf-cache-status: HIT\r\nx-cache: miss\r\n");
    let missed: Script = |_, _| answer("cf-cache-status: MISS\r\n");
    let aged: Script = |_, _| answer("via: 1.1 varnish\r\nage: 17\r\n");
    let silent: Script = |_, _| answer("");
    for (script, state, hit) in [
        (held, HIT, Some(true)),
        (missed, MISS, Some(false)),
        (aged, HIT, Some(true)),
        (silent, CacheState::Unknown, None),
    ] {
        let mut world = World::start(Profile::Http, &["x"], script).await;
        world.node.listing.origin = Origin::Static;
        let (samples, result) = world.run(&image(), 0, None).await;
        assert_eq!(rows(&samples), [("x", FULL, state, OK, hit), ("x", FULL, state, OK, None)]);
        assert_eq!(result.sticky, StickyAsset::Measured(asset("x")));
    }
}

#[tokio::test]
async fn storage_nodes_are_not_drawn_from() {
    let world = World::start(Profile::Colossus, &["1", "2"], |_, _| answer("x-cache-status: MISS\r\n")).await;
    let (samples, _) = world.run(&image(), 1, None).await;
    assert_eq!(
        rows(&samples),
        [("1", CHECK, MISS, OK, None), ("1", FULL, MISS, OK, None), ("1", FULL, MISS, OK, None)]
    );
}

#[tokio::test]
async fn a_run_without_a_hit_is_reported_for_every_pick() {
    let world = World::start(Profile::Argus, &["m1", "p2"], by_name).await;
    for pick in [Pick::Sticky, Pick::Rotate, Pick::Random] {
        let (samples, _) = world.run(&Probe { pick, ..image() }, 0, None).await;
        let last = samples.last().unwrap();
        assert_eq!((samples.len(), last.labels.part, last.outcome), (3, None, Outcome::NotCached), "{pick:?}");
    }
}
