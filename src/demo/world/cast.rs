//! Who distributes in the fake world: the nodes, and what is planted in each.

/// An operator's node, as the registry lists it and as it behaves.
#[derive(Clone, Copy, Debug)]
pub(in crate::demo) struct Character {
    pub(in crate::demo) name: &'static str,
    /// The worker who runs it.
    pub(in crate::demo) worker: u32,
    /// Its buckets, `{family}:{index}`.
    pub(in crate::demo) buckets: &'static [&'static str],
    pub(in crate::demo) place: Place,
    pub(in crate::demo) planted: Planted,
    /// One clause for a person.
    pub(in crate::demo) description: &'static str,
}

/// Where a node says that it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::demo) struct Place {
    pub(in crate::demo) country: &'static str,
    pub(in crate::demo) city: &'static str,
    pub(in crate::demo) latitude: f64,
    pub(in crate::demo) longitude: f64,
}

/// What is to be found out about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Nothing: it is sound.
    Nothing,
    /// Its query node is hundreds of blocks behind.
    Behind,
    /// It runs with `nodeEnv: development`.
    Development,
    /// It follows another chain.
    OtherChain,
    /// Its bucket is switched off; it is sound.
    SwitchedOff,
    /// Its bucket is switched off, and its query node has stood still for long.
    LeftBehind,
    /// Its cache is empty, and it reaches no storage node.
    Starved,
    /// Its status fails, and it serves all the same.
    StatusFails,
    /// Its port is closed.
    Dead,
    /// It answers status at once and assets never.
    Mute,
    /// Its images are not those that the registry has the hashes of.
    Corrupt,
    /// Its endpoint is an address inside somebody's network: a trap that counts who steps into it.
    PrivateAddress,
    /// Its operator is invited and has not accepted: nobody may ask it, and a trap counts who does.
    Invited,
    /// Its operator says nothing of it, not even where it is.
    NoMetadata,
}

impl Planted {
    /// Is its bucket switched off by the lead?
    #[must_use]
    pub const fn is_switched_off(self) -> bool {
        matches!(self, Self::SwitchedOff | Self::LeftBehind)
    }
}

/// A group of buckets.
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

pub(in crate::demo) const CAST: [Character; 17] = [
    sound("paris", 1, &["1:0", "1:1"], place("FR", "Paris", 48.8566, 2.3522), "sound; two buckets at one endpoint"),
    sound("virginia", 2, &["2:0"], place("US", "Ashburn", 39.0438, -77.4874), "sound"),
    sound("singapore", 3, &["3:0"], place("SG", "Singapore", 1.3521, 103.8198), "sound"),
    sound("sao-paulo", 4, &["4:0"], place("BR", "São Paulo", -23.5505, -46.6333), "sound"),
    Character {
        planted: Planted::Behind,
        ..sound("tokyo", 5, &["3:1"], place("JP", "Tokyo", 35.6762, 139.6503), "its query node is 250 blocks behind")
    },
    Character {
        planted: Planted::Development,
        ..sound("helsinki", 6, &["1:2"], place("FI", "Helsinki", 60.1699, 24.9384), "runs with nodeEnv development")
    },
    Character {
        planted: Planted::OtherChain,
        ..sound("nairobi", 7, &["5:0"], place("KE", "Nairobi", -1.2921, 36.8219), "follows another chain")
    },
    Character {
        planted: Planted::SwitchedOff,
        ..sound("oregon", 8, &["2:1"], place("US", "Portland", 45.5152, -122.6784), "sound, its bucket is switched off")
    },
    Character {
        planted: Planted::Dead,
        ..sound("warsaw", 9, &["1:3"], place("PL", "Warsaw", 52.2297, 21.0122), "dead: its port is closed")
    },
    Character {
        planted: Planted::Mute,
        ..sound("lagos", 10, &["5:1"], place("NG", "Lagos", 6.5244, 3.3792), "answers status at once and assets never")
    },
    Character {
        planted: Planted::Corrupt,
        ..sound("sydney", 11, &["3:2"], place("AU", "Sydney", -33.8688, 151.2093), "its images are corrupt")
    },
    Character {
        planted: Planted::PrivateAddress,
        ..sound(
            "inside",
            12,
            &["4:1"],
            place("AR", "Buenos Aires", -34.6037, -58.3816),
            "a private address, which must not be contacted",
        )
    },
    Character {
        planted: Planted::Invited,
        ..sound(
            "invited",
            13,
            &["4:2"],
            place("CL", "Santiago", -33.4489, -70.6693),
            "only invited, so it must not be contacted",
        )
    },
    Character {
        planted: Planted::NoMetadata,
        ..sound(
            "unknown",
            14,
            &["5:2"],
            place("ZA", "Cape Town", -33.9249, 18.4241),
            "its operator has set no endpoint",
        )
    },
    Character {
        planted: Planted::LeftBehind,
        ..sound(
            "dublin",
            15,
            &["1:4"],
            place("IE", "Dublin", 53.3498, -6.2603),
            "switched off, its query node is stuck",
        )
    },
    Character {
        planted: Planted::Starved,
        ..sound(
            "cairo",
            16,
            &["5:3"],
            place("EG", "Cairo", 30.0444, 31.2357),
            "its cache is empty, and it cannot reach storage",
        )
    },
    Character {
        planted: Planted::StatusFails,
        ..sound(
            "mumbai",
            17,
            &["3:3"],
            place("IN", "Mumbai", 19.076, 72.8777),
            "its status fails, but it serves assets",
        )
    },
];

/// The storage nodes: name, bucket, worker, place.
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
) -> Character {
    Character { name, worker, buckets, place, planted: Planted::Nothing, description }
}

const fn place(country: &'static str, city: &'static str, latitude: f64, longitude: f64) -> Place {
    Place { country, city, latitude, longitude }
}

/// Must a bucket serve the objects of a bag? The first bag, that of the fixed samples, is in all of them.
pub(in crate::demo) fn serves(bucket: &str, bag: usize) -> bool {
    let turn = bucket.bytes().filter(u8::is_ascii_digit).map(usize::from).sum::<usize>();
    bag == 0 || !(bag + turn).is_multiple_of(3)
}
