//! A body's arrival as a picture needs it: bytes by time. Nothing is computed from it that is stored.

use super::units::{BitRate, Micros};

/// How many bytes of a body came when, counted from its first socket read. The bytes of that read itself are in no bin:
/// they came before it, in no time that was measured. Times are offsets from t0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curve {
    /// When the response head was here.
    pub head: Micros,
    /// The first socket read with body bytes in it.
    pub begin: Micros,
    /// From that read to the last one.
    pub span: Micros,
    /// How wide a bin is.
    pub width: Micros,
    /// How many socket reads brought body bytes, by distinct stamps.
    pub reads: u64,
    /// Bin k holds the bytes of the reads in (k·width, (k + 1)·width] after `begin`; the last one ends at `begin + span`.
    pub bytes: Vec<u64>,
    /// The longest pauses between the head and the last byte, begin and end, in their order; all that may be stalls where
    /// these are not hundreds. Where a TLS record had begun to come, its pause is told as the first part of that time.
    pub pauses: Vec<(Micros, Micros)>,
}

impl Curve {
    /// The last socket read with body bytes in it.
    #[must_use]
    pub const fn last(&self) -> Micros {
        Micros(self.begin.0.saturating_add(self.span.0))
    }

    /// The mean rate between two times; within a bin as if its bytes had come evenly. Zero when no time is between them.
    #[must_use]
    pub fn rate(&self, from: Micros, until: Micros) -> BitRate {
        let bytes = self.bytes_until(until) - self.bytes_until(from);
        let bits = bytes * 8.0 * 1e6 / (until.saturating_sub(from).0.max(1) as f64);
        #[expect(clippy::cast_possible_truncation, reason = "a float saturates, and a rate is not negative")]
        BitRate(bits.round() as u64)
    }

    /// The pauses longer than `threshold`, that up to `end` among them, at which the transfer ended or was given up.
    #[must_use]
    pub fn stalls(&self, threshold: Micros, end: Micros) -> Vec<(Micros, Micros)> {
        let pauses = self.pauses.iter().copied().chain([(self.last(), end)]);
        pauses.filter(|(from, until)| until.saturating_sub(*from) > threshold).collect()
    }

    fn bytes_until(&self, time: Micros) -> f64 {
        let offset = time.saturating_sub(self.begin).min(self.span);
        let mut sum = 0.0;
        for (bin, bytes) in self.bytes.iter().enumerate() {
            let begin = self.width.0 * bin as u64;
            if offset.0 <= begin {
                break;
            }
            let length = self.width.0.min(self.span.0.saturating_sub(begin)).max(1);
            sum += *bytes as f64 * ((offset.0 - begin).min(length) as f64 / length as f64);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Begins 5 µs after t0.
    fn curve(bytes: &[u64], span: u64) -> Curve {
        let (begin, width, bytes) = (Micros(5), Micros(10_000), bytes.to_vec());
        Curve { begin, span: Micros(span), width, reads: 9, bytes, ..Curve::default() }
    }

    #[test]
    fn rates_are_of_the_bytes_between() {
        let curve = curve(&[1_000, 0, 3_000, 500], 35_000);
        for (from, until, rate) in [
            (0, 10_000, 800_000),
            (0, 5_000, 800_000),
            (10_000, 20_000, 0),
            (20_000, 40_000, 1_400_000),
            (30_000, 35_000, 800_000),
            (35_000, 90_000, 0),
            (7, 7, 0),
        ] {
            assert_eq!(curve.rate(Micros(5 + from), Micros(5 + until)), BitRate(rate), "{from}..{until}");
        }
        assert_eq!(curve.rate(Micros(0), Micros(5)), BitRate(0), "before the first byte");
    }

    #[test]
    fn stalls_are_the_pauses_that_are_long_enough() {
        let (before, between) = ((Micros(0), Micros(500_000)), (Micros(700_000), Micros(865_000)));
        let (begin, span) = (before.1, Micros(400_000));
        let curve = Curve { begin, span, pauses: vec![before, between], ..Curve::default() };
        let stalls = |threshold, end| curve.stalls(Micros(threshold), Micros(end));
        assert_eq!(stalls(200_000, 900_000), [before]);
        assert_eq!(stalls(160_000, 1_000_000), [before, between]);
        assert_eq!(stalls(200_000, 1_200_000), [before, (Micros(900_000), Micros(1_200_000))]);
        assert_eq!(stalls(500_000, 900_000), []);
    }
}
