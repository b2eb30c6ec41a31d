//! A sample: the measured result of one transfer, good or failed.

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;

use super::{
    curve::Curve,
    flag::{Flag, Flags},
    outcome::Outcome,
    phase::{Phase, Phases},
    probe::PartName,
    target::AssetKind,
    units::{BitRate, Bytes, Micros},
};

/// The version of the formulas behind the numbers. Raised when one changes, so that a break in a trend explains itself.
pub const METHOD: i64 = 2;

/// The measured result of one transfer. What was not measured is `None`, never zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Wall clock at t0.
    pub at: Timestamp,
    /// Which of the bounded sets it belongs to.
    pub labels: Labels,
    /// How it ended.
    pub outcome: Outcome,
    /// The phase in which it failed.
    pub failed_phase: Option<Phase>,
    /// What went wrong, for a person; without secrets, any length.
    pub error: Option<String>,
    /// Actual start − intended start. Zero when nothing was scheduled.
    pub lateness: Micros,
    /// How long each phase took.
    pub phases: Phases,
    /// Body bytes received, those of the range alone.
    pub bytes: Option<u64>,
    /// Body bytes that the plan and the response promised.
    pub expected_bytes: Option<u64>,
    /// HTTP status of the final response.
    pub status: Option<u16>,
    /// The rates, when there is a body to judge.
    pub rates: Rates,
    /// `rate of each 50 ms after the ramp`; goes into histograms only.
    pub intervals: Vec<BitRate>,
    /// How the body arrived, of a failed transfer too; for pictures, and in no point.
    pub curve: Option<Curve>,
    /// Did the node hold the asset? Only of a transfer whose asset was *not* chosen for being held, so that the share of
    /// the ones is the hit ratio; `None` of all others, and where the node did not say.
    pub hit: Option<bool>,
    /// Was the whole run good? On the transfer that decides it, and on no other: the mean of these is the success share.
    pub run_ok: Option<bool>,
    /// Reasons for distrust.
    pub flags: Flags,
    /// Great-circle distance from vantage to node.
    pub distance_km: Option<f64>,
    /// What the kernel knows of the path.
    pub path: Path,
    /// How well we ourselves kept up.
    pub reader: Reader,
    /// What the TLS handshake told.
    pub tls: Tls,
    /// What identifies the transfer to a person or in the node's own logs.
    pub trail: Trail,
}

/// The bounded labels of a sample: the tags.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labels {
    /// Where we stand.
    pub vantage: Arc<str>,
    /// Whom we asked.
    pub node: Arc<str>,
    /// The node's region label.
    pub region: Option<Arc<str>>,
    /// Which probe asked.
    pub probe: Arc<str>,
    /// Kind of the asset.
    pub kind: Option<AssetKind>,
    /// Which part of it.
    pub part: Option<PartName>,
    /// New connection or reused; `None` when there was no transfer.
    pub conn: Option<Conn>,
    /// HTTP version of the response.
    pub http: Option<HttpVersion>,
    /// Address family of the connection.
    pub family: Option<Family>,
    /// What the node said of its cache.
    pub cache: CacheState,
}

/// New connection, or reused within the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Conn {
    /// Name look-up, TCP and TLS handshake in full.
    Cold,
    /// The connection of the transfer before it in the same run.
    Warm,
}

/// HTTP versions that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpVersion {
    /// HTTP/1.1 (and answers in 1.0).
    Http1,
    /// HTTP/2.
    Http2,
}

/// Address families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What a node said of its cache. Hit, pending and miss are never mixed in a statistic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheState {
    /// It held the object.
    Hit,
    /// It was fetching it.
    Pending,
    /// It did not hold it.
    Miss,
    /// It did not say.
    #[default]
    Unknown,
}

/// What the timeline of a body yields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// 8·bytes / total: what a viewer got, latency included.
    pub effective: Option<BitRate>,
    /// Rate between the first and the last socket read of the body.
    pub goodput: Option<BitRate>,
    /// Goodput after the ramp.
    pub steady: Option<BitRate>,
    /// The smallest rate over 250 ms after the ramp.
    pub min_interval: Option<BitRate>,
    /// How long the ramp took.
    pub ramp: Option<Micros>,
    /// The longest time without a body byte.
    pub longest_gap: Option<Micros>,
    /// Pauses long enough to count as a stall.
    pub stalls: Option<u64>,
    /// The sum of those pauses.
    pub stalled: Option<Micros>,
}

