//! A node that answers with arbitrary bytes, and one transfer from it with the production code: request, connection,
//! HTTP, meter, checks of head and body, classification. No socket is used. Time is paused, so deadlines take no time.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bandprobe::{
    config::{AllowPrivate, FamilyChoice, HttpChoice, Limits, Network, Resolver},
    model::{
        flag::Flag,
        outcome::Outcome,
        probe::{Deadlines, MIN_RATE, PartName, Weight},
        sample::{CacheState, HttpVersion, Sample},
        target::{Asset, AssetKind, Listing, Node, Origin, Profile, Vantage},
        units::{Bytes, Micros},
    },
    net::{
        dial::{ConnectionInfo, Dialer, OpenConnection},
        http::Connection,
        meter::{Meter, Metered},
        run_clock::RunClock,
        tcp_info::KernelCounters,
    },
    probe::{
        Prober,
        gate::Gate,
        request::TransferRequest,
        requested_bytes::RequestedBytes,
        status::web_server::HeadRefusals,
        transfer::{FinishedTransfer, KeptConnection},
        vantage_health::VantageHealth,
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::{
    consistent::assert_consistent,
    frames::{HEADERS, frames},
};

/// What is requested: parts of an image of [`SIZE`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// GET of `FIRST..=LAST`.
    Range,
    /// GET without a range.
    Full,
    /// The same of an image of unknown size.
    Unsized,
    /// HEAD.
    Head,
}

/// What the node does after its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Hold,
    Close,
    Reset,
}

/// How the answer is handed out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// The most that a read brings.
    most: usize,
    /// Between two reads.
    pause: Duration,
    end: End,
}

impl Manner {
    /// Of one byte, `0` being the plain one: all in one read, then held.
    pub(super) fn of(byte: u8) -> Self {
        let byte = byte.wrapping_sub(b'0');
        Self {
            end: [End::Hold, End::Close, End::Reset][usize::from(byte % 3)],
            most: [usize::MAX, 1, 2, 7, 16, 61, 509][usize::from(byte / 3 % 7)],
            pause: Duration::from_millis([0, 1, 40, 300][usize::from(byte / 21 % 4)]),
        }
    }

    /// Does the node close when it has sent all?
    pub(super) fn closes(self) -> bool {
        self.end == End::Close
    }

    /// Is so much sent long before any deadline?
    pub(super) fn is_swift(self, bytes: usize) -> bool {
        let pauses = u32::try_from(bytes / self.most).unwrap();
        self.pause * pauses < Duration::from_millis(500)
    }
}

impl Ask {
    /// Of one byte, `0` being the first.
    pub(super) fn of(byte: u8) -> Self {
        [Self::Range, Self::Full, Self::Unsized, Self::Head][usize::from(byte.wrapping_sub(b'0') % 4)]
    }

    const fn wanted(self) -> RequestedBytes {
        match self {
            Self::Range => RequestedBytes::Range { first: FIRST, last: LAST },
            Self::Full | Self::Unsized | Self::Head => RequestedBytes::Whole,
        }
    }
}

/// Asks, and returns the sample. Panics where a sample contradicts itself, where the transfer outlasts its deadlines, and
/// where more bytes are reported than were sent.
pub(super) fn asked(http: HttpVersion, ask: Ask, manner: Manner, answer: &[u8]) -> Sample {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let began = Instant::now();
        let mut connection = connect(http, manner, answer).await;
        // What an exchange of HTTP/2 settings takes is no part of it.
        assert!(connection.is_reusable().await);
        let meter = connection.meter().clone();
        let first = run(ask, Some(connection.into())).await;
        let sample = first.sample;
        assert_consistent("first", &sample);
        assert!(sample.bytes.unwrap_or_default() <= meter.bytes_read(), "{sample:?}");
        let second = run(ask, first.connection).await.sample;
        assert_consistent("second", &second);
        let took = began.elapsed();
        assert!(took <= LONGEST, "{took:?}: {sample:?} {second:?}");
        sample
    })
}

async fn connect(http: HttpVersion, manner: Manner, answer: &[u8]) -> Connection {
    let meter = Meter::new();
    let info = ConnectionInfo {
        http,
        remote: [127, 0, 0, 1].into(),
        tls_version: None,
        cert_expires: None,
        wants_client_certificate: false,
        handshake: Micros::ZERO,
        kernel: KernelCounters::default(),
    };
    let greeting = if http == HttpVersion::Http2 { [SETTINGS, SETTINGS_ACK].concat() } else { vec![] };
    let wire = Wire {
        http,
        manner,
        greeting,
        answer: answer.to_vec(),
        asked: vec![],
        is_asked: false,
        waiting: None,
        pause: None,
    };
    let stream = Box::new(Metered::new(wire, meter.clone()));
    Connection::start(OpenConnection { stream, meter, info, clock: RunClock::default() }).await.unwrap()
}

