//! Endpoints from untrusted sources do not make us connect into our own network.

use bandprobe::{
    config::{AllowPrivate, Network, Resolver},
    model::{
        outcome::Outcome,
        phase::Phase,
        probe::PartName,
        sample::{Family, Sample},
        target::Origin,
    },
    probe::requested_bytes::RequestedBytes,
};

use super::{Plan, assert_consistent, names::Names, network, prober};
use crate::fault::{
    FIRST, FaultServer, LAST, bytes,
    server::{Behaviour, Port, Step},
};

fn server() -> FaultServer {
    let script = |_| {
        let range = "content-type: image/png\r\ncontent-range: bytes 1000-2023/65536";
        let head = format!("HTTP/1.1 206 Partial Content\r\n{range}\r\ncontent-length: 1024\r\n\r\n");
        vec![Step::Request, Step::Send([head.into_bytes(), bytes(FIRST, LAST)].concat())]
    };
    FaultServer::start(Behaviour { port: Port::Http, script })
}

async fn ask(network: &Network, url: &str, origin: Origin) -> Sample {
    let mut plan = Plan::new(url, PartName::Start, RequestedBytes::Range { first: FIRST, last: LAST });
    plan.node.listing.origin = origin;
    let sample = plan.run(&prober(network), None).await.sample;
    assert_consistent(url, &sample);
    sample
}

#[tokio::test]
async fn an_untrusted_endpoint_cannot_reach_this_host() {
    let server = server();
    let port = server.address().port();
    let names = Names::start().await;
    let servers = Network { resolver: Resolver::Servers(vec![names.address()]), ..network(None) };
    let system = Network { resolver: Resolver::System, ..network(None) };
    for (network, host) in [
        (&servers, "127.0.0.1"),
        (&servers, "[::ffff:127.0.0.1]"),
        (&servers, "0.0.0.0"),
        (&servers, "2130706433"),
        (&servers, "here.test"),
        (&servers, "mixed.test"),
        (&system, "localhost"),
    ] {
        let sample = ask(network, &format!("http://{host}:{port}/x"), Origin::Joystream).await;
        assert_eq!(sample.outcome, Outcome::Blocked, "{host}: {:?}", sample.error);
        assert_eq!(sample.failed_phase, Some(Phase::Connect), "{host}");
    }
    assert_eq!(server.connections(), 0, "nothing was dialled");
}

#[tokio::test]
async fn an_untrusted_endpoint_cannot_use_other_ports() {
    for port in [22, 25, 1_023] {
        let sample = ask(&network(None), &format!("http://8.8.8.8:{port}/x"), Origin::Joystream).await;
        assert_eq!(sample.outcome, Outcome::Blocked, "{port}");
    }
}

#[tokio::test]
async fn one_allowed_network_opens_no_other() {
    let server = server();
    let other = Network { allow_private: AllowPrivate::In(vec!["127.0.0.2/31".parse().unwrap()]), ..network(None) };
    let sample = ask(&other, &server.url(), Origin::Joystream).await;
    assert_eq!((sample.outcome, server.connections()), (Outcome::Blocked, 0));
}

#[tokio::test]
async fn named_and_allowed_addresses_are_dialled() {
    let server = server();
    let open = Network { allow_private: AllowPrivate::Everywhere, ..network(None) };
    let closed = network(None);
    let lab = Network { allow_private: AllowPrivate::In(vec!["127.0.0.1/32".parse().unwrap()]), ..network(None) };
    for (network, origin) in [(&open, Origin::Joystream), (&lab, Origin::Joystream), (&closed, Origin::Static)] {
        let sample = ask(network, &server.url(), origin).await;
        assert_eq!(sample.outcome, Outcome::Ok, "{origin:?}: {:?}", sample.error);
        assert_eq!(sample.trail.remote_addr, Some(server.address().ip()));
        assert_eq!(sample.labels.family, Some(Family::V4));
    }
}

#[tokio::test]
async fn a_blocked_connection_names_its_address() {
    let server = FaultServer::start(Behaviour { port: Port::Refused, script: |_| vec![] });
    let sample = ask(&network(None), &server.url(), Origin::Static).await;
    assert_eq!(sample.outcome, Outcome::ConnectRefused);
    assert_eq!((sample.trail.remote_addr, sample.labels.family), (Some(server.address().ip()), Some(Family::V4)));
}
