//! The same over TLS with its read buffer: several records per read, several frames per record, and still exact.

use std::sync::Arc;

use bandprobe::{
    model::{
        flag::Flags,
        phase::Phase,
        probe::Deadlines,
        units::{BitRate, Micros},
    },
    net::{dial::BoxedStream, meter::Meter, records::buffered},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::link::{BOTH, Script, connect_over, fetch, ms};
use crate::fault::certificate::{self, Flaw};

/// Far more than is under way at any time, in bytes.
pub(super) const ROOM: usize = 4 << 20;

/// Plays a script to every client, after a number of session tickets, and keeps the connection open.
pub(super) async fn serve(far: DuplexStream, script: Script, tickets: usize) {
    let began = Instant::now();
    let mut config = (*certificate::server(Flaw::None, &[b"any"])).clone();
    config.send_tls13_tickets = tickets;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut stream = acceptor.accept(far).await.unwrap();
    for (at, bytes) in script.into_pieces() {
        sleep_until(began + at).await;
        stream.write_all(&bytes).await.unwrap();
        stream.flush().await.unwrap();
    }
    std::future::pending().await
}

/// Our end, built as the dialer builds it.
pub(super) async fn handshake<S>(near: S, meter: Arc<Meter>) -> BoxedStream
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate::ca_pem().as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"any".to_vec()];
    let name = ServerName::try_from("127.0.0.1").unwrap();
    Box::new(TlsConnector::from(Arc::new(config)).connect(name, buffered(near, meter)).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn rates_and_phases_are_exact_over_tls() {
    for http in BOTH {
        // 100,000 bytes next to the head, then 80 Mbit/s in arrivals of seven records and more.
        let bytes = 100_000 + 100 * 100_000;
        let mut script = Script::new(http);
        script.interim(ms(40));
        script.head(ms(80), bytes, 100_000);
        script.flow(ms(80), ms(10), 100, 100_000);
        let (near, far) = duplex(ROOM);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(far, script, 2));
        let meter = Meter::new();
        let stream = handshake(near, meter.clone()).await;
        let mut connection = connect_over(http, stream, meter).await;
        let body = fetch(&mut connection, &Deadlines::default(), bytes as u64).await.unwrap();
        assert_eq!(body.received.bytes, bytes as u64, "{http:?}: {:?}", body.received);
        assert_eq!(body.timing.phases().took(Phase::Send), Some(Micros::ZERO), "{http:?}");
        assert_eq!(body.timing.phases().took(Phase::Wait), Some(Micros(80_000)), "{http:?}");
        assert_eq!(body.timing.phases().took(Phase::Receive), Some(Micros(1_000_000)), "{http:?}");
        let judgement = body.judge(bytes as u64);
        assert_eq!(judgement.rates.goodput, Some(BitRate(80_000_000)), "{http:?}");
        assert_eq!(judgement.rates.min_interval, Some(BitRate(80_000_000)), "{http:?}");
        assert_eq!((body.timeline.points(), judgement.flags), (101, Flags::NONE), "{http:?}");
    }
}
