//! Real transfers and runs: dialling, permits and exchanges against the scripted server and the demo's nodes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use bandprobe::{
    config::{AllowPrivate, FamilyChoice, HttpChoice, Limits, Network, Resolver},
    model::{
        media_type::MediaRange,
        probe::{Deadlines, MIN_RATE, PartName, Weight},
        sample::CacheState,
        size::Size,
        target::{Asset, AssetKind, Listing, Node, Origin, Profile, Vantage},
        units::{BitRate, Bytes},
    },
    net::dial::Dialer,
    probe::{
        Prober,
        gate::Gate,
        identity::user_agent,
        request::TransferRequest,
        requested_bytes::RequestedBytes,
        status::web_server::HeadRefusals,
        transfer::{FinishedTransfer, KeptConnection},
        vantage_health::VantageHealth,
    },
    worker::resolver,
};
use tokio::time::Instant;
use url::Url;

pub(crate) use self::consistent::assert_consistent;

mod consistent;
mod evidence;
mod families;
mod faults;
mod guard;
pub(crate) mod names;
mod planning;
mod requests;
mod reuse;
mod runs;
mod slow;
mod turns;

/// The network section of a configuration that trusts one authority besides the system's.
pub(crate) fn network(ca: Option<&str>) -> Network {
    Network {
        allow_private: AllowPrivate::Nowhere,
        resolver: Resolver::Servers(vec![]),
        http: HttpChoice::Auto,
        family: FamilyChoice::Any,
        extra_ca: ca.map(Arc::from),
        contact: None,
    }
}

/// A prober with room for everything at once.
pub(crate) fn prober(network: &Network) -> Prober {
    prober_within(network, [64, 256, 256])
}

/// A prober with these limits for concurrent transfers: heavy, light, and to one node.
pub(crate) fn prober_within(network: &Network, [heavy, light, per_node]: [usize; 3]) -> Prober {
    let limits = Limits {
        vantages: 1,
        bytes_per_day: Bytes(u64::MAX),
        bytes_per_node_per_day: Bytes(u64::MAX),
        cold_fetches_per_node_per_day: 1,
        heavy_transfers: heavy,
        light_transfers: light,
        transfers_per_node: per_node,
    };
    let vantage = Vantage { id: "here".into(), worker: "here".into(), uplink: None, country: None, location: None };
    Prober {
        dialer: Dialer::new(network, resolver::for_transfers(&network.resolver, heavy + light)).unwrap(),
        gate: Gate::new(&limits),
        vantage_health: VantageHealth::default(),
        head_refusals: HeadRefusals::default(),
        vantage: Arc::new(vantage),
        agent: user_agent(None).into(),
    }
}

/// What to fetch, owned, so that a [`TransferRequest`] can borrow from it.
pub(crate) struct Plan {
    pub(crate) node: Node,
    pub(crate) url: Url,
    pub(crate) part: PartName,
    pub(crate) wanted: RequestedBytes,
    pub(crate) types: Vec<MediaRange>,
    pub(crate) size: Option<Size>,
    pub(crate) min_rate: BitRate,
    pub(crate) deadlines: Deadlines,
    pub(crate) checked: CacheState,
    pub(crate) weight: Weight,
    pub(crate) due: Option<Instant>,
}

impl Plan {
    /// One part of an image at a URL, the node named by the user.
    pub(crate) fn new(url: &str, part: PartName, wanted: RequestedBytes) -> Self {
        let url: Url = url.parse().unwrap();
        let node = Node {
            id: "node".into(),
            endpoint: url.join("/").unwrap().as_str().parse().unwrap(),
            listing: Listing::bare(Origin::Static, Profile::Http),
            assets: vec![Asset { kind: AssetKind::Image, id: url.path().into(), size: None, hash: None, fixed: true }],
        };
        Self {
            node,
            url,
            part,
            wanted,
            types: vec![],
            size: None,
            min_rate: MIN_RATE,
            deadlines: Deadlines::default(),
            checked: CacheState::Unknown,
            weight: Weight::Light,
            due: None,
        }
    }

    pub(crate) async fn run(&self, prober: &Prober, kept: Option<KeptConnection>) -> FinishedTransfer {
        let request = TransferRequest {
            node: &self.node,
            probe: &"test".into(),
            kind: Some(AssetKind::Image),
            part: self.part,
            asset: &self.node.assets[0],
            url: &self.url,
            wanted: self.wanted,
            types: &self.types,
            size: self.size,
            checked: self.checked,
            weight: self.weight,
            min_rate: self.min_rate,
            deadlines: &self.deadlines,
            limit: 64 << 20,
            due: self.due,
            received: &std::sync::atomic::AtomicU64::new(0),
        };
        request.run(prober, kept).await
    }
}
