//! How the times between runs are drawn.
//!
//! Each entry is a renewal process that starts in equilibrium: from its first moment on, it makes one run per `every`
//! on average, with neither more nor fewer runs at the beginning. To achieve this, the wait until the first slot has
//! the distribution of the rest of a random interval at a random moment, whose density is `P(X > x) / E[X]` (D. R. Cox,
//! Renewal Theory, 1962, §§ 2.2 and 5.2). A first slot drawn uniformly from `every` would be right only for a grid.
//! With memoryless intervals it would make up to 1.8 times the planned runs in the first `every`.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::model::{probe::Spacing, units::Micros};

/// Bounds of a memoryless interval, in units of its mean.
const BOUNDS: (f64, f64) = (0.1, 2.5);

/// Scale of the exponential before clamping, in units of the wanted mean.
///
/// For `X = clamp(E, a, b)` with `E` exponential of scale `s`, `P(X > x)` is 1 below `a`, `e^(−x/s)` from `a` to `b`,
/// and 0 beyond. The mean is the integral of this: `E[X] = a + s·(e^(−a/s) − e^(−b/s))`. This `s` solves `E[X] = 1` for
/// `a = 0.1`, `b = 2.5`. 8.6 % of the intervals are the shortest one and 10.6 % the longest one.
const SCALE: f64 = 1.113_608_873_518_017_4;

/// A slot of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The base for the next slot: the position of the next slot on the grid with fixed spacing, this slot itself with
    /// memoryless spacing.
    pub base: Micros,
    /// When the run is due.
    pub due: Micros,
}

/// The first slot of an entry that is added now: the first slot after now of a process that has always been running.
pub fn first(spacing: Spacing, every: Duration, now: Micros, rng: &mut impl Rng) -> Slot {
    match spacing {
        Spacing::Memoryless => from(now, scaled(every, memoryless_rest(rng.random()))),
        Spacing::Fixed { jitter } => {
            let place = scaled(every, rng.random());
            // The jitter may have moved the slot before this position past now, and the one at this position before
            // now.
            let before = (place + moved(jitter, rng)).checked_sub(Micros::from(every).0 + half(jitter));
            let at = (place + moved(jitter, rng)).checked_sub(half(jitter));
            let base = Micros(now.0.saturating_add(place));
            match (before, at) {
                (Some(wait), _) => Slot { base, due: Micros(now.0.saturating_add(wait)) },
                (None, Some(wait)) => Slot { base: plus(base, every), due: Micros(now.0.saturating_add(wait)) },
                (None, None) => next(spacing, every, plus(base, every), rng),
            }
        }
    }
}

/// The slot that follows the one with this `base`.
///
/// With fixed spacing the draw moves the run and not the grid, so the moves do not add up.
pub fn next(spacing: Spacing, every: Duration, base: Micros, rng: &mut impl Rng) -> Slot {
    match spacing {
        Spacing::Memoryless => from(base, scaled(every, memoryless(rng.random()))),
        Spacing::Fixed { jitter } => {
            let due = Micros(base.0.saturating_sub(half(jitter)).saturating_add(moved(jitter, rng)));
            Slot { base: plus(base, every), due }
        }
    }
}

/// The first position after `now` on the grid that contains `base`.
#[must_use]
pub fn on_grid(every: Duration, base: Micros, now: Micros) -> Micros {
    let every = Micros::from(every).0.max(1);
    match now.0.checked_sub(base.0) {
        Some(behind) => Micros(base.0.saturating_add((behind / every + 1).saturating_mul(every))),
        None => base,
    }
}

fn from(base: Micros, wait: u64) -> Slot {
    let due = Micros(base.0.saturating_add(wait));
    Slot { base: due, due }
}

fn plus(base: Micros, every: Duration) -> Micros {
    Micros(base.0.saturating_add(Micros::from(every).0))
}

/// How far a run is moved, counted from the earliest time that it may be moved to.
fn moved(jitter: Duration, rng: &mut impl Rng) -> u64 {
    scaled(jitter, rng.random())
}

