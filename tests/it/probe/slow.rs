//! A body that trickles ends ok, and is flagged because no viewer would wait for it.

use std::time::Duration;

use bandprobe::{
    model::{
        flag::Flag,
        outcome::Outcome,
        probe::{Deadlines, PartName},
        units::BitRate,
    },
    probe::requested_bytes::RequestedBytes,
};

use super::{Plan, assert_consistent, network, prober};
use crate::fault::{
    FaultServer,
    server::{Behaviour, Port, Step},
};

#[tokio::test]
async fn a_trickle_is_too_slow_unless_min_rate_allows_it() {
    let script = |_| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 65536\r\n\r\n".to_vec();
        vec![Step::Request, Step::Send(head), Step::Drip(vec![b'x'; 4_096], Duration::from_millis(40))]
    };
    let server = FaultServer::start(Behaviour { port: Port::Http, script });
    let prober = prober(&network(None));
    let plan = |body: u64, min_rate| Plan {
        deadlines: Deadlines { body: Duration::from_secs(body), ..Deadlines::default() },
        min_rate: BitRate(min_rate),
        ..Plan::new(&server.url(), PartName::Full, RequestedBytes::Whole)
    };
    let (slow, expected, short) = (plan(6, 64_000), plan(6, 0), plan(4, 64_000));
    let dones = tokio::join!(slow.run(&prober, None), expected.run(&prober, None), short.run(&prober, None));
    for (sample, flagged) in [(dones.0.sample, true), (dones.1.sample, false), (dones.2.sample, false)] {
        assert_consistent("trickle", &sample);
        assert_eq!(sample.outcome, Outcome::Ok, "{:?}", sample.error);
        assert!(sample.flags.contains(Flag::Partial));
        assert_eq!(sample.flags.contains(Flag::TooSlow), flagged);
        let trusted = sample.flags.iter().all(|flag| flag == Flag::TooSlow || !flag.invalidates());
        assert_eq!(sample.is_valid(), trusted, "too_slow takes no validity away");
    }
}
