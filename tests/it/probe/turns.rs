//! Whose turn it is: waiting for it is lateness, and who ran beside a heavy transfer knows it.

use std::time::Duration;

use bandprobe::{
    model::{
        flag::Flag,
        outcome::Outcome,
        probe::{PartName, Weight},
        sample::Sample,
        units::Micros,
    },
    probe::wanted::Wanted,
};
use tokio::time::Instant;

use super::{Plan, network, prober_within};
use crate::fault::{
    FIRST, FaultServer, LAST, bytes,
    server::{Behaviour, Port, Step},
};

fn answer() -> Step {
    let head = "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 1000-2023/65536\r\ncontent-length: 1024\r\n\r\n";
    Step::Send([head.as_bytes(), &bytes(FIRST, LAST)].concat())
}

fn plan(server: &FaultServer, id: &str, weight: Weight) -> Plan {
    let wanted = Wanted::Range { first: FIRST, last: LAST };
    let mut plan = Plan::new(&server.url(), PartName::Start, wanted);
    plan.node.id = id.into();
    Plan { weight, due: Some(Instant::now()), ..plan }
}

#[tokio::test]
async fn waiting_for_the_permit_is_lateness_and_not_latency() {
    let thinks = Duration::from_millis(60);
    let script = |_| vec![Step::Request, Step::Pause(Duration::from_millis(60)), answer()];
    let server = FaultServer::start(Behaviour { port: Port::Http, script });
    let prober = prober_within(&network(None), [1, 8, 1]);
    let plan = plan(&server, "node", Weight::Light);
    let (first, second) = tokio::join!(plan.run(&prober, None), plan.run(&prober, None));
    let [first, second] = [first.sample, second.sample];
    assert_eq!((first.outcome, second.outcome), (Outcome::Ok, Outcome::Ok));
    assert!(second.lateness >= Micros::from(thinks), "{}", second.lateness);
    assert!(second.at > first.at, "it starts with its permit");
    let due = first.lateness.0 + first.phases.total().0;
    assert!(second.lateness.0 >= due, "the one before it is over");
}

/// A heavy transfer that hangs for 1.8 s before its answer, and another one that is asked for at the same time.
async fn beside_a_hanging_one(other: fn(usize) -> Vec<Step>) -> [Sample; 2] {
    let hangs = |_| vec![Step::Request, Step::Pause(Duration::from_millis(1_800)), answer()];
    let hanging = FaultServer::start(Behaviour { port: Port::Http, script: hangs });
    let other = FaultServer::start(Behaviour { port: Port::Http, script: other });
    let prober = prober_within(&network(None), [1, 8, 1]);
    let [hanging, other] = [plan(&hanging, "a", Weight::Heavy), plan(&other, "b", Weight::Heavy)];
    let (hung, other) = tokio::join!(hanging.run(&prober, None), other.run(&prober, None));
    let samples = [hung.sample, other.sample];
    assert!(samples.iter().all(|sample| sample.outcome == Outcome::Ok));
    samples
}

#[tokio::test]
async fn a_hanging_heavy_transfer_delays_no_other() {
    let samples = beside_a_hanging_one(|_| vec![Step::Request, answer()]).await;
    let [hung, other] = samples.each_ref().map(|sample| sample.lateness.0 + sample.phases.total().0);
    assert!(other < hung, "it did not wait for the end");
    assert!(samples.iter().all(|sample| !sample.flags.contains(Flag::Concurrent)), "no byte flowed beside another");
}

#[tokio::test]
async fn heavy_transfers_that_flow_side_by_side_know_it() {
    let trickles = |_| {
        let head =
            "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 1000-2023/65536\r\ncontent-length: 1024\r\n\r\n";
        let body = bytes(FIRST, LAST);
        let pieces =
            body.chunks(128).flat_map(|piece| [Step::Pause(Duration::from_millis(300)), Step::Send(piece.into())]);
        [Step::Request, Step::Send(head.into())].into_iter().chain(pieces).collect()
    };
    for sample in beside_a_hanging_one(trickles).await {
        assert!(sample.flags.contains(Flag::Concurrent) && !sample.is_valid());
    }
}
