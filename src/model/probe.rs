//! Probe definitions: which asset, which parts, how often, with which deadlines.

use std::{sync::Arc, time::Duration};

use super::{
    media_type::MediaRange,
    target::{Asset, AssetKind, Node, Profile},
    units::{BitRate, Bytes},
};

/// No node is made to fetch an object larger than this.
pub const MAX_COLD_OBJECT: Bytes = Bytes(1 << 20);

/// The least rate that still counts as serving, where a probe sets none: below it not even a low-quality audio stream plays.
pub const MIN_RATE: BitRate = BitRate(64_000);

/// One question asked of every node on a schedule: a file in `probes/`.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The tag: the file's name without `.toml`.
    pub name: Arc<str>,
    /// What it downloads.
    pub kind: AssetKind,
    /// Mean time between two runs against one node.
    pub every: Duration,
    /// How the times between runs are drawn.
    pub spacing: Spacing,
    /// Whether its transfers need the uplink for themselves.
    pub weight: Weight,
    /// Which of a node's assets a run takes.
    pub pick: Pick,
    /// The media types that it accepts; empty: all that an asset of its kind can have.
    pub types: Vec<MediaRange>,
    /// The transfers of a run, in order; never empty.
    pub parts: Vec<Part>,
    /// Which cache states it measures.
    pub cache: CachePolicy,
    /// A long transfer with a lower effective rate is flagged `too_slow`; zero flags none.
    pub min_rate: BitRate,
    /// When each phase is given up.
    pub deadlines: Deadlines,
}

/// The probe that asks how nodes fare: one round over all of them at fixed times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusProbe {
    /// Its file's name without `.toml`.
    pub name: Arc<str>,
    /// Time between two rounds.
    pub every: Duration,
    /// When each phase is given up.
    pub deadlines: Deadlines,
    /// How far a node may be from the fleet's median.
    pub tolerance: Tolerance,
}

/// How many blocks a node may be from the fleet's median before anything is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// Behind it: a node that is further behind is degraded.
    pub behind: u64,
    /// Ahead of it, which by itself is no fault.
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
    /// Exponential, clamped to [0.1, 2.5] × `every`, with mean `every`: no phase of the node's own rhythm is favoured.
    Memoryless,
    /// Every `every`, moved by a uniform draw of ± half of `jitter`.
    Fixed {
        /// Width of the draw.
        jitter: Duration,
    },
}

/// How much of the uplink a transfer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Weight {
    /// Small: several may run at once, none beside a heavy one.
    Light,
    /// Video-sized: runs alone.
    Heavy,
}

/// Which of a node's assets of the wanted kind a run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The one measured last while it is there, so that trends compare like with like.
    Sticky,
    /// The next one each time.
    Rotate,
    /// Any one each time.
    Random,
    /// As sticky, of those alone that the user named.
    Fixed,
    /// The smallest one. No configuration asks for it: see [`Probe::storage_check`].
    Smallest,
}

/// Which cache states a probe measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePolicy {
    /// Only what the node holds, or does not say: a miss would make the node fetch the whole object.
    Hit,
    /// Only what the node says it does not hold: the declared cold-cache probe.
    Miss,
}

/// One transfer of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Which part it is, for the tag.
    pub name: PartName,
    /// Which bytes it wants.
    pub extent: Extent,
}

/// The name of a part. `Check` is the HEAD request that asks for cache state and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartName {
    /// The whole asset.
    Full,
    /// Its first bytes.
    Start,
    /// Its last bytes.
    Tail,
    /// Bytes from the middle, as after a seek.
    Seek,
    /// The HEAD request before a run.
    Check,
}

/// Which bytes of an asset a part wants. Clipped at the asset's size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extent {
    /// All.
    Full,
    /// The first so many.
    First(Bytes),
    /// The last so many.
    Last(Bytes),
    /// So many from a fraction of the asset on.
    From {
        /// Fraction of the size, in [0, 1).
        at: f64,
        /// How many.
        bytes: Bytes,
    },
    /// Exactly these, both inclusive: `probe URL --range`.
    Exactly {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte, not before the first.
        last: u64,
    },
}

/// When each phase is given up.
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
    /// The longest time without any body byte.
    pub stall: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let five = Duration::from_secs(5);
        Self { dns: five, connect: five, tls: five, headers: five, body: Duration::from_secs(20), stall: five }
    }
}

impl Probe {
    /// The same probe for a node of which run after run finds nothing cached: can it fetch anything at all? It is made to fetch
    /// its smallest object.
    #[must_use]
    pub fn storage_check(&self) -> Self {
        Self { pick: Pick::Smallest, cache: CachePolicy::Miss, ..self.clone() }
    }

    /// Is it one that [`storage_check`](Self::storage_check) made?
    #[must_use]
    pub fn is_storage_check(&self) -> bool {
        self.pick == Pick::Smallest
    }

    /// The assets of a node that a run may take. Argus alone says that it does not hold one, so misses are measured there and
    /// nowhere else, of small objects.
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
    /// Does it come back to the asset of the run before?
    #[must_use]
    pub const fn is_sticky(self) -> bool {
        matches!(self, Self::Sticky | Self::Fixed)
    }
}

impl PartName {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Full, Self::Start, Self::Tail, Self::Seek, Self::Check];

    /// The word that the outside sees.
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
    /// How many bytes it asks for at the most, where the extent itself says so.
    #[must_use]
    pub const fn bytes(self) -> Option<Bytes> {
        match self {
            Self::Full => None,
            Self::First(bytes) | Self::Last(bytes) | Self::From { bytes, .. } => Some(bytes),
            Self::Exactly { first, last } => Some(Bytes(last - first + 1)),
        }
    }
}
