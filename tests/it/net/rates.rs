//! Rates of bodies whose arrival is known.

use bandprobe::{
    model::{
        flag::Flags,
        probe::Deadlines,
        sample::HttpVersion,
        units::{BitRate, Micros},
    },
    net::body::BodyEnd,
};

use super::link::{BOTH, Body, Link, Script, connect, fetch, ms};

async fn body(http: HttpVersion, script: Script, bytes: usize) -> Body {
    let mut connection = connect(http, Link::new(script)).await;
    let body = fetch(&mut connection, &Deadlines::default(), bytes as u64).await.unwrap();
    assert!(matches!(body.received.end, BodyEnd::Enough | BodyEnd::Finished), "{http:?}: {:?}", body.received);
    assert_eq!(body.received.bytes, bytes as u64);
    body
}

#[tokio::test(start_paused = true)]
async fn the_first_read_is_not_part_of_the_rate() {
    // 10 Mbit/s: 12,500 bytes every 10 ms. Bytes that arrive with the head were sent earlier, however many they are.
    for http in BOTH {
        for first in [0, 1, 100_000] {
            let bytes = first + 2_500_000;
            let mut script = Script::new(http);
            script.head(ms(80), bytes, first);
            let end = script.flow(ms(80), ms(10), 200, 12_500);
            assert_eq!(end, ms(2_080));
            let judgement = body(http, script, bytes).await.judge(bytes as u64);
            // Without a byte next to the head, the first of the 200 arrivals is the one that does not count.
            assert_eq!(judgement.rates.goodput, Some(BitRate(10_000_000)), "{http:?} {first}");
            assert_eq!(judgement.rates.steady, Some(BitRate(10_000_000)), "{http:?} {first}");
            assert_eq!(judgement.rates.min_interval, Some(BitRate(10_000_000)), "{http:?} {first}");
            assert_eq!(judgement.rates.effective, BitRate::mean(bytes as u64, Micros(2_080_000)), "{http:?} {first}");
            assert_eq!(judgement.rates.ramp, Some(Micros::ZERO));
            assert_eq!(judgement.rates.stalls, Some(0));
            assert_eq!(judgement.flags, Flags::NONE, "{http:?} {first}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_ramp_ends_where_the_link_says() {
    for http in BOTH {
        let bytes = 12_500 + 50 * 12_500 + 150 * 125_000;
        let mut script = Script::new(http);
        script.head(ms(20), bytes, 12_500);
        let step = script.flow(ms(20), ms(10), 50, 12_500);
        script.flow(step, ms(10), 150, 125_000);
        let rates = body(http, script, bytes).await.judge(bytes as u64).rates;
        assert_eq!(rates.ramp, Some(Micros(500_000)), "{http:?}");
        assert_eq!(rates.steady, Some(BitRate(100_000_000)), "{http:?}");
        assert_eq!(rates.goodput, Some(BitRate(77_500_000)), "{http:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_a_stall_of_its_exact_length() {
    for http in BOTH {
        let bytes = 2_500_000;
        let mut script = Script::new(http);
        script.head(ms(20), bytes, 0);
        let pause = script.flow(ms(20), ms(10), 100, 12_500);
        script.flow(pause + ms(290), ms(10), 100, 12_500);
        let judgement = body(http, script, bytes).await.judge(bytes as u64);
        assert_eq!(judgement.rates.stalls, Some(1), "{http:?}");
        assert_eq!(judgement.rates.stalled, Some(Micros(300_000)), "{http:?}");
        assert_eq!(judgement.rates.longest_gap, Some(Micros(300_000)), "{http:?}");
        assert_eq!(judgement.flags.to_string(), "stalled_some", "{http:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn reading_stops_at_the_wanted_bytes() {
    for http in BOTH {
        let mut script = Script::new(http);
        script.head(ms(20), 50_000, 5_000);
        script.chunk(ms(30), 10_000);
        script.chunk(ms(40), 10_000);
        let mut connection = connect(http, Link::new(script)).await;
        let body = fetch(&mut connection, &Deadlines::default(), 12_000).await.unwrap();
        assert!(matches!(body.received.end, BodyEnd::Enough), "{http:?}: {:?}", body.received);
        assert_eq!((body.received.bytes, body.received.surplus > 0), (12_000, true), "{http:?}");
        assert_eq!(body.timing.phases().total(), Micros(30_000), "{http:?}");
    }
}
