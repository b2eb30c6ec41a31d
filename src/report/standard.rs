//! The performance standard of the Joystream Distribution Working Group, computed from transfer points: the medians
//! per vantage and node, and per vantage the best node compared with the targets.
//!
//! The success share counts runs and not transfers. A run is good when all of its transfers are good, and its last
//! transfer says so (`run_ok`). A transfer is not charged to the node if it failed for reasons of ours, or while this
//! vantage itself was suspect. Such a transfer is counted separately, and its run is in no share. Latencies and rates
//! count only for objects that the node held, or whose cache state is unknown.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::newest::Newest;
use crate::{
    model::{
        flag::Flag,
        health::HealthState,
        outcome::Outcome,
        probe::PartName,
        sample::{CacheState, ConnectionKind},
        target::AssetKind,
        units::{BitRate, Micros},
    },
    record::{histogram::Counts, transfer_point::TransferPoint},
};

/// Collects points in bounded memory: values are counted in histogram buckets.
#[derive(Clone, Debug, Default)]
pub struct Standard {
    groups: BTreeMap<(Arc<str>, Arc<str>), NodeValues>,
    /// The time of the last transfer of each vantage.
    last: BTreeMap<Arc<str>, Timestamp>,
    dropped: u64,
}

/// The figures of all nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Sorted by vantage and node.
    pub rows: Vec<NodeFigures>,
    /// Points left out because there were too many nodes.
    pub dropped: u64,
}

/// The figures of one node from one vantage.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeFigures {
    /// The vantage.
    pub vantage: Arc<str>,
    /// The id of the node.
    pub node: Arc<str>,
    /// The role of the node in its last status round: `distributor`, `storage` or `http`. `None` without a round.
    pub role: Option<Arc<str>>,
    /// The state of the node in that round.
    pub state: Option<HealthState>,
    /// Runs charged to the node.
    pub runs: u64,
    /// Runs charged to the node in which every transfer was good.
    pub runs_ok: u64,
    /// Downloads charged to the node, good and failed. Checks are not counted.
    pub downloads: u64,
    /// Downloads that ended ok.
    pub ok: u64,
    /// Time to first byte of whole images on new connections.
    pub ttfb: Percentiles<Micros>,
    /// Goodput of video starts with a valid rate.
    pub goodput: Percentiles<BitRate>,
    /// Good transfers, mostly checks, that reported the cache state of an asset that was chosen without regard to it.
    pub checks: u64,
    /// How many of these checks were hits.
    pub hits: u64,
    /// Whether there are enough recent checks for the node to be compared.
    pub hits_are_current: bool,
    /// Good downloads whose rates are left out.
    pub invalid: u64,
    /// The flags that made these rates invalid, and how often. One download may have several.
    pub invalid_for: Vec<(Flag, u64)>,
    /// Good downloads that stalled and continued. Their rates count, but a viewer would have noticed the stall.
    pub stalled: u64,
    /// Good downloads that were too slow for a viewer. Their figures count, but their runs count as failed.
    pub too_slow: u64,
    /// The flags that make valid rates lower bounds, and how often.
    pub lower_bounds: Vec<(Flag, u64)>,
    /// The failures charged to the node, by outcome.
    pub failed: Vec<(Outcome, u64)>,
    /// The transfers not charged to the node, by outcome or flag.
    pub not_charged: Vec<(&'static str, u64)>,
}

/// Percentiles by nearest rank. `None` without values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles<T> {
    /// Number of values.
    pub count: u64,
    /// The median.
    pub p50: Option<T>,
    /// The bad end of the values: p90 of a latency, p10 of a rate.
    pub bad_end: Option<T>,
    /// Whether there are enough recent values for the node to be the best.
    pub is_current: bool,
}

/// Median TTFB must be below this to meet the standard.
pub const TTFB_TARGET: Micros = Micros(350_000);

/// Median goodput must be above this to meet the standard.
pub const GOODPUT_TARGET: BitRate = BitRate(20_000_000);

/// The hit ratio, in percent, must be above this to meet the standard.
pub const HIT_TARGET_PERCENT: u64 = 30;

/// The most pairs of vantage and node. Points of further pairs are dropped and counted.
pub const MAX_GROUPS: usize = 100_000;

impl Standard {
    /// Adds one transfer.
    pub fn add(&mut self, point: &TransferPoint) {
        let key = (point.vantage.clone(), point.node.clone());
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        let last = self.last.entry(key.0.clone()).or_insert(point.at);
        *last = point.at.max(*last);
        self.groups.entry(key).or_default().add(point);
    }

    /// The figures of the transfers so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let row = |((vantage, node), group): (&(Arc<str>, Arc<str>), &NodeValues)| {
            group.row(vantage, node, self.last.get(vantage).copied().unwrap_or_default())
        };
        let rows = self.groups.iter().map(row).collect();
        Summary { rows, dropped: self.dropped }
    }
}

impl NodeFigures {
    /// Share of the runs that were good, from 0 to 1. `None` without runs.
    #[must_use]
    pub fn success_share(&self) -> Option<f64> {
        share(self.runs_ok, self.runs)
    }

