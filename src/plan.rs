//! Calculates what a configuration costs in runs, bytes, heavy minutes and points, and whether that fits its own
//! limits.
//!
//! The plan is an upper bound where possible: it assumes that every run takes place, that nothing is cut short, and
//! that each run takes the largest asset that it may take. Sizes that are not known are estimated. Points and series
//! are those of a healthy fleet: each failure, cache state, HTTP version or address family beyond the usual one adds
//! series.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{
    config::{Config, check::shipped},
    model::{
        probe::{CachePolicy, MAX_CANDIDATES, PartName, Probe, Weight},
        size::Size,
        target::{Asset, Node, Profile},
        units::{BitRate, Bytes},
    },
    schedule::budget::planned_bytes,
};

mod limits;
mod text;

pub use self::{limits::ExceededLimit, text::check_text};

/// The assumed rate of heavy transfers, unless `vantage.uplink` is lower. It is the target for the best node of a
/// vantage, as on the dashboard.
pub const ASSUMED_RATE: BitRate = BitRate(20_000_000);

const DAY: Duration = Duration::from_secs(86_400);
const DAYS_PER_MONTH: f64 = 30.0;
/// The size from which a transfer has a rate and intervals (see [`crate::measure::goodput`]).
const RATED_FROM: Bytes = Bytes(1 << 20);
/// Window metrics of a HEAD check: ttfb, wait, server, total.
const CHECK_METRICS: u64 = 4;
/// Window metrics of a transfer with a body: the above and the effective rate.
const BODY_METRICS: u64 = 5;
/// Window metrics of a transfer of at least [`RATED_FROM`]: the above, goodput and interval.
const RATED_METRICS: u64 = 7;
/// The worker writes one point a minute.
const WORKER_POINTS_PER_DAY: f64 = 1_440.0;
/// The average size of a point in the archive, in bytes. A transfer takes about 600; a window with its histogram takes
/// 300 to 1,500.
const POINT_BYTES: f64 = 650.0;

/// The cost of a configuration, per day unless stated otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One entry per probe, in the order of the configuration.
    pub probes: Vec<ProbePlan>,
    /// One entry per node, in the order of the configuration.
    pub nodes: Vec<NodePlan>,
    /// Status rounds; `None` without a status probe.
    pub rounds: Option<f64>,
    /// Runs of all probes against all nodes.
    pub runs: f64,
    /// Upper bound of the bytes that are downloaded.
    pub bytes: Bytes,
    /// How many minutes of an hour heavy transfers hold the uplink, at [`Plan::rate`].
    pub heavy_minutes_per_hour: f64,
    /// The rate that `heavy_minutes_per_hour` assumes.
    pub rate: BitRate,
    /// Points that are written to the database.
    pub points: f64,
    /// Series in the database as long as nothing fails.
    pub series: u64,
    /// The size of the points in the archive.
    pub archived: Bytes,
    /// Cold fetches of the node with the most of them, before `limits.cold-fetches-per-node-per-day` applies; `None`
    /// when no probe measures misses.
    pub cold_fetches_per_node: Option<f64>,
    /// Is there a node that may be made to fetch an image, when its runs find nothing cached?
    pub checks_storage: bool,
    /// The number of nodes with images of unknown size. Their size is assumed.
    pub assumed_images: usize,
    /// The limits that the plan exceeds, and what to change. Empty if it fits.
    pub exceeded_limits: Vec<ExceededLimit>,
}

/// The cost of one probe.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbePlan {
    /// The name of the probe.
    pub name: Arc<str>,
    /// The mean time between two runs against one node.
    pub every: Duration,
    /// The number of nodes that have an asset for it.
    pub nodes: usize,
    /// Runs against all of these nodes, per day.
    pub runs: f64,
    /// Upper bound of the HEAD requests of one run. Runs that look for a cached asset are assumed to find it at the
    /// first attempt.
    pub checks_per_run: usize,
    /// Downloads of one run.
    pub transfers_per_run: usize,
    /// Upper bound of the bytes that one run downloads.
    pub bytes_per_run: Bytes,
    /// Upper bound of the bytes that its runs download, per day.
    pub bytes: Bytes,
}

