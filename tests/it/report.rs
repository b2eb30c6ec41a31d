//! The analysis: fixtures give an exact table, from the archive and from the database, and hostile input is counted.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect, in its helpers too")]

mod best;
mod connections;
mod database;
mod health;
mod query;
mod scan;
mod slowest;
mod standard;

use bandprobe::{
    model::{
        flag::Flag,
        outcome::Outcome,
        phase::Phases,
        probe::PartName,
        sample::{CacheState, ConnectionKind, Rates, Sample},
        units::BitRate,
    },
    record::transfer_point::TransferPoint,
    record::{line, transfer::transfer},
};

use crate::record::samples::{at, failed, image, video};

/// A day of three nodes from two vantages, with everything that a report has to separate.
fn day() -> Vec<Sample> {
    let mut samples = vec![];
    for n in 0..10_u64 {
        let nanoseconds = n.cast_signed();
        samples.push(image("fra1", nanoseconds, 80_000 + 1_000 * n));
        samples.push(check("fra1", nanoseconds, CacheState::Hit));
        samples.push(start("fra1", nanoseconds, 50_000_000 + 1_000_000 * n));
        samples.push(image("syd1", nanoseconds, 400_000 + 10_000 * n));
        samples.push(check("syd1", nanoseconds, if n < 2 { CacheState::Hit } else { CacheState::Miss }));
    }
    // Medians include neither warm images nor cache misses.
    let warm = image("fra1", 100, 9);
    samples
        .push(Sample { labels: warm.labels.clone().with(|labels| labels.conn = Some(ConnectionKind::Warm)), ..warm });
    let missed = image("fra1", 101, 3_000_000);
    samples.push(Sample { labels: missed.labels.clone().with(|labels| labels.cache = CacheState::Miss), ..missed });
    // Invalid rates are left out and counted.
    let mut starved = start("fra1", 102, 1_000);
    starved.flags.raise(Flag::CpuBound);
    starved.flags.raise(Flag::Concurrent);
    samples.push(starved);
    // A failed check ends its run, as a failed download does.
    samples.push(failed(check("syd1", 103, CacheState::Unknown), Outcome::ConnectRefused));
    samples.push(failed(image("syd1", 104, 1), Outcome::HeadersTimeout));
    samples.push(failed(image("syd1", 105, 1), Outcome::HeadersTimeout));
    // Failures that are our own, or nobody's fault, are not charged.
    samples.push(failed(image("syd1", 106, 1), Outcome::LocalFailed));
    samples.push(failed(start("syd1", 107, 1), Outcome::NotCached));
    let mut suspect = failed(image("syd1", 108, 1), Outcome::DnsTimeout);
    suspect.run_ok = None;
    suspect.flags.raise(Flag::VantageSuspect);
    samples.push(suspect);
    // From the other vantage, the same node has only one image.
    let far = image("fra1", 109, 420_000);
    samples.push(Sample { labels: far.labels.clone().with(|labels| labels.vantage = "ap-south".into()), ..far });
    samples
}

fn check(node: &str, nanoseconds: i64, cache: CacheState) -> Sample {
    let sample = image(node, nanoseconds, 30_000);
    let labels = sample.labels.clone().with(|labels| {
        labels.part = Some(PartName::Check);
        labels.cache = cache;
    });
    let mut check = Sample { labels, bytes: None, rates: Rates::default(), run_ok: None, ..sample };
    check.count_hit();
    check
}

fn start(node: &str, nanoseconds: i64, goodput: u64) -> Sample {
    let sample = video();
    let labels = sample.labels.clone().with(|labels| labels.node = node.into());
    let rates = Rates { goodput: Some(BitRate(goodput)), ..sample.rates };
    Sample { at: at(nanoseconds), labels, rates, ..sample }
}

/// The lines of samples, as the archive holds them.
fn lines(samples: &[Sample]) -> String {
    let mut text = String::new();
    samples.iter().for_each(|sample| line::encode(&transfer(sample), &mut text));
    text
}

fn points(samples: &[Sample]) -> Vec<TransferPoint> {
    samples.iter().map(|sample| TransferPoint::from_point(&transfer(sample)).unwrap()).collect()
}

trait With: Sized {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl With for bandprobe::model::sample::Labels {}

#[test]
fn without_phases_there_are_no_figures() {
    let mut sample = failed(image("n", 0, 1), Outcome::NotCached);
    sample.phases = Phases::default();
    let point = &points(&[sample])[0];
    assert_eq!((point.ttfb, point.goodput, point.valid), (None, None, false));
}
