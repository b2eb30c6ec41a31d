//! How long bytes stayed in the kernel before we read them: a distribution in constant memory.
//!
//! The kernel stamps each segment when it receives it, and a read returns the stamp of the last segment that it took
//! data from. The time from this stamp to the return of the read is the *lag* of the read. Each read is weighted by its
//! bytes: a read that empties a full buffer after we paused weighs as much as the data that arrived in that time.

use hdrhistogram::Histogram;

use crate::model::units::Micros;

/// The lags of the reads of one transfer.
#[derive(Clone, Debug)]
pub struct Lags(Histogram<u64>);

impl Lags {
    /// An empty distribution. Allocates all memory that it will ever need (about 3 KiB).
    #[must_use]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, MAX_LAG.0, DIGITS);
        Self(histogram.expect("invariant: constants within the bounds of the histogram"))
    }

    /// Adds a read of `bytes`, the last of which the kernel had received `lag` earlier. A lag of more than two minutes
    /// counts as two minutes.
    pub fn note(&mut self, lag: Micros, bytes: u64) {
        self.0.saturating_record_n(lag.0, bytes);
    }

    /// The lag that nine tenths of the bytes did not exceed (nearest rank), within 1/16 of its value. `None` when no
    /// byte was read.
    #[must_use]
    pub fn p90(&self) -> Option<Micros> {
        // The resolution of the histogram is one microsecond.
        (!self.0.is_empty()).then(|| Micros(self.0.value_at_quantile(0.9)))
    }

    /// Removes all reads.
    pub fn clear(&mut self) {
        self.0.reset();
    }
}

impl Default for Lags {
    fn default() -> Self {
        Self::new()
    }
}

/// No phase lasts longer than this.
const MAX_LAG: Micros = Micros(120_000_000);
/// One significant digit: 16 steps between a value and its double. This is precise enough, because the limit is a round
/// number.
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
        assert!(lags.p90().unwrap() >= MAX_LAG);
    }
}
