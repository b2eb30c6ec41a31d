//! The work whose instructions `tests/bench/counts` counts: `counts CASE UNITS`, with everything around it set up outside
//! of [`counted`].
//!
//! The read loop is production's, from the request to the last byte of the body, over a stream in memory that brings at most
//! 64 KiB a read: what the kernel does is not in it, nor is the copy that stands for it. What a node would have to do (heads,
//! frames, encryption) is done beforehand.

#![expect(clippy::unwrap_used, reason = "its reader is a script, which sees whatever goes wrong")]

use std::{
    env,
    hint::black_box,
    io::{self, Write},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bandprobe::{
    model::{
        probe::Deadlines,
        sample::{HttpVersion, Sample},
        units::Micros,
    },
    net::{
        body::BodyLimit,
        dial::{BoxedStream, ConnectionInfo, OpenConnection},
        http::Connection,
        meter::{Meter, Metered},
        records::buffered,
        run_clock::RunClock,
        tcp_info::KernelCounters,
        timing::Timing,
    },
    record::{line, transfer::transfer, window::Windows},
};
use http::Method;
use mimalloc::MiMalloc;
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, crypto::ring, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tokio_rustls::TlsConnector;

#[expect(dead_code, reason = "tests need more of it")]
#[path = "../it/record/samples.rs"]
mod samples;

/// The binary's own.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let [case, units] = env::args().skip(1).collect::<Vec<_>>().try_into().unwrap();
    let units: usize = units.parse().unwrap();
    match case.as_str() {
        "line" => lines(units),
        "record" => record(units),
        "flush" => flush(units),
        "plain" => receive(HttpVersion::Http1, false, units),
        "tls-h1" => receive(HttpVersion::Http1, true, units),
        "tls-h2" => receive(HttpVersion::Http2, true, units),
        other => panic!("no case `{other}`"),
    }
}

/// All that is counted.
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// Within [`counted`], what is not: the script has it toggled off.
#[inline(never)]
fn uncounted(buf: &mut ReadBuf<'_>, bytes: &[u8]) {
    buf.put_slice(bytes);
}

/// From a sample to its line.
fn lines(count: usize) {
    let sample = samples::video();
    let mut out = String::with_capacity(count << 11);
    counted(|| {
        for _ in 0..count {
            line::encode(&transfer(black_box(&sample)), &mut out);
        }
    });
    assert_eq!(out.lines().count(), count);
}

/// Image transfers whose times differ, all of one node.
fn images(count: usize) -> Vec<Sample> {
    (0..count as u64).map(|n| samples::image("fra1", 0, 20_000 + n * 7_919 % 100_000)).collect()
}

/// From a sample to the values in its series.
fn record(count: usize) {
    let samples = images(count);
    let mut windows = Windows::new(WINDOW);
    counted(|| samples.iter().for_each(|sample| windows.record(black_box(sample))));
    assert_eq!(windows.flush_all().count(), METRICS);
}

/// From the series of `count` samples to the points of their window.
fn flush(count: usize) {
    let mut windows = Windows::new(WINDOW);
    images(count).iter().for_each(|sample| windows.record(sample));
    assert_eq!(counted(|| windows.flush_all().count()), METRICS);
}

fn receive(http: HttpVersion, is_tls: bool, mib: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let node = Node::default();
    let bytes = mib << 20;
    let mut connection = runtime.block_on(async {
        let mut connection = connect(node.clone(), http, is_tls).await;
        // Lets HTTP/2 introduce itself: what we write next is the request.
        assert!(connection.is_reusable().await);
        connection
    });
    node.with(|wires| wires.prepare(&answer(http, bytes)));
    let received = counted(|| runtime.block_on(fetch(&mut connection, bytes as u64)));
    assert_eq!(received, bytes as u64);
}

