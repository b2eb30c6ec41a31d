//! Goodput of given timelines: files with their expected values, and properties that hold for every body.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests themselves")]

use std::{fs, path::Path};

use bandprobe::{
    measure::{
        goodput::{self, BodyJudgement, Ending},
        timeline::{BINS, Timeline},
    },
    model::{
        flag::Flag,
        sample::Rates,
        units::{self, BitRate, Bytes, Micros},
    },
};
use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use serde::Deserialize;

mod history;
mod intervals;
mod small_fleets;

/// A body, and the expected result.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What the request and the response promised; absent: no length was announced.
    planned: Option<String>,
    /// t0 → response head, absent: 0.
    head: Option<String>,
    rtt: Option<String>,
    /// Head → first point, absent: none.
    first_after: Option<String>,
    /// The bytes of the first point.
    first: String,
    segments: Vec<Segment>,
    /// From the last point to the end of the transfer, which was cut off then; absent: it ended with its last point.
    tail: Option<String>,
    expect: Expect,
}

/// A stretch of reads at a constant rate, or a pause.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Segment {
    Flow {
        rate: String,
        #[serde(rename = "for")]
        lasts: String,
        /// Time between reads, absent: 1 ms.
        every: Option<String>,
    },
    Gap {
        gap: String,
    },
}

/// A key that is absent expects the absence of the number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    effective: Option<String>,
    goodput: Option<String>,
    steady: Option<String>,
    min_interval: Option<String>,
    ramp: Option<String>,
    longest_gap: Option<String>,
    stalls: Option<u64>,
    stalled: Option<String>,
    intervals: usize,
    /// Smallest and largest interval.
    interval_range: Option<[String; 2]>,
    flags: String,
}

#[test]
fn scenarios() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/measure");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let scenario: Scenario = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        check(&name, &scenario);
        seen += 1;
    }
    assert!(seen >= 10, "only {seen} scenarios were found");
}

fn check(name: &str, scenario: &Scenario) {
    let (timeline, total) = played(scenario);
    let planned = scenario.planned.as_deref().map(|text| text.parse::<Bytes>().unwrap().0);
    let ending = if scenario.tail.is_some() { Ending::Partial } else { Ending::Finished };
    let BodyJudgement { rates, intervals, flags } =
        goodput::judge(&timeline, planned, ending, total, scenario.rtt.as_deref().map(micros));
    let expect = &scenario.expect;
    let rate = |what: &str, found: Option<BitRate>, expected: &Option<String>| {
        assert_near(&format!("{name}: {what}"), found.map(|r| r.0), expected.as_deref().map(bit_rate));
    };
    rate("effective", rates.effective, &expect.effective);
    rate("goodput", rates.goodput, &expect.goodput);
    rate("steady", rates.steady, &expect.steady);
    rate("min_interval", rates.min_interval, &expect.min_interval);
    for (what, found, expected) in [
        ("ramp", rates.ramp, &expect.ramp),
        ("longest_gap", rates.longest_gap, &expect.longest_gap),
        ("stalled", rates.stalled, &expect.stalled),
    ] {
        assert_eq!(found, expected.as_deref().map(micros), "{name}: {what}");
    }
    assert_eq!(rates.stalls, expect.stalls, "{name}: stalls");
    assert_eq!(flags.to_string(), expect.flags, "{name}: flags");
    assert_eq!(intervals.len(), expect.intervals, "{name}: intervals");
    let range = expect.interval_range.as_ref().map(|[low, high]| (bit_rate(low), bit_rate(high)));
    assert_near(&format!("{name}: smallest interval"), intervals.iter().min().map(|r| r.0), range.map(|r| r.0));
    assert_near(&format!("{name}: largest interval"), intervals.iter().max().map(|r| r.0), range.map(|r| r.1));
}

/// Within 0.1 %, so that what a file says in three figures can be compared with the exact number.
fn assert_near(what: &str, found: Option<u64>, expected: Option<u64>) {
    let (Some(found), Some(expected)) = (found, expected) else {
        assert_eq!(found, expected, "{what}");
        return;
    };
    assert!(found.abs_diff(expected) <= expected / 1_000 + 1, "{what}: found {found}, expected {expected}");
}