    /// Share of the checks that were hits, from 0 to 1. `None` without checks.
    #[must_use]
    pub fn hit_ratio(&self) -> Option<f64> {
        share(self.hits, self.checks)
    }
}

#[derive(Clone, Debug, Default)]
struct NodeValues {
    runs: u64,
    runs_ok: u64,
    downloads: u64,
    ok: u64,
    ttfb: Values,
    goodput: Values,
    checks: u64,
    hits: u64,
    newest_checks: Newest,
    invalid: u64,
    invalid_for: BTreeMap<Flag, u64>,
    stalled: u64,
    too_slow: u64,
    lower_bounds: BTreeMap<Flag, u64>,
    failed: BTreeMap<Outcome, u64>,
    not_charged: BTreeMap<&'static str, u64>,
}

/// The values of one figure.
#[derive(Clone, Debug, Default)]
struct Values {
    counts: Counts,
    newest: Newest,
}

impl NodeValues {
    fn add(&mut self, point: &TransferPoint) {
        self.runs += u64::from(point.run_ok.is_some());
        self.runs_ok += u64::from(point.run_ok == Some(true));
        let failed = !point.outcome.is_ok();
        if !point.outcome.is_charged() {
            *self.not_charged.entry(point.outcome.label()).or_default() += 1;
            return;
        }
        if let Some(flag) = point.flags.iter().find(|flag| failed && flag.excuses()) {
            *self.not_charged.entry(flag.label()).or_default() += 1;
            return;
        }
        let check = point.part == Some(PartName::Check);
        self.downloads += u64::from(!check);
        // `hit` is present only if the asset was chosen without regard to the cache. Behind a CDN it is on the
        // download itself.
        if !failed && point.hit.is_some() {
            self.checks += 1;
            self.newest_checks.extend([point.at]);
        }
        self.hits += u64::from(!failed && point.hit == Some(true));
        if failed {
            *self.failed.entry(point.outcome).or_default() += 1;
        } else if !check {
            self.ok += 1;
            self.add_download(point);
        }
    }

    fn add_download(&mut self, point: &TransferPoint) {
        self.stalled += u64::from(point.flags.contains(Flag::StalledSome));
        let is_too_slow = point.flags.contains(Flag::TooSlow);
        self.too_slow += u64::from(is_too_slow);
        // A node cannot be the best because of answers that are too slow for a viewer.
        let dated = (!is_too_slow).then_some(point.at);
        let held = matches!(point.cache, CacheState::Hit | CacheState::Unknown);
        let cold_image = point.kind == Some(AssetKind::Image)
            && point.part == Some(PartName::Full)
            && point.conn == Some(ConnectionKind::Cold)
            && held;
        if let Some(ttfb) = point.ttfb.filter(|_| cold_image) {
            self.ttfb.counts.add_time(ttfb);
            self.ttfb.newest.extend(dated);
        }
        // A download that is too small has no rate, so it does not count as invalid.
        if !point.valid && point.flags.contains(Flag::TooSmall) {
            return;
        }
        if !point.valid {
            self.invalid += 1;
            for flag in point.flags.iter().filter(|flag| flag.invalidates()) {
                *self.invalid_for.entry(flag).or_default() += 1;
            }
            return;
        }
        let video_start = point.kind == Some(AssetKind::Video) && point.part == Some(PartName::Start) && held;
        if let Some(goodput) = point.goodput.filter(|_| video_start) {
            self.goodput.counts.add_rate(goodput);
            self.goodput.newest.extend(dated);
            for flag in [Flag::ReceiverLimited, Flag::UplinkLimited].into_iter().filter(|f| point.flags.contains(*f)) {
                *self.lower_bounds.entry(flag).or_default() += 1;
            }
        }
    }

    /// The row. `last` is the time of the vantage's last transfer.
    fn row(&self, vantage: &Arc<str>, node: &Arc<str>, last: Timestamp) -> NodeFigures {
        NodeFigures {
            vantage: vantage.clone(),
            node: node.clone(),
            role: None,
            state: None,
            runs: self.runs,
            runs_ok: self.runs_ok,
            downloads: self.downloads,
            ok: self.ok,
            ttfb: self.ttfb.percentiles(90, Micros, last),
            goodput: self.goodput.percentiles(10, BitRate, last),
            checks: self.checks,
            hits: self.hits,
            hits_are_current: self.newest_checks.are_current(last),
            invalid: self.invalid,
            invalid_for: self.invalid_for.iter().map(|(flag, count)| (*flag, *count)).collect(),
            stalled: self.stalled,
            too_slow: self.too_slow,
            lower_bounds: self.lower_bounds.iter().map(|(flag, count)| (*flag, *count)).collect(),
            failed: self.failed.iter().map(|(outcome, count)| (*outcome, *count)).collect(),
            not_charged: self.not_charged.iter().map(|(label, count)| (*label, *count)).collect(),
        }
    }
}

impl Values {
    fn percentiles<T>(&self, bad_end: u64, unit: fn(u64) -> T, last: Timestamp) -> Percentiles<T> {
        Percentiles {
            count: self.counts.count(),
            p50: self.counts.percentile(50).map(unit),
            bad_end: self.counts.percentile(bad_end).map(unit),
            is_current: self.newest.are_current(last),
        }
    }
}

fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}
