//! Where the ramp of a body ends, and the rates over short windows that tell.
//!
//! A connection starts slowly (slow start, a proxy that fills its buffers), and a short transfer is mostly that start.
//! RFC 6349 asks for throughput "in the TCP equilibrium state" for the same reason. Instead of cutting a fixed
//! number of seconds we look for the end of the ramp, and say so when there is none.
//!
//! **Why the median of m250 over the second half.** It is what the rate has become, if it settled by the middle, which is as far
//! as the end of a ramp is searched. A mean would fall with every pause in that half and call a slow beginning settled; a
//! maximum would follow the burst after a pause, which no later window comes near. The median ignores either, as long
//! as fewer than half of the windows are touched.
//!
//! **Why 0.9.** Slow start doubles every round trip (RFC 5681 §3.1), so its last step but one is half the rate, far below; and
//! of a rate that only rises, what comes after is less than a tenth below its end. Closer to one, noise would read as
//! ramps: of a rate drawn anew, ±40 %, every 100 ms, a draw deviates by σ = 0.4/√3 = 0.23, and m250, two and a half draws,
//! by √0.36·σ = 0.14. So a quarter of such bodies begin more than 0.1 below their mean: 0.06 s of ramp on average.
//!
//! **Why two windows.** Both look ahead, so after a step from r to 1 a window w ends the ramp 0.1·w/(1 − r) early: 50 ms
//! for m250 and 10 ms for m50 when r is half. m50 alone would take any burst for the end.
//!
//! Windows that are compared start at bin edges, counted from the first point; once bins are wider than a window, the window is
//! one bin. What is recorded, [`intervals`] and the [`smallest`], is exact however long the body: see [`super::slots`].

use super::timeline::Timeline;
use crate::model::units::{BitRate, Micros};

/// What became of the ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ramp {
    /// It ended so long after the first point; zero when there was none.
    Ended(Micros),
    /// The rate did not come near that of the second half within the first half.
    Unsteady,
    /// The body is shorter than one window of 250 ms.
    TooShort,
}

/// Finds the end of the ramp.
///
/// With m250(t) and m50(t) the mean rates over 250 and 50 ms from t, and ref the median (nearest rank) of m250 over
/// the second half: zero when m250(0) ≥ 0.9 ref, else the first bin of the first half with both ≥ 0.9 ref. Where the
/// second half is shorter than 250 ms, the last 250 ms of the body stand for it.
pub(super) fn ramp(timeline: &Timeline) -> Ramp {
    let Some(reference) = reference(timeline) else { return Ramp::TooShort };
    let near = |from, window| rate(timeline, from, window).is_some_and(|rate| is_near(rate, reference));
    if near(Micros::ZERO, LONG) {
        return Ramp::Ended(Micros::ZERO);
    }
    let half = Micros(timeline.span().0 / 2);
    edges(timeline)
        .take_while(|from| *from <= half)
        .find(|from| near(*from, SHORT) && near(*from, LONG))
        .map_or(Ramp::Unsteady, Ramp::Ended)
}

/// The rate of each whole 50 ms from `from` on, which is a bin edge.
pub(super) fn intervals(timeline: &Timeline, from: Micros) -> Vec<BitRate> {
    timeline.slots().in_turn(from, timeline.span(), SHORT).collect()
}

/// The smallest rate over 250 ms from `from` on, which is a bin edge; absent when no 250 ms remain.
pub(super) fn smallest(timeline: &Timeline, from: Micros) -> Option<BitRate> {
    timeline.slots().smallest(from, timeline.span(), LONG)
}

fn reference(timeline: &Timeline) -> Option<BitRate> {
    let last_start = timeline.span().0.checked_sub(width_of(timeline, LONG).0)?;
    let half = timeline.span().0.div_ceil(2);
    let mut rates: Vec<_> =
        edges(timeline).skip_while(|from| from.0 < half).map_while(|from| rate(timeline, from, LONG)).collect();
    if rates.is_empty() {
        return rate(timeline, Micros(last_start), LONG);
    }
    rates.sort_unstable();
    Some(rates[(rates.len() - 1) / 2])
}

/// The mean rate over a window, absent when it is not wholly within the body.
fn rate(timeline: &Timeline, from: Micros, window: Micros) -> Option<BitRate> {
    let window = width_of(timeline, window);
    let end = Micros(from.0.checked_add(window.0)?);
    if end > timeline.span() {
        return None;
    }
    BitRate::mean(timeline.bytes_after_first(end) - timeline.bytes_after_first(from), window)
}

/// The bin edges up to the end of the body.
fn edges(timeline: &Timeline) -> impl Iterator<Item = Micros> {
    let (width, span) = (timeline.width().0, timeline.span());
    (0..).map(move |n| Micros(n * width)).take_while(move |edge| *edge < span)
}

fn width_of(timeline: &Timeline, window: Micros) -> Micros {
    window.max(timeline.width())
}

/// Is a rate at least [`NEAR_PERCENT`] of the reference?
fn is_near(rate: BitRate, reference: BitRate) -> bool {
    u128::from(rate.0) * 100 >= u128::from(reference.0) * u128::from(NEAR_PERCENT)
}

/// A rate is settled from this share of the reference on, in percent.
pub const NEAR_PERCENT: u64 = 90;

const SHORT: Micros = Micros(50_000);
pub(super) const LONG: Micros = Micros(250_000);
