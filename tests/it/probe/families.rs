//! Which address of a name is dialled: one node on 127.0.0.1, another on ::1, and a resolver that returns one, both or
//! an error.

use std::{net::Ipv6Addr, time::Duration};

use bandprobe::{
    config::{FamilyChoice, Network, Resolver},
    model::{
        outcome::Outcome,
        phase::Phase,
        probe::{Deadlines, PartName},
        units::Micros,
    },
    probe::requested_bytes::RequestedBytes,
};

use super::{Plan, assert_consistent, names::Names, network, prober};
use crate::fault::{
    FIRST, FaultServer, LAST, bytes,
    server::{Behaviour, Port, Step},
};

/// The node listens only on 127.0.0.1.
#[tokio::test]
async fn a_failed_connection_names_the_family_that_was_not_tried() {
    let names = Names::start().await;
    let node = FaultServer::start(Behaviour { port: Port::Http, script: |_| vec![Step::Request] });
    let port = node.address().port();
    for (label, family, tail) in [
        ("both", FamilyChoice::Any, Some("; ::1 (IPv6) was tried, 127.0.0.1 (IPv4) was not")),
        ("only6", FamilyChoice::Any, None),
        ("both", FamilyChoice::V6, None),
    ] {
        let resolver = Resolver::Servers(vec![names.address()]);
        let prober = prober(&Network { resolver, family, ..network(None) });
        let plan = Plan::new(&format!("http://{label}.test:{port}/x"), PartName::Full, RequestedBytes::Whole);
        let sample = plan.run(&prober, None).await.sample;
        let error = sample.error.unwrap();
        assert_eq!(sample.outcome, Outcome::ConnectRefused, "{label}: {error}");
        match tail {
            Some(tail) => assert!(error.ends_with(tail), "{label}: {error}"),
            None => assert!(!error.contains("was not"), "{label}: {error}"),
        }
    }
}

#[tokio::test]
async fn the_best_address_known_in_time_is_dialled() {
    const V4: Result<&str, Outcome> = Ok("127.0.0.1");
    const V6: Result<&str, Outcome> = Ok("::1");
    const NONE: Result<&str, Outcome> = Err(Outcome::DnsNotFound);
    let names = Names::start().await;
    let script = |_| {
        let range = "content-type: image/png\r\ncontent-range: bytes 1000-2023/65536";
        let head = format!("HTTP/1.1 206 Partial Content\r\n{range}\r\ncontent-length: 1024\r\n\r\n");
        vec![Step::Request, Step::Send([head.into_bytes(), bytes(FIRST, LAST)].concat())]
    };
    let node4 = FaultServer::start(Behaviour { port: Port::Http, script });
    let port = node4.address().port();
    let _node6 = FaultServer::start_at((Ipv6Addr::LOCALHOST, port).into(), Behaviour { port: Port::Http, script });
    for (label, family, expected) in [
        // Loopback has the highest precedence of all in IPv6 (RFC 6724 §2.1).
        ("both", FamilyChoice::Any, V6),
        ("both", FamilyChoice::V4, V4),
        ("both", FamilyChoice::V6, V6),
        ("only4", FamilyChoice::Any, V4),
        ("only4", FamilyChoice::V4, V4),
        ("only4", FamilyChoice::V6, NONE),
        ("only6", FamilyChoice::Any, V6),
        ("only6", FamilyChoice::V4, NONE),
        ("only6", FamilyChoice::V6, V6),
        // No answer for the other family costs 50 ms, not the deadline.
        ("deaf6", FamilyChoice::Any, V4),
        ("deaf4", FamilyChoice::Any, V6),
        ("deaf6", FamilyChoice::V6, Err(Outcome::DnsTimeout)),
        ("deaf4", FamilyChoice::V4, Err(Outcome::DnsTimeout)),
        // None for this family is no reason not to wait for the other.
        ("void4", FamilyChoice::Any, Err(Outcome::DnsTimeout)),
        ("broken6", FamilyChoice::Any, V4),
        ("broken4", FamilyChoice::Any, V6),
        ("gone6", FamilyChoice::Any, V4),
        ("gone4", FamilyChoice::Any, V6),
        // Without an address, "no such name" says more than a failure, and that more than "none of this family".
        ("lost", FamilyChoice::Any, NONE),
        ("lost", FamilyChoice::V4, Err(Outcome::DnsFailed)),
        ("half6", FamilyChoice::Any, Err(Outcome::DnsFailed)),
        ("half6", FamilyChoice::V4, NONE),
    ] {
        let name = format!("{label} {family:?}");
        let resolver = Resolver::Servers(vec![names.address()]);
        let prober = prober(&Network { resolver, family, ..network(None) });
        let url = format!("http://{label}.test:{port}/x");
        let times_out = expected == Err(Outcome::DnsTimeout);
        let dns = Duration::from_millis(if times_out { 300 } else { 30_000 });
        let deadlines = Deadlines { dns, ..Deadlines::default() };
        let plan = Plan::new(&url, PartName::Start, RequestedBytes::Range { first: FIRST, last: LAST });
        let sample = Plan { deadlines, ..plan }.run(&prober, None).await.sample;
        assert_consistent(&name, &sample);
        let dialled = sample.trail.remote_addr.map(|address| address.to_string());
        assert_eq!(dialled.as_deref().ok_or(sample.outcome), expected, "{name}: {:?}", sample.error);
        assert_eq!(sample.outcome.is_ok(), expected.is_ok(), "{name}: {:?}", sample.error);
        if label.starts_with("deaf") && expected.is_ok() {
            assert!(sample.phases.took(Phase::Dns).unwrap() >= Micros(50_000), "{name}: the other was waited for");
            assert!(sample.phases.took(Phase::Dns).unwrap() < Micros(30_000_000), "{name}: but not for ever");
        }
    }
}
