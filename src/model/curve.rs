//! A body's arrival as a picture needs it: bytes by time. Nothing is computed from it that is stored.

use super::units::{BitRate, Micros};

/// How many bytes of a body came when, counted from its first socket read. The bytes of that read itself are in no bin:
/// they came before it, in no time that was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curve {
    /// Offset from t0 of the first socket read with body bytes in it.
    pub begin: Micros,
    /// From that read to the last one.
    pub span: Micros,
    /// How wide a bin is.
    pub width: Micros,
    /// How many socket reads brought body bytes, by distinct stamps.
    pub reads: u64,
    /// Bin k holds the bytes of the reads in (k·width, (k + 1)·width] after `begin`; the last one ends at `span`.
    pub bytes: Vec<u64>,
}

impl Curve {
    /// The mean rate between two offsets from `begin`; within a bin as if its bytes had come evenly. Zero when no time
    /// is between them.
    #[must_use]
    pub fn rate(&self, from: Micros, until: Micros) -> BitRate {
        let bytes = self.bytes_until(until) - self.bytes_until(from);
        let bits = bytes * 8.0 * 1e6 / (until.saturating_sub(from).0.max(1) as f64);
        #[expect(clippy::cast_possible_truncation, reason = "a float saturates, and a rate is not negative")]
        BitRate(bits.round() as u64)
    }

    /// The times without a byte, begin and end as offsets from `begin`, that a pause longer than `threshold` may have
    /// left. `end` is the offset at which the transfer ended or was given up.
    #[must_use]
    pub fn silences(&self, threshold: Micros, end: Micros) -> Vec<(Micros, Micros)> {
        let edge = |bin: usize| Micros(self.width.0.saturating_mul(bin as u64));
        let mut found = Vec::new();
        let mut bin = 0;
        while bin < self.bytes.len() {
            let empty = self.bytes[bin..].iter().take_while(|bytes| **bytes == 0).count();
            if empty > 0 {
                found.push((edge(bin), edge(bin + empty)));
            }
            bin += empty.max(1);
        }
        found.push((self.span, end.max(self.span)));
        // The reads before and after lie somewhere in their own bins.
        let slack = 2 * self.width.0;
        found.retain(|(from, until)| until > from && until.0 - from.0 + slack > threshold.0);
        found
    }

    fn bytes_until(&self, offset: Micros) -> f64 {
        let offset = offset.min(self.span);
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

    fn curve(bytes: &[u64], span: u64) -> Curve {
        Curve { begin: Micros(5), span: Micros(span), width: Micros(10_000), reads: 9, bytes: bytes.to_vec() }
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
            assert_eq!(curve.rate(Micros(from), Micros(until)), BitRate(rate), "{from}..{until}");
        }
    }

    #[test]
    fn silences_are_empty_bins_and_the_time_after_the_last_byte() {
        let mut bytes = vec![9];
        bytes.extend([0; 30]);
        bytes.extend([9, 0, 0, 9]);
        let curve = curve(&bytes, 345_000);
        let silences = |threshold, end| curve.silences(Micros(threshold), Micros(end));
        let pause = (Micros(10_000), Micros(310_000));
        assert_eq!(silences(200_000, 345_000), [pause]);
        assert_eq!(silences(200_000, 900_000), [pause, (Micros(345_000), Micros(900_000))]);
        assert_eq!(silences(330_000, 345_000), []);
    }
}
