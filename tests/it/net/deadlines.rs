//! Every deadline passes exactly on time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bandprobe::{
    model::{phase::Phase, probe::Deadlines, sample::HttpVersion, units::Micros},
    net::{body::BodyEnd, failure::Cause},
};
use tokio::time::Instant;

use super::link::{ACK, BOTH, Eager, Link, PING, Script, connect, fetch, frame, ms};

const SEC: Duration = Duration::from_secs(1);

/// What a peer sends that never pauses, in bytes: far more than can be read within the deadlines of that test.
const FLOOD: usize = 512 << 20;

/// How a body ended, without its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ended {
    Enough,
    Finished,
    Partial,
    Stalled,
    Deadline,
    Broken,
}

impl From<&BodyEnd> for Ended {
    fn from(end: &BodyEnd) -> Self {
        match end {
            BodyEnd::Enough => Self::Enough,
            BodyEnd::Finished => Self::Finished,
            BodyEnd::Partial => Self::Partial,
            BodyEnd::Failed(failure) => {
                assert_eq!(failure.phase, Phase::Receive);
                match failure.cause {
                    Cause::Stall(_) => Self::Stalled,
                    Cause::Deadline(_) => Self::Deadline,
                    _ => Self::Broken,
                }
            }
        }
    }
}

type Tell = fn(&mut Script);