/// The cost for one node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodePlan {
    /// The id of the node.
    pub id: Arc<str>,
    /// Runs of all probes against it, per day.
    pub runs: f64,
    /// Upper bound of the bytes that this worker downloads from it, per day.
    pub bytes: Bytes,
    /// Upper bound of the bytes that the workers of all vantages download from it, in 30 days.
    pub bytes_per_month: Bytes,
}

/// The cost of one probe for one node, per day unless stated otherwise.
struct Pair {
    runs: f64,
    bytes_per_run: Bytes,
    heavy_bytes_per_run: Bytes,
    checks_per_run: usize,
    points: f64,
    series: u64,
}

impl Plan {
    /// Calculates the cost of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let pairs = |probe: &'_ Probe, node: &'_ Node| Pair::of(probe, node, config);
        let probes: Vec<_> = config.probes.iter().map(|probe| ProbePlan::of(probe, config)).collect();
        let nodes: Vec<_> = config.nodes.iter().map(|node| NodePlan::of(node, config)).collect();
        let all: Vec<Pair> =
            config.nodes.iter().flat_map(|n| config.probes.iter().filter_map(move |p| pairs(p, n))).collect();
        // `Iterator::sum` of no floats is -0.0, which would be printed.
        let sum = |of: fn(&Pair) -> f64| all.iter().map(of).fold(0.0, |sum, one| sum + one);
        let rate = config.vantage.uplink.map_or(ASSUMED_RATE, |uplink| uplink.min(ASSUMED_RATE));
        let heavy_bits = 8.0 * sum(|pair| pair.runs * pair.heavy_bytes_per_run.0 as f64);
        let rounds = config.status.as_ref().map(|status| per_day(status.every));
        let asked = if rounds.is_some() { config.nodes.len() } else { 0 };
        let points = WORKER_POINTS_PER_DAY + rounds.unwrap_or_default() * asked as f64 + sum(|pair| pair.points);
        let mut plan = Self {
            runs: sum(|pair| pair.runs),
            bytes: bytes(sum(|pair| pair.runs * pair.bytes_per_run.0 as f64)),
            heavy_minutes_per_hour: heavy_bits / rate.0 as f64 / 60.0 / 24.0,
            rate,
            points,
            archived: bytes(points * POINT_BYTES),
            series: 1 + asked as u64 + all.iter().map(|pair| pair.series).sum::<u64>(),
            cold_fetches_per_node: cold_fetches(config),
            checks_storage: checks_storage(config),
            assumed_images: config.nodes.iter().filter(|node| is_assumed(node, config)).count(),
            exceeded_limits: Vec::new(),
            probes,
            nodes,
            rounds,
        };
        plan.exceeded_limits = limits::exceeded(&plan, config);
        plan
    }

    /// Returns whether the plan stays within its limits.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.exceeded_limits.is_empty()
    }
}

impl ProbePlan {
    fn of(probe: &Probe, config: &Config) -> Self {
        let pairs: Vec<_> = config.nodes.iter().filter_map(|node| Pair::of(probe, node, config)).collect();
        Self {
            name: Arc::clone(&probe.name),
            every: probe.every,
            nodes: pairs.len(),
            runs: pairs.iter().map(|pair| pair.runs).fold(0.0, |sum, one| sum + one),
            checks_per_run: pairs.iter().map(|pair| pair.checks_per_run).max().unwrap_or_default(),
            transfers_per_run: probe.parts.len(),
            bytes_per_run: pairs.iter().map(|pair| pair.bytes_per_run).max().unwrap_or_default(),
            bytes: bytes(pairs.iter().map(|pair| pair.runs * pair.bytes_per_run.0 as f64).sum()),
        }
    }
}

impl NodePlan {
    fn of(node: &Node, config: &Config) -> Self {
        let pairs: Vec<_> = config.probes.iter().filter_map(|probe| Pair::of(probe, node, config)).collect();
        let a_day: f64 = pairs.iter().map(|pair| pair.runs * pair.bytes_per_run.0 as f64).sum();
        Self {
            id: Arc::clone(&node.id),
            runs: pairs.iter().map(|pair| pair.runs).fold(0.0, |sum, one| sum + one),
            bytes: bytes(a_day),
            bytes_per_month: bytes(a_day * DAYS_PER_MONTH * config.limits.vantages as f64),
        }
    }
}

