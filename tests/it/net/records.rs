//! What TLS adds between socket and message: tickets before the answer, and records that take many reads.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bandprobe::{
    model::{phase::Phase, probe::Deadlines, sample::HttpVersion, units::Micros},
    net::meter::Meter,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    task::JoinSet,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    link::{BOTH, Body, FRAME_HEADER, Script, connect_over, fetch, ms},
    tls::{ROOM, handshake, serve},
};

/// A socket that, once released, delivers a number of bytes at regular intervals.
struct Held {
    stream: DuplexStream,
    holds: Arc<AtomicBool>,
    most: usize,
    every: Duration,
    next: Pin<Box<Sleep>>,
}

impl AsyncRead for Held {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.holds.load(Relaxed) {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        ready!(self.next.as_mut().poll(cx));
        let mut bytes = vec![0; self.most.min(buf.remaining())];
        let mut part = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        buf.put_slice(part.filled());
        let next = Instant::now() + self.every;
        self.next.as_mut().reset(next);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Held {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// How the bytes after the handshake come: `None` as they are sent, else in chunks at an interval, from a moment on.
type Reads = Option<(Duration, usize, Duration)>;

/// Fetches a body of `wanted` bytes after a handshake that takes no time; also how many bytes the socket brought since.
async fn fetched(http: HttpVersion, script: Script, tickets: usize, reads: Reads, wanted: u64) -> (Body, u64) {
    let (near, far) = duplex(ROOM);
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(far, script, tickets));
    let holds = Arc::new(AtomicBool::new(false));
    let (from, most, every) = reads.unwrap_or_default();
    let next = Box::pin(sleep_until(Instant::now() + from));
    let meter = Meter::new();
    let stream = handshake(Held { stream: near, holds: holds.clone(), most, every, next }, meter.clone()).await;
    holds.store(reads.is_some(), Relaxed);
    let before = meter.bytes_read();
    let mut connection = connect_over(http, stream, meter.clone()).await;
    let body = fetch(&mut connection, &Deadlines::default(), wanted).await.unwrap();
    assert_eq!(body.received.bytes, wanted, "{http:?}: {:?}", body.received);
    (body, meter.bytes_read() - before)
}

#[tokio::test(start_paused = true)]
async fn tickets_are_not_the_answer() {
    for http in BOTH {
        // Long before the answer, or in the very read that brings it.
        for reads in [None, Some((ms(80), ROOM, Duration::ZERO))] {
            let mut least = 0;
            for tickets in [0, 2, 40] {
                let mut script = Script::new(http);
                script.head(ms(80), 5_000, 0);
                script.last(ms(103), 5_000);
                let (body, read) = fetched(http, script, tickets, reads, 5_000).await;
                let name = format!("{http:?}, {tickets} tickets, {reads:?}");
                assert_eq!(body.timing.phases().took(Phase::Wait), Some(Micros(80_000)), "{name}");
                assert_eq!(body.timing.phases().took(Phase::Receive), Some(Micros(23_000)), "{name}");
                assert!(read > least, "{name}: they came");
                least = read + 30 * tickets as u64;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_counts_when_it_is_complete() {
    for http in BOTH {
        let mut script = Script::new(http);
        script.head(ms(0), 900, 0);
        script.chunk(ms(0), 300);
        script.last(ms(0), 600);
        // One byte a millisecond, the first of them at 80 ms: each piece is a record of its own.
        let ends: Vec<u64> = script
            .clone()
            .into_pieces()
            .into_iter()
            .scan(79, |at, (_, piece)| {
                *at += (piece.len() + RECORD) as u64;
                Some(*at)
            })
            .collect();
        let [.., head, first, last] = ends[..] else { panic!("three records: {ends:?}") };
        let (body, _) = fetched(http, script, 0, Some((ms(80), 1, ms(1))), 900).await;
        assert_eq!(body.timing.phases().took(Phase::Wait), Some(Micros(1_000 * head)), "{http:?}");
        assert_eq!(body.timing.phases().took(Phase::Receive), Some(Micros(1_000 * (last - head))), "{http:?}");
        let points = (body.timeline.first().unwrap(), body.timeline.points());
        assert_eq!((points.0.at, points.0.bytes, points.1), (Micros(1_000 * first), 300, 2), "{http:?}");
        // A record on its way is no pause: a byte of it comes every millisecond, but for the 17 that are none of the
        // body, its type and the cipher's tag.
        let stalls = body.judge(900).rates;
        assert_eq!((stalls.stalls, stalls.longest_gap), (Some(0), Some(Micros(17_000))), "{http:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn partial_records_count_as_arrived_bytes() {
    // 200 Mbit/s on the wire: the first read ends in the middle of a record, which is 0.8 % of such a body.
    const READ: u64 = 25_000;
    for http in BOTH {
        let (mut bytes, mut read) = (1 << 20, 0);
        let mut goodput = None;
        // The second time as many more bytes as it takes to fill the last read.
        for _ in 0..2 {
            bytes += if read == 0 { 0 } else { READ - read % READ - 100 };
            let mut script = Script::new(http);
            let length = usize::try_from(bytes).unwrap();
            script.head(ms(0), length, 0);
            script.last(ms(0), length);
            let body;
            (body, read) = fetched(http, script, 0, Some((ms(80), 25_000, ms(1))), bytes).await;
            goodput = body.judge(bytes).rates.goodput;
        }
        assert!(READ - read % READ < 200, "{http:?}: {read}");
        let wire = READ as f64 * 8_000.0;
        let framed = if http == HttpVersion::Http2 { FRAME + FRAME_HEADER as f64 } else { FRAME };
        let truth = wire * FRAME / framed * FRAME / (FRAME + RECORD as f64);
        let error = goodput.unwrap().0 as f64 / truth - 1.0;
        assert!(error.abs() < 0.0005, "{http:?}: {goodput:?} for {truth}, {error:+.4}");
    }
}

/// The longest content of a record, and of a frame as we allow them.
const FRAME: f64 = 16_384.0;
/// What TLS 1.3 adds to the content of a record: header, content type, authentication tag (RFC 8446 §5.2).
const RECORD: usize = 5 + 1 + 16;
