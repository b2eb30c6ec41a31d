//! A link whose far end is a script: which bytes arrive when, and how long our own bytes take to leave.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bandprobe::{
    measure::{
        goodput::{BodyJudgement, Ending, judge},
        timeline::Timeline,
    },
    model::{phase::Phase, probe::Deadlines, sample::HttpVersion, units::Micros},
    net::{
        body::{BodyEnd, BodyLimit, ReceivedBody},
        dial::{BoxedStream, ConnectionInfo, OpenConnection},
        failure::Failure,
        http::{Connection, UnreadResponse},
        meter::{Meter, Metered},
        run_clock::RunClock,
        tcp_info::KernelCounters,
        timing::Timing,
    },
};
use http::Method;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// Both versions, since everything here holds for both.
pub(super) const BOTH: [HttpVersion; 2] = [HttpVersion::Http1, HttpVersion::Http2];

/// What a node sends, in order, each piece as one arrival.
#[derive(Clone, Debug)]
pub(super) struct Script {
    http: HttpVersion,
    /// HTTP/2 stream of the answer under way; the next answer has the next one of ours (RFC 9113 §5.1.1).
    stream: u8,
    pieces: VecDeque<(Duration, Vec<u8>)>,
}

impl Script {
    /// Nothing but, for HTTP/2, the server's settings and its word on ours, as soon as the connection is there.
    pub(super) fn new(http: HttpVersion) -> Self {
        let mut script = Self { http, stream: 1, pieces: VecDeque::new() };
        if http == HttpVersion::Http2 {
            script.raw(Duration::ZERO, [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat());
        }
        script
    }

    /// Any bytes, that time after the beginning.
    pub(super) fn raw(&mut self, at: Duration, bytes: Vec<u8>) {
        self.pieces.push_back((at, bytes));
    }

    /// 200 and a length, with the first bytes of the body in the same arrival.
    pub(super) fn head(&mut self, at: Duration, length: usize, first: usize) {
        let mut bytes = match self.http {
            HttpVersion::Http1 => format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes(),
            HttpVersion::Http2 => frame(HEADERS, END_HEADERS, self.stream, &[STATUS_200]),
        };
        if first > 0 {
            bytes.extend(self.body(first, false));
        }
        self.raw(at, bytes);
    }

    /// A head that is not the final one.
    pub(super) fn interim(&mut self, at: Duration) {
        let bytes = match self.http {
            HttpVersion::Http1 => b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".to_vec(),
            // `:status` by its name in the static table, the value as three octets (RFC 7541 §6.2.2)
            HttpVersion::Http2 => frame(HEADERS, END_HEADERS, self.stream, &[0x08, 3, b'1', b'0', b'3']),
        };
        self.raw(at, bytes);
    }

    /// Further bytes of the body.
    pub(super) fn chunk(&mut self, at: Duration, bytes: usize) {
        let bytes = self.body(bytes, false);
        self.raw(at, bytes);
    }

    /// The last bytes of the body.
    pub(super) fn last(&mut self, at: Duration, bytes: usize) {
        let bytes = self.body(bytes, true);
        self.raw(at, bytes);
        self.stream += 2;
    }

    /// A chunk of bytes at each interval, the first one `every` after `from`; returns when the last one arrives.
    pub(super) fn flow(&mut self, from: Duration, every: Duration, times: u32, bytes: usize) -> Duration {
        (1..=times).for_each(|n| self.chunk(from + every * n, bytes));
        from + every * times
    }

    /// Which bytes arrive when.
    pub(super) fn into_pieces(self) -> impl IntoIterator<Item = (Duration, Vec<u8>), IntoIter: Send> {
        self.pieces
    }

    /// All bytes, as they come.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.pieces.iter().flat_map(|(_, bytes)| bytes).copied().collect()
    }

    fn body(&self, bytes: usize, end: bool) -> Vec<u8> {
        if self.http == HttpVersion::Http1 {
            return vec![b'x'; bytes];
        }
        let frames = bytes.div_ceil(MAX_FRAME).max(1);
        let lengths = (0..frames).map(|n| MAX_FRAME.min(bytes - n * MAX_FRAME));
        lengths
            .enumerate()
            .flat_map(|(n, length)| {
                let flags = u8::from(end && n + 1 == frames);
                frame(DATA, flags, self.stream, &vec![b'x'; length])
            })
            .collect()
    }
}

/// RFC 9113 §4.1.
pub(super) fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Our end of the link.
#[derive(Debug)]
pub(super) struct Link {
    began: Instant,
    pieces: VecDeque<(Duration, Vec<u8>)>,
    /// What has arrived and was not read.
    arrived: VecDeque<u8>,
    alarm: Option<Pin<Box<Sleep>>>,
    /// No request leaves before.
    sends_at: Instant,
    writing: Option<Pin<Box<Sleep>>>,
}

impl Link {
    pub(super) fn new(script: Script) -> Self {
        Self {
            began: Instant::now(),
            pieces: script.pieces,
            arrived: VecDeque::new(),
            alarm: None,
            sends_at: Instant::now(),
            writing: None,
        }
    }

    /// A link that takes our request only after a while.
    pub(super) fn that_takes(sending: Duration, script: Script) -> Self {
        Self { sends_at: Instant::now() + sending, ..Self::new(script) }
    }
}