impl Pair {
    /// `None` when the node has no asset for the probe.
    fn of(probe: &Probe, node: &Node, config: &Config) -> Option<Self> {
        let asset = probe.candidates(node).max_by_key(|asset| planned_bytes(probe, asset))?;
        let bytes_per_run = planned_bytes(probe, asset);
        let runs = match probe.cache {
            CachePolicy::Hit => per_day(probe.every),
            CachePolicy::Miss => per_day(probe.every).min(config.limits.cold_fetches_per_node_per_day as f64),
        };
        let checks_per_run = checks(probe, node);
        // All checks of a run have the same tags as long as nothing fails.
        let check = u64::from(checks_per_run > 0);
        let transfers = labels(probe, asset);
        let window_series = transfers.iter().map(|(_, _, metrics)| metrics).sum::<u64>() + check * CHECK_METRICS;
        // A window without a run writes no point.
        let window_points = window_series as f64 * runs.min(per_day(config.window));
        Some(Self {
            runs,
            bytes_per_run,
            heavy_bytes_per_run: if probe.weight == Weight::Heavy { bytes_per_run } else { Bytes(0) },
            checks_per_run,
            points: runs * (probe.parts.len() as f64 + checks_per_run as f64) + window_points,
            series: transfers.len() as u64 + check + window_series,
        })
    }
}

/// Upper bound of the HEAD requests of a run. A run that looks for a cached asset checks the remembered one and the
/// drawn one. A run that looks for a miss may find everything cached, so it checks as many assets as a run ever does.
fn checks(probe: &Probe, node: &Node) -> usize {
    let most = match (node.listing.profile, probe.cache) {
        (Profile::Http, _) => 0,
        (_, CachePolicy::Miss) => MAX_CANDIDATES,
        (Profile::Argus, CachePolicy::Hit) if probe.pick.is_sticky() => 2,
        (Profile::Argus | Profile::Colossus, CachePolicy::Hit) => 1,
    };
    probe.candidates(node).take(most).count()
}

/// Planned cold fetches per day of the node with the most of them.
fn cold_fetches(config: &Config) -> Option<f64> {
    let of_node = |node: &Node| {
        let cold = config.probes.iter().filter(|probe| probe.cache == CachePolicy::Miss);
        cold.filter(|probe| probe.candidates(node).next().is_some()).map(|probe| per_day(probe.every)).sum::<f64>()
    };
    config.nodes.iter().map(of_node).filter(|fetches| *fetches > 0.0).max_by(f64::total_cmp)
}

/// Does a probe look for cached assets on a node that also has an image to fetch?
fn checks_storage(config: &Config) -> bool {
    let looks = |node: &Node| {
        let mut hits = config.probes.iter().filter(|probe| probe.cache == CachePolicy::Hit);
        hits.any(|probe| probe.candidates(node).next().is_some())
    };
    let Some(check) = shipped("cold-cache").map(|probe| probe.storage_check()) else { return false };
    config.nodes.iter().any(|node| looks(node) && check.candidates(node).next().is_some())
}

/// The distinct tags of the transfers of a run: the part, whether the connection is warm, and the number of window
/// metrics.
fn labels(probe: &Probe, asset: &Asset) -> BTreeSet<(PartName, bool, u64)> {
    let labels = probe.parts.iter().enumerate().map(|(index, part)| {
        let is_rated = part.extent.bytes().or(asset.size.map(Size::stated)) >= Some(RATED_FROM);
        (part.name, index > 0, if is_rated { RATED_METRICS } else { BODY_METRICS })
    });
    labels.collect()
}

fn is_assumed(node: &Node, config: &Config) -> bool {
    config.probes.iter().any(|probe| {
        let asks_whole = probe.parts.iter().any(|part| part.extent.bytes().is_none());
        asks_whole && probe.candidates(node).any(|asset| asset.size.is_none())
    })
}

fn per_day(every: Duration) -> f64 {
    DAY.as_secs_f64() / every.as_secs_f64()
}

#[expect(clippy::cast_possible_truncation, reason = "rounded first, and `as` saturates")]
fn bytes(sum: f64) -> Bytes {
    Bytes(sum.round() as u64)
}

#[cfg(test)]
mod tests;
