//! Histograms: which values they count, their resolution, and how they are encoded.
//!
//! An HdrHistogram (Tene, hdrhistogram.org) with three digits over these ranges takes more than 100 kB, so there is not
//! one per series. Values are kept packed or counted, and encoded through one scratch histogram. The text is
//! HdrHistogram's V2 encoding, deflated, in base64, which the Java, JavaScript and Python readers accept. Encoded
//! histograms of one metric can be merged exactly. Percentiles use the nearest rank.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Serializer, V2DeflateSerializer},
};

use crate::model::units::{BitRate, Micros};

/// The quantity that a series is a distribution of: the values of the `metric` tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Time from t0 to the first response byte.
    Ttfb,
    /// Time from the end of the request to the first response byte.
    Wait,
    /// Wait minus the round-trip time of the path.
    Server,
    /// Time from t0 to the last byte.
    Total,
    /// 8·bytes / total.
    Effective,
    /// Rate between the first and the last socket read of the body.
    Goodput,
    /// Rate of each 50 ms after the ramp.
    Interval,
}

/// The range and resolution of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// In µs: 1 µs to 120 s.
    Time,
    /// In bit/s: 1,000 bit/s (the lowest value that is distinguished from zero) to 100 Gbit/s.
    Rate,
}

/// Values counted by bucket of the histogram. Each is kept as the middle of its bucket, at most 0.05 % away.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    by_value: BTreeMap<u64, u64>,
    count: u64,
}

/// Encodes distributions. Keeps its scratch histograms for the next one.
pub struct Encoder {
    time: Histogram<u64>,
    rate: Histogram<u64>,
    serializer: V2DeflateSerializer,
    bytes: Vec<u8>,
}

impl Metric {
    /// All metrics.
    pub const ALL: [Self; 7] =
        [Self::Ttfb, Self::Wait, Self::Server, Self::Total, Self::Effective, Self::Goodput, Self::Interval];

    /// The value of the `metric` tag.
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

    /// The range and resolution of its histogram.
    #[must_use]
    pub const fn scale(self) -> Scale {
        match self {
            Self::Ttfb | Self::Wait | Self::Server | Self::Total => Scale::Time,
            Self::Effective | Self::Goodput | Self::Interval => Scale::Rate,
        }
    }
}

impl Scale {
    /// The lowest value that is distinguished from zero.
    #[must_use]
    pub const fn lowest(self) -> u64 {
        match self {
            Self::Time => 1,
            Self::Rate => 1_000,
        }
    }

    /// The highest value. Greater ones count as this one.
    #[must_use]
    pub const fn highest(self) -> u64 {
        match self {
            Self::Time => 120_000_000,
            Self::Rate => 100_000_000_000,
        }
    }

    /// The middle of the histogram bucket that contains the value.
    #[must_use]
    pub const fn middle(self, value: u64) -> u64 {
        // As in HdrHistogram: up to 2048 buckets of 2^unit, then twice as wide for each doubling.
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

    /// Number of values.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The percentile by nearest rank; `None` when there are no values.
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
    /// Creates an encoder with empty scratch histograms.
    #[must_use]
    pub fn new() -> Self {
        Self {
            time: Scale::Time.histogram(),
            rate: Scale::Rate.histogram(),
            serializer: V2DeflateSerializer::new(),
            bytes: Vec::new(),
        }
    }

    /// Encodes the histogram of `values` (value, number of occurrences) as text.
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

/// The value of rank ⌈percent/100 · count⌉ among `sorted` (value, number of occurrences), which has `count` values in
/// total; `None` when it is empty.
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

/// Buckets before the first doubling: the smallest power of two that is at least 2 · 10^DIGITS.
const SUB_BUCKETS: u64 = 2_048;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bucket_midpoints_match_hdrhistogram(bits in 0_u32..37, low in any::<u64>()) {
            for scale in [Scale::Time, Scale::Rate] {
                let value = ((1 << bits) | (low & ((1 << bits) - 1))).min(scale.highest());
                prop_assert_eq!(scale.middle(value), scale.histogram().median_equivalent(value));
            }
        }
    }

    #[test]
    fn percentiles_use_the_nearest_rank() {
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
