//! The performance standard of the Joystream Distribution Working Group over transfer points: per vantage and node the
//! medians, per vantage the best node against the targets.
//!
//! The success share counts runs, however many transfers each had: a run is good when all its transfers are, and the transfer
//! that decided it says so. A transfer that is not charged to the node, because it failed for reasons of ours or while this
//! vantage itself was suspect, is counted apart, and its run is in no share. Latencies and rates are of what the node held,
//! or said nothing about.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{best::Newest, transfer_point::TransferPoint};
use crate::{
    model::{
        availability::State,
        flag::Flag,
        outcome::Outcome,
        probe::PartName,
        sample::{CacheState, Conn},
        target::AssetKind,
        units::{BitRate, Micros},
    },
    record::histogram::Counts,
};

/// Gathers points, in bounded memory: values are counted by bucket.
#[derive(Clone, Debug, Default)]
pub struct Standard {
    groups: BTreeMap<(Arc<str>, Arc<str>), Group>,
    /// The last transfer of each vantage.
    last: BTreeMap<Arc<str>, Timestamp>,
    dropped: u64,
}

/// The figures of all nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Sorted by vantage and node.
    pub rows: Vec<Row>,
    /// Points left out because there were too many nodes.
    pub dropped: u64,
}

/// The figures of one node from one vantage.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The vantage.
    pub vantage: Arc<str>,
    /// The node.
    pub node: Arc<str>,
    /// What the node is, by its last status round: `distributor`, `storage` or `http`.
    pub role: Option<Arc<str>>,
    /// Its state in that round.
    pub state: Option<State>,
    /// Runs charged to the node.
    pub runs: u64,
    /// Those of them in which every transfer was good.
    pub runs_ok: u64,
    /// Downloads charged to the node, good and failed; without checks.
    pub downloads: u64,
    /// Those that ended ok.
    pub ok: u64,
    /// Cold images.
    pub ttfb: Percentiles<Micros>,
    /// Video starts with a valid rate.
    pub goodput: Percentiles<BitRate>,
    /// Good transfers that told of the cache, of assets that were not chosen for being held: mostly checks.
    pub checks: u64,
    /// Those of them that were hits.
    pub hits: u64,
    /// Are there enough recent ones of these checks?
    pub hits_are_current: bool,
    /// Good downloads whose rates are left out.
    pub invalid: u64,
    /// Why they are: flag and how often; one download may have several.
    pub invalid_for: Vec<(Flag, u64)>,
    /// Good downloads that stalled and went on: their rates count, and a viewer would have seen it.
    pub stalled: u64,
    /// Good downloads that were too slow for a viewer: their figures count, and their runs are failed ones.
    pub too_slow: u64,
    /// Of the rates that count, those that are lower bounds: the flag and how often.
    pub lower_bounds: Vec<(Flag, u64)>,
    /// How what failed did.
    pub failed: Vec<(Outcome, u64)>,
    /// What is not charged to the node.
    pub not_charged: Vec<(&'static str, u64)>,
}

/// Percentiles of the nearest rank; `None` without values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles<T> {
    /// Of how many values.
    pub count: u64,
    /// The median.
    pub p50: Option<T>,
    /// The far end of what a viewer meets: p90 of a latency, p10 of a rate.
    pub bad_end: Option<T>,
    /// Are there enough recent values to be the best node?
    pub is_current: bool,
}

/// Medians of TTFB below this are within the standard.
pub const TTFB_TARGET: Micros = Micros(350_000);

/// Medians of goodput above this are within the standard.
pub const GOODPUT_TARGET: BitRate = BitRate(20_000_000);

/// Hit ratios above this, in percent, are within the standard.
pub const HIT_TARGET_PERCENT: u64 = 30;

/// Pairs of vantage and node, at the most.
pub const MAX_GROUPS: usize = 100_000;

impl Standard {
    /// Takes one transfer.
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

    /// The figures of what was taken.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let row = |((vantage, node), group): (&(Arc<str>, Arc<str>), &Group)| {
            group.row(vantage, node, self.last.get(vantage).copied().unwrap_or_default())
        };
        let rows = self.groups.iter().map(row).collect();
        Summary { rows, dropped: self.dropped }
    }
}

impl Row {
    /// Share of the runs that were good.
    #[must_use]
    pub fn success_share(&self) -> Option<f64> {
        share(self.runs_ok, self.runs)
    }

    /// Share of the checks that were hits.
    #[must_use]
    pub fn hit_ratio(&self) -> Option<f64> {
        share(self.hits, self.checks)
    }
}

#[derive(Clone, Debug, Default)]
struct Group {
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

/// Values of one figure.
#[derive(Clone, Debug, Default)]
struct Values {
    counts: Counts,
    newest: Newest,
}

impl Group {
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
        // It stands only where the asset was not chosen for being held; a CDN says it with the download itself.
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
        // A node is not the best by answers that no viewer would have waited for.
        let dated = (!is_too_slow).then_some(point.at);
        let held = matches!(point.cache, CacheState::Hit | CacheState::Unknown);
        let cold_image = point.kind == Some(AssetKind::Image)
            && point.part == Some(PartName::Full)
            && point.conn == Some(Conn::Cold)
            && held;
        if let Some(ttfb) = point.ttfb.filter(|_| cold_image) {
            self.ttfb.counts.add_time(ttfb);
            self.ttfb.newest.extend(dated);
        }
        // Of a small download no rate was to be had.
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

    /// The row, when the vantage's last transfer was then.
    fn row(&self, vantage: &Arc<str>, node: &Arc<str>, last: Timestamp) -> Row {
        Row {
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
