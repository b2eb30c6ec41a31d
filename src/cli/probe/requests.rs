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
    probe::{Prober, request::TransferRequest, requested_bytes::RequestedBytes},
};

/// The transfers that the arguments ask for: in each round one cold transfer, then the warm ones.
pub(super) struct TransferRequests {
    url: url::Url,
    node: Node,
    asset: Asset,
    kind: Option<AssetKind>,
    extent: Extent,
    repeat: u32,
    warm: u32,
    deadlines: Deadlines,
}

impl TransferRequests {
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

    /// Runs all transfers. Each one starts only when there is room for its result, so a slow reader delays the next
    /// transfer but never one that has begun.
    pub(super) async fn run(self, prober: &Prober, results: Sender<Sample>) {
        let mut size = None;
        for _ in 0..self.repeat {
            if self.round(prober, &results, &mut size).await.is_err() {
                return;
            }
        }
    }

    /// Runs one cold transfer and the warm ones after it. Stops at the first one that fails.
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
            let request = TransferRequest {
                node: &self.node,
                probe: &name,
                kind: self.kind,
                part: part(self.extent),
                asset: &self.asset,
                url: &self.url,
                wanted: RequestedBytes::of(self.extent, None).unwrap_or(RequestedBytes::Whole),
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
            let mut done = request.run(prober, kept.take()).await;
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

/// A range from offset 0 is a start, the last bytes are a tail, and any other range is a seek.
const fn part(extent: Extent) -> PartName {
    match extent {
        Extent::Full => PartName::Full,
        Extent::Exactly { first: 0, .. } | Extent::First(_) => PartName::Start,
        Extent::Last(_) => PartName::Tail,
        Extent::From { .. } | Extent::Exactly { .. } => PartName::Seek,
    }
}
