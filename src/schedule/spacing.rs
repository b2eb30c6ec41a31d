//! How the times between runs are drawn.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::model::{probe::Spacing, units::Micros};

/// Bounds of a memoryless interval, in units of its mean.
const BOUNDS: (f64, f64) = (0.1, 2.5);

/// Scale of the exponential before clamping, in units of the wanted mean.
///
/// For `X = clamp(E, a, b)` with `E` exponential of scale `s`, `P(X > x)` is 1 below `a`, `e^(−x/s)` from `a` to `b` and
/// 0 beyond, and a mean is the integral of that: `E[X] = a + s·(e^(−a/s) − e^(−b/s))`. This `s` solves `E[X] = 1` for
/// `a = 0.1`, `b = 2.5`; 8.6 % of the intervals are the shortest one and 10.6 % the longest.
const SCALE: f64 = 1.113_608_873_518_017_4;

/// A slot of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What the slot after it is reckoned from.
    pub base: Micros,
    /// When the run is due.
    pub due: Micros,
}

/// The first slot of an entry: anywhere in the first `every`, so that a worker does not start with a burst.
pub fn first(every: Duration, now: Micros, rng: &mut impl Rng) -> Slot {
    let due = Micros(now.0.saturating_add(scaled(every, rng.random())));
    Slot { base: due, due }
}

/// The slot after the one reckoned from `base`.
///
/// With fixed spacing the draw moves the run, not the grid, so that the moves do not add up.
pub fn next(spacing: Spacing, every: Duration, base: Micros, rng: &mut impl Rng) -> Slot {
    match spacing {
        Spacing::Memoryless => {
            let due = Micros(base.0.saturating_add(scaled(every, memoryless(rng))));
            Slot { base: due, due }
        }
        Spacing::Fixed { jitter } => {
            let base = Micros(base.0.saturating_add(Micros::from(every).0));
            let draw = scaled(jitter, rng.random());
            let due = Micros(base.0.saturating_sub(Micros::from(jitter).0 / 2).saturating_add(draw));
            Slot { base, due }
        }
    }
}

/// One interval in units of its mean, by inversion of the distribution function.
fn memoryless(rng: &mut impl Rng) -> f64 {
    // In (0, 1], so that the logarithm is finite.
    let uniform = 1.0 - rng.random::<f64>();
    (-SCALE * uniform.ln()).clamp(BOUNDS.0, BOUNDS.1)
}

#[expect(clippy::cast_possible_truncation, reason = "part of a microsecond is not kept, and `as` saturates")]
fn scaled(duration: Duration, factor: f64) -> u64 {
    (Micros::from(duration).0 as f64 * factor) as u64
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn the_scale_gives_the_wanted_mean() {
        let (a, b) = BOUNDS;
        let mean = a + SCALE * ((-a / SCALE).exp() - (-b / SCALE).exp());
        assert!((mean - 1.0).abs() < 1e-12, "{mean}");
    }

    #[test]
    fn sampled_intervals_have_the_mean_and_stay_in_bounds() {
        let mut rng = StdRng::seed_from_u64(7);
        let drawn: Vec<f64> = (0..200_000).map(|_| memoryless(&mut rng)).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        // The standard deviation of one is below 1.2, of the mean of 200,000 thus below 0.003.
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        let at = |bound: f64| drawn.iter().filter(|x| **x == bound).count() as f64 / drawn.len() as f64;
        assert!((at(0.1) - 0.086).abs() < 0.003 && (at(2.5) - 0.106).abs() < 0.003, "{} {}", at(0.1), at(2.5));
        assert!(drawn.iter().all(|x| (BOUNDS.0..=BOUNDS.1).contains(x)));
    }

    #[test]
    fn fixed_slots_keep_their_grid() {
        let mut rng = StdRng::seed_from_u64(7);
        let every = Duration::from_secs(300);
        let spacing = Spacing::Fixed { jitter: Duration::from_secs(100) };
        let mut base = Micros(1_000_000_000);
        for k in 1..=1_000 {
            let slot = next(spacing, every, base, &mut rng);
            assert_eq!(slot.base, Micros(1_000_000_000 + k * 300_000_000));
            assert!(slot.due.0.abs_diff(slot.base.0) <= 50_000_000, "{slot:?}");
            base = slot.base;
        }
    }
}