impl AsyncRead for Link {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let now = self.began.elapsed();
            while let Some((_, bytes)) = self.pieces.pop_front_if(|(at, _)| *at <= now) {
                self.arrived.extend(bytes);
            }
            if !self.arrived.is_empty() {
                let length = buf.remaining().min(self.arrived.len());
                let bytes: Vec<u8> = self.arrived.drain(..length).collect();
                buf.put_slice(&bytes);
                return Poll::Ready(Ok(()));
            }
            // After the last piece the link is silent for ever.
            let Some((at, _)) = self.pieces.front() else { return Poll::Pending };
            let due = self.began + *at;
            let alarm = self.alarm.insert(Box::pin(sleep_until(due)));
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let sends_at = self.sends_at;
        let is_preface = buf.starts_with(b"PRI ");
        let writing = self.writing.get_or_insert_with(|| Box::pin(sleep_until(sends_at)));
        if !is_preface && Instant::now() < sends_at && writing.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A link that answers as soon as it is asked, and at once whatever is read: by a function that fills a read.
pub(super) struct Eager<F> {
    fill: F,
    asked: bool,
    waiting: Option<Waker>,
}

impl<F: FnMut(&mut ReadBuf<'_>) + Unpin> Eager<F> {
    /// A read that `fill` adds nothing to waits for ever.
    pub(super) const fn new(fill: F) -> Self {
        Self { fill, asked: false, waiting: None }
    }
}

impl<F: FnMut(&mut ReadBuf<'_>) + Unpin> AsyncRead for Eager<F> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.asked {
            self.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let before = buf.filled().len();
        (self.fill)(buf);
        if buf.filled().len() > before { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl<F: Unpin> AsyncWrite for Eager<F> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.asked |= buf.starts_with(b"GET") || frames(buf).any(|(kind, _)| kind == HEADERS);
        if self.asked
            && let Some(waiting) = self.waiting.take()
        {
            waiting.wake();
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Kind and payload length of each frame in bytes that begin with one.
pub(super) fn frames(bytes: &[u8]) -> impl Iterator<Item = (u8, usize)> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let &[a, b, c, kind, ..] = rest else { return None };
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        rest = rest.get(FRAME_HEADER + length..).unwrap_or_default();
        Some((kind, length))
    })
}

/// A connection over a link, or over anything else.
pub(super) async fn connect<S>(http: HttpVersion, link: S) -> Connection
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let meter = Meter::new();
    connect_over(http, Box::new(Metered::new(link, meter.clone())), meter).await
}

/// A connection over a link, whose deadlines go by this clock.
pub(super) async fn connect_by(clock: &RunClock, http: HttpVersion, link: Link) -> Connection {
    let meter = Meter::new();
    start(http, Box::new(Metered::new(link, meter.clone())), meter, clock.clone()).await
}

/// A connection over whatever has this meter at its bottom.
pub(super) async fn connect_over(http: HttpVersion, stream: BoxedStream, meter: Arc<Meter>) -> Connection {
    start(http, stream, meter, RunClock::default()).await
}

async fn start(http: HttpVersion, stream: BoxedStream, meter: Arc<Meter>, clock: RunClock) -> Connection {
    let info = ConnectionInfo {
        http,
        remote: [127, 0, 0, 1].into(),
        tls_version: None,
        cert_expires: None,
        wants_client_certificate: false,
        handshake: Micros::ZERO,
        kernel: KernelCounters::default(),
    };
    Connection::start(OpenConnection { stream, meter, info, clock }).await.unwrap()
}

/// Asks for the one thing there is.
pub(super) async fn ask(
    connection: &mut Connection,
    deadlines: &Deadlines,
    timing: &mut Timing,
) -> Result<UnreadResponse, Failure> {
    let request = connection.request(Method::GET, &"http://127.0.0.1/x".parse().unwrap());
    connection.send(request, deadlines, timing).await
}

/// A body as it was received.
pub(super) struct Body {
    pub(super) received: ReceivedBody,
    pub(super) timeline: Timeline,
    pub(super) timing: Timing,
}

impl Body {
    /// The rates computed for it, for a path without a round-trip time.
    pub(super) fn judge(&self, planned: u64) -> BodyJudgement {
        let ending = match self.received.end {
            BodyEnd::Partial => Ending::Partial,
            _ => Ending::Finished,
        };
        judge(&self.timeline, Some(planned), ending, self.timing.phases().total(), None)
    }
}

/// A whole exchange that requests this number of body bytes.
pub(super) async fn fetch(connection: &mut Connection, deadlines: &Deadlines, wanted: u64) -> Result<Body, Failure> {
    let mut timing = Timing::start(Instant::now());
    let mut answer = ask(connection, deadlines, &mut timing).await?;
    let limit = BodyLimit { bytes: wanted, body: deadlines.body, stall: deadlines.stall };
    let (received, timeline) = connection.receive_timed(&mut answer, limit, timing, |_| {}).await;
    let end = timeline.last().map_or(timing.last(), |last| timing.t0() + last.at.as_duration());
    timing.end(Phase::Receive, end);
    Ok(Body { received, timeline, timing })
}

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) const FRAME_HEADER: usize = 9;
const MAX_FRAME: usize = 16 << 10;
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status 200` in HPACK's static table (RFC 7541, appendix A).
const STATUS_200: u8 = 0x88;