fn half(jitter: Duration) -> u64 {
    Micros::from(jitter).0 / 2
}

/// One interval in units of its mean, by inversion of the distribution function. `uniform` is in [0, 1).
fn memoryless(uniform: f64) -> f64 {
    // The argument of the logarithm is in (0, 1], so the result is finite.
    (-SCALE * (1.0 - uniform).ln()).clamp(BOUNDS.0, BOUNDS.1)
}

/// The rest of an interval at a random moment, in units of the mean interval. `uniform` is in [0, 1).
///
/// The density is `P(X > x)`, because the mean is 1. The distribution function is therefore `x` up to `a`, and `a +
/// s·(e^(−a/s) − e^(−x/s))` from there to `b`. This function is its inverse.
fn memoryless_rest(uniform: f64) -> f64 {
    let (shortest, longest) = BOUNDS;
    if uniform < shortest {
        return uniform;
    }
    let beyond = (-shortest / SCALE).exp() - (uniform - shortest) / SCALE;
    // Rounding may lead to a value slightly beyond the end.
    (-SCALE * beyond.ln()).clamp(shortest, longest)
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
    fn sampled_intervals_have_the_mean_and_stay_within_limits() {
        let mut rng = StdRng::seed_from_u64(7);
        let drawn: Vec<f64> = (0..200_000).map(|_| memoryless(rng.random())).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        // The standard deviation of one interval is below 1.2, so that of the mean of 200,000 is below 0.003.
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        let at = |bound: f64| drawn.iter().filter(|x| **x == bound).count() as f64 / drawn.len() as f64;
        assert!((at(0.1) - 0.086).abs() < 0.003 && (at(2.5) - 0.106).abs() < 0.003, "{} {}", at(0.1), at(2.5));
        assert!(drawn.iter().all(|x| (BOUNDS.0..=BOUNDS.1).contains(x)));
    }

    /// The mean of the rest is `E[X²] / (2·E[X])` (Cox, § 5.2). Here it is computed by summing `x·P(X > x)` over [0,
    /// b].
    #[test]
    fn the_rest_of_an_interval_has_its_mean() {
        let survival = |x: f64| if x < BOUNDS.0 { 1.0 } else { (-x / SCALE).exp() };
        let step = BOUNDS.1 / 1e5;
        let wanted: f64 = (0..100_000).map(|k| (f64::from(k) + 0.5) * step).map(|x| x * survival(x) * step).sum();
        let mean = (0..100_000).map(|k| memoryless_rest((f64::from(k) + 0.5) / 1e5)).sum::<f64>() / 1e5;
        assert!((mean - wanted).abs() < 1e-4, "{mean}, not {wanted}");
        assert_eq!((memoryless_rest(0.0), memoryless_rest(0.05)), (0.0, 0.05));
        assert!((memoryless_rest(1.0 - f64::EPSILON) - BOUNDS.1).abs() < 1e-6);
    }

    #[test]
    fn fixed_slots_keep_their_grid() {
        let mut rng = StdRng::seed_from_u64(7);
        let every = Duration::from_secs(300);
        let spacing = Spacing::Fixed { jitter: Duration::from_secs(100) };
        let mut base = Micros(1_000_000_000);
        for k in 0..1_000 {
            let slot = next(spacing, every, base, &mut rng);
            let place = 1_000_000_000 + k * 300_000_000;
            assert_eq!(slot.base, Micros(place + 300_000_000));
            assert!(slot.due.0.abs_diff(place) <= 50_000_000, "{slot:?}");
            base = slot.base;
        }
    }

    #[test]
    fn a_grid_continues_after_now() {
        let every = Duration::from_micros(10);
        for (base, now, expected) in [(7, 0, 7), (7, 6, 7), (7, 7, 17), (7, 16, 17), (7, 38, 47)] {
            assert_eq!(on_grid(every, Micros(base), Micros(now)), Micros(expected), "{base} {now}");
        }
    }
}