#[tokio::test(start_paused = true)]
async fn a_head_has_until_its_deadline() {
    let nothing: Tell = |_| {};
    let interim: Tell = |script| script.interim(ms(40));
    let half: Tell = |script| script.raw(ms(4_000), b"HTTP/1.1 200 OK\r\ncontent-le".to_vec());
    for (http, tell) in [
        (HttpVersion::Http1, nothing),
        (HttpVersion::Http1, interim),
        (HttpVersion::Http1, half),
        (HttpVersion::Http2, nothing),
        (HttpVersion::Http2, interim),
    ] {
        let mut script = Script::new(http);
        tell(&mut script);
        let began = Instant::now();
        let mut connection = connect(http, Link::that_takes(ms(15), script)).await;
        let Err(failure) = fetch(&mut connection, &Deadlines::default(), 9).await else { panic!("no head came") };
        assert!(matches!(failure.cause, Cause::Deadline(_)), "{http:?}: {failure}");
        assert_eq!(failure.phase, Phase::Wait, "{http:?}");
        assert_eq!(began.elapsed(), Deadlines::default().headers, "{http:?}: from the start of the request");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_sent_fails_in_that_phase() {
    for http in BOTH {
        let began = Instant::now();
        let mut connection = connect(http, Link::that_takes(SEC * 60, Script::new(http))).await;
        let Err(failure) = fetch(&mut connection, &Deadlines::default(), 9).await else { panic!("nothing was sent") };
        assert_eq!(failure.phase, Phase::Send, "{http:?}: {failure}");
        assert_eq!(began.elapsed(), Deadlines::default().headers, "{http:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_stalled_and_late_are_distinguished() {
    let silent: Tell = |_| {};
    let first: Tell = |script| {
        script.chunk(ms(100), 1_000);
    };
    let flowing: Tell = |script| {
        script.flow(ms(100), ms(900), 60, 1_000);
    };
    let dries_up: Tell = |script| {
        script.flow(ms(100), ms(900), 20, 1_000);
    };
    let late: Tell = |script| {
        script.flow(ms(100), ms(4_999), 60, 1_000);
    };
    // What is scripted, body and stall deadlines, and then: how it ended, when after the head, with how many bytes.
    for (name, tell, body, stall, ended, after, bytes) in [
        ("no byte", silent, SEC * 20, SEC * 5, Ended::Stalled, ms(5_000), 0),
        ("one byte, then none", first, SEC * 20, SEC * 5, Ended::Stalled, ms(5_000), 1_000),
        ("flowing", flowing, SEC * 20, SEC * 5, Ended::Partial, ms(20_000), 22_000),
        ("stops within the body", dries_up, SEC * 40, SEC * 5, Ended::Stalled, ms(18_000 + 5_000), 20_000),
        ("stops 2 s before the deadline", dries_up, SEC * 20, SEC * 5, Ended::Stalled, ms(20_000), 20_000),
        ("stops less than that before", dries_up, ms(19_999), SEC * 5, Ended::Partial, ms(19_999), 20_000),
        ("a byte just before each stall", late, SEC * 12, SEC * 5, Ended::Stalled, ms(12_000), 2_000),
        ("a deadline of less than 2 s without a byte", silent, ms(1_500), SEC * 5, Ended::Deadline, ms(1_500), 0),
        ("the same with a byte", first, ms(1_500), SEC * 5, Ended::Partial, ms(1_500), 1_000),
        ("a deadline of 2 s without a byte", silent, SEC * 2, SEC * 5, Ended::Stalled, ms(2_000), 0),
    ] {
        for http in BOTH {
            let mut script = Script::new(http);
            // With the row's first byte, where it has one, in the arrival of the head.
            script.head(ms(100), 1_000_000, 0);
            tell(&mut script);
            let began = Instant::now();
            let mut connection = connect(http, Link::new(script)).await;
            let deadlines = Deadlines { body, stall, ..Deadlines::default() };
            let body = fetch(&mut connection, &deadlines, 1_000_000).await.unwrap();
            let name = format!("{name}, {http:?}");
            assert_eq!(Ended::from(&body.received.end), ended, "{name}");
            assert_eq!(began.elapsed(), ms(100) + after, "{name}");
            assert_eq!((body.received.bytes, body.timeline.bytes()), (bytes, bytes), "{name}");
        }
    }
}

/// What a peer sends that is no byte of the body.
fn idle_talk(script: &mut Script, http: HttpVersion, until: Duration) {
    for n in 1..=until.as_millis() / 500 {
        let (at, n) = (ms(100 + 500 * u64::try_from(n).unwrap()), n == 1);
        script.raw(
            at,
            match http {
                HttpVersion::Http2 => frame(PING, 0, 0, &[0; 8]),
                // RFC 9112 §7.1.1: an extension of the chunk that is to come.
                HttpVersion::Http1 => {
                    if n {
                        b"3e8;x".to_vec()
                    } else {
                        b"x".to_vec()
                    }
                }
            },
        );
    }
}

#[tokio::test(start_paused = true)]
async fn only_body_bytes_end_a_silence() {
    for (name, until, ended, after, bytes) in [
        ("for ever", SEC * 19, Ended::Stalled, ms(5_000), 1_000),
        ("for 3 s, then the rest", SEC * 3, Ended::Finished, ms(3_100), 2_000),
    ] {
        for http in BOTH {
            let mut script = Script::new(http);
            match http {
                HttpVersion::Http1 => {
                    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e8\r\n";
                    script.raw(ms(100), [head.as_bytes(), &[b'x'; 1_000], b"\r\n"].concat());
                }
                HttpVersion::Http2 => script.head(ms(100), 2_000, 1_000),
            }
            idle_talk(&mut script, http, until);
            match http {
                HttpVersion::Http1 => script.raw(ms(3_200), [b"\r\n", &[b'x'; 1_000][..], b"\r\n0\r\n\r\n"].concat()),
                HttpVersion::Http2 => script.last(ms(3_200), 1_000),
            }
            let mut connection = connect(http, Link::new(script)).await;
            let began = Instant::now();
            let body = fetch(&mut connection, &Deadlines::default(), 1_000_000).await.unwrap();
            let name = format!("{name}, {http:?}");
            assert_eq!((Ended::from(&body.received.end), body.received.bytes), (ended, bytes), "{name}");
            assert_eq!(began.elapsed(), ms(100) + after, "{name}");
            let stalls = body.timeline.stalls(Micros::from(began.elapsed()), None).unwrap();
            assert_eq!((stalls.count, stalls.stalled), (1, Micros::from(after)), "{name}");
        }
    }
}

/// In real time: such a peer leaves paused time no moment in which to move.
#[tokio::test]
async fn deadlines_apply_to_a_peer_that_never_pauses() {
    let deadlines = Deadlines { body: ms(200), stall: ms(100), ..Deadlines::default() };
    let ping_ack = frame(PING, ACK, 0, &[0; 8]);
    for (name, http, rest, ended) in [
        ("body", HttpVersion::Http1, vec![b'x'; 1_000], Ended::Partial),
        ("frames that carry nothing", HttpVersion::Http2, ping_ack, Ended::Stalled),
    ] {
        let mut script = Script::new(http);
        script.head(Duration::ZERO, usize::MAX >> 1, 0);
        let mut bytes = script.bytes().into_iter().chain(rest.into_iter().cycle().take(FLOOD));
        let dried_up = Arc::new(AtomicBool::new(false));
        let tell = dried_up.clone();
        let flood = Eager::new(move |buf| {
            let piece: Vec<_> = bytes.by_ref().take(buf.remaining().min(4_096)).collect();
            buf.put_slice(&piece);
            tell.fetch_or(piece.is_empty(), Ordering::Relaxed);
        });
        let mut connection = connect(http, flood).await;
        let body = fetch(&mut connection, &deadlines, u64::MAX).await.unwrap();
        assert_eq!(Ended::from(&body.received.end), ended, "{name}");
        assert!(!dried_up.load(Ordering::Relaxed), "{name}: it ended only when the peer fell silent");
    }
}
