//! Goodput over a modelled link from a real server: the recorded rate is that of the link.

use bandprobe::{
    measure::goodput::BodyJudgement,
    model::{
        flag::Flags,
        phase::Phase,
        probe::Deadlines,
        sample::HttpVersion,
        units::{BitRate, Micros},
    },
    net::body::BodyEnd,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    link::{Body, fetch},
    model::{Model, body_that_fills},
};

/// One way, in ms.
const DELAY: u64 = 7;

async fn transfer(http: HttpVersion, bytes: u64, rate: impl Fn(u64) -> u64 + Send + 'static) -> Body {
    let (model, mut connection) = Model::serve(http, bytes, DELAY, rate).await;
    let body = fetch(&mut connection, &Deadlines::default(), bytes).await.unwrap();
    assert!(matches!(body.received.end, BodyEnd::Enough), "{http:?}: {:?}", body.received);
    assert_eq!(body.received.bytes, bytes);
    assert_eq!(body.timing.phases().took(Phase::Wait), Some(Micros(1_000 * (2 * DELAY + 1))), "{http:?}");
    assert_eq!(model.take_starved(), 0, "{http:?}: the link was the only limit");
    body
}

/// What is said of a body over HTTP/1.1 that keeps the link busy up to and with tick `last`.
async fn judged(last: u64, rate: impl Fn(u64) -> u64 + Clone + Send + 'static) -> BodyJudgement {
    let link: u64 = (0..=last).map(|tick| bytes_in(rate(tick))).sum();
    let bytes = body_that_fills(link);
    let body = transfer(HttpVersion::Http1, bytes, rate).await;
    assert_eq!(body.timeline.span(), Micros(1_000 * last));
    body.judge(bytes)
}

/// What a rate moves in a tick, in whole bytes.
fn bytes_in(rate: u64) -> u64 {
    assert_eq!(rate % 8_000, 0, "whole bytes a tick");
    rate / 8_000
}