async fn run(ask: Ask, kept: Option<KeptConnection>) -> FinishedTransfer {
    static DIALER: OnceLock<Dialer> = OnceLock::new();
    let dialer = DIALER.get_or_init(|| Dialer::new(&network(), crate::resolver()).unwrap()).clone();
    let vantage = Vantage { id: "here".into(), worker: "here".into(), uplink: None, country: None, location: None };
    let prober = Prober {
        dialer,
        gate: Gate::new(&LIMITS),
        vantage_health: VantageHealth::default(),
        head_refusals: HeadRefusals::default(),
        vantage: Arc::new(vantage),
        agent: "fuzz".into(),
    };
    let endpoint = "http://127.0.0.1:1/".parse().unwrap();
    // A node that closes a kept connection unheard is dialled again: the guard keeps that from the network.
    let listing = Listing::bare(Origin::Joystream, Profile::Http);
    let size = Some(Bytes(SIZE).into()).filter(|_| ask != Ask::Unsized);
    let asset = Asset { kind: AssetKind::Image, id: "/x".into(), size, hash: None, fixed: true };
    let node = Node { id: "node".into(), endpoint, listing, assets: vec![asset] };
    let request = TransferRequest {
        node: &node,
        probe: &"fuzz".into(),
        kind: Some(AssetKind::Image),
        part: if ask == Ask::Head { PartName::Check } else { PartName::Full },
        asset: &node.assets[0],
        url: &"http://127.0.0.1:1/x".parse().unwrap(),
        wanted: ask.wanted(),
        types: &[],
        size,
        checked: CacheState::Unknown,
        weight: Weight::Light,
        min_rate: MIN_RATE,
        deadlines: &DEADLINES,
        limit: LIMIT,
        due: None,
        received: &AtomicU64::new(0),
    };
    let done = request.run(&prober, kept).await;
    let received = request.received.load(Relaxed);
    // What comes beyond what was asked for is booked, and is no part of the body.
    let went_on = done.sample.flags.contains(Flag::Overshoot) || done.sample.outcome == Outcome::WrongSize;
    let booked = |bytes| bytes == received || bytes < received && went_on;
    assert!(done.sample.bytes.is_none_or(booked), "{received}: {:?}", done.sample);
    done
}

fn network() -> Network {
    Network {
        allow_private: AllowPrivate::Nowhere,
        resolver: Resolver::Servers(vec![]),
        http: HttpChoice::Auto,
        family: FamilyChoice::Any,
        extra_ca: None,
        contact: None,
    }
}

/// Our end of the link.
struct Wire {
    http: HttpVersion,
    manner: Manner,
    /// What arrives unrequested.
    greeting: Vec<u8>,
    /// What is left of the answer.
    answer: Vec<u8>,
    /// What we wrote, as long as there is no request in it.
    asked: Vec<u8>,
    is_asked: bool,
    waiting: Option<Waker>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    fn holds_request(&self) -> bool {
        match self.http {
            HttpVersion::Http1 => true,
            HttpVersion::Http2 => {
                let mut written = self.asked.get(PREFACE..).map(frames).into_iter().flatten();
                written.any(|frame| frame.kind == HEADERS)
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        if !wire.greeting.is_empty() {
            let length = buf.remaining().min(wire.greeting.len());
            buf.put_slice(&wire.greeting.drain(..length).collect::<Vec<_>>());
            return Poll::Ready(Ok(()));
        }
        if !wire.is_asked {
            wire.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if let Some(pause) = &mut wire.pause {
            ready!(pause.as_mut().poll(cx));
            wire.pause = None;
        }
        if wire.answer.is_empty() {
            return match wire.manner.end {
                End::Hold => Poll::Pending,
                End::Close => Poll::Ready(Ok(())),
                End::Reset => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            };
        }
        let length = buf.remaining().min(wire.answer.len()).min(wire.manner.most);
        buf.put_slice(&wire.answer.drain(..length).collect::<Vec<_>>());
        if !wire.manner.pause.is_zero() {
            wire.pause = Some(Box::pin(sleep(wire.manner.pause)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if !self.is_asked {
            self.asked.extend_from_slice(buf);
            self.is_asked = self.holds_request();
        }
        if self.is_asked
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

/// Of the image: small, so that a whole answer is a small input.
pub(super) const SIZE: u64 = 48;
pub(super) const FIRST: u64 = 10;
pub(super) const LAST: u64 = 25;
/// No image is larger.
const LIMIT: u64 = 1 << 20;

const DEADLINES: Deadlines = Deadlines {
    dns: Duration::from_secs(1),
    connect: Duration::from_secs(1),
    tls: Duration::from_secs(1),
    headers: Duration::from_secs(2),
    body: Duration::from_secs(5),
    stall: Duration::from_secs(1),
};
/// Head and body of two transfers, and twice the quarter of a second in which an ended body may still show more.
const LONGEST: Duration = Duration::from_millis(2 * (2_000 + 5_000 + 250));

const LIMITS: Limits = Limits {
    vantages: 1,
    bytes_per_day: Bytes(u64::MAX),
    bytes_per_node_per_day: Bytes(u64::MAX),
    cold_fetches_per_node_per_day: 1,
    heavy_transfers: 1,
    light_transfers: 1,
    transfers_per_node: 1,
};

/// `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`, RFC 9113 §3.4.
const PREFACE: usize = 24;
/// A server's own, empty, and its word on ours (RFC 9113 §6.5).
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const SETTINGS_ACK: [u8; 9] = [0, 0, 0, 4, 1, 0, 0, 0, 0];
