//! A sample: the measured result of one transfer, whether it succeeded or failed.

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

/// The version of the formulas behind the numbers. It is raised when a formula changes, so that a break in a trend can
/// be explained.
pub const METHOD: i64 = 2;

/// The measured result of one transfer. A value that was not measured is `None`, never zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Wall clock at t0.
    pub at: Timestamp,
    /// The labels that become tags.
    pub labels: Labels,
    /// How it ended.
    pub outcome: Outcome,
    /// The phase in which it failed; `None` when it did not fail in a phase.
    pub failed_phase: Option<Phase>,
    /// What went wrong, as text for a reader. Contains no secrets; may have any length.
    pub error: Option<String>,
    /// Actual start minus intended start. Zero when nothing was scheduled.
    pub lateness: Micros,
    /// How long each phase took.
    pub phases: Phases,
    /// Body bytes received that belong to the requested range.
    pub bytes: Option<u64>,
    /// Body bytes that the request and the response promised.
    pub expected_bytes: Option<u64>,
    /// HTTP status of the final response.
    pub status: Option<u16>,
    /// The rates and pauses; each is `None` when the body does not allow it.
    pub rates: Rates,
    /// The rate of each 50 ms after the ramp. Used for histograms only.
    pub intervals: Vec<BitRate>,
    /// How the body arrived, also for a failed transfer. Used for drawing only, and not written to the database.
    pub curve: Option<Curve>,
    /// Whether the node held the asset. Set only when the asset was *not* chosen because the node holds it, so that the
    /// mean is the hit ratio. `None` for all other transfers, and when the node did not report it.
    pub hit: Option<bool>,
    /// Whether the whole run was good. Set only on the transfer that decides this, so that the mean is the share of
    /// successful runs.
    pub run_ok: Option<bool>,
    /// Reasons to distrust the numbers.
    pub flags: Flags,
    /// Great-circle distance from the vantage to the node.
    pub distance_km: Option<f64>,
    /// What the kernel knows about the path.
    pub path: NetworkPath,
    /// How well this process kept up with the data.
    pub reader: ReaderStats,
    /// What the TLS handshake revealed.
    pub tls: TlsInfo,
    /// What identifies the transfer to a person, or in the logs of the node.
    pub trail: TraceInfo,
}

/// The labels of a sample, each from a bounded set. They become its tags.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labels {
    /// The vantage that measured.
    pub vantage: Arc<str>,
    /// The node that was measured.
    pub node: Arc<str>,
    /// The node's region label.
    pub region: Option<Arc<str>>,
    /// The probe that measured.
    pub probe: Arc<str>,
    /// The kind of asset.
    pub kind: Option<AssetKind>,
    /// The part of the run.
    pub part: Option<PartName>,
    /// New connection or reused; `None` when there was no transfer.
    pub conn: Option<ConnectionKind>,
    /// HTTP version of the response.
    pub http: Option<HttpVersion>,
    /// Address family of the connection.
    pub family: Option<Family>,
    /// The cache state that the node reported.
    pub cache: CacheState,
}

/// A new connection, or one that is reused within the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionKind {
    /// Full name look-up, TCP handshake and TLS handshake.
    Cold,
    /// The connection of the previous transfer in the same run.
    Warm,
}

/// HTTP versions that bandprobe speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpVersion {
    /// HTTP/1.1. HTTP/1.0 responses count here too.
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

/// The cache state that a node reported. Hit, pending and miss are never mixed in a statistic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheState {
    /// The node held the object.
    Hit,
    /// The node was fetching the object.
    Pending,
    /// The node did not hold the object.
    Miss,
    /// The node did not report a state.
    #[default]
    Unknown,
}

/// The rates and pauses of a body. The formulas are in `measure::goodput`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// 8·bytes / total: the rate for a viewer, latency included.
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
    /// Number of pauses that were long enough to count as a stall.
    pub stalls: Option<u64>,
    /// The sum of those pauses.
    pub stalled: Option<Micros>,
}

