//! Probe definitions: which asset, which parts, how often, and with which deadlines.

use std::{sync::Arc, time::Duration};

use super::{
    media_type::MediaRange,
    target::{Asset, AssetKind, Node, Profile},
    units::{BitRate, Bytes},
};

/// The largest object that a probe may make a node fetch from storage.
pub const MAX_COLD_OBJECT: Bytes = Bytes(1 << 20);

/// The most assets that a run checks to find one that it can measure.
pub const MAX_CANDIDATES: usize = 5;

/// The default of `min-rate`. Below this rate not even a low-quality audio stream plays.
pub const MIN_RATE: BitRate = BitRate(64_000);

/// One measurement that is repeated against every node on a schedule: a file in `probes/`.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The `probe` tag: the name of the file without `.toml`.
    pub name: Arc<str>,
    /// The kind of asset that it downloads.
    pub kind: AssetKind,
    /// Mean time between two runs against one node.
    pub every: Duration,
    /// How the times between runs are drawn.
    pub spacing: Spacing,
    /// Whether its transfers need the uplink to themselves.
    pub weight: Weight,
    /// Which of a node's assets a run takes.
    pub pick: Pick,
    /// The media types that it accepts. When empty, it accepts all types that an asset of its kind can have.
    pub types: Vec<MediaRange>,
    /// The transfers of a run, in order; never empty.
    pub parts: Vec<Part>,
    /// Which cache states it measures.
    pub cache: CachePolicy,
    /// A transfer that takes longer than a few seconds and has a lower effective rate is flagged `too_slow`. With zero,
    /// none is flagged.
    pub min_rate: BitRate,
    /// How long each phase may take.
    pub deadlines: Deadlines,
}

/// The probe that asks nodes for their status: one round over all nodes at fixed times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusProbe {
    /// The name of its file without `.toml`.
    pub name: Arc<str>,
    /// Time between two rounds.
    pub every: Duration,
    /// How long each phase may take.
    pub deadlines: Deadlines,
    /// How far a node may be from the fleet's median.
    pub tolerance: Tolerance,
}

/// How many blocks a node may differ from the fleet's median before its health mentions it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// Blocks behind the median. A node that is further behind is degraded.
    pub behind: u64,
    /// Blocks ahead of the median. Being ahead alone is not a fault.
    pub ahead: u64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { behind: 100, ahead: 2_000 }
    }
}

/// How the times between the runs of one probe against one node are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Exponential, clamped to [0.1, 2.5] × `every`, with mean `every`. The runs do not fall in step with a rhythm of
    /// the node.
    Memoryless,
    /// One run per `every`, moved by a uniform draw of ± half of `jitter`.
    Fixed {
        /// Full width of the draw.
        jitter: Duration,
    },
}

/// How much of the uplink a transfer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Weight {
    /// Small: several may run at once, but none at the same time as a heavy one.
    Light,
    /// As large as a video: runs alone.
    Heavy,
}

/// Which of a node's assets of the wanted kind a run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The one that was measured last, as long as the node still lists it, so that trends compare like with like.
    Sticky,
    /// The next one in each run.
    Rotate,
    /// A random one in each run.
    Random,
    /// Like [`Sticky`](Self::Sticky), but only from the assets that the user named.
    Fixed,
    /// The smallest one. The configuration cannot choose it: see [`Probe::storage_check`].
    Smallest,
}

/// Which cache states a probe measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePolicy {
    /// Only assets that the node holds, or whose state it does not report. A miss would make the node fetch the whole
    /// object.
    Hit,
    /// Only assets that the node reports as missing. Used by the cold-cache probe.
    Miss,
}

/// One transfer of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// The name for the `part` tag.
    pub name: PartName,
    /// The bytes that it asks for.
    pub extent: Extent,
}

/// The name of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartName {
    /// The whole asset.
    Full,
    /// The first bytes.
    Start,
    /// The last bytes.
    Tail,
    /// Bytes from the middle, as after a seek.
    Seek,
    /// The HEAD request before a run, which asks for cache state and size.
    Check,
}

/// Which bytes of an asset a part asks for. Clipped to the size of the asset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extent {
    /// All bytes.
    Full,
    /// The first bytes, this many.
    First(Bytes),
    /// The last bytes, this many.
    Last(Bytes),
    /// A number of bytes that begin at a fraction of the asset.
    From {
        /// Fraction of the size, in [0, 1).
        at: f64,
        /// Number of bytes.
        bytes: Bytes,
    },
    /// A range with both ends inclusive, from `probe URL --range`.
    Exactly {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte; not before the first one.
        last: u64,
    },
}

/// How long each phase may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Name look-up.
    pub dns: Duration,
    /// TCP handshake.
    pub connect: Duration,
    /// TLS handshake.
    pub tls: Duration,
    /// From the start of the request to the complete response head.
    pub headers: Duration,
    /// From the complete response head to the last body byte.
    pub body: Duration,
    /// The longest time without a body byte.
    pub stall: Duration,
}

impl Deadlines {
    /// The longest time that one transfer or status check can take.
    #[must_use]
    pub fn total(&self) -> Duration {
        let Self { dns, connect, tls, headers, body, stall: _ } = *self;
        [connect, tls, headers, body].into_iter().fold(dns, Duration::saturating_add)
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        let five = Duration::from_secs(5);
        Self { dns: five, connect: five, tls: five, headers: five, body: Duration::from_secs(20), stall: five }
    }
}

impl Probe {
    /// The same probe, changed so that it makes a node fetch its smallest object from storage. It is used for a node on
    /// which run after run finds nothing cached, to see whether the node can fetch anything.
    #[must_use]
    pub fn storage_check(&self) -> Self {
        Self { pick: Pick::Smallest, cache: CachePolicy::Miss, ..self.clone() }
    }

    /// Whether this probe was made by [`storage_check`](Self::storage_check).
    #[must_use]
    pub fn is_storage_check(&self) -> bool {
        self.pick == Pick::Smallest
    }

    /// The assets of a node that a run may take. Only Argus reports that it does not hold an asset, so misses are
    /// measured only there, and only with small objects.
    pub fn candidates<'n>(&self, node: &'n Node) -> impl Iterator<Item = &'n Asset> + use<'n> {
        let (kind, named_alone) = (self.kind, self.pick == Pick::Fixed);
        let is_cold = self.cache == CachePolicy::Miss;
        let can_miss = node.listing.profile == Profile::Argus;
        node.assets.iter().filter(move |asset| {
            let is_small = asset.size.is_none_or(|size| size.most() <= MAX_COLD_OBJECT);
            asset.kind == kind && (asset.fixed || !named_alone) && (!is_cold || (can_miss && is_small))
        })
    }
}

impl Pick {
    /// Whether a run takes the asset of the run before it again.
    #[must_use]
    pub const fn is_sticky(self) -> bool {
        matches!(self, Self::Sticky | Self::Fixed)
    }
}

impl PartName {
    /// All part names.
    pub const ALL: [Self; 5] = [Self::Full, Self::Start, Self::Tail, Self::Seek, Self::Check];

    /// The value of the `part` tag.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Start => "start",
            Self::Tail => "tail",
            Self::Seek => "seek",
            Self::Check => "check",
        }
    }
}

impl Extent {
    /// The most bytes that the extent asks for; `None` for the whole asset.
    #[must_use]
    pub const fn bytes(self) -> Option<Bytes> {
        match self {
            Self::Full => None,
            Self::First(bytes) | Self::Last(bytes) | Self::From { bytes, .. } => Some(bytes),
            Self::Exactly { first, last } => Some(Bytes(last - first + 1)),
        }
    }
}