/// What the kernel knows of the path (Linux; elsewhere absent).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Path {
    /// The smaller of the kernel's minimum round-trip time and our own TCP handshake.
    pub rtt: Option<Micros>,
    /// The receiver's own estimate of the round-trip time; information only.
    pub rcv_rtt: Option<Micros>,
    /// Segments of this transfer that came out of order; path disorder, never a loss rate.
    pub ooo_segments: Option<u64>,
    /// The receive window that we offered last.
    pub rcv_wnd: Option<Bytes>,
}

/// How well we ourselves kept up while the body came (Linux; elsewhere absent): the evidence behind `cpu_bound`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reader {
    /// From the kernel's receipt of a segment to our read of it: the 90th percentile, each read weighted by its bytes.
    pub lag_p90: Option<Micros>,
    /// (CPU time of the measuring thread + time that it waited for a CPU) / wall time, from the head of the answer to the
    /// last byte wanted.
    pub cpu_share: Option<f64>,
    /// The second of these times: the thread could run, and no CPU was free. Without what waking it takes on an idle machine.
    pub run_delay: Option<Micros>,
    /// For how long this process did not run between the start and the end of the transfer; absent when it ran.
    pub frozen: Option<Micros>,
    /// The wall time of both. The receive phase is longer where the head itself comes in pieces.
    pub span: Option<Micros>,
}

/// What the TLS handshake told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// `1.2` or `1.3`.
    pub version: Option<&'static str>,
    /// How many seconds after the start of the transfer the node's own certificate expires.
    pub cert_expires: Option<i64>,
}

/// What identifies a transfer to a person, or in the node's own logs. Unbounded, so fields and never tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// Path or object id.
    pub asset_id: Option<Arc<str>>,
    /// The address that was dialled.
    pub remote_addr: Option<IpAddr>,
    /// `server` header.
    pub server: Option<String>,
    /// `x-data-source` header.
    pub data_source: Option<String>,
    /// Trace id of our `traceparent`.
    pub trace_id: Option<String>,
    /// Our `x-request-id`.
    pub request_id: Option<String>,
}

impl Sample {
    /// Is the outcome ok, with no flag that takes its validity away?
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.outcome.is_ok() && !self.flags.invalidate()
    }

    /// Does it say something about the node, whether good or bad?
    #[must_use]
    pub fn is_charged(&self) -> bool {
        self.outcome.is_charged() && !self.flags.iter().any(Flag::excuses)
    }

    /// Would a viewer have been content with it? A run is good when all its transfers are.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.outcome.is_ok() && !self.flags.contains(Flag::TooSlow)
    }

    /// Counts it for the hit ratio, if it ended ok: its asset was not chosen for being held.
    pub fn count_hit(&mut self) {
        self.hit = self.labels.cache.is_hit().filter(|_| self.outcome.is_ok());
    }

    /// wait − path rtt, never below zero: time beyond the TCP endpoint, the node's own or, behind a CDN's edge, its
    /// origin's. It tells a slow node from a long path.
    #[must_use]
    pub fn server_time(&self) -> Option<Micros> {
        self.phases.ttfb()?;
        Some(self.phases.took(Phase::Wait)?.saturating_sub(self.path.rtt?))
    }
}

impl Conn {
    /// The word that the outside sees.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
        }
    }
}

impl HttpVersion {
    /// The word that the outside sees.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Http1 => "1.1",
            Self::Http2 => "2",
        }
    }
}

impl Family {
    /// The family of an address; an IPv4-mapped one is IPv6 to the socket.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The word that the outside sees.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::V4 => "4",
            Self::V6 => "6",
        }
    }
}

impl CacheState {
    /// The word that the outside sees.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Pending => "pending",
            Self::Miss => "miss",
            Self::Unknown => "unknown",
        }
    }

    /// Did the node hold it? `None` when it did not say.
    #[must_use]
    pub const fn is_hit(self) -> Option<bool> {
        match self {
            Self::Hit => Some(true),
            Self::Pending | Self::Miss => Some(false),
            Self::Unknown => None,
        }
    }
}
