//! Points as the dashboard's expectations read them, and points that no demo gives.

use std::collections::BTreeMap;

use bandprobe::{
    model::{
        flag::Flag,
        outcome::Outcome,
        phase::{Phase, Phases},
        probe::PartName,
        sample::{CacheState, Conn, Path, Rates, Sample},
        target::Vantage,
        units::{BitRate, Bytes, Micros},
    },
    record::{
        line,
        transfer::transfer,
        worker::{WorkerCounters, WorkerGauges, worker_point},
    },
};
use jiff::{SignedDuration, Timestamp};

use super::states;
use crate::record::{
    parser::{Line, Parsed},
    samples::{failed, image, video},
};

/// A point taken apart.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) measurement: String,
    /// In ns.
    pub(super) time: i64,
    tags: BTreeMap<String, String>,
    numbers: BTreeMap<String, f64>,
    texts: BTreeMap<String, String>,
    flags: Vec<String>,
}

impl From<Line> for Point {
    fn from(line: Line) -> Self {
        let mut point = Self {
            measurement: line.measurement,
            time: line.time,
            tags: line.tags.into_iter().collect(),
            numbers: BTreeMap::new(),
            texts: BTreeMap::new(),
            flags: Vec::new(),
        };
        for (name, value) in line.fields {
            match value {
                Parsed::Integer(integer) => drop(point.numbers.insert(name, integer as f64)),
                Parsed::Float(float) => drop(point.numbers.insert(name, float)),
                Parsed::Text(text) if name == "flags" => point.flags = text.split(',').map(str::to_owned).collect(),
                Parsed::Text(text) => drop(point.texts.insert(name, text)),
            }
        }
        point
    }
}

impl Point {
    /// A tag; empty where the measurement has no such one.
    pub(super) fn tag(&self, name: &str) -> &str {
        self.tags.get(name).map_or("", String::as_str)
    }

    /// A field that was measured.
    pub(super) fn field(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).copied()
    }

    /// A text that was told, or a tag.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).or_else(|| self.tags.get(name)).map(String::as_str)
    }

    /// A field that every point has.
    pub(super) fn number(&self, name: &str) -> f64 {
        self.field(name).unwrap_or(f64::NAN)
    }

    /// Does it have this flag?
    pub(super) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|known| known == flag)
    }
}

/// A node's name as discovery makes it: every character that a regular expression takes for something else.
pub(super) const AWKWARD: &str = "edge+1.example.org:8443/distributor-(a)";

/// Lines of another vantage, in the last hour, with everything that the dashboard has to keep apart; and how many.
pub(super) fn made(now: Timestamp) -> (String, u64) {
    let mut text = String::new();
    let (samples, workers) = (samples(), workers());
    let count = samples.len() + workers.len();
    let start = now - SignedDuration::from_mins(50);
    for (index, mut sample) in samples.into_iter().enumerate() {
        sample.at = start + SignedDuration::from_secs(7 * i64::try_from(index).unwrap());
        sample.labels.vantage = "far".into();
        line::encode(&transfer(&sample), &mut text);
    }
    let vantage = Vantage { id: "far".into(), worker: "far-1".into(), uplink: None, country: None, location: None };
    for (minute, (counters, gauges)) in (0..).zip(&workers) {
        line::encode(&worker_point(&vantage, start + SignedDuration::from_mins(minute), counters, gauges), &mut text);
    }
    let states = states::made(start);
    states.iter().for_each(|point| line::encode(point, &mut text));
    (text, (count + states.len()).try_into().unwrap())
}

fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for n in 0..6 {
        samples.push(image(AWKWARD, 0, 80_000 + 1_000 * n));
        samples.push(image("near", 0, 30_000 + 10_000 * n));
        samples.push(start(AWKWARD, 30_000_000 + 1_000_000 * n));
        samples.push(check(AWKWARD, if n < 2 { CacheState::Hit } else { CacheState::Miss }));
        samples.push(check("near", if n < 5 { CacheState::Hit } else { CacheState::Miss }));
        samples.push(warm(AWKWARD, 40_000 + 1_000 * n));
    }
    // The best of all, but of one value.
    samples.push(image("lucky", 0, 1_000));
    // A name that holds another one.
    samples.push(image("near-by", 0, 70_000));
    samples.push(start("lucky", 900_000_000));
    // Phases that some transfers of a node have and others have not.
    let mut whole = image("near", 0, 1);
    whole.phases = Phases::default();
    let phases = [Phase::Dns, Phase::Connect, Phase::Tls, Phase::Send, Phase::Wait, Phase::Receive];
    (1..).zip(phases).for_each(|(n, phase)| whole.phases.end(phase, Micros(10_000 * n)));
    samples.push(whole);
    // Neither misses nor invalid rates belong to the figures.
    samples.push(changed(image(AWKWARD, 0, 1), |sample| sample.labels.cache = CacheState::Miss));
    samples.push(changed(start(AWKWARD, 1), |sample| sample.labels.cache = CacheState::Pending));
    samples.push(changed(start(AWKWARD, 2), |sample| sample.flags.raise(Flag::CpuBound)));
    // Reasons for doubt, alone and together, and what only lies below the truth; on a check they are none of a rate.
    for (node, flags) in [
        (AWKWARD, &[Flag::Concurrent][..]),
        (AWKWARD, &[Flag::ClockStep, Flag::Concurrent, Flag::CpuBound]),
        (AWKWARD, &[Flag::ReceiverLimited]),
        ("near", &[Flag::CpuBound, Flag::Frozen]),
        ("near", &[Flag::Coarse, Flag::ReceiverLimited, Flag::UplinkLimited]),
    ] {
        samples.push(changed(start(node, 5_000_000), |sample| flags.iter().for_each(|flag| sample.flags.raise(*flag))));
    }
    samples.push(changed(check("near", CacheState::Hit), |sample| sample.flags.raise(Flag::ClockStep)));
    // A certificate that is about to expire; later transfers tell nothing of it.
    samples.push(changed(start("near", 6_000_000), |sample| sample.tls.cert_expires = Some(500_000)));
    samples.push(changed(image("near", 0, 45_000), |sample| {
        sample.flags.raise(Flag::Coarse);
        sample.flags.raise(Flag::VantageSuspect);
    }));
    // Charged: a failed download, a failed check, one with a flag that excuses nothing.
    samples.push(failed(image(AWKWARD, 0, 1), Outcome::HeadersTimeout));
    samples.push(failed(check("near", CacheState::Unknown), Outcome::ConnectRefused));
    samples.push(changed(failed(start(AWKWARD, 1), Outcome::Stalled), |sample| sample.flags.raise(Flag::StalledSome)));
    // Not charged.
    for outcome in [Outcome::Blocked, Outcome::NotCached, Outcome::LocalFailed] {
        samples.push(failed(image("near", 0, 1), outcome));
    }
    for sample in [failed(image("near", 0, 1), Outcome::DnsTimeout), failed(start(AWKWARD, 1), Outcome::NotCached)] {
        samples.push(changed(sample, |sample| {
            sample.flags.raise(Flag::Concurrent);
            sample.flags.raise(Flag::VantageSuspect);
        }));
    }
    samples.push(changed(failed(start("near", 1), Outcome::Stalled), |sample| sample.flags.raise(Flag::Frozen)));
    samples
}

fn workers() -> Vec<(WorkerCounters, WorkerGauges)> {
    // The fourth is after a restart.
    let minutes = [(0, 3), (900_000, 2), (1_500_000, 0), (20_000, 5), (350_000, 1)];
    let point = |(cpu, n): (u64, u64)| {
        let counters = WorkerCounters {
            runs_started: 10,
            runs_missed: n,
            runs_late: n + 2,
            runs_skipped_budget: 2 * n,
            points_rejected: n,
            points_dropped: 7 * n,
            retries: n + 1,
            bytes_downloaded: 1_000_000 * n,
            lookups_abandoned: n % 3,
            rounds_missed: 3 * n,
            log_lines_dropped: 100 * n,
            frozen: Micros(6_000_000 * n),
            ..WorkerCounters::default()
        };
        let gauges = WorkerGauges {
            lateness_p99: Some(Micros(1_000 * n)),
            schedule_delay: Micros(500 * n),
            spool: Some(Bytes(100 * n)),
            spool_age: Some(std::time::Duration::from_secs(60 * n)),
            cpu: Some(Micros(cpu)),
            rss: Some(Bytes(20_000_000 + n)),
            nodes: 3 + n,
            ..WorkerGauges::default()
        };
        (counters, gauges)
    };
    minutes.map(point).into()
}

fn check(node: &str, cache: CacheState) -> Sample {
    changed(image(node, 0, 30_000), |sample| {
        sample.labels.part = Some(PartName::Check);
        sample.labels.cache = cache;
        sample.count_hit();
        sample.run_ok = None;
        sample.bytes = None;
        sample.rates = Rates::default();
    })
}

fn warm(node: &str, wait: u64) -> Sample {
    changed(image(node, 0, 1), |sample| {
        sample.labels.conn = Some(Conn::Warm);
        sample.phases = Phases::default();
        sample.phases.end(Phase::Send, Micros(100));
        sample.phases.end(Phase::Wait, Micros(100 + wait));
        sample.phases.end(Phase::Receive, Micros(2_000 + wait));
        sample.path = Path { rtt: Some(Micros(wait / 4)), ..Path::default() };
    })
}

fn start(node: &str, goodput: u64) -> Sample {
    changed(video(), |sample| {
        sample.labels.node = node.into();
        sample.rates.goodput = Some(BitRate(goodput));
    })
}

fn changed(mut sample: Sample, change: impl FnOnce(&mut Sample)) -> Sample {
    change(&mut sample);
    sample
}
