//! A link as a model: a rate that may change every millisecond, a bounded queue before it, and a delay behind it.
//!
//! Time goes in ticks of 1 ms, the resolution of tokio's timers. In each tick the transmitter takes from the node's
//! queue what the rate allows (parts of a byte are carried over, unused time is not), and what it took arrives `delay`
//! later, in one piece. What we send takes the same delay and has no rate. Tick 0 is the first one after a request has
//! arrived: its bytes are the first to arrive, and those of tick n arrive n ms after them. So n ticks without a rate
//! are a gap of n + 1 ms.
//!
//! The far end is a real server, so that what keeps the transmitter waiting can only be our own windows:
//! [`Model::starved`] counts the ticks in which it could have sent more.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bandprobe::{model::sample::HttpVersion, net::http::Connection};
use bytes::{Buf, Bytes, BytesMut};
use http::Response;
use http_body_util::Full;
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::link::connect;

/// A node behind a link, that serves one body to every client. Dropping it ends both.
pub(super) struct Model {
    cable: Cable,
    _tasks: JoinSet<()>,
}

impl Model {
    /// `rate` is that of each tick, in bit/s; `delay`, in ms, is that of either way.
    pub(super) async fn serve(
        http: HttpVersion,
        body: u64,
        delay: u64,
        rate: impl Fn(u64) -> u64 + Send + 'static,
    ) -> (Self, Connection) {
        assert!(delay > 0, "a tick is over when all that arrived in it was answered");
        let cable = Cable::default();
        cable.with(|wires| wires.delay = delay);
        let body = Bytes::from(vec![b'x'; usize::try_from(body).unwrap()]);
        let mut tasks = JoinSet::new();
        tasks.spawn(tick(cable.clone(), rate));
        tasks.spawn(answer(http, Far(cable.clone()), body));
        let connection = connect(http, Near(cable.clone())).await;
        (Self { cable, _tasks: tasks }, connection)
    }

    /// In how many ticks the transmitter had less to send than it could, between two in which it was busy; counted
    /// again from here on.
    pub(super) fn take_starved(&self) -> u64 {
        self.cable.with(|wires| std::mem::take(&mut wires.busy).starved)
    }
}

/// The length of a body that, together with its HTTP/1.1 head, takes this number of bytes on the link.
pub(super) fn body_that_fills(bytes: u64) -> u64 {
    let head = |length: u64| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").len() as u64;
    let body = bytes - head(bytes);
    assert_eq!(head(body), head(bytes), "as many digits");
    body
}

async fn answer(http: HttpVersion, far: Far, body: Bytes) {
    let service = service_fn(move |_| {
        let body = Full::new(body.clone());
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    let io = TokioIo::new(far);
    let ended = match http {
        HttpVersion::Http1 => http1::Builder::new().auto_date_header(false).serve_connection(io, service).await,
        HttpVersion::Http2 => http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await,
    };
    ended.unwrap();
}

async fn tick(cable: Cable, rate: impl Fn(u64) -> u64) {
    let began = Instant::now();
    for now in 1.. {
        sleep_until(began + Duration::from_millis(now)).await;
        cable.with(|wires| wires.tick(now, &rate));
    }
}

/// Both directions, shared by the two ends and the clock.
#[derive(Clone, Default)]
struct Cable(Arc<Mutex<Wires>>);

impl Cable {
    fn with<T>(&self, f: impl FnOnce(&mut Wires) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }
}

#[derive(Default)]
struct Wires {
    now: u64,
    delay: u64,
    up: Flight,
    down: Flight,
    /// Handed over by the node and not sent.
    queue: BytesMut,
    writer: Option<Waker>,
    /// When the first request arrived.
    asked: Option<u64>,
    /// Bits that made no whole byte.
    carry: u64,
    busy: Busy,
}

impl Wires {
    fn tick(&mut self, now: u64, rate: impl Fn(u64) -> u64) {
        self.now = now;
        if let Some(asked) = self.asked {
            let bits = self.carry + rate(now - asked - 1) / TICKS_PER_SECOND;
            self.carry = bits % 8;
            self.transmit(usize::try_from(bits / 8).unwrap());
        }
        if self.up.arrive(now) {
            self.asked.get_or_insert(now);
        }
        self.down.arrive(now);
    }

    fn transmit(&mut self, allowed: usize) {
        let bytes = self.queue.split_to(allowed.min(self.queue.len())).freeze();
        self.busy.note(bytes.len(), allowed);
        if !bytes.is_empty() {
            self.down.depart(self.now + self.delay, bytes);
        }
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

/// What the transmitter made of its time.
#[derive(Default)]
struct Busy {
    /// Has it been at its limit?
    began: bool,
    /// Ticks below the limit since it was last at it: its end, unless more comes.
    idle: u64,
    starved: u64,
}

impl Busy {
    fn note(&mut self, sent: usize, allowed: usize) {
        if sent < allowed {
            self.idle += u64::from(self.began);
        } else if allowed > 0 {
            self.began = true;
            self.starved += std::mem::take(&mut self.idle);
        }
    }
}

/// One direction behind its transmitter.
#[derive(Default)]
struct Flight {
    under_way: VecDeque<(u64, Bytes)>,
    arrived: VecDeque<Bytes>,
    reader: Option<Waker>,
}

impl Flight {
    fn depart(&mut self, arrives: u64, bytes: Bytes) {
        self.under_way.push_back((arrives, bytes));
    }

    /// Lets arrive what is due, and says whether anything was.
    fn arrive(&mut self, now: u64) -> bool {
        let before = self.arrived.len();
        while let Some((_, bytes)) = self.under_way.pop_front_if(|(at, _)| *at <= now) {
            self.arrived.push_back(bytes);
        }
        let came = self.arrived.len() > before;
        if let Some(reader) = self.reader.take_if(|_| came) {
            reader.wake();
        }
        came
    }

    fn read(&mut self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(front) = self.arrived.front_mut() else {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let length = front.len().min(buf.remaining());
        buf.put_slice(&front[..length]);
        front.advance(length);
        if front.is_empty() {
            self.arrived.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

/// Our end.
struct Near(Cable);

impl AsyncRead for Near {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.with(|wires| wires.down.read(cx, buf))
    }
}

impl AsyncWrite for Near {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.with(|wires| wires.up.depart(wires.now + wires.delay, Bytes::copy_from_slice(buf)));
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The node's end.
struct Far(Cable);

impl AsyncRead for Far {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.with(|wires| wires.up.read(cx, buf))
    }
}

impl AsyncWrite for Far {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.with(|wires| {
            let taken = buf.len().min(QUEUE - wires.queue.len());
            if taken == 0 {
                wires.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            wires.queue.extend_from_slice(&buf[..taken]);
            Poll::Ready(Ok(taken))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const TICKS_PER_SECOND: u64 = 1_000;
/// The node's socket buffer, in bytes: more than any rate here moves in a tick.
const QUEUE: usize = 256 << 10;
