//! Finds the end of a body's ramp, and computes the rates over short windows that this is based on.
//!
//! A connection starts slowly (slow start, a proxy that fills its buffers), and a short transfer consists mostly of
//! that start. RFC 6349 asks for throughput "in the TCP equilibrium state" for the same reason. Instead of cutting off
//! a fixed number of seconds, we look for the end of the ramp, and report when there is none.
//!
//! **Why the median of m250 over the second half.** It is the settled rate if the rate settled by the middle of the
//! body, and the end of a ramp is searched only up to there. A mean would fall with every pause in the second half, so
//! a slow start would seem settled. A maximum would follow the burst after a pause, which no later window comes close
//! to. The median ignores both as long as they affect fewer than half of the windows.
//!
//! **Why 0.9.** Slow start doubles the rate every round trip (RFC 5681 §3.1), so its last step but one is half the
//! final rate, far below the limit. If the rate only rises, the rate after the ramp is less than a tenth below the
//! final one. A limit closer to one would take noise for ramps. For example, when the rate is drawn again every 100 ms
//! within ±40 %, a draw deviates by σ = 0.4/√3 = 0.23, and m250, which covers two and a half draws, by √0.36·σ = 0.14.
//! A quarter of such bodies begin more than 0.1 below their mean, which adds 0.06 s of ramp on average.
//!
//! **Why two windows.** Both look ahead, so after a step from r to 1, a window w ends the ramp 0.1·w/(1 − r) early:
//! 50 ms for m250 and 10 ms for m50 when r is one half. m50 alone would take any burst for the end.
//!
//! Windows that are compared start at bin edges, counted from the first point. When bins are wider than a window, the
//! window is one bin. The recorded values, [`intervals`] and the [`smallest`], are exact for a body of any length: see
//! [`super::slots`].

use super::timeline::Timeline;
use crate::model::units::{BitRate, Micros};

/// The result of the search for the end of the ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ramp {
    /// The ramp ended this long after the first point; zero when there was no ramp.
    Ended(Micros),
    /// Within the first half, the rate did not come near the rate of the second half.
    Unsteady,
    /// The body is shorter than one window of 250 ms.
    TooShort,
}

/// Finds the end of the ramp.
///
/// m250(t) and m50(t) are the mean rates over 250 and 50 ms from t, and ref is the median (nearest rank) of m250 over
/// the second half. The end is zero when m250(0) ≥ 0.9 ref. Otherwise it is the first bin edge in the first half where
/// both are ≥ 0.9 ref. If the second half is shorter than 250 ms, the last 250 ms of the body are used instead of it.
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

/// The rate of each whole 50 ms after `from`, which is a bin edge.
pub(super) fn intervals(timeline: &Timeline, from: Micros) -> Vec<BitRate> {
    timeline.slots().in_turn(from, timeline.span(), SHORT).collect()
}

/// The smallest rate over 250 ms after `from`, which is a bin edge; `None` when fewer than 250 ms remain.
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

/// The mean rate over a window; `None` when the window does not lie completely within the body.
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

/// Whether a rate is at least [`NEAR_PERCENT`] of the reference.
fn is_near(rate: BitRate, reference: BitRate) -> bool {
    u128::from(rate.0) * 100 >= u128::from(reference.0) * u128::from(NEAR_PERCENT)
}

/// A rate of at least this share of the reference, in percent, is settled.
pub const NEAR_PERCENT: u64 = 90;

const SHORT: Micros = Micros(50_000);
pub(super) const LONG: Micros = Micros(250_000);