/// What the kernel knows about the path (Linux only; elsewhere all `None`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NetworkPath {
    /// The smaller of the kernel's minimum round-trip time and the duration of our TCP handshake.
    pub rtt: Option<Micros>,
    /// The receiver's own estimate of the round-trip time; for information only.
    pub rcv_rtt: Option<Micros>,
    /// Segments of this transfer that arrived out of order. This shows disorder on the path and is never a loss rate.
    pub ooo_segments: Option<u64>,
    /// The receive window that we last offered.
    pub rcv_wnd: Option<Bytes>,
}

/// How well this process kept up while the body arrived (Linux only; elsewhere all `None`): the evidence for
/// `cpu_bound`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReaderStats {
    /// Time from the kernel's receipt of a segment to our read of it: the 90th percentile, with each read weighted by
    /// its bytes.
    pub lag_p90: Option<Micros>,
    /// (CPU time of the measuring thread + time that it waited for a CPU) / wall time, from the response head to the
    /// last byte wanted.
    pub cpu_share: Option<f64>,
    /// The second of these times: the thread could run, but no CPU was free. Excludes the time that waking the thread
    /// takes on an idle machine.
    pub run_delay: Option<Micros>,
    /// How long this process did not run between the start and the end of the transfer; `None` when it always ran.
    pub frozen: Option<Micros>,
    /// The wall time of `cpu_share` and `run_delay`. The receive phase is longer when the head itself arrives in
    /// pieces.
    pub span: Option<Micros>,
}

/// What the TLS handshake revealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsInfo {
    /// `1.2` or `1.3`.
    pub version: Option<&'static str>,
    /// Seconds from the start of the transfer until the node's own certificate expires. Negative when it has expired.
    pub cert_expires: Option<i64>,
}

/// What identifies a transfer to a person, or in the logs of the node. The values are unbounded, so they are fields and
/// never tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceInfo {
    /// The path or object id of the asset.
    pub asset_id: Option<Arc<str>>,
    /// The address that was dialled.
    pub remote_addr: Option<IpAddr>,
    /// The `server` header of the response.
    pub server: Option<String>,
    /// The `x-data-source` header of the response.
    pub data_source: Option<String>,
    /// The trace id in the `traceparent` header that we sent.
    pub trace_id: Option<String>,
    /// The `x-request-id` header that we sent.
    pub request_id: Option<String>,
}

impl Sample {
    /// Whether the outcome is ok and no flag makes the numbers invalid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.outcome.is_ok() && !self.flags.invalidate()
    }

    /// Whether the sample says something about the node, good or bad.
    #[must_use]
    pub fn is_charged(&self) -> bool {
        self.outcome.is_charged() && !self.flags.iter().any(Flag::excuses)
    }

    /// Whether a viewer would be content with the transfer. A run is good when all its transfers are.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.outcome.is_ok() && !self.flags.contains(Flag::TooSlow)
    }

    /// Sets `hit` from the cache state if the outcome is ok. For assets that were not chosen because the node holds
    /// them.
    pub fn count_hit(&mut self) {
        self.hit = self.labels.cache.is_hit().filter(|_| self.outcome.is_ok());
    }

    /// Wait minus the round-trip time of the path, never below zero: the time that is spent behind the TCP endpoint.
    /// This is the node's own time or, behind a CDN's edge, also that of its origin. It separates a slow node from a
    /// long path.
    #[must_use]
    pub fn server_time(&self) -> Option<Micros> {
        self.phases.ttfb()?;
        Some(self.phases.took(Phase::Wait)?.saturating_sub(self.path.rtt?))
    }
}

impl ConnectionKind {
    /// The value of the `conn` tag.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
        }
    }
}

impl HttpVersion {
    /// The value of the `http` tag.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Http1 => "1.1",
            Self::Http2 => "2",
        }
    }
}

impl Family {
    /// The family of an address. An IPv4-mapped address is IPv6 to the socket.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The value of the `family` tag.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::V4 => "4",
            Self::V6 => "6",
        }
    }
}

impl CacheState {
    /// The value of the `cache` tag.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Pending => "pending",
            Self::Miss => "miss",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the node held the asset; `None` when it did not report a state.
    #[must_use]
    pub const fn is_hit(self) -> Option<bool> {
        match self {
            Self::Hit => Some(true),
            Self::Pending | Self::Miss => Some(false),
            Self::Unknown => None,
        }
    }
}
