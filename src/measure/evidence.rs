//! Finds out whether something other than the node or the path limited or distorted a rate: this process was slow, the
//! receive window was small, or the clock was set.
//!
//! | flag | rule | source |
//! |---|---|---|
//! | `cpu_bound` | one of: CPU share above [`MAX_CPU_SHARE`]; run-queue delay above [`max_run_delay`]; receive lag p90 above [`MAX_LAG`]. The first two are measured from the response head to the last body byte, if that took [`MIN_SHARED`] or more | a thread that is always busy or waits for a CPU reads late, whatever the path does (`schedstat` in proc(5): time on the CPU, time on the run queue) |
//! | `receiver_limited` | [`reached`] × rtt ≥ [`WINDOW_SHARE`] of the window | a sender may have one window in flight per round trip (RFC 9293 §3.8.6, RFC 6349 §3.3.1: throughput ≤ window / rtt), so close to this limit the window is what we measured |
//! | `uplink_limited` | [`reached`] ≥ [`UPLINK_SHARE`] of the uplink | the same for our own line |
//! | `reordered` | a segment arrived out of order | counters of the kernel's `TCP_INFO` |
//! | `clock_step` | wall clock and monotonic clock differ by more than [`MAX_CLOCK_DRIFT`] | timestamps use the wall clock, durations do not |
//!
//! A value that is not known raises no flag.

use std::time::Duration;

use crate::model::{
    flag::{Flag, Flags},
    sample::{NetworkPath, Rates, ReaderStats},
    units::{BitRate, Micros},
};

/// The largest acceptable share of a body's time in which the measuring thread runs or waits for a CPU.
pub const MAX_CPU_SHARE: f64 = 0.8;

/// The largest acceptable share of a body's time in which the thread waits for a CPU; see [`max_run_delay`].
pub const MAX_RUN_DELAY_SHARE: f64 = 0.05;

/// The most time that waking a thread takes on an idle machine; see [`waited`].
pub const WAKE_UP: Duration = Duration::from_micros(25);

/// The longest acceptable time that bytes stay in the kernel before we read them. Applies to the 90th percentile.
pub const MAX_LAG: Micros = Micros(5_000);

/// For a body that takes less time than this, shares are not evaluated: data that has already arrived is read at full
/// speed, and a scheduler tick is a large part of the time.
pub const MIN_SHARED: Micros = Micros(20_000);

/// At this share of the receive window and above, the window is the limit.
pub const WINDOW_SHARE: f64 = 0.8;

/// At this share of the vantage's uplink and above, the uplink is the limit.
pub const UPLINK_SHARE: f64 = 0.8;

/// How far the wall clock may drift from the monotonic clock during a transfer.
pub const MAX_CLOCK_DRIFT: Duration = Duration::from_millis(100);

/// Which rules for `cpu_bound` are broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slowness {
    /// The thread ran or waited for a CPU nearly all the time.
    pub busy: bool,
    /// The thread waited too long for a CPU.
    pub delayed: bool,
    /// Bytes stayed in the kernel for too long.
    pub late: bool,
}

impl Slowness {
    /// Evaluates how well this process kept up.
    #[must_use]
    pub fn of(reader: &ReaderStats) -> Self {
        let shared = reader.span.filter(|span| *span >= MIN_SHARED);
        let delay = shared.zip(reader.run_delay);
        Self {
            busy: shared.and(reader.cpu_share).is_some_and(|share| share > MAX_CPU_SHARE),
            delayed: delay.is_some_and(|(span, delay)| delay > max_run_delay(span)),
            late: reader.lag_p90.is_some_and(|lag| lag > MAX_LAG),
        }
    }

    /// Whether any rule is broken.
    #[must_use]
    pub const fn is_any(self) -> bool {
        self.busy || self.delayed || self.late
    }
}

/// How long a thread waited for a CPU that others used: its time on the run queue minus [`WAKE_UP`] for each turn on a
/// CPU.
///
/// Every turn begins with a wait, even when nothing else needs a CPU: an interrupt has to be handled, and the CPU has
/// to leave its idle state. On an idle virtual machine with two CPUs that took 12 to 15 µs. A thread that is woken by
/// every segment has 16,000 turns per second at 200 Mbit/s. Without the subtraction it would have waited for 20 % of
/// the time, although its rates were right within 0.1 %.
#[must_use]
pub fn waited(run_queue: Duration, turns: u64) -> Duration {
    run_queue.saturating_sub(WAKE_UP.saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX)))
}