async fn connect(node: Node, http: HttpVersion, is_tls: bool) -> Connection {
    let meter = Meter::new();
    let stream: BoxedStream = if is_tls {
        let certificate = rcgen::generate_simple_self_signed(["node".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let server =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let server = server.with_no_client_auth().with_single_cert(vec![certificate.cert.der().clone()], key).unwrap();
        node.with(|wires| wires.tls = Some(ServerConnection::new(Arc::new(server)).unwrap()));
        let mut roots = RootCertStore::empty();
        roots.add(certificate.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(client));
        Box::new(connector.connect("node".try_into().unwrap(), buffered(node, meter.clone())).await.unwrap())
    } else {
        Box::new(Metered::new(node, meter.clone()))
    };
    let info = ConnectionInfo {
        http,
        remote: [127, 0, 0, 1].into(),
        tls_version: None,
        cert_expires: None,
        wants_client_certificate: false,
        handshake: Micros::ZERO,
        kernel: KernelCounters::default(),
    };
    Connection::start(OpenConnection { stream, meter, info, clock: RunClock::default() }).await.unwrap()
}

async fn fetch(connection: &mut Connection, bytes: u64) -> u64 {
    let mut timing = Timing::start(Instant::now());
    let deadlines = Deadlines { headers: PATIENCE, ..Deadlines::default() };
    let request = connection.request(Method::GET, &"http://node/x".parse().unwrap());
    let mut answer = connection.send(request, &deadlines, &mut timing).await.unwrap();
    let limit = BodyLimit { bytes, body: PATIENCE, stall: PATIENCE };
    let (received, timeline) = connection.receive_timed(&mut answer, limit, timing, |_| {}).await;
    black_box(timeline);
    received.bytes
}

/// What the node sends, without looking at the request.
fn answer(http: HttpVersion, bytes: usize) -> Vec<u8> {
    if http == HttpVersion::Http1 {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
        return [head.into_bytes(), vec![b'x'; bytes]].concat();
    }
    // SETTINGS and its acknowledgement, HEADERS with `:status 200`, then DATA (RFC 9113 §6, RFC 7541 appendix A).
    let mut frames = vec![0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
    for _ in 0..bytes / FRAME {
        frames.extend([0, 0x40, 0, 0, 0, 0, 0, 0, 1]);
        frames.resize(frames.len() + FRAME, b'x');
    }
    frames
}

/// The far end, and the wires to it.
#[derive(Clone, Default)]
struct Node(Arc<Mutex<Wires>>);

#[derive(Default)]
struct Wires {
    tls: Option<ServerConnection>,
    down: Vec<u8>,
    at: usize,
    /// Sent once we write again, whether that is a request or not.
    prepared: Option<Vec<u8>>,
    is_prepared: bool,
    reader: Option<Waker>,
}

impl Node {
    fn with<T>(&self, work: impl FnOnce(&mut Wires) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }
}

impl Wires {
    fn prepare(&mut self, answer: &[u8]) {
        let mut bytes = vec![];
        match self.tls.take() {
            None => bytes.extend_from_slice(answer),
            Some(mut tls) => {
                tls.set_buffer_limit(None);
                tls.writer().write_all(answer).unwrap();
                while tls.wants_write() {
                    tls.write_tls(&mut bytes).unwrap();
                }
            }
        }
        self.prepared = Some(bytes);
    }

    fn write(&mut self, mut bytes: &[u8]) {
        if let Some(tls) = &mut self.tls {
            while !bytes.is_empty() {
                tls.read_tls(&mut bytes).unwrap();
                tls.process_new_packets().unwrap();
            }
            while tls.wants_write() {
                tls.write_tls(&mut self.down).unwrap();
            }
        }
        if let Some(prepared) = self.prepared.take() {
            assert_eq!(self.at, self.down.len(), "everything before it was read");
            (self.down, self.at, self.is_prepared) = (prepared, 0, true);
        }
        self.reader.take().into_iter().for_each(Waker::wake);
    }
}

impl AsyncRead for Node {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|wires| {
            let length = (wires.down.len() - wires.at).min(buf.remaining()).min(READ);
            if length == 0 {
                wires.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let bytes = &wires.down[wires.at..wires.at + length];
            // What is toggled off in the set-up would be toggled on.
            if wires.is_prepared {
                uncounted(buf, bytes)
            } else {
                buf.put_slice(bytes)
            }
            wires.at += length;
            Poll::Ready(Ok(()))
        })
    }
}

impl AsyncWrite for Node {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|wires| wires.write(buf));
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const WINDOW: Duration = Duration::from_secs(60);
/// What a good image has values of: ttfb, wait, server, total, effective.
const METRICS: usize = 5;
/// The most that a read brings, in bytes.
const READ: usize = 64 << 10;
/// Of a DATA frame, in bytes: the largest that we allow.
const FRAME: usize = 16 << 10;
/// Counting takes fifty times as long.
const PATIENCE: Duration = Duration::from_secs(3_600);
