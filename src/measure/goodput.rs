//! The rates of a body, computed from its timeline, and when they are unreliable.
//!
//! | number | formula | source |
//! |---|---|---|
//! | effective | 8·bytes / total | the transfer time of the file for a viewer, latency included |
//! | goodput | 8·(bytes − bytes of the first point) / (t_last − t_first) | goodput as in RFC 2647 §3.17: what reached the application; counters are cumulative and rates are computed later, as in ndt7 |
//! | steady | goodput after the ramp | the equilibrium of RFC 6349 |
//! | intervals, min_interval | the rate of each 50 ms; the smallest rate over 250 ms | a player depends on the worst moments, not on the mean |
//! | stalls | pauses longer than max(200 ms, 4 × rtt) | above a retransmission timeout, and above what a lost round trip explains |
//! | too_slow | receive phase > [`SLOW_RECEIVE`] and effective < the probe's `min-rate` | a viewer would give up: the transfer ends ok, but the run is not good |
//!
//! **Why the first point's bytes do not count.** With n equal reads of s bytes, one every d, the bytes are n·s and the
//! time from the first to the last read is (n − 1)·d. The quotient is the rate times n/(n − 1), because the s bytes of
//! the first read arrived before its stamp, in time that was not measured. Without them, the quotient is (n − 1)·s /
//! ((n − 1)·d), the rate itself. 256 KiB over TLS are 16 records, so the error would be 1/15. Measuring from the
//! request would err in the other direction, by the time that the node needed to respond.
//!
//! A rate is given when the *planned* body has at least [`MIN_PLANNED`] bytes, whatever the result. A rule that
//! depended on the result would remove the fastest or the slowest nodes from the statistics.

use super::{
    ramp::{self, Ramp},
    timeline::Timeline,
};
use crate::model::{
    flag::{Flag, Flags},
    sample::Rates,
    units::{BitRate, Micros},
};

/// Bodies that are planned smaller than this have no goodput: 1 MiB. A smaller body consists mostly of the start of the
/// connection.
pub const MIN_PLANNED: u64 = 1 << 20;

/// A transfer whose receive phase is not longer than this is never `too_slow`: too little time has passed to call a
/// rate low.
pub const SLOW_RECEIVE: Micros = Micros(5_000_000);

/// The most intervals of a body: those of 120 s, the longest deadline.
pub const MAX_INTERVALS: usize = 2_400;

/// How the body of a transfer ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// At the last byte wanted.
    Finished,
    /// At the body deadline, while bytes were arriving.
    Partial,
}

/// The evaluation of a timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyJudgement {
    /// The rates and pauses; each is `None` when it cannot be known.
    pub rates: Rates,
    /// The rate of each whole 50 ms after the ramp, at most [`MAX_INTERVALS`] of them. When no end of the ramp was
    /// found, they begin at the first point, so that an unsettled rate does not disappear from the statistics.
    pub intervals: Vec<BitRate>,
    /// `too_small`, `coarse`, `unsteady` and `stalled_some`, where they apply.
    pub flags: Flags,
}

/// Evaluates the body of one transfer.
///
/// `planned` is the number of body bytes that the request and the response promised. When it is not known, the body's
/// own length is used, unless the body was cut off: the body might have been long, and a slow node must get a rate just
/// as a fast one does. `total` is the offset from t0 at which the transfer ended or was given up: the last body byte
/// wanted, or the deadline. `rtt` is the smallest round-trip time of the path, if known.
///
/// The rates of a partial body include its stalls, also the silence before the deadline. `stalled_some` is not raised
/// for it, because that flag is for a body that continued to its end.
///
/// The caller must drop the rates of a failed transfer, because this function does not know the outcome.
#[must_use]
pub fn judge(
    timeline: &Timeline,
    planned: Option<u64>,
    ending: Ending,
    total: Micros,
    rtt: Option<Micros>,
) -> BodyJudgement {
    let mut judgement = BodyJudgement::default();
    if timeline.bytes() > 0 {
        judgement.rates.effective = BitRate::mean(timeline.bytes(), total);
    }
    if let Some(stalls) = timeline.stalls(total, rtt) {
        judgement.rates.stalls = Some(stalls.count);
        judgement.rates.stalled = Some(stalls.stalled);
        judgement.rates.longest_gap = Some(stalls.longest_gap);
        if stalls.count > 0 && ending == Ending::Finished {
            judgement.flags.raise(Flag::StalledSome);
        }
    }
    let is_too_small = match (planned, ending) {
        (Some(planned), _) => planned < MIN_PLANNED,
        (None, Ending::Finished) => timeline.bytes() < MIN_PLANNED,
        (None, Ending::Partial) => false,
    };
    if is_too_small {
        judgement.flags.raise(Flag::TooSmall);
    } else {
        judge_rate(timeline, &mut judgement);
    }
    judgement
}

/// Whether the body was so slow that a viewer would give up.
#[must_use]
pub fn is_too_slow(effective: Option<BitRate>, receive: Option<Micros>, min_rate: BitRate) -> bool {
    receive.is_some_and(|receive| receive > SLOW_RECEIVE) && effective.is_some_and(|effective| effective < min_rate)
}

fn judge_rate(timeline: &Timeline, judgement: &mut BodyJudgement) {
    judgement.rates.goodput = goodput_after(timeline, Micros::ZERO);
    if timeline.span() < COARSE_SPAN || timeline.points() < COARSE_POINTS {
        judgement.flags.raise(Flag::Coarse);
    }
    let mut ramp_end = Micros::ZERO;
    match ramp::ramp(timeline) {
        Ramp::Ended(end) => {
            ramp_end = end;
            judgement.rates.ramp = Some(end);
            if timeline.span().saturating_sub(end) >= ramp::LONG {
                judgement.rates.steady = goodput_after(timeline, end);
            }
        }
        Ramp::Unsteady => judgement.flags.raise(Flag::Unsteady),
        Ramp::TooShort => {}
    }
    judgement.intervals = ramp::intervals(timeline, ramp_end);
    judgement.rates.min_interval = ramp::smallest(timeline, ramp_end);
}

/// The mean rate from `offset` after the first point to the last one; `None` when no time passed.
fn goodput_after(timeline: &Timeline, offset: Micros) -> Option<BitRate> {
    let span = timeline.span();
    let bytes = timeline.bytes_after_first(span) - timeline.bytes_after_first(offset);
    BitRate::mean(bytes, span.saturating_sub(offset))
}

const COARSE_SPAN: Micros = Micros(20_000);
const COARSE_POINTS: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_slow_needs_a_long_body_and_a_low_rate() {
        for (effective, receive, min_rate, expected) in [
            (Some(8), Some(20_000_000), 64_000, true),
            (Some(63_999), Some(5_000_001), 64_000, true),
            (Some(64_000), Some(5_000_001), 64_000, false),
            (Some(8), Some(5_000_000), 64_000, false),
            (Some(8), None, 64_000, false),
            (None, Some(20_000_000), 64_000, false),
            (Some(900_000), Some(9_000_000), 1_000_000, true),
            (Some(0), Some(9_000_000), 0, false),
        ] {
            let is_too_slow = is_too_slow(effective.map(BitRate), receive.map(Micros), BitRate(min_rate));
            assert_eq!(is_too_slow, expected, "{effective:?} {receive:?} {min_rate}");
        }
    }
}
