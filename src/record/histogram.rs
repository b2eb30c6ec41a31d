//! Distributions: which values go into a histogram, how finely, and how it is written.
//!
//! An HdrHistogram (Tene, hdrhistogram.org) of three digits over these ranges takes more than 100 kB, so nothing keeps
//! one per series: values are kept packed or counted, and encoded through one scratch histogram. The text is
//! HdrHistogram's V2 encoding, deflated, in base64, as the Java, JavaScript and Python readers take it; blobs of one
//! metric merge exactly. Percentiles are those of the nearest rank.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Serializer, V2DeflateSerializer},
};

use crate::model::units::{BitRate, Micros};

/// What a series is a distribution of: the values of the `metric` tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// t0 → first response byte.
    Ttfb,
    /// Request sent → first response byte.
    Wait,
    /// Wait without the path's round trip.
    Server,
    /// t0 → last byte.
    Total,
    /// 8·bytes / total.
    Effective,
    /// Rate between first and last socket read.
    Goodput,
    /// Rate of each 50 ms after the ramp.
    Interval,
}

/// The range and the resolution of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// 1 µs to 120 s.
    Time,
    /// 1,000 bit/s (the lowest that is told apart) to 100 Gbit/s.
    Rate,
}

/// Values counted by bucket of the histogram: each is kept as the middle of its bucket, at most 0.05 % away.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    by_value: BTreeMap<u64, u64>,
    count: u64,
}

/// Writes distributions through scratch histograms that are kept for the next one.
pub struct Encoder {
    time: Histogram<u64>,
    rate: Histogram<u64>,
    serializer: V2DeflateSerializer,
    bytes: Vec<u8>,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Ttfb, Self::Wait, Self::Server, Self::Total, Self::Effective, Self::Goodput, Self::Interval];

    /// The word that the outside sees.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ttfb => "ttfb",
            Self::Wait => "wait",
            Self::Server => "server",
            Self::Total => "total",
            Self::Effective => "effective",
            Self::Goodput => "goodput",
            Self::Interval => "interval",
        }
    }

    /// Its range and resolution.
    #[must_use]
    pub const fn scale(self) -> Scale {
        match self {
            Self::Ttfb | Self::Wait | Self::Server | Self::Total => Scale::Time,
            Self::Effective | Self::Goodput | Self::Interval => Scale::Rate,
        }
    }
}

impl Scale {
    /// The lowest value that is told apart from zero.
    #[must_use]
    pub const fn lowest(self) -> u64 {
        match self {
            Self::Time => 1,
            Self::Rate => 1_000,
        }
    }

    /// The highest value; greater ones count as this.
    #[must_use]
    pub const fn highest(self) -> u64 {
        match self {
            Self::Time => 120_000_000,
            Self::Rate => 100_000_000_000,
        }
    }

    /// The middle of the histogram's bucket that a value falls into.
    #[must_use]
    pub const fn middle(self, value: u64) -> u64 {
        // As HdrHistogram has it: buckets of 2^unit up to 2048 of them, then twice as wide for each doubling.
        let widest_linear = (SUB_BUCKETS - 1) << self.lowest().ilog2();
        let shift = (value | widest_linear).ilog2() + 1 - SUB_BUCKETS.ilog2();
        ((value >> shift) << shift) + ((1 << shift) >> 1)
    }

    fn histogram(self) -> Histogram<u64> {
        Histogram::new_with_bounds(self.lowest(), self.highest(), DIGITS)
            .expect("invariant: the bounds of both scales are in order")
    }
}

impl Counts {
    /// Counts a duration.
    pub fn add_time(&mut self, time: Micros) {
        self.add(Scale::Time, time.0);
    }

    /// Counts a rate.
    pub fn add_rate(&mut self, rate: BitRate) {
        self.add(Scale::Rate, rate.0);
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The percentile of the nearest rank; `None` without values.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        nearest_rank(self.by_value.iter().map(|(value, count)| (*value, *count)), self.count, percent)
    }

    fn add(&mut self, scale: Scale, value: u64) {
        *self.by_value.entry(scale.middle(value.min(scale.highest()))).or_default() += 1;
        self.count += 1;
    }
}

impl Encoder {
    /// With empty scratch histograms.
    #[must_use]
    pub fn new() -> Self {
        Self {
            time: Scale::Time.histogram(),
            rate: Scale::Rate.histogram(),
            serializer: V2DeflateSerializer::new(),
            bytes: Vec::new(),
        }
    }

    /// The histogram of `values` (value, how often) as text.
    pub fn encode(&mut self, scale: Scale, values: impl IntoIterator<Item = (u64, u64)>) -> String {
        let scratch = match scale {
            Scale::Time => &mut self.time,
            Scale::Rate => &mut self.rate,
        };
        scratch.reset();
        for (value, count) in values {
            scratch.saturating_record_n(value, count);
        }
        self.bytes.clear();
        self.serializer.serialize(scratch, &mut self.bytes).expect("invariant: a Vec takes every byte");
        STANDARD.encode(&self.bytes)
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// The value of rank ⌈percent/100 · count⌉ among `sorted` (value, how often), of which there are `count`.
#[must_use]
pub fn nearest_rank(sorted: impl IntoIterator<Item = (u64, u64)>, count: u64, percent: u64) -> Option<u64> {
    let rank = (u128::from(count) * u128::from(percent)).div_ceil(100).max(1);
    let mut seen = 0_u128;
    sorted.into_iter().find_map(|(value, count)| {
        seen += u128::from(count);
        (seen >= rank).then_some(value)
    })
}

/// Significant decimal digits of a histogram.
const DIGITS: u8 = 3;

/// Buckets before the first doubling: the power of two from 2 · 10^DIGITS on.
const SUB_BUCKETS: u64 = 2_048;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_middle_is_that_of_hdrhistogram(bits in 0_u32..37, low in any::<u64>()) {
            for scale in [Scale::Time, Scale::Rate] {
                let value = ((1 << bits) | (low & ((1 << bits) - 1))).min(scale.highest());
                prop_assert_eq!(scale.middle(value), scale.histogram().median_equivalent(value));
            }
        }
    }

    #[test]
    fn ranks_are_the_nearest() {
        let check = |percent, expected| {
            let sorted = [(10, 1), (20, 2), (30, 1)];
            assert_eq!(nearest_rank(sorted, 4, percent), expected, "p{percent}");
        };
        check(0, Some(10));
        check(25, Some(10));
        check(26, Some(20));
        check(75, Some(20));
        check(76, Some(30));
        check(100, Some(30));
        assert_eq!(nearest_rank([], 0, 50), None);
    }
}
