//! The evidence of a real transfer, apart from its bytes, raises the right flags.

use std::sync::Arc;

use bandprobe::{
    measure::evidence,
    model::{
        flag::{Flag, Flags},
        outcome::Outcome,
        probe::{PartName, Weight},
        target::Vantage,
        units::{BitRate, Bytes},
    },
    probe::{Prober, requested_bytes::RequestedBytes},
};

use super::{Plan, assert_consistent, network, prober};
use crate::fault::{
    FaultServer,
    server::{Behaviour, Port, Step},
};

/// Large enough for a rate.
const SIZE: u64 = 2 << 20;

fn answer() -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: {SIZE}\r\n\r\n");
    [head.into_bytes(), vec![7; usize::try_from(SIZE).unwrap()]].concat()
}

#[tokio::test]
async fn flags_match_the_evidence_in_the_sample() {
    let script = |_| vec![Step::Request, Step::Send(answer())];
    let judged = [Flag::CpuBound, Flag::Reordered, Flag::ReceiverLimited, Flag::UplinkLimited];
    for (uplink, is_limited) in [(None, false), (Some(BitRate(1_000)), true), (Some(BitRate(u64::MAX)), false)] {
        let server = FaultServer::start(Behaviour { port: Port::Http, script });
        let prober = prober(&network(None));
        let prober = Prober { vantage: Arc::new(Vantage { uplink, ..(*prober.vantage).clone() }), ..prober };
        let plan = Plan::new(&server.url(), PartName::Full, RequestedBytes::Whole);
        let plan = Plan { size: Some(Bytes(SIZE).into()), weight: Weight::Heavy, ..plan };
        let sample = plan.run(&prober, None).await.sample;
        assert_consistent("evidence", &sample);
        assert_eq!(sample.outcome, Outcome::Ok);
        assert!(sample.rates.goodput.is_some(), "{SIZE} bytes have a rate");
        assert_eq!(sample.flags.contains(Flag::UplinkLimited), is_limited, "{uplink:?}");
        let expected = evidence::flags(&sample.reader, &sample.path, &sample.rates, uplink);
        let flags: Flags = sample.flags.iter().filter(|flag| judged.contains(flag)).collect();
        assert_eq!(flags, expected, "{uplink:?}");
        assert!(sample.path.rtt.is_some(), "at least that of the handshake");
        #[cfg(target_os = "linux")]
        assert!(sample.reader.cpu_share.is_some() && sample.path.ooo_segments.is_some(), "{sample:?}");
    }
}