fn played(scenario: &Scenario) -> (Timeline, Micros) {
    let optional = |text: &Option<String>| text.as_deref().map_or(0, |text| micros(text).0);
    let head = optional(&scenario.head);
    let mut at = head + optional(&scenario.first_after);
    let first = scenario.first.parse::<Bytes>().unwrap().0;
    let mut timeline = Timeline::new(Micros(head));
    timeline.record(Micros(at), first);
    let mut before = first;
    for segment in &scenario.segments {
        match segment {
            Segment::Gap { gap } => at += micros(gap).0,
            Segment::Flow { rate, lasts, every } => {
                let (rate, lasts) = (bit_rate(rate), micros(lasts).0);
                let every = every.as_deref().map_or(1_000, |text| micros(text).0);
                for elapsed in (1..=lasts / every).map(|n| n * every) {
                    timeline.record(Micros(at + elapsed), before + moved(rate, elapsed));
                }
                at += lasts;
                before += moved(rate, lasts);
            }
        }
    }
    let total = timeline.last().unwrap().at.0 + optional(&scenario.tail);
    (timeline, Micros(total))
}

/// How many bytes a rate moves in a number of microseconds.
fn moved(rate: u64, time: u64) -> u64 {
    u64::try_from(u128::from(rate) * u128::from(time) / 8_000_000).unwrap()
}

fn micros(text: &str) -> Micros {
    units::parse_duration(text).unwrap().into()
}

fn bit_rate(text: &str) -> u64 {
    text.parse::<BitRate>().unwrap().0
}

/// Reads of one body: (time since the last one in µs, bytes).
fn reads() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let dense = prop::collection::vec((0..20_000_u64, 1..200_000_u64), 1..2_000);
    let sparse = prop::collection::vec((0..3_000_000_u64, 1..20_000_000_u64), 1..300);
    prop_oneof![dense, sparse]
}

fn recorded(reads: &[(u64, u64)]) -> Timeline {
    let mut timeline = Timeline::new(Micros(1_000));
    let (mut at, mut bytes) = (1_000, 0);
    for (gap, grown) in reads {
        at += gap;
        bytes += grown;
        timeline.record(Micros(at), bytes);
    }
    timeline
}

proptest! {
    #[test]
    fn bins_conserve_bytes_and_never_fall(reads in reads()) {
        let timeline = recorded(&reads);
        let bytes: u64 = reads.iter().map(|(_, grown)| grown).sum();
        let first = timeline.first().unwrap().bytes;
        prop_assert_eq!(timeline.bytes(), bytes);
        prop_assert_eq!(timeline.bytes_after_first(timeline.span()), bytes - first);
        let edges: Vec<_> =
            (0..=BINS as u64).map(|k| timeline.bytes_after_first(Micros(k * timeline.width().0))).collect();
        prop_assert!(edges.is_sorted());
        prop_assert_eq!(edges[BINS], bytes - first, "the last edge lies at or beyond the last point");
    }

    #[test]
    fn edges_are_exact_after_any_number_of_merges(reads in reads()) {
        let timeline = recorded(&reads);
        let start = timeline.first().unwrap();
        let mut raw = Vec::new();
        let (mut at, mut bytes) = (1_000, 0);
        for (gap, grown) in &reads {
            at += gap;
            bytes += grown;
            raw.push((at - start.at.0.min(at), bytes));
        }
        for k in 1..=BINS as u64 {
            let edge = k * timeline.width().0;
            let exact = raw.iter().rev().find(|(offset, _)| *offset <= edge).unwrap().1 - start.bytes;
            prop_assert_eq!(timeline.bytes_after_first(Micros(edge)), exact, "edge {} µs", edge);
        }
    }

    /// Within a bin the true count lies between those of its edges, and so does ours.
    #[test]
    fn between_edges_a_count_is_wrong_by_its_bin_at_most(reads in reads(), millionths in 0..1_000_000_u64) {
        let timeline = recorded(&reads);
        let (start, width) = (timeline.first().unwrap(), timeline.width().0);
        let offset = timeline.span().0 * millionths / 1_000_000;
        let (mut at, mut bytes, mut exact) = (1_000, 0, 0);
        for (gap, grown) in &reads {
            at += gap;
            bytes += grown;
            if at <= start.at.0 + offset {
                exact = bytes - start.bytes.min(bytes);
            }
        }
        let low = offset / width * width;
        let [before, after] = [low, low + width].map(|edge| timeline.bytes_after_first(Micros(edge)));
        let found = timeline.bytes_after_first(Micros(offset));
        prop_assert!((before..=after).contains(&found) && (before..=after).contains(&exact));
        // `low + width` may lie beyond the end, where the bin ends.
        let whole = (low + width).min(timeline.span().0) - low;
        let share = (offset - low) as f64 / whole.max(1) as f64;
        let bound = (after - before) as f64 * share.max(1.0 - share) + 1.0;
        prop_assert!(found.abs_diff(exact) as f64 <= bound, "{} for {} ± {}", found, exact, bound);
    }

    #[test]
    fn a_judgement_contradicts_neither_itself_nor_the_clock(
        reads in reads(),
        rtt in 0..500_000_u64,
        silence in prop_oneof![Just(0), 1..2_000_000_u64],
    ) {
        let timeline = recorded(&reads);
        let ending = if silence == 0 { Ending::Finished } else { Ending::Partial };
        let total = Micros(timeline.last().unwrap().at.0 + silence);
        let BodyJudgement { rates, intervals, flags } = goodput::judge(&timeline, None, ending, total, Some(Micros(rtt)));
        prop_assert!(intervals.len() <= goodput::MAX_INTERVALS);
        prop_assert!(rates.stalled.unwrap_or_default() <= total);
        prop_assert!(rates.longest_gap.unwrap_or_default() <= total);
        let went_on = rates.stalls.unwrap_or(0) > 0 && silence == 0;
        prop_assert_eq!(went_on, flags.contains(Flag::StalledSome));
        prop_assert_eq!(rates.steady.is_some() && rates.ramp.is_none(), false, "steady needs a ramp's end");
        if let Some(ramp) = rates.ramp {
            prop_assert!(ramp.0 <= timeline.span().0 / 2);
        }
        if let (Some(smallest), Some(steady)) = (rates.min_interval, rates.steady)
            && timeline.span().0 <= 120_000_000
        {
            // The mean of a stretch is not below its worst window, but for the rest of a window at its end.
            let whole = timeline.span().0 - rates.ramp.unwrap().0;
            prop_assert!(u128::from(smallest.0) * u128::from(whole / 2) <= u128::from(steady.0) * u128::from(whole) + 8);
        }
    }

    /// Same rate, same figures, whether the bins were merged ten times or never.
    #[test]
    fn a_steady_body_reads_the_same_however_long(
        rate in 1_000_000..2_000_000_000_u64,
        millis in 600..600_000_u64,
    ) {
        let mut timeline = Timeline::new(Micros::ZERO);
        let every = 1_000 * (millis / 6_000 + 1);
        for at in (0..=millis * 1_000 / every).map(|n| n * every) {
            timeline.record(Micros(at), 1 + moved(rate, at));
        }
        let planned = Some(goodput::MIN_PLANNED);
        let BodyJudgement { rates, intervals, flags } = goodput::judge(&timeline, planned, Ending::Finished, timeline.last().unwrap().at, None);
        prop_assert_eq!(rates.ramp, Some(Micros::ZERO));
        prop_assert!(flags.is_empty(), "{}", flags);
        for found in [rates.goodput, rates.steady] {
            prop_assert!(found.unwrap().0.abs_diff(rate) <= rate / 100, "{:?} for {}", found, rate);
        }
        for found in intervals.into_iter().chain(rates.min_interval) {
            // A window of 50 ms may hold one read more or less than its share.
            let read = rate * every / 50_000;
            prop_assert!(found.0.abs_diff(rate) <= rate / 100 + read, "{} for {}", found.0, rate);
        }
    }
}