/// The longest acceptable time for which the thread waits for a CPU within `span`: [`MAX_RUN_DELAY_SHARE`] of `span`,
/// but at least [`MAX_LAG`].
///
/// Waits that add up to less than [`MAX_LAG`] cannot have delayed a byte for longer than that, which is acceptable.
/// Without this minimum, one time slice of another thread (3 ms on two CPUs, Linux's default) would be too much for
/// 60 ms of an otherwise idle machine.
#[must_use]
pub fn max_run_delay(span: Micros) -> Micros {
    Micros::from(span.as_duration().mul_f64(MAX_RUN_DELAY_SHARE)).max(MAX_LAG)
}

/// The share of `part` in `whole`.
#[must_use]
pub fn share(part: Micros, whole: Micros) -> f64 {
    part.as_duration().div_duration_f64(whole.max(Micros(1)).as_duration())
}

/// The bytes in flight on a path at this rate: rate × rtt.
#[must_use]
pub fn under_way(rate: BitRate, rtt: Micros) -> u64 {
    let bytes = u128::from(rate.0) * u128::from(rtt.0) / (8 * 1_000_000);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The rate that is compared with a limit: goodput, or the steady rate if that is higher. On a long path, slow start
/// lowers the mean of a body, even if the rest of it ran at the limit.
#[must_use]
pub fn reached(rates: &Rates) -> Option<BitRate> {
    rates.goodput.max(rates.steady)
}

/// Raises `cpu_bound` and `reordered` where they apply, and, if a rate is known, `receiver_limited` and
/// `uplink_limited`.
#[must_use]
pub fn flags(reader: &ReaderStats, path: &NetworkPath, rates: &Rates, uplink: Option<BitRate>) -> Flags {
    let mut flags = Flags::NONE;
    let rate = reached(rates);
    if Slowness::of(reader).is_any() {
        flags.raise(Flag::CpuBound);
    }
    if path.ooo_segments.is_some_and(|segments| segments > 0) {
        flags.raise(Flag::Reordered);
    }
    if let (Some(rate), Some(rtt), Some(window)) = (rate, path.rtt, path.rcv_wnd)
        && reaches(under_way(rate, rtt), WINDOW_SHARE, window.0)
    {
        flags.raise(Flag::ReceiverLimited);
    }
    if let (Some(rate), Some(uplink)) = (rate, uplink)
        && reaches(rate.0, UPLINK_SHARE, uplink.0)
    {
        flags.raise(Flag::UplinkLimited);
    }
    flags
}

/// Whether the wall clock was set in the meantime. `wall_nanos` is how far it moved, `elapsed` how much time passed.
#[must_use]
pub fn clock_stepped(wall_nanos: i128, elapsed: Duration) -> bool {
    let elapsed = i128::try_from(elapsed.as_nanos()).unwrap_or(i128::MAX);
    wall_nanos.abs_diff(elapsed) > MAX_CLOCK_DRIFT.as_nanos()
}

#[expect(clippy::cast_precision_loss, reason = "rates and windows far below 2^53; a rounding there decides nothing")]
fn reaches(value: u64, share: f64, limit: u64) -> bool {
    value as f64 >= share * limit as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::units::Bytes;

    fn slowness(cpu_share: f64, run_delay: u64, lag: u64, span: u64) -> (bool, bool, bool) {
        let reader = ReaderStats {
            lag_p90: Some(Micros(lag)),
            cpu_share: Some(cpu_share),
            run_delay: Some(Micros(run_delay)),
            frozen: None,
            span: Some(Micros(span)),
        };
        let Slowness { busy, delayed, late } = Slowness::of(&reader);
        (busy, delayed, late)
    }

    #[test]
    fn each_rule_has_its_own_limit() {
        for (cpu_share, run_delay, lag, span, expected) in [
            (0.1, 1_000, 20, 1_000_000, (false, false, false)),
            (0.8, 50_000, 5_000, 1_000_000, (false, false, false)),
            (0.81, 50_000, 5_000, 1_000_000, (true, false, false)),
            (0.8, 50_001, 5_000, 1_000_000, (false, true, false)),
            (0.8, 50_000, 5_001, 1_000_000, (false, false, true)),
            // The shares of a small body are not evaluated, only its lag.
            (1.0, 19_000, 20, 19_999, (false, false, false)),
            (1.0, 19_000, 5_001, 19_999, (false, false, true)),
            (1.0, 1_001, 20, 20_000, (true, false, false)),
            // A total wait of up to `MAX_LAG` is acceptable, however short the body.
            (0.1, 4_900, 20, 40_000, (false, false, false)),
            (0.1, 5_000, 20, 20_000, (false, false, false)),
            (0.1, 5_001, 20, 20_000, (false, true, false)),
            (0.1, 5_000, 20, 100_000, (false, false, false)),
            (0.1, 5_001, 20, 100_000, (false, true, false)),
            (0.1, 5_050, 20, 101_000, (false, false, false)),
            (0.1, 5_051, 20, 101_000, (false, true, false)),
        ] {
            assert_eq!(slowness(cpu_share, run_delay, lag, span), expected, "{cpu_share} {run_delay} {lag} {span}");
        }
    }

    #[test]
    fn run_delay_excludes_normal_wake_ups() {
        for (run_queue, turns, expected) in [
            (0, 0, 0),
            (3_000, 0, 3_000),
            (3_000, 1, 2_975),
            // 220 ms at 200 Mbit/s: on an idle machine, and next to other processes.
            (44_000, 3_400, 0),
            (135_000, 3_400, 50_000),
            (1, u64::MAX, 0),
        ] {
            let waited = waited(Duration::from_micros(run_queue), turns);
            assert_eq!(waited, Duration::from_micros(expected), "{run_queue} {turns}");
        }
    }

    #[test]
    fn missing_evidence_raises_no_flag() {
        let rates = Rates { goodput: Some(BitRate(u64::MAX)), ..Rates::default() };
        let none = flags(&ReaderStats::default(), &NetworkPath::default(), &rates, None);
        assert_eq!(none, Flags::NONE);
        let busy = ReaderStats { cpu_share: Some(1.0), run_delay: Some(Micros(9)), ..ReaderStats::default() };
        assert_eq!(flags(&busy, &NetworkPath::default(), &Rates::default(), None), Flags::NONE);
    }

    #[test]
    fn window_and_uplink_limit_from_80_percent_on() {
        let path = |wnd, ooo| NetworkPath {
            rtt: Some(Micros(100_000)),
            rcv_rtt: None,
            ooo_segments: Some(ooo),
            rcv_wnd: Some(Bytes(wnd)),
        };
        let check = |rate, wnd, uplink, ooo, expected: &str| {
            let reader = ReaderStats::default();
            let path = path(wnd, ooo);
            let of_all = Rates { goodput: Some(BitRate(rate)), ..Rates::default() };
            // Slow start lowers the mean, but not the rate after it.
            let at_last = Rates { goodput: Some(BitRate(rate / 4)), steady: Some(BitRate(rate)), ..Rates::default() };
            // Slow at the end: the mean is higher than the rate after the ramp.
            let at_first = Rates { goodput: Some(BitRate(rate)), steady: Some(BitRate(rate / 4)), ..Rates::default() };
            for rates in [of_all, at_last, at_first] {
                let flags = flags(&reader, &path, &rates, Some(BitRate(uplink)));
                assert_eq!(flags.to_string(), expected, "{rates:?} {wnd} {uplink}");
            }
        };
        // 80 Mbit/s × 100 ms = 1 MB
        check(80_000_000, 1_250_000, 1_000_000_000, 0, "receiver_limited");
        check(79_999_000, 1_250_000, 1_000_000_000, 0, "");
        check(80_000_000, 2_500_000, 100_000_000, 0, "uplink_limited");
        check(79_999_000, 2_500_000, 100_000_000, 1, "reordered");
        check(u64::MAX, 1 << 40, u64::MAX, 0, "receiver_limited,uplink_limited");
    }

    #[test]
    fn clock_drift_is_ignored_and_a_step_is_flagged() {
        let second = Duration::from_secs(1);
        for (wall_millis, stepped) in
            [(1_000, false), (1_100, false), (900, false), (1_101, true), (899, true), (-1, true)]
        {
            assert_eq!(clock_stepped(wall_millis * 1_000_000, second), stepped, "{wall_millis}");
        }
        assert!(clock_stepped(i128::MIN, Duration::MAX));
    }
}
