//! What a body's timeline says of its rate, and when not to believe it.
//!
//! | number | formula | source |
//! |---|---|---|
//! | effective | 8·bytes / total | the file's transfer time as a viewer has it, latency included |
//! | goodput | 8·(bytes − bytes of the first point) / (t_last − t_first) | goodput as in RFC 2647 §3.17: what reached the application; its counters are cumulative and its rates computed later, as in ndt7 |
//! | steady | goodput after the ramp | the equilibrium of RFC 6349 |
//! | intervals, min_interval | the rate of each 50 ms, the smallest over 250 ms | a player lives on the worst moments, not on the mean |
//! | stalls | pauses longer than max(200 ms, 4 × rtt) | above a retransmission timeout, and above what a lost round trip explains |
//! | too_slow | receive phase > [`SLOW_RECEIVE`] and effective < the probe's `min-rate` | a viewer gives up on it: the transfer ends ok, the run does not |
//!
//! **Why the first point's bytes do not count.** Of n equal reads, one every d, the bytes are n·s and the time from the first
//! to the last is (n − 1)·d: the quotient is the rate times n/(n − 1). The s bytes of the first read came before its stamp, in
//! time that was not measured. Without them it is (n − 1)·s / ((n − 1)·d), the rate itself. 256 KiB over TLS are 16 records: 1/15
//! too high. Measuring from the request on would err the other way, by the time that the node thought.
//!
//! A rate is given for what was *planned* to be at least [`MIN_PLANNED`], never for what turned out fast or slow
//! enough: a rule that looks at the result makes the fastest nodes vanish from the statistic, or the slowest.

use super::{
    ramp::{self, Ramp},
    timeline::Timeline,
};
use crate::model::{
    flag::{Flag, Flags},
    sample::Rates,
    units::{BitRate, Micros},
};

/// Bodies planned smaller than this have no goodput: 1 MiB. In less, the start of the connection is all there is.
pub const MIN_PLANNED: u64 = 1 << 20;

/// A transfer whose body took no longer is never `too_slow`: too little time passed to call a rate low.
pub const SLOW_RECEIVE: Micros = Micros(5_000_000);

/// The most intervals of a body: those of 120 s, the longest deadline.
pub const MOST_INTERVALS: usize = 2_400;

/// How a body ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With the last byte wanted.
    Finished,
    /// By the body deadline, while bytes were flowing.
    Partial,
}

/// What a timeline says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The rates and pauses; absent where they cannot be known.
    pub rates: Rates,
    /// The rate of each whole 50 ms after the ramp, at most [`MOST_INTERVALS`] of them. From the first point on
    /// when no end of the ramp was found: an unsettled rate must not vanish from the statistic.
    pub intervals: Vec<BitRate>,
    /// `too_small`, `coarse`, `unsteady` and `stalled_some`, as they apply.
    pub flags: Flags,
}

/// Judges the body of one transfer.
///
/// `planned` is how many body bytes the request and the response promised. Where neither did (no length told), the
/// body's own length stands for it, unless it was cut off: it might have been long, and a slow node keeps its rate as a fast
/// one does. `total` is the offset from t0 at which the transfer ended or was given up: the last body byte wanted, or the
/// deadline. `rtt` is the path's smallest round-trip time where it is known.
///
/// The stalls of a partial body, the silence before its deadline among them, are in the rates; `stalled_some` is not raised, for
/// that is said of a body that went on to its end.
///
/// The rates of a transfer that failed are for the caller to drop: this function does not know the outcome.
#[must_use]
pub fn judge(
    timeline: &Timeline,
    planned: Option<u64>,
    ending: Ending,
    total: Micros,
    rtt: Option<Micros>,
) -> Judgement {
    let mut judgement = Judgement::default();
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

/// Was the body so slow that a viewer would call it a failure?
#[must_use]
pub fn is_too_slow(effective: Option<BitRate>, receive: Option<Micros>, min_rate: BitRate) -> bool {
    receive.is_some_and(|receive| receive > SLOW_RECEIVE) && effective.is_some_and(|effective| effective < min_rate)
}

fn judge_rate(timeline: &Timeline, judgement: &mut Judgement) {
    judgement.rates.goodput = goodput_after(timeline, Micros::ZERO);
    if timeline.span() < COARSE_SPAN || timeline.points() < COARSE_POINTS {
        judgement.flags.raise(Flag::Coarse);
    }
    let mut settled = Micros::ZERO;
    match ramp::ramp(timeline) {
        Ramp::Ended(end) => {
            settled = end;
            judgement.rates.ramp = Some(end);
            if timeline.span().saturating_sub(end) >= ramp::LONG {
                judgement.rates.steady = goodput_after(timeline, end);
            }
        }
        Ramp::Unsteady => judgement.flags.raise(Flag::Unsteady),
        Ramp::TooShort => {}
    }
    judgement.intervals = ramp::intervals(timeline, settled);
    judgement.rates.min_interval = ramp::smallest(timeline, settled);
}

/// The mean rate from `offset` after the first point to the last one; absent when no time passed.
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
