//! Warm transfers: they reuse the connection of the transfer before, or open a new one and are flagged.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bandprobe::{
    model::{
        flag::Flag,
        outcome::Outcome,
        phase::Phase,
        probe::{Deadlines, PartName},
        sample::{ConnectionKind, Sample},
    },
    probe::requested_bytes::RequestedBytes,
};
use rustls::{server::ServerSessionMemoryCache, server::StoresServerSessions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{Plan, assert_consistent, network, prober};
use crate::fault::{
    FIRST, FaultServer, LAST, SIZE, bytes, certificate,
    certificate::Flaw,
    server::{Behaviour, Port, Step},
};

fn head(length: u64) -> Vec<u8> {
    let range = "content-type: image/png\r\ncontent-range: bytes 1000-2023/65536";
    format!("HTTP/1.1 206 Partial Content\r\n{range}\r\ncontent-length: {length}\r\n\r\n").into()
}

fn sound() -> Vec<Step> {
    vec![Step::Request, Step::Send([head(1_024), bytes(FIRST, LAST)].concat())]
}

/// Two transfers of one run, and how many connections the server saw.
async fn twice(port: Port, script: fn(usize) -> Vec<Step>, deadlines: Deadlines) -> ([Sample; 2], usize) {
    let server = FaultServer::start(Behaviour { port, script });
    let prober = prober(&network(Some(certificate::ca_pem())));
    let wanted = RequestedBytes::Range { first: FIRST, last: LAST };
    let plan = Plan { deadlines, ..Plan::new(&server.url(), PartName::Start, wanted) };
    let first = plan.run(&prober, None).await;
    let second = plan.run(&prober, first.connection).await;
    let samples = [first.sample, second.sample];
    samples.iter().for_each(|sample| assert_consistent("twice", sample));
    (samples, server.connections())
}

#[tokio::test]
async fn a_warm_transfer_has_no_handshake() {
    for port in [Port::Http, Port::Https(Flaw::None)] {
        let ([cold, warm], connections) = twice(port, |_| [sound(), sound()].concat(), Deadlines::default()).await;
        assert_eq!((cold.outcome, warm.outcome), (Outcome::Ok, Outcome::Ok));
        assert_eq!((cold.labels.conn, warm.labels.conn), (Some(ConnectionKind::Cold), Some(ConnectionKind::Warm)));
        assert_eq!(connections, 1);
        let has_tls = port != Port::Http;
        assert_eq!(cold.phases.took(Phase::Tls).is_some(), has_tls);
        assert_eq!(cold.tls.version, has_tls.then_some("1.3"));
        assert_eq!(warm.tls.version, cold.tls.version);
        assert!(cold.phases.took(Phase::Connect).is_some());
        assert_eq!(cold.phases.took(Phase::Dns), None, "an address is not looked up");
        for phase in [Phase::Dns, Phase::Connect, Phase::Tls] {
            assert_eq!(warm.phases.took(phase), None, "{}", phase.label());
        }
        assert!(!warm.flags.contains(Flag::Reconnected));
    }
}

#[tokio::test]
async fn an_unusable_kept_connection_is_replaced() {
    let quick = Deadlines { body: std::time::Duration::from_secs(1), ..Deadlines::default() };
    let closes: fn(usize) -> Vec<Step> = |_| [sound(), vec![Step::Close]].concat();
    let closes_on_request: fn(usize) -> Vec<Step> =
        |nth| if nth == 0 { [sound(), vec![Step::Request, Step::Close]].concat() } else { sound() };
    let overshoots: fn(usize) -> Vec<Step> =
        |_| vec![Step::Request, Step::Send([head(SIZE - FIRST), bytes(FIRST, SIZE - 1)].concat())];
    let trickles: fn(usize) -> Vec<Step> = |_| {
        let every = std::time::Duration::from_millis(5);
        vec![Step::Request, Step::Send(head(1_024)), Step::Drip(bytes(FIRST, LAST), every)]
    };
    for (name, script, flag) in [
        ("closed after the answer", closes, None),
        ("closed on the next request", closes_on_request, None),
        ("overshoot", overshoots, Some(Flag::Overshoot)),
        ("partial", trickles, Some(Flag::Partial)),
    ] {
        let ([first, second], connections) = twice(Port::Http, script, quick).await;
        for (sample, reconnected) in [(&first, false), (&second, true)] {
            assert_eq!(sample.outcome, Outcome::Ok, "{name}: {:?}", sample.error);
            assert_eq!(sample.labels.conn, Some(ConnectionKind::Cold), "{name}");
            assert_eq!(sample.flags.contains(Flag::Reconnected), reconnected, "{name}: {}", sample.flags);
            assert!(flag.is_none_or(|flag| sample.flags.contains(flag)), "{name}: {}", sample.flags);
        }
        assert_eq!(connections, 2, "{name}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_breaks_is_a_failure() {
    let cut: fn(usize) -> Vec<Step> =
        |_| [sound(), vec![Step::Request, Step::Send(head(1_024)[..7].to_vec()), Step::Close]].concat();
    let after_interim: fn(usize) -> Vec<Step> = |_| {
        let interim = b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec();
        [sound(), vec![Step::Request, Step::Send(interim), Step::Close]].concat()
    };
    for script in [cut, after_interim] {
        let ([_, second], connections) = twice(Port::Http, script, Deadlines::default()).await;
        assert_eq!((second.outcome, second.failed_phase), (Outcome::Reset, Some(Phase::Wait)));
        assert_eq!((second.labels.conn, connections), (Some(ConnectionKind::Warm), 1));
    }
}

/// Counts how often a client offers a session.
#[derive(Debug)]
struct Offers {
    cache: Arc<ServerSessionMemoryCache>,
    stored: AtomicUsize,
    offered: AtomicUsize,
}

impl StoresServerSessions for Offers {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.stored.fetch_add(1, Ordering::Relaxed);
        self.cache.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.offered.fetch_add(1, Ordering::Relaxed);
        self.cache.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.offered.fetch_add(1, Ordering::Relaxed);
        self.cache.take(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_cold_transfer_never_resumes_a_session() {
    let cache = ServerSessionMemoryCache::new(16);
    let offers = Arc::new(Offers { cache, stored: AtomicUsize::new(0), offered: AtomicUsize::new(0) });
    let mut config = (*certificate::server(Flaw::None, &[b"http/1.1"])).clone();
    config.session_storage = offers.clone();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/x", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(socket).await.unwrap();
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&[head(1_024), bytes(FIRST, LAST)].concat()).await;
            let _ = stream.read(&mut request).await;
        }
    });
    let prober = prober(&network(Some(certificate::ca_pem())));
    let plan = Plan::new(&url, PartName::Start, RequestedBytes::Range { first: FIRST, last: LAST });
    for _ in 0..3 {
        let sample = plan.run(&prober, None).await.sample;
        assert_eq!((sample.outcome, sample.tls.version), (Outcome::Ok, Some("1.3")));
    }
    assert!(offers.stored.load(Ordering::Relaxed) > 0, "the server did hand out sessions");
    assert_eq!(offers.offered.load(Ordering::Relaxed), 0, "none came back");
}
