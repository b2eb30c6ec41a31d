//! Plans of the demo's nodes, as data: what each node is like.

use std::time::Duration;

use crate::model::{
    target::AssetKind,
    units::{BitRate, Bytes},
};

/// The path prefix of every demo node. Most real distributors have one too.
pub const PREFIX: &str = "/distributor";

/// The id of the image sample: the fixed thumbnail of the working group.
pub const IMAGE_ID: &str = "1343";

/// The id of the video sample: the fixed video of the working group.
pub const VIDEO_ID: &str = "552149";

/// The id of an image that every node knows but has not cached at the start.
pub const UNCACHED_IMAGE_ID: &str = "270398";

/// The id of a video that every node knows but has not cached at the start.
pub const UNCACHED_VIDEO_ID: &str = "270399";

/// The id of an object that exists but that no demo node serves; the status is 421.
pub const ELSEWHERE_ID: &str = "7";

/// The plan of one node.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// The node's id.
    pub id: &'static str,
    /// The region label.
    pub region: &'static str,
    /// The two-letter country code.
    pub country: &'static str,
    /// The simulated latitude and longitude, in degrees.
    pub place: (f64, f64),
    /// One clause for people that says what this node is like.
    pub description: &'static str,
    /// Whether the node is behind a TLS proxy with HTTP/2 and HTTP/1.1 (by ALPN). Otherwise it speaks plain HTTP/1.1.
    pub tls: bool,
    /// The link's rate of TCP payload; `None` means unlimited.
    pub link: Option<BitRate>,
    /// How the node answers.
    pub behaviour: Behaviour,
    /// What the node has cached at the start.
    pub holds: Holds,
    /// What happens to an object that is not cached when a client asks for it.
    pub fetch: Fetch,
    /// How long after the start a simulated viewer asks for every object that is not cached; `None` means never.
    pub viewer: Option<Duration>,
    /// The assets that a config would list, in this order.
    pub assets: &'static [(AssetKind, &'static str)],
}

/// How a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Correctly.
    Sound,
    /// Correctly, but each answer is late by this time, to about 0.2 ms.
    SlowBackEnd(Duration),
    /// Correctly, but each body pauses again and again, as on a path that loses packets in bursts.
    Stalling {
        /// The number of bytes between two pauses.
        every: Bytes,
        /// The length of each pause.
        pause: Duration,
    },
    /// Correctly, but requests for assets get no answer, not even to HEAD, as when a node cannot reach its disk.
    MuteOnAssets,
    /// Correctly, but the status fails, as when the node's query node is down.
    FailingStatus,
    /// Each download (GET of an asset that the node serves) gets the next fault of the cycle. HEAD requests get no
    /// fault.
    Failing(Vec<Fault>),
}

/// What a node has cached at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The image and the video.
    Samples,
    /// Nothing.
    Nothing,
}

/// What happens to an object that is not cached when a client asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// The object is pending for this time, and then a hit.
    Takes(Duration),
    /// Each download is passed through from storage and the object stays a miss, like objects above the node's size
    /// limit.
    Never,
}

/// What goes wrong with one download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Status 500, with the JSON of a failed fetch from storage.
    ServerError,
    /// After half of the body, the connection is reset. With HTTP/2, the stream is reset.
    ResetMidBody,
    /// After half of the body, no bytes are sent for this time. Then the rest is sent.
    StallMidBody(Duration),
    /// After half of the body, the connection is closed.
    TruncatedBody,
    /// Status 404, with the JSON of an unknown object.
    ObjectNotFound,
    /// No fault.
    None,
}

impl NodePlan {
    /// The six nodes of the demo: fast over TLS, limited to 15 Mbit/s, slow back end (80 ms), stalling, always a miss,
    /// and failing in a cycle. The first asset of the limited node is a miss until the simulated viewer asks for it.
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
