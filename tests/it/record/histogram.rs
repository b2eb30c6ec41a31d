//! Windows and their blobs: hdrhistogram reads the recorded values back, and blobs merge exactly.

use std::time::Duration;

use bandprobe::{
    model::{
        flag::Flag,
        outcome::Outcome,
        phase::{Phase, Phases},
        probe::PartName,
        sample::Sample,
        units::{BitRate, Micros},
    },
    record::{
        histogram::{Metric, Scale},
        point::{Point, Value},
        window::{MAX_BYTES, MAX_SERIES, Windows},
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hdrhistogram::{Histogram, serialization::Deserializer};
use jiff::{SignedDuration, ToSpan};
use proptest::prelude::*;

use super::samples::{at, failed, image, video};

const HOUR: Duration = Duration::from_secs(3_600);

fn integer(point: &Point, name: &str) -> i64 {
    match point.fields().iter().find(|(field, _)| field.name == name) {
        Some((_, Value::Integer(integer))) => *integer,
        other => panic!("{name}: {other:?}"),
    }
}

fn tag<'a>(point: &'a Point, name: &str) -> &'a str {
    point.tags().find(|(tag, _)| tag.0 == name).unwrap().1
}

fn blob(point: &Point) -> Histogram<u64> {
    let Some((_, Value::Text(text))) = point.fields().iter().find(|(field, _)| field.name == "hdr") else {
        panic!("no blob: {point:?}")
    };
    Deserializer::new().deserialize(&mut STANDARD.decode(text).unwrap().as_slice()).unwrap()
}

fn recorded(scale: Scale, values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(scale.lowest(), scale.highest(), 3).unwrap();
    values.into_iter().for_each(|value| histogram.record(value).unwrap());
    histogram
}

fn flushed(samples: &[Sample]) -> Vec<Point> {
    let mut windows = Windows::new(HOUR);
    samples.iter().for_each(|sample| windows.record(sample));
    windows.flush_all().collect()
}

fn of(points: &[Point], metric: Metric) -> Vec<&Point> {
    points.iter().filter(|point| tag(point, "metric") == metric.label()).collect()
}

/// A transfer of this total, one microsecond of it after the first byte.
fn taking(nanoseconds: i64, total: u64, goodput: u64) -> Sample {
    let mut phases = Phases::default();
    phases.end(Phase::Wait, Micros(total.saturating_sub(1)));
    phases.end(Phase::Receive, Micros(total));
    let mut sample = Sample { at: at(nanoseconds), phases, ..video() };
    sample.rates.goodput = Some(BitRate(goodput));
    sample
}

#[test]
fn a_sample_counts_only_in_metrics_it_is_valid_for() {
    let check = |name: &str, change: &dyn Fn(&mut Sample), expected: &str| {
        let mut sample = video();
        change(&mut sample);
        let points = flushed(&[sample]);
        let metrics: Vec<_> = points.iter().map(|point| tag(point, "metric")).collect();
        assert_eq!(metrics.join(" "), expected, "{name}");
    };
    check("good", &|_| {}, "ttfb wait server total effective goodput interval");
    check("failed", &|sample| sample.outcome = Outcome::Truncated, "");
    check("frozen", &|sample| sample.flags.raise(Flag::Frozen), "");
    check("invalid", &|sample| sample.flags.raise(Flag::CpuBound), "ttfb wait server total");
    let partial = "ttfb wait server effective goodput interval";
    check("partial", &|sample| sample.flags.raise(Flag::Partial), partial);
    check("no rtt", &|sample| sample.path.rtt = None, "ttfb wait total effective goodput interval");
    let checked = |sample: &mut Sample| {
        sample.labels.part = Some(PartName::Check);
        sample.rates = Default::default();
        sample.intervals.clear();
    };
    check("check", &checked, "ttfb wait server total");
}

#[test]
fn points_hold_the_figures_and_the_blob() {
    let samples: Vec<_> = (1..=100).map(|n| image("n", 1_000 - n, 1_000 * n.unsigned_abs())).collect();
    let points = flushed(&samples);
    let ttfb = of(&points, Metric::Ttfb)[0];
    assert_eq!(ttfb.time(), at(900), "the earliest start, not the first recorded");
    for (field, value) in [
        ("count", 100),
        ("min", 1_000),
        ("max", 100_000),
        ("p10", 10_000),
        ("p50", 50_000),
        ("p90", 90_000),
        ("p99", 99_000),
        ("window_us", 3_600_000_000),
    ] {
        assert_eq!(integer(ttfb, field), value, "{field}");
    }
    assert_eq!(blob(ttfb), recorded(Scale::Time, (1..=100).map(|n| 1_000 * n)));
    assert_eq!(tag(ttfb, "region"), "none");
}

#[test]
fn values_out_of_range_are_clamped_and_counted() {
    let mut windows = Windows::new(HOUR);
    windows.record(&taking(0, 500_000_000, 400_000_000_000));
    let points: Vec<_> = windows.flush_all().collect();
    assert_eq!(integer(of(&points, Metric::Total)[0], "max"), 120_000_000);
    assert_eq!(integer(of(&points, Metric::Goodput)[0], "max"), 100_000_000_000);
    let counts = windows.take_counts();
    assert_eq!((counts.clamped, counts.dropped), (5, 0), "four times and the goodput");
    assert_eq!(windows.take_counts().clamped, 0);
}

