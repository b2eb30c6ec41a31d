//! The transfers of `bandprobe probe`, one after the other.

use std::sync::atomic::AtomicU64;

use tokio::sync::mpsc::{Sender, error::SendError};
use url::Position;

use crate::{
    cli::args::Probe,
    model::{
        probe::{Deadlines, Extent, MIN_RATE, PartName, Weight},
        sample::{CacheState, Sample},
        size::Size,
        target::{Asset, AssetKind, Listing, Node, Origin, Profile},
    },
    probe::{Prober, errand::Errand, wanted::Wanted},
};

/// The transfers that the arguments ask for: one cold, some warm.
pub(super) struct Errands {
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
    pub(super) fn of(args: &Probe) -> Self {
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

    /// Makes them, each as soon as there is room for its result: a slow reader holds up what comes next, and nothing
    /// that has begun.
    pub(super) async fn run(self, prober: &Prober, results: Sender<Sample>) {
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
        results: &Sender<Sample>,
        size: &mut Option<Size>,
    ) -> Result<(), SendError<()>> {
        let name = "probe".into();
        let received = AtomicU64::new(0);
        let mut kept = None;
        for number in 0..=self.warm {
            let room = results.reserve().await?;
            let errand = Errand {
                node: &self.node,
                probe: &name,
                kind: self.kind,
                part: part(self.extent),
                asset: &self.asset,
                url: &self.url,
                wanted: Wanted::of(self.extent, None).unwrap_or(Wanted::Whole),
                types: &[],
                size: *size,
                checked: CacheState::Unknown,
                weight: Weight::Light,
                min_rate: MIN_RATE,
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
            room.send(done.sample);
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
