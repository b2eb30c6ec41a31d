//! What the demo's nodes are to be like, as data.

use std::time::Duration;

use crate::model::{
    target::AssetKind,
    units::{BitRate, Bytes},
};

/// The path prefix of every demo node, as real distributors mostly have one.
pub const PREFIX: &str = "/distributor";

/// Id of the image sample: the working group's fixed thumbnail.
pub const IMAGE_ID: &str = "1343";

/// Id of the video sample: the working group's fixed video.
pub const VIDEO_ID: &str = "552149";

/// Id of an image that each node knows but has not cached at start.
pub const UNCACHED_IMAGE_ID: &str = "270398";

/// Id of a video that each node knows but has not cached at start.
pub const UNCACHED_VIDEO_ID: &str = "270399";

/// Id of an object that exists but that no demo node serves: 421.
pub const ELSEWHERE_ID: &str = "7";

/// One node of the fleet.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// The node's id.
    pub id: &'static str,
    /// Its region label.
    pub region: &'static str,
    /// Two-letter country code.
    pub country: &'static str,
    /// Latitude and longitude of its pretended place, in degrees.
    pub place: (f64, f64),
    /// One clause for a person: what this node is like.
    pub description: &'static str,
    /// Behind a TLS proxy that speaks HTTP/2 and HTTP/1.1 by ALPN? Else plain HTTP/1.1.
    pub tls: bool,
    /// The payload rate of its link; unlimited without.
    pub link: Option<BitRate>,
    /// How it answers.
    pub behaviour: Behaviour,
    /// What it holds at start.
    pub holds: Holds,
    /// What becomes of an object that it does not hold, once somebody asks for it.
    pub fetch: Fetch,
    /// When a viewer who is none of ours asks for all that it does not hold, after its start.
    pub viewer: Option<Duration>,
    /// The assets that a config would list, in this order.
    pub assets: &'static [(AssetKind, &'static str)],
}

/// How a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should.
    Sound,
    /// As it should, each answer so much later, to about 0.2 ms.
    SlowBackEnd(Duration),
    /// As it should, but nothing flows for a while whenever so many bytes of a body have: what TCP makes of a path that
    /// loses packets in bursts.
    Stalling {
        /// Bytes between two pauses.
        every: Bytes,
        /// How long each one is.
        pause: Duration,
    },
    /// As it should, but assets are never answered, not even HEAD: what a node does that cannot reach its disk.
    MuteOnAssets,
    /// As it should, but its status fails: what a node does while its query node is down.
    FailingStatus,
    /// Each download (GET of an asset that it serves) meets the next fault of the cycle. HEAD requests meet none.
    Failing(Vec<Fault>),
}

/// What a node holds at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The image and the video.
    Samples,
    /// Nothing.
    Nothing,
}

/// What becomes of an object that a node does not hold, once somebody asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// It is pending for so long, and a hit from then on.
    Takes(Duration),
    /// It is passed through from storage each time and stays a miss, as objects above the node's size limit do.
    Never,
}

/// What goes wrong with one download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 500, with the JSON of a failed fetch from storage.
    ServerError,
    /// The connection is reset after half of the body. On HTTP/2 it is the stream.
    ResetMidBody,
    /// Nothing flows for a while after half of the body; then the rest comes.
    StallMidBody(Duration),
    /// The connection is closed after half of the body.
    TruncatedBody,
    /// 404, with the JSON of an unknown object.
    ObjectNotFound,
    /// None.
    None,
}

impl NodePlan {
    /// The demo's fleet, one node for each answer that a person looks for: fast over TLS, limited to 15 Mbit/s, slow back
    /// end of 80 ms, stalling, always missing, failing in turn. The first asset of the limited node is a miss until a
    /// viewer asks for it.
    #[must_use]
    pub fn standard() -> Vec<Self> {
        vec![fast(), limited(), slow_backend(), stalling(), missing(), failing()]
    }
}

fn fast() -> NodePlan {
    NodePlan {
        id: "fast",
        region: "eu-central",
        country: "DE",
        place: (50.11, 8.68),
        description: "200 Mbit/s, HTTPS with HTTP/2",
        tls: true,
        link: Some(BitRate(200_000_000)),
        behaviour: Behaviour::Sound,
        holds: Holds::Samples,
        fetch: Fetch::Takes(Duration::from_secs(2)),
        viewer: None,
        assets: SAMPLES,
    }
}

fn limited() -> NodePlan {
    NodePlan {
        id: "limited",
        region: "us-east",
        country: "US",
        place: (39.04, -77.49),
        description: "15 Mbit/s, below the standard; one image is not cached at first",
        tls: false,
        link: Some(BitRate(15_000_000)),
        viewer: Some(Duration::from_secs(5)),
        assets: &[(AssetKind::Image, UNCACHED_IMAGE_ID), (AssetKind::Image, IMAGE_ID), (AssetKind::Video, VIDEO_ID)],
        ..fast()
    }
}

fn slow_backend() -> NodePlan {
    NodePlan {
        id: "slow-backend",
        region: "ap-southeast",
        country: "SG",
        place: (1.35, 103.82),
        description: "100 Mbit/s, but its back end answers 80 ms late",
        tls: false,
        link: Some(BitRate(100_000_000)),
        behaviour: Behaviour::SlowBackEnd(Duration::from_millis(80)),
        ..fast()
    }
}

fn stalling() -> NodePlan {
    NodePlan {
        id: "stalling",
        region: "sa-east",
        country: "BR",
        place: (-23.55, -46.63),
        description: "60 Mbit/s, but nothing flows for half a second after every 2 MiB",
        tls: false,
        link: Some(BitRate(60_000_000)),
        behaviour: Behaviour::Stalling { every: Bytes(2 << 20), pause: Duration::from_millis(500) },
        ..fast()
    }
}

fn missing() -> NodePlan {
    NodePlan {
        id: "missing",
        region: "af-south",
        country: "ZA",
        place: (-33.92, 18.42),
        description: "caches nothing: it fetches everything from storage, always a miss",
        tls: false,
        holds: Holds::Nothing,
        fetch: Fetch::Never,
        ..fast()
    }
}

fn failing() -> NodePlan {
    NodePlan {
        id: "failing",
        region: "ap-northeast",
        country: "JP",
        place: (35.68, 139.69),
        description: "fails in turn: 500, reset, stall of 3 s, short body, 404, then one good answer",
        tls: false,
        link: Some(BitRate(50_000_000)),
        behaviour: Behaviour::Failing(vec![
            Fault::ServerError,
            Fault::ResetMidBody,
            Fault::StallMidBody(Duration::from_secs(3)),
            Fault::TruncatedBody,
            Fault::ObjectNotFound,
            Fault::None,
        ]),
        ..fast()
    }
}

const SAMPLES: &[(AssetKind, &str)] = &[(AssetKind::Image, IMAGE_ID), (AssetKind::Video, VIDEO_ID)];
