//! What the demo's nodes are to be like, as data.

use std::time::Duration;

use crate::model::units::BitRate;

/// The path prefix of every demo node, as real distributors mostly have one.
pub const PREFIX: &str = "/distributor";

/// Id of the image sample: the working group's fixed thumbnail.
pub const IMAGE_ID: &str = "1343";

/// Id of the video sample: the working group's fixed video.
pub const VIDEO_ID: &str = "552149";

/// Id of an image that each node knows but has not cached at start. Not among [`crate::model::target::Node::assets`].
pub const UNCACHED_IMAGE_ID: &str = "270398";

/// Id of a video, 8 MiB too, that each node knows but has not cached at start; likewise unlisted.
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
    /// How long it takes to fetch an object that it has not cached.
    pub fetch: Duration,
}

/// How a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should.
    Sound,
    /// As it should, each answer so much later, to about 0.2 ms.
    SlowBackEnd(Duration),
    /// Each download (GET of an asset that it serves) meets the next fault of the cycle. HEAD requests meet none.
    Failing(Vec<Fault>),
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
    /// The demo's fleet: fast over TLS, limited to 20 Mbit/s, slow back end of 80 ms, failing in turn.
    #[must_use]
    pub fn standard() -> Vec<Self> {
        let fast = Self {
            id: "fast",
            region: "eu-central",
            country: "DE",
            place: (50.11, 8.68),
            description: "fast: 200 Mbit/s, HTTPS with HTTP/2",
            tls: true,
            link: Some(BitRate(200_000_000)),
            behaviour: Behaviour::Sound,
            fetch: Duration::from_secs(2),
        };
        let limited = Self {
            id: "limited",
            region: "us-east",
            country: "US",
            place: (39.04, -77.49),
            description: "its link carries 20 Mbit/s of payload",
            tls: false,
            link: Some(BitRate(20_000_000)),
            ..fast.clone()
        };
        let slow = Self {
            id: "slow-backend",
            region: "ap-southeast",
            country: "SG",
            place: (1.35, 103.82),
            description: "its back end answers 80 ms late, its link carries 100 Mbit/s",
            link: Some(BitRate(100_000_000)),
            behaviour: Behaviour::SlowBackEnd(Duration::from_millis(80)),
            ..limited.clone()
        };
        let failing = Self {
            id: "failing",
            region: "sa-east",
            country: "BR",
            place: (-23.55, -46.63),
            description: "fails in turn: 500, reset, stall of 3 s, short body, 404, then one good answer",
            link: Some(BitRate(50_000_000)),
            behaviour: Behaviour::Failing(vec![
                Fault::ServerError,
                Fault::ResetMidBody,
                Fault::StallMidBody(Duration::from_secs(3)),
                Fault::TruncatedBody,
                Fault::ObjectNotFound,
                Fault::None,
            ]),
            ..slow.clone()
        };
        vec![fast, limited, slow, failing]
    }
}