#[tokio::test(start_paused = true)]
async fn a_constant_rate_is_that_rate() {
    for (rate, last) in [(8_000_000, 2_000), (100_000_000, 700), (1_000_000_000, 100)] {
        let BodyJudgement { rates, intervals, flags } = judged(last, move |_| rate).await;
        assert_eq!(rates.goodput, Some(BitRate(rate)), "{rate}");
        assert_eq!(rates.stalls, Some(0), "{rate}");
        assert_eq!(rates.longest_gap, Some(Micros(1_000)), "{rate}");
        assert!(intervals.iter().all(|interval| *interval == BitRate(rate)), "{rate}: {intervals:?}");
        assert_eq!(flags, Flags::NONE, "{rate}");
        if last >= 250 {
            assert_eq!(rates.ramp, Some(Micros::ZERO), "{rate}");
            assert_eq!(rates.steady, Some(BitRate(rate)), "{rate}");
            assert_eq!(rates.min_interval, Some(BitRate(rate)), "{rate}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn http2_reads_its_share_of_the_link() {
    // One full frame a tick: the link carries its header too, and the body what is between the headers.
    let frames = 600;
    let body = transfer(HttpVersion::Http2, frames * FRAME, |_| 8_000 * (FRAME_HEADER + FRAME)).await;
    let BodyJudgement { rates, flags, .. } = body.judge(frames * FRAME);
    assert_eq!(rates.goodput, Some(BitRate(8_000 * FRAME)));
    assert_eq!(rates.steady, rates.goodput);
    assert_eq!(rates.min_interval, rates.goodput);
    assert_eq!((body.timeline.points(), flags), (frames, Flags::NONE));

    // Any other rate: a frame counts when it is whole, so that either end of the span is wrong by less than one.
    for rate in [20_000_000, 100_000_000] {
        let bytes = rate / 8;
        let body = transfer(HttpVersion::Http2, bytes, move |_| rate).await;
        let goodput = body.judge(bytes).rates.goodput.unwrap().0;
        let share = rate * FRAME / (FRAME + FRAME_HEADER);
        let bound = 8 * FRAME * 1_000_000 / body.timeline.span().0;
        assert!(goodput.abs_diff(share) <= bound, "{goodput} for {share} ± {bound}");
    }
}

/// One rate up to and with tick `until`, then another.
fn step(until: u64, before: u64, after: u64) -> impl Fn(u64) -> u64 + Clone + Send + 'static {
    move |tick| if tick <= until { before } else { after }
}

#[tokio::test(start_paused = true)]
async fn only_a_rising_rate_is_a_ramp() {
    let (slow, fast) = (10_000_000, 100_000_000);
    // The slow rate for 0.5 s, then the fast one for 1.5 s.
    let BodyJudgement { rates, flags, .. } = judged(2_000, step(500, slow, fast)).await;
    assert_eq!(rates.ramp, Some(Micros(500_000)));
    assert_eq!(rates.steady, Some(BitRate(fast)));
    assert_eq!(rates.min_interval, Some(BitRate(fast)), "after the ramp");
    assert_eq!(rates.goodput, Some(BitRate(77_500_000)), "what a viewer had of it");
    assert_eq!(flags, Flags::NONE);

    // The other way round the transfer has no beginning to leave out: its end is as much the path as its start.
    let BodyJudgement { rates, flags, .. } = judged(2_000, step(500, fast, slow)).await;
    assert_eq!(rates.ramp, Some(Micros::ZERO));
    assert_eq!((rates.steady, rates.goodput), (Some(BitRate(32_500_000)), Some(BitRate(32_500_000))));
    assert_eq!(rates.min_interval, Some(BitRate(slow)));
    assert_eq!(flags, Flags::NONE);

    // A rate that changes only in the second half was never settled in the first.
    let BodyJudgement { rates, flags, .. } = judged(1_000, step(600, slow, fast)).await;
    assert_eq!((rates.ramp, rates.steady), (None, None));
    assert_eq!(rates.goodput, Some(BitRate(46_000_000)));
    assert_eq!(flags.to_string(), "unsteady");
}

#[tokio::test(start_paused = true)]
async fn slow_start_ends_at_90_percent_of_the_rate() {
    // Doubles every round trip of 50 ms up to 100 Mbit/s, which it has from 250 ms on.
    let full = 100_000_000;
    let rate = move |tick: u64| match tick.saturating_sub(1) / 50 {
        rounds @ 0..5 => 3_200_000 << rounds,
        _ => full,
    };
    let BodyJudgement { rates, flags, .. } = judged(1_500, rate).await;
    // From 240 ms on: 10 ms at 51.2 and 40 at 100 are 90.24 Mbit/s; from 230 ms on it would be 80.48.
    assert_eq!(rates.ramp, Some(Micros(240_000)));
    assert_eq!(rates.steady, BitRate::mean(10 * bytes_in(51_200_000) + 1_250 * bytes_in(full), Micros(1_260_000)));
    assert!(rates.steady.unwrap().0.abs_diff(full) < full / 100);
    assert_eq!(flags, Flags::NONE);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_link_is_measured_exactly() {
    const RATE: u64 = 8_000_000;
    for (gap, stalls) in [(150, 0), (200, 0), (201, 1), (2_000, 1)] {
        // Ticks 501 to 499 + gap are silent: between those of tick 500 and 500 + gap no byte comes.
        let paused = move |tick| if (501..500 + gap).contains(&tick) { 0 } else { RATE };
        let last = 1_499 + gap;
        let BodyJudgement { rates, flags, .. } = judged(last, paused).await;
        assert_eq!(rates.longest_gap, Some(Micros(1_000 * gap)), "{gap} ms");
        assert_eq!(rates.stalls, Some(stalls), "{gap} ms");
        assert_eq!(rates.stalled, Some(Micros(1_000 * gap * stalls)), "{gap} ms");
        assert_eq!(flags.to_string(), if stalls > 0 { "stalled_some" } else { "" }, "{gap} ms");
        let moved = last - (gap - 1);
        assert_eq!(rates.goodput, BitRate::mean(moved * bytes_in(RATE), Micros(1_000 * last)), "{gap} ms");
        let in_worst_window = 250_u64.saturating_sub(gap - 1);
        assert_eq!(rates.min_interval, BitRate::mean(in_worst_window * bytes_in(RATE), Micros(250_000)), "{gap} ms");
    }
}

/// For a rate that varies by ±40 % every 100 ms, goodput is the mean. The ramp that is seen by chance now and then
/// is small on average, and so is what it adds to the steady rate (about 0.06 s and 1.4 %).
#[tokio::test(start_paused = true)]
async fn noise_is_averaged() {
    const BODIES: u64 = 80;
    const LAST: u64 = 2_000;
    let (mut ramps, mut excess, mut steady_ones) = (0.0, 0.0, 0_u32);
    for seed in 0..BODIES {
        let mut dice = StdRng::seed_from_u64(seed);
        let draws: Vec<u64> = (0..=LAST / 100).map(|_| 8_000 * dice.random_range(600..=1_400)).collect();
        let drawn = draws.clone();
        let rates = judged(LAST, move |tick| drawn[usize::try_from(tick.saturating_sub(1) / 100).unwrap()]).await.rates;
        let mean = draws.iter().take(20).sum::<u64>() / 20;
        assert_eq!(rates.goodput, Some(BitRate(mean)), "seed {seed}");
        let (Some(steady), Some(ramp)) = (rates.steady, rates.ramp) else { continue };
        steady_ones += 1;
        ramps += ramp.as_secs_f64();
        excess += steady.0 as f64 / mean as f64 - 1.0;
    }
    let (ramp, excess) = (ramps / f64::from(steady_ones), excess / f64::from(steady_ones));
    assert!(u64::from(steady_ones) > BODIES * 9 / 10, "{steady_ones} of {BODIES} were steady");
    assert!((0.02..0.12).contains(&ramp), "a false ramp of {ramp} s on average");
    assert!((0.0..0.025).contains(&excess), "steady is {excess} above goodput");
}

/// The payload of a full DATA frame, and its header: what we allow, and RFC 9113 §4.1.
const FRAME: u64 = 16 << 10;
const FRAME_HEADER: u64 = 9;