/// A rate that varies randomly by ±40 % every 100 ms has no ramp. One is found by chance now and then; it must
/// stay small on average (about 0.06 s of 2 s), and so must what it adds to the steady rate (about 1 %).
#[test]
fn noise_makes_hardly_a_ramp() {
    const BODIES: u64 = 400;
    let mut dice = StdRng::seed_from_u64(1);
    let (mut ramps, mut excess) = (0.0, 0.0);
    for _ in 0..BODIES {
        let Rates { goodput, steady, ramp, .. } = noisy(&mut dice, 100_000);
        let (Some(goodput), Some(steady), Some(ramp)) = (goodput, steady, ramp) else { continue };
        ramps += ramp.as_secs_f64();
        excess += steady.0 as f64 / goodput.0 as f64 - 1.0;
    }
    let (ramp, excess) = (ramps / BODIES as f64, excess / BODIES as f64);
    assert!((0.02..0.12).contains(&ramp), "a false ramp of {ramp} s on average");
    assert!((0.0..0.025).contains(&excess), "steady is {excess} above goodput");
}

/// Two seconds whose rate varies by ±40 % every `hold` µs.
fn noisy(dice: &mut impl Rng, hold: u64) -> Rates {
    let mut timeline = Timeline::new(Micros::ZERO);
    timeline.record(Micros::ZERO, 1);
    let (mut bytes, mut rate) = (1, 0);
    for at in (1..=2_000).map(|n| n * 1_000) {
        if (at - 1_000) % hold == 0 {
            rate = dice.random_range(60_000_000..=140_000_000);
        }
        bytes += moved(rate, 1_000);
        timeline.record(Micros(at), bytes);
    }
    goodput::judge(&timeline, None, Ending::Finished, Micros(2_000_000), None).rates
}
