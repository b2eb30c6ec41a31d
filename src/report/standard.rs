//! The performance standard of the Joystream Distribution Working Group over transfer points: per vantage and node the
//! medians, per vantage the best node against the targets.
//!
//! Who is charged with what: a download that did not end ok is the node's failure, and so is a check that failed, since
//! no download followed it. Not the node's are what [`Outcome`] says is ours, and whatever failed while this vantage
//! itself was suspect: these are counted apart. Latencies and rates are of what the node held, or did not tell of.

use std::{collections::BTreeMap, sync::Arc};

use super::transfer_point::TransferPoint;
use crate::{
    model::{
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
    /// Downloads charged to the node, good and failed; without checks.
    pub downloads: u64,
    /// Those that ended ok.
    pub ok: u64,
    /// Downloads and failed checks: what the success share is of.
    pub attempts: u64,
    /// Cold images.
    pub ttfb: Percentiles<Micros>,
    /// Video starts with a valid rate.
    pub goodput: Percentiles<BitRate>,
    /// Good transfers that told of the cache, of assets that were not chosen for being held: mostly checks.
    pub checks: u64,
    /// Those of them that were hits.
    pub hits: u64,
    /// Good downloads whose rates are left out.
    pub invalid: u64,
    /// Why they are: flag and how often; one download may have several.
    pub invalid_for: Vec<(Flag, u64)>,
    /// Good downloads that stalled and went on: their rates count, and a viewer would have seen it.
    pub stalled: u64,
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
        self.groups.entry(key).or_default().add(point);
    }

    /// The figures of what was taken.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let rows = self.groups.iter().map(|((vantage, node), group)| group.row(vantage, node)).collect();
        Summary { rows, dropped: self.dropped }
    }
}

impl Row {
    /// Share of the attempts that ended ok.
    #[must_use]
    pub fn success_share(&self) -> Option<f64> {
        share(self.ok, self.attempts)
    }

    /// Share of the checks that were hits.
    #[must_use]
    pub fn hit_ratio(&self) -> Option<f64> {
        share(self.hits, self.checks)
    }
}

/// Is an outcome the node's doing, or that of the path to it?
#[must_use]
pub const fn is_charged(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Blocked | Outcome::NotCached | Outcome::LocalFailed | Outcome::Cancelled)
}

#[derive(Clone, Debug, Default)]
struct Group {
    downloads: u64,
    ok: u64,
    attempts: u64,
    ttfb: Counts,
    goodput: Counts,
    checks: u64,
    hits: u64,
    invalid: u64,
    invalid_for: BTreeMap<Flag, u64>,
    stalled: u64,
    lower_bounds: BTreeMap<Flag, u64>,
    failed: BTreeMap<Outcome, u64>,
    not_charged: BTreeMap<&'static str, u64>,
}

impl Group {
    fn add(&mut self, point: &TransferPoint) {
        let failed = !point.outcome.is_ok();
        if !is_charged(point.outcome) {
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
        self.checks += u64::from(!failed && point.hit.is_some());
        self.hits += u64::from(!failed && point.hit == Some(true));
        if failed {
            self.attempts += 1;
            *self.failed.entry(point.outcome).or_default() += 1;
        } else if !check {
            self.attempts += 1;
            self.ok += 1;
            self.add_download(point);
        }
    }

    fn add_download(&mut self, point: &TransferPoint) {
        self.stalled += u64::from(point.flags.contains(Flag::StalledSome));
        let held = matches!(point.cache, CacheState::Hit | CacheState::Unknown);
        let cold_image = point.kind == Some(AssetKind::Image)
            && point.part == Some(PartName::Full)
            && point.conn == Some(Conn::Cold)
            && held;
        if let Some(ttfb) = point.ttfb.filter(|_| cold_image) {
            self.ttfb.add_time(ttfb);
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
            self.goodput.add_rate(goodput);
            for flag in [Flag::ReceiverLimited, Flag::UplinkLimited].into_iter().filter(|f| point.flags.contains(*f)) {
                *self.lower_bounds.entry(flag).or_default() += 1;
            }
        }
    }

    fn row(&self, vantage: &Arc<str>, node: &Arc<str>) -> Row {
        Row {
            vantage: vantage.clone(),
            node: node.clone(),
            downloads: self.downloads,
            ok: self.ok,
            attempts: self.attempts,
            ttfb: percentiles(&self.ttfb, 90, Micros),
            goodput: percentiles(&self.goodput, 10, BitRate),
            checks: self.checks,
            hits: self.hits,
            invalid: self.invalid,
            invalid_for: self.invalid_for.iter().map(|(flag, count)| (*flag, *count)).collect(),
            stalled: self.stalled,
            lower_bounds: self.lower_bounds.iter().map(|(flag, count)| (*flag, *count)).collect(),
            failed: self.failed.iter().map(|(outcome, count)| (*outcome, *count)).collect(),
            not_charged: self.not_charged.iter().map(|(label, count)| (*label, *count)).collect(),
        }
    }
}

fn percentiles<T>(counts: &Counts, bad_end: u64, unit: fn(u64) -> T) -> Percentiles<T> {
    Percentiles {
        count: counts.count(),
        p50: counts.percentile(50).map(unit),
        bad_end: counts.percentile(bad_end).map(unit),
    }
}

fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}