#[test]
fn windows_end_at_the_full_hour() {
    let mut windows = Windows::new(HOUR);
    let first = video(); // 10:00:00.1
    windows.record(&first);
    let eleven = first.at.round(jiff::Unit::Hour).unwrap() + 1.hour();
    let just_before = eleven - SignedDuration::from_nanos(1);
    assert_eq!(windows.flush_due(just_before).count(), 0);
    let points: Vec<_> = windows.flush_due(eleven).collect();
    assert_eq!(points.len(), 7);
    assert_eq!(windows.flush_due(eleven + 9.hours()).count(), 0, "nothing is flushed twice");
    windows.record(&first);
    assert_eq!(windows.flush_due(eleven + 1.minute()).count(), 0, "what ends after eleven is of the next window");
    assert_eq!(windows.flush_due(first.at - 48.hours()).count(), 7, "a clock set back holds nothing up");
}

#[test]
fn an_unfinished_flush_keeps_the_rest() {
    let mut windows = Windows::new(HOUR);
    for node in ["a", "b", "c"] {
        windows.record(&failed(image(node, 0, 1), Outcome::HeadersTimeout));
        windows.record(&image(node, 0, 80_000));
    }
    let first = windows.flush_all().next().unwrap();
    assert_eq!(tag(&first, "node"), "a");
    let rest: Vec<_> = windows.flush_all().collect();
    assert_eq!(rest.len(), 3 * 5 - 1, "five metrics of each image, one of which was taken before");
    assert_eq!(of(&rest, Metric::Ttfb).len(), 2);
    assert_eq!(windows.flush_all().count(), 0);
}

#[test]
fn memory_is_bounded_and_dropped_samples_are_counted() {
    let mut windows = Windows::new(HOUR);
    let sample = image("n", 0, 80_000);
    let rows = (MAX_BYTES / 32) as u64;
    windows.record(&image("a", 0, 80_000));
    (0..rows * 3 / 4 - 2).for_each(|_| windows.record(&sample));
    assert_eq!(windows.flush_due(sample.at).count(), 0);
    windows.record(&sample);
    let first = windows.flush_due(sample.at).next().unwrap();
    assert_eq!(tag(&first, "node"), "a", "full before the hour is");
    (0..rows / 4 + 1 + 7).for_each(|_| windows.record(&sample));
    assert_eq!(windows.take_counts().dropped, 7);
    let mut windows = Windows::new(HOUR);
    for n in 0..=MAX_SERIES {
        let mut sample = sample.clone();
        sample.labels.node = n.to_string().into();
        windows.record(&sample);
    }
    assert_eq!(windows.take_counts().dropped, 1);
}

#[test]
fn sixty_minutes_merge_into_the_same_hour() {
    let mut minutes = Windows::new(Duration::from_secs(60));
    let mut merged: Option<Histogram<u64>> = None;
    let mut all = vec![];
    for minute in 0..60_u64 {
        for n in 0..5 {
            let value = 900 + 7_919 * (minute * 5 + n) % 3_000_000;
            all.push(value);
            minutes.record(&taking((minute * 60_000_000_000 + n).cast_signed(), value, 1));
        }
        let end = at(0) + SignedDuration::from_secs(60 * (minute.cast_signed() + 1));
        let points: Vec<_> = minutes.flush_due(end).collect();
        let total = blob(of(&points, Metric::Total)[0]);
        match &mut merged {
            None => merged = Some(total),
            Some(merged) => merged.add(total).unwrap(),
        }
    }
    assert_eq!(merged.unwrap(), recorded(Scale::Time, all));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn merge_is_union(
        left in prop::collection::vec((0_u64..120_000_000, 0_u64..100_000_000_000), 1..40),
        right in prop::collection::vec((0_u64..3_000_000, 0_u64..2_000_000), 1..40),
    ) {
        let samples = |values: &[(u64, u64)], from: i64| -> Vec<Sample> {
            (from..).zip(values).map(|(n, (total, goodput))| {
                let mut sample = taking(n, *total, *goodput);
                sample.intervals = vec![BitRate(*goodput), BitRate(*total)];
                sample
            }).collect()
        };
        let both: Vec<_> = left.iter().chain(&right).copied().collect();
        let [one, two, union] =
            [(&left, 0), (&right, 1_000), (&both, 5_000)].map(|(values, from)| flushed(&samples(values, from)));
        for metric in [Metric::Total, Metric::Goodput, Metric::Interval] {
            let [one, two, union] = [&one, &two, &union].map(|points| blob(of(points, metric)[0]));
            let mut merged = one;
            merged.add(&two).unwrap();
            prop_assert_eq!(&merged, &union);
            let direct: Vec<u64> = both.iter().flat_map(|(total, goodput)| match metric {
                Metric::Total => vec![*total],
                Metric::Goodput => vec![*goodput],
                _ => vec![*goodput, *total],
            }).collect();
            prop_assert_eq!(&union, &recorded(metric.scale(), direct));
        }
    }

    #[test]
    fn percentiles_match_the_sorted_values(values in prop::collection::vec(1_000_000_u64..90_000_000_000, 1..80)) {
        let mut sample = video();
        sample.intervals = values.iter().map(|value| BitRate(*value)).collect();
        let goodputs: Vec<_> = (0..).zip(&values).map(|(n, value)| taking(n, 9, *value)).collect();
        let mut sorted = values;
        sorted.sort_unstable();
        for point in [of(&flushed(&[sample]), Metric::Interval)[0], of(&flushed(&goodputs), Metric::Goodput)[0]] {
            let blob = blob(point);
            for (field, percent) in [("p10", 10), ("p50", 50), ("p90", 90), ("p99", 99)] {
                let exact = sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1] as f64;
                let within = |value: f64| (value - exact).abs() <= exact / 1_000.0;
                prop_assert!(within(integer(point, field) as f64), "{field} of {sorted:?}: {}", integer(point, field));
                prop_assert!(within(blob.value_at_quantile(percent as f64 / 100.0) as f64), "blob {field}");
            }
        }
    }
}
