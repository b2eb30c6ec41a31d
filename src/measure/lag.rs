//! How long bytes lay in the kernel before we read them: a distribution in constant memory.
//!
//! The kernel stamps each segment as it receives it, and a read tells the stamp of the last segment that it took from. The
//! time from there to the read's return is its *lag*. A read counts with its bytes: one that empties a full buffer after a
//! pause of ours weighs as much as what came meanwhile.

use hdrhistogram::Histogram;

use crate::model::units::Micros;

/// The lags of the reads of one transfer.
#[derive(Clone, Debug)]
pub struct Lags(Histogram<u64>);

impl Lags {
    /// No read yet. Takes all the memory that it will ever take (about 3 KiB).
    #[must_use]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST.0, DIGITS);
        Self(histogram.expect("invariant: constants within the bounds of the histogram"))
    }

    /// A read took `bytes`, the last of which the kernel had received `lag` before. A lag beyond two minutes counts as that.
    pub fn note(&mut self, lag: Micros, bytes: u64) {
        self.0.saturating_record_n(lag.0, bytes);
    }

    /// The lag that nine tenths of the bytes did not exceed (nearest rank), to within 1/16 of it. Absent without a byte.
    #[must_use]
    pub fn p90(&self) -> Option<Micros> {
        // One microsecond is the histogram's own grain.
        (!self.0.is_empty()).then(|| Micros(self.0.value_at_quantile(0.9)))
    }

    /// Forgets every read.
    pub fn clear(&mut self) {
        self.0.reset();
    }
}

impl Default for Lags {
    fn default() -> Self {
        Self::new()
    }
}

/// No phase lasts longer.
const LONGEST: Micros = Micros(120_000_000);
/// One significant digit: 16 steps between a value and its double. The limit that it is held against is a round number.
const DIGITS: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_weigh_not_reads() {
        let mut lags = Lags::new();
        assert_eq!(lags.p90(), None);
        (0..1_000).for_each(|_| lags.note(Micros(10), 1_000));
        assert_eq!(lags.p90(), Some(Micros(10)));
        lags.note(Micros(80_000), 120_000);
        let p90 = lags.p90().unwrap().0;
        assert!((80_000..=85_000).contains(&p90), "{p90}: more than a tenth of the bytes lay for 80 ms");
        (0..1_000).for_each(|_| lags.note(Micros(10), 1_000));
        assert_eq!(lags.p90(), Some(Micros(10)), "less than a tenth of them");
        lags.clear();
        assert_eq!(lags.p90(), None);
    }

    #[test]
    fn no_lag_is_too_long() {
        let mut lags = Lags::new();
        lags.note(Micros(u64::MAX), 1 << 60);
        assert!(lags.p90().unwrap() >= LONGEST);
    }
}
