//! Names that a scripted server on loopback resolves.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

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
use tokio::{net::UdpSocket, task::JoinSet};

use super::{Plan, assert_consistent, network, prober};
use crate::fault::{
    FIRST, FaultServer, LAST, bytes,
    server::{Behaviour, Port, Step},
};

/// A DNS server that answers by the first label of the name. Dropping it ends it.
pub(crate) struct Names {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, u16)>>>,
    _tasks: JoinSet<()>,
}

impl Names {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(vec![]));
        let mut tasks = JoinSet::new();
        let log = asked.clone();
        tasks.spawn(async move {
            let mut query = [0; 512];
            loop {
                let (length, client) = socket.recv_from(&mut query).await.unwrap();
                let question = Question::read(&query[..length]);
                log.lock().unwrap().push((question.name.clone(), question.kind));
                if let Some(answer) = question.answer() {
                    socket.send_to(&answer, client).await.unwrap();
                }
            }
        });
        Self { address, asked, _tasks: tasks }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// One question of RFC 1035 §4.1.2.
struct Question {
    id: [u8; 2],
    name: String,
    kind: u16,
    /// As it came, to be sent back.
    raw: Vec<u8>,
}

const A: u16 = 1;
const AAAA: u16 = 28;
const NO_ERROR: u8 = 0;
const SERVER_FAILURE: u8 = 2;
const NAME_ERROR: u8 = 3;
const REFUSED: u8 = 5;

impl Question {
    fn read(message: &[u8]) -> Self {
        let mut at = 12;
        let mut name = String::new();
        while message[at] > 0 {
            let end = at + 1 + usize::from(message[at]);
            name += &format!("{}.", std::str::from_utf8(&message[at + 1..end]).unwrap());
            at = end;
        }
        let kind = u16::from_be_bytes([message[at + 1], message[at + 2]]);
        Self { id: [message[0], message[1]], name, kind, raw: message[12..at + 5].to_vec() }
    }

    /// `None` is silence.
    fn answer(&self) -> Option<Vec<u8>> {
        let label = self.name.split('.').next().unwrap();
        let (code, addresses): (u8, &[&str]) = match (label, self.kind) {
            ("silent", _) | ("deaf6" | "void4", AAAA) | ("deaf4", A) => return None,
            ("here" | "both" | "only4" | "deaf6" | "broken6" | "gone6", A) => (NO_ERROR, &["127.0.0.1"]),
            ("both" | "only6" | "deaf4" | "broken4" | "gone4", AAAA) => (NO_ERROR, &["::1"]),
            ("mixed", A) => (NO_ERROR, &["9.9.9.9", "127.0.0.1"]),
            ("gone" | "gone4" | "gone6", _) | ("lost", AAAA) => (NAME_ERROR, &[]),
            ("broken" | "broken4" | "broken6", _) | ("half" | "lost", A) | ("half6", AAAA) => (SERVER_FAILURE, &[]),
            ("refused", _) => (REFUSED, &[]),
            _ => (NO_ERROR, &[]),
        };
        // A response, recursion available, with as many answers (§4.1.1).
        let answers = u8::try_from(addresses.len()).unwrap();
        let mut message = [&self.id[..], &[0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]].concat();
        message.extend(&self.raw);
        for address in addresses {
            // The name by pointer, the type asked for, IN, 60 s, the address (§4.1.3, §4.1.4; RFC 3596 §2.2).
            let address = match address.parse().unwrap() {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            let [kind, length] = [self.kind, u16::try_from(address.len()).unwrap()].map(u16::to_be_bytes);
            message.extend([&[0xc0, 12][..], &kind, &[0, 1, 0, 0, 0, 60], &length, &address].concat());
        }
        Some(message)
    }
}

#[tokio::test]
async fn every_answer_of_a_resolver_has_its_outcome() {
    let names = Names::start().await;
    let script = |_| {
        let range = "content-type: image/png\r\ncontent-range: bytes 1000-2023/65536";
        let head = format!("HTTP/1.1 206 Partial Content\r\n{range}\r\ncontent-length: 1024\r\n\r\n");
        vec![Step::Request, Step::Send([head.into_bytes(), bytes(FIRST, LAST)].concat())]
    };
    let server = FaultServer::start(Behaviour { port: Port::Http, script });
    let port = server.address().port();
    for (host, family, outcome) in [
        ("here.test", FamilyChoice::Any, Outcome::Ok),
        ("here.test", FamilyChoice::V4, Outcome::Ok),
        ("here.test", FamilyChoice::V6, Outcome::DnsNotFound),
        ("gone.test", FamilyChoice::Any, Outcome::DnsNotFound),
        ("empty.test", FamilyChoice::Any, Outcome::DnsNotFound),
        ("broken.test", FamilyChoice::Any, Outcome::DnsFailed),
        ("broken.test", FamilyChoice::V4, Outcome::DnsFailed),
        ("refused.test", FamilyChoice::V4, Outcome::DnsFailed),
        // One family has no record, of the other nothing is known.
        ("half.test", FamilyChoice::Any, Outcome::DnsFailed),
        ("silent.test", FamilyChoice::Any, Outcome::DnsTimeout),
        ("silent.test", FamilyChoice::V6, Outcome::DnsTimeout),
        ("127.0.0.1", FamilyChoice::V6, Outcome::DnsNotFound),
    ] {
        let resolver = Resolver::Servers(vec![names.address()]);
        let prober = prober(&Network { resolver, family, ..network(None) });
        let url = format!("http://{host}:{port}/x");
        let patience = if host == "silent.test" { Duration::from_millis(400) } else { Duration::from_secs(30) };
        let deadlines = Deadlines { dns: patience, ..Deadlines::default() };
        let plan = Plan::new(&url, PartName::Start, RequestedBytes::Range { first: FIRST, last: LAST });
        names.asked.lock().unwrap().clear();
        let sample = Plan { deadlines, ..plan }.run(&prober, None).await.sample;
        let name = format!("{host} {family:?}");
        assert_eq!(sample.outcome, outcome, "{name}: {:?}", sample.error);
        assert_consistent(&name, &sample);
        if outcome.is_ok() {
            assert!(sample.phases.took(Phase::Dns).unwrap() > Micros::ZERO, "{name}");
        } else {
            assert_eq!(sample.failed_phase, Some(Phase::Dns), "{name}");
        }
        let kinds: &[u16] = match (host, family) {
            ("127.0.0.1", _) => &[],
            (_, FamilyChoice::Any) => &[A, AAAA],
            (_, FamilyChoice::V4) => &[A],
            (_, FamilyChoice::V6) => &[AAAA],
        };
        let mut asked = names.asked.lock().unwrap().clone();
        asked.sort();
        // Only a datagram that no answer comes to is sent again, as TCP does with a SYN.
        asked.dedup();
        let expected: Vec<_> = kinds.iter().map(|kind| (format!("{host}."), *kind)).collect();
        assert_eq!(asked, expected, "{name}: no other question, no search domain");
    }
}
