//! HTTP/2 flow control on a fast, long path: our windows must not limit the rate.

use bandprobe::{
    model::{probe::Deadlines, sample::HttpVersion},
    net::body::BodyEnd,
};

use super::{link::fetch, model::Model};

/// Ticks in which the node was kept from sending, of two bodies one after the other on one connection.
///
/// The link runs at `rate` with a round trip of twice `delay` ms. A body is longer than our windows, so that it cannot
/// pass without their being renewed on the way; the second one meets them as the first one left them.
async fn starved(rate: u64, delay: u64) -> [u64; 2] {
    let (model, mut connection) = Model::serve(HttpVersion::Http2, BODY, delay, move |_| rate).await;
    let mut starved = [0; 2];
    for starved in &mut starved {
        assert!(connection.is_reusable().await);
        let body = fetch(&mut connection, &Deadlines::default(), BODY).await.unwrap();
        assert!(matches!(body.received.end, BodyEnd::Enough | BodyEnd::Finished), "{:?}", body.received);
        assert_eq!(body.received.bytes, BODY);
        *starved = model.take_starved();
    }
    starved
}

/// 12.5 MB are under way, all the time.
#[tokio::test(start_paused = true)]
async fn windows_never_limit_at_100_ms_and_1_gbit() {
    assert_eq!(starved(GIGABIT, 50).await, [0, 0]);
}

/// What the test above would show if they did: with twice the bandwidth × delay they do.
#[tokio::test(start_paused = true)]
async fn a_window_that_limits_the_rate_is_detected() {
    let [cold, warm] = starved(GIGABIT, 100).await;
    assert!(cold > 0 && warm > 0, "{cold} and {warm} ticks");
}

const GIGABIT: u64 = 1_000_000_000;
/// Longer than any window of ours.
const BODY: u64 = 48 << 20;
