//! The distributors of the simulated network, and the condition of each that bandprobe should detect.

/// A distributor, as the registry lists it and as it behaves.
#[derive(Clone, Copy, Debug)]
pub(in crate::demo) struct NodeSpec {
    pub(in crate::demo) name: &'static str,
    /// The id of the worker that runs it.
    pub(in crate::demo) worker: u32,
    /// Ids of its buckets, as `{family}:{index}`.
    pub(in crate::demo) buckets: &'static [&'static str],
    pub(in crate::demo) place: Place,
    pub(in crate::demo) condition: NodeCondition,
    /// One clause for people.
    pub(in crate::demo) description: &'static str,
}

/// The registered location of a node.
#[derive(Clone, Copy, Debug)]
pub(in crate::demo) struct Place {
    pub(in crate::demo) country: &'static str,
    pub(in crate::demo) city: &'static str,
    pub(in crate::demo) latitude: f64,
    pub(in crate::demo) longitude: f64,
}

/// A condition of a node that bandprobe should detect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeCondition {
    /// None: the node is healthy.
    Healthy,
    /// Its query node is hundreds of blocks behind.
    Behind,
    /// It reports `nodeEnv: development`.
    Development,
    /// It follows another chain.
    OtherChain,
    /// Its bucket is switched off. The node is healthy.
    SwitchedOff,
    /// Its bucket is switched off, and its query node is tens of thousands of blocks behind.
    LeftBehind,
    /// Its cache is empty, and it cannot reach a storage node.
    Starved,
    /// Its status fails, but it serves assets.
    StatusFails,
    /// Its port is closed.
    Dead,
    /// It answers status requests at once but never requests for assets.
    Mute,
    /// Its images do not match the hashes in the registry.
    Corrupt,
    /// Its endpoint is a private address. A trap there counts connections.
    PrivateAddress,
    /// Its operator is invited and has not accepted, so it must not be contacted. A trap counts connections.
    Invited,
    /// Its operator has published no metadata, so neither endpoint nor location is known.
    NoMetadata,
}

impl NodeCondition {
    /// Whether the lead has switched off the bucket.
    #[must_use]
    pub const fn is_switched_off(self) -> bool {
        matches!(self, Self::SwitchedOff | Self::LeftBehind)
    }
}

/// A family of distribution buckets.
#[derive(Clone, Copy, Debug)]
pub(in crate::demo) struct Family {
    pub(in crate::demo) id: &'static str,
    pub(in crate::demo) region: &'static str,
    pub(in crate::demo) description: &'static str,
}

pub(in crate::demo) const FAMILIES: [Family; 5] = [
    Family { id: "1", region: "eu-west-1", description: "Western Europe" },
    Family { id: "2", region: "us-east-1", description: "North America" },
    Family { id: "3", region: "ap-southeast-1", description: "Asia and Oceania" },
    Family { id: "4", region: "sa-east-1", description: "South America" },
    Family { id: "5", region: "af-south-1", description: "Africa" },
];

