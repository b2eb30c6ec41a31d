//! Goodput over a modelled link, from a real server: what we say is what the link did.

use bandprobe::{
    measure::goodput::Judgement,
    model::{
        flag::Flags,
        phase::Phase,
        probe::Deadlines,
        sample::HttpVersion,
        units::{BitRate, Micros},
    },
    net::http::End,
};

use super::{
    link::{Body, fetch},
    model::{Model, body_that_fills},
};

/// One way, in ms.
const DELAY: u64 = 7;

async fn transfer(http: HttpVersion, bytes: u64, rate: impl Fn(u64) -> u64 + Send + 'static) -> Body {
    let (model, mut connection) = Model::serve(http, bytes, DELAY, rate).await;
    let body = fetch(&mut connection, &Deadlines::default(), bytes).await.unwrap();
    assert!(matches!(body.received.end, End::Enough), "{http:?}: {:?}", body.received);
    assert_eq!(body.received.bytes, bytes);
    assert_eq!(body.timing.phases().took(Phase::Wait), Some(Micros(1_000 * (2 * DELAY + 1))), "{http:?}");
    assert_eq!(model.take_starved(), 0, "{http:?}: the link was the only limit");
    body
}

/// What is said of a body over HTTP/1.1 that keeps the link busy up to and with tick `last`.
async fn judged(last: u64, rate: impl Fn(u64) -> u64 + Clone + Send + 'static) -> Judgement {
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
        let Judgement { rates, intervals, flags } = judged(last, move |_| rate).await;
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
    let Judgement { rates, flags, .. } = body.judge(frames * FRAME);
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

/// The payload of a full DATA frame, and its header: what we allow, and RFC 9113 §4.1.
const FRAME: u64 = 16 << 10;
const FRAME_HEADER: u64 = 9;
