//! How a body arrived, for drawing: bytes by time. No stored number is computed from it.

use super::units::{BitRate, Micros};

/// The bytes of a body by arrival time, counted from its first socket read. The bytes of that first read are in no bin,
/// because they arrived before it, in time that was not measured. Times are offsets from t0 unless stated otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curve {
    /// When the response head had arrived.
    pub head: Micros,
    /// When the first socket read with body bytes returned.
    pub begin: Micros,
    /// Time from that read to the last one with body bytes.
    pub span: Micros,
    /// Width of a bin.
    pub width: Micros,
    /// Number of socket reads that brought body bytes, counted by distinct stamps.
    pub reads: u64,
    /// Bin k holds the bytes of the reads in (k·width, (k + 1)·width] after `begin`. The last bin ends at `begin +
    /// span`.
    pub bytes: Vec<u64>,
    /// The longest pauses between the head and the last byte as (begin, end), in order of time. They include every
    /// possible stall, unless there are hundreds. When part of a TLS record arrived during a pause, the pause begins at
    /// the previous byte and has the length of the longest silence.
    pub pauses: Vec<(Micros, Micros)>,
}

impl Curve {
    /// When the last socket read with body bytes returned.
    #[must_use]
    pub const fn last(&self) -> Micros {
        Micros(self.begin.0.saturating_add(self.span.0))
    }

    /// The mean rate between two times. The bytes of a bin count as evenly spread over it. Zero when no time lies
    /// between the two.
    #[must_use]
    pub fn rate(&self, from: Micros, until: Micros) -> BitRate {
        let bytes = self.bytes_until(until) - self.bytes_until(from);
        let bits = bytes * 8.0 * 1e6 / (until.saturating_sub(from).0.max(1) as f64);
        #[expect(clippy::cast_possible_truncation, reason = "a float saturates, and a rate is not negative")]
        BitRate(bits.round() as u64)
    }

    /// The pauses longer than `threshold`. The pause from the last byte to `end`, when the transfer ended or was given
    /// up, is included.
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