pub(in crate::demo) const DISTRIBUTORS: [NodeSpec; 17] = [
    sound("paris", 1, &["1:0", "1:1"], place("FR", "Paris", 48.8566, 2.3522), "healthy; two buckets at one endpoint"),
    sound("virginia", 2, &["2:0"], place("US", "Ashburn", 39.0438, -77.4874), "healthy"),
    sound("singapore", 3, &["3:0"], place("SG", "Singapore", 1.3521, 103.8198), "healthy"),
    sound("sao-paulo", 4, &["4:0"], place("BR", "São Paulo", -23.5505, -46.6333), "healthy"),
    NodeSpec {
        condition: NodeCondition::Behind,
        ..sound("tokyo", 5, &["3:1"], place("JP", "Tokyo", 35.6762, 139.6503), "its query node is 250 blocks behind")
    },
    NodeSpec {
        condition: NodeCondition::Development,
        ..sound("helsinki", 6, &["1:2"], place("FI", "Helsinki", 60.1699, 24.9384), "runs with nodeEnv development")
    },
    NodeSpec {
        condition: NodeCondition::OtherChain,
        ..sound("nairobi", 7, &["5:0"], place("KE", "Nairobi", -1.2921, 36.8219), "follows another chain")
    },
    NodeSpec {
        condition: NodeCondition::SwitchedOff,
        ..sound(
            "oregon",
            8,
            &["2:1"],
            place("US", "Portland", 45.5152, -122.6784),
            "healthy; its bucket is switched off",
        )
    },
    NodeSpec {
        condition: NodeCondition::Dead,
        ..sound("warsaw", 9, &["1:3"], place("PL", "Warsaw", 52.2297, 21.0122), "dead: its port is closed")
    },
    NodeSpec {
        condition: NodeCondition::Mute,
        ..sound("lagos", 10, &["5:1"], place("NG", "Lagos", 6.5244, 3.3792), "answers status at once and assets never")
    },
    NodeSpec {
        condition: NodeCondition::Corrupt,
        ..sound("sydney", 11, &["3:2"], place("AU", "Sydney", -33.8688, 151.2093), "its images are corrupt")
    },
    NodeSpec {
        condition: NodeCondition::PrivateAddress,
        ..sound(
            "inside",
            12,
            &["4:1"],
            place("AR", "Buenos Aires", -34.6037, -58.3816),
            "a private address, which must not be contacted",
        )
    },
    NodeSpec {
        condition: NodeCondition::Invited,
        ..sound(
            "invited",
            13,
            &["4:2"],
            place("CL", "Santiago", -33.4489, -70.6693),
            "only invited, so it must not be contacted",
        )
    },
    NodeSpec {
        condition: NodeCondition::NoMetadata,
        ..sound(
            "unknown",
            14,
            &["5:2"],
            place("ZA", "Cape Town", -33.9249, 18.4241),
            "its operator has set no endpoint",
        )
    },
    NodeSpec {
        condition: NodeCondition::LeftBehind,
        ..sound(
            "dublin",
            15,
            &["1:4"],
            place("IE", "Dublin", 53.3498, -6.2603),
            "switched off; its query node is stuck",
        )
    },
    NodeSpec {
        condition: NodeCondition::Starved,
        ..sound(
            "cairo",
            16,
            &["5:3"],
            place("EG", "Cairo", 30.0444, 31.2357),
            "its cache is empty, and it cannot reach storage",
        )
    },
    NodeSpec {
        condition: NodeCondition::StatusFails,
        ..sound(
            "mumbai",
            17,
            &["3:3"],
            place("IN", "Mumbai", 19.076, 72.8777),
            "its status fails, but it serves assets",
        )
    },
];

/// The storage nodes: name, bucket, worker, location.
pub(in crate::demo) const STORAGE: [(&str, &str, u32, Place); 2] = [
    ("storage-0", "0", 20, place("DE", "Falkenstein", 50.4779, 12.3713)),
    ("storage-1", "1", 21, place("CA", "Beauharnois", 45.3151, -73.8779)),
];

const fn sound(
    name: &'static str,
    worker: u32,
    buckets: &'static [&'static str],
    place: Place,
    description: &'static str,
) -> NodeSpec {
    NodeSpec { name, worker, buckets, place, condition: NodeCondition::Healthy, description }
}

const fn place(country: &'static str, city: &'static str, latitude: f64, longitude: f64) -> Place {
    Place { country, city, latitude, longitude }
}

/// Whether a bucket must serve the objects of a bag. All buckets serve the first bag, which holds the fixed samples.
pub(in crate::demo) fn serves(bucket: &str, bag: usize) -> bool {
    let turn = bucket.bytes().filter(u8::is_ascii_digit).map(usize::from).sum::<usize>();
    bag == 0 || !(bag + turn).is_multiple_of(3)
}
