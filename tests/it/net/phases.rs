//! Phases to the microsecond.

use bandprobe::{
    model::{phase::Phase, probe::Deadlines, sample::HttpVersion, units::Micros},
    net::body::BodyEnd,
};

use super::link::{BOTH, Link, PING, Script, connect, fetch, frame, ms};

#[tokio::test(start_paused = true)]
async fn phases_match_the_delays_of_the_link() {
    for http in BOTH {
        let mut script = Script::new(http);
        if http == HttpVersion::Http2 {
            script.raw(ms(30), frame(PING, 0, 0, &[0; 8]));
        }
        script.interim(ms(40));
        script.head(ms(95), 5_000, 0);
        script.chunk(ms(120), 2_000);
        script.last(ms(131), 3_000);
        let mut connection = connect(http, Link::that_takes(ms(15), script)).await;
        let body = fetch(&mut connection, &Deadlines::default(), 5_000).await.unwrap();
        let took = Phase::ALL.map(|phase| body.timing.phases().took(phase).map(|took| took.0));
        assert_eq!(took, [None, None, None, Some(15_000), Some(80_000), Some(36_000)], "{http:?}");
        assert_eq!(body.timing.phases().ttfb(), Some(Micros(95_000)), "{http:?}");
        assert!(matches!(body.received.end, BodyEnd::Enough), "{http:?}: {:?}", body.received);
    }
}

#[tokio::test(start_paused = true)]
async fn a_split_head_counts_from_its_first_byte() {
    let mut script = Script::new(HttpVersion::Http1);
    script.raw(ms(50), b"HTTP/1.1 200 O".to_vec());
    script.raw(ms(90), b"K\r\ncontent-length: 3\r\n\r\nabc".to_vec());
    let mut connection = connect(HttpVersion::Http1, Link::new(script)).await;
    let body = fetch(&mut connection, &Deadlines::default(), 3).await.unwrap();
    assert_eq!(body.timing.phases().took(Phase::Wait), Some(Micros(50_000)));
    assert_eq!(body.timing.phases().took(Phase::Receive), Some(Micros(40_000)));
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_ends_both_phases() {
    let mut script = Script::new(HttpVersion::Http1);
    script.head(ms(20), 700, 0);
    script.last(ms(45), 700);
    let mut connection = connect(HttpVersion::Http1, Link::that_takes(ms(60), script)).await;
    let body = fetch(&mut connection, &Deadlines::default(), 700).await.unwrap();
    let took = [Phase::Send, Phase::Wait, Phase::Receive].map(|phase| body.timing.phases().took(phase));
    assert_eq!(took, [Some(Micros(20_000)), Some(Micros::ZERO), Some(Micros(25_000))]);
}

#[tokio::test(start_paused = true)]
async fn a_second_exchange_is_timed_on_its_own() {
    for http in BOTH {
        let mut script = Script::new(http);
        script.head(ms(50), 40_000, 10_000);
        script.last(ms(80), 30_000);
        script.head(ms(110), 7, 0);
        script.last(ms(115), 7);
        let mut connection = connect(http, Link::new(script)).await;
        for (wanted, wait, receive) in [(40_000, 50_000, 30_000), (7, 30_000, 5_000)] {
            assert!(connection.is_reusable().await, "{http:?}");
            let body = fetch(&mut connection, &Deadlines::default(), wanted).await.unwrap();
            let phases = body.timing.phases();
            assert_eq!(phases.took(Phase::Send), Some(Micros::ZERO), "{http:?}");
            assert_eq!(phases.took(Phase::Wait), Some(Micros(wait)), "{http:?}");
            assert_eq!(phases.took(Phase::Receive), Some(Micros(receive)), "{http:?}");
        }
        connection.close();
        assert!(!connection.is_reusable().await, "{http:?}");
    }
}
