//! The rate of each 50 ms really covers 50 ms, however wide the bins of the timeline have become.

use bandprobe::{
    measure::{
        goodput::{self, BodyJudgement, Ending},
        timeline::Timeline,
    },
    model::units::{BitRate, Micros},
};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use super::moved;

/// One read a millisecond, and a rate for each 50 ms of them, after `slow` ms at 10 Mbit/s.
fn judged(slow: u64, rates: &[u64]) -> (BodyJudgement, Timeline) {
    let mut timeline = Timeline::new(Micros::ZERO);
    timeline.record(Micros::ZERO, 1);
    let ramp = (0..slow).map(|_| 10_000_000);
    let rest = rates.iter().flat_map(|rate| [*rate; 50]);
    let mut bytes = 1;
    for (tick, rate) in ramp.chain(rest).enumerate() {
        bytes += moved(rate, 1_000);
        timeline.record(Micros(1_000 * (tick as u64 + 1)), bytes);
    }
    let judgement = goodput::judge(&timeline, None, Ending::Finished, timeline.last().unwrap().at, None);
    (judgement, timeline)
}

/// Noise of ±40 % in whole bytes a millisecond. The first quarter of a second is at the mean, so that no ramp is seen
/// by chance.
fn noise(dice: &mut impl Rng, millis: u64) -> Vec<u64> {
    let drawn = |n| if n < 5 { 100_000_000 } else { 8_000 * dice.random_range(7_500..=17_500) };
    (0..millis / 50).map(drawn).collect()
}

fn p10(rates: impl IntoIterator<Item = u64>) -> u64 {
    let mut rates: Vec<_> = rates.into_iter().collect();
    rates.sort_unstable();
    rates[rates.len().div_ceil(10) - 1]
}

#[test]
fn intervals_are_exact_for_any_length() {
    let mut dice = StdRng::seed_from_u64(7);
    // Bins of 10, 20, 40, 80 and 640 ms; 80 does not divide the end of a ramp that is not at one of their edges.
    for (slow, millis, width) in
        [(0, 2_000, 10), (0, 5_000, 20), (0, 11_000, 80), (480, 11_000, 80), (0, 20_000, 80), (0, 119_000, 640)]
    {
        let rates = noise(&mut dice, millis);
        let (BodyJudgement { rates: found, intervals, .. }, timeline) = judged(slow, &rates);
        assert_eq!(timeline.width(), Micros(width * 1_000), "{slow} + {millis} ms");
        assert_eq!(found.ramp, Some(Micros(slow * 1_000)), "{slow} + {millis} ms");
        assert_eq!(intervals, rates.iter().copied().map(BitRate).collect::<Vec<_>>(), "{slow} + {millis} ms");
        assert_eq!(p10(intervals.iter().map(|rate| rate.0)), p10(rates.iter().copied()));
        let smallest = rates.windows(5).map(|five| five.iter().sum::<u64>() / 5).min().unwrap();
        assert!(found.min_interval.unwrap().0 <= smallest, "{slow} + {millis} ms: windows begin at each 10 ms");
    }
}

#[test]
fn a_short_pause_is_visible_in_a_long_body() {
    let mut rates = vec![40_000_000; 400];
    rates[300] = 0;
    let (BodyJudgement { rates: found, intervals, .. }, _) = judged(0, &rates);
    assert_eq!(intervals.iter().filter(|rate| **rate == BitRate(0)).count(), 1, "50 ms in 20 s");
    assert_eq!(found.min_interval, Some(BitRate(32_000_000)), "four fifths of 250 ms");
}
