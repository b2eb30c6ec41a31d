//! The servers of `network.resolver`: their order, and when the next one is asked.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use bandprobe::{
    config::{FamilyChoice, Resolver},
    net::resolve::LookupError,
    worker::resolver::for_transfers,
};

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// Knows the name: 127.0.0.2.
    Knows,
    /// Answers with this code (RFC 1035 §4.1.1).
    Says(u8),
    /// Answers with the first code where the question has EDNS, and knows the name otherwise.
    SaysToEdns(u8),
    /// Drops questions with EDNS, and knows the name otherwise.
    DropsEdns,
    IsSilent,
    /// Nothing listens there.
    IsClosed,
}

const FORMAT_ERROR: u8 = 1;
const SERVER_FAILURE: u8 = 2;
const NAME_ERROR: u8 = 3;
const NOT_IMPLEMENTED: u8 = 4;
const REFUSED: u8 = 5;

const NAME: &str = "node_1.test";

/// Questions for [`NAME`]: the number of the server, and whether it had EDNS. One for each kind of record.
type Log = Arc<Mutex<Vec<(usize, bool)>>>;

fn start(number: usize, does: Does, log: &Log) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    if does == Does::IsClosed {
        return address;
    }
    let log = log.clone();
    thread::spawn(move || {
        let mut message = [0; 1024];
        loop {
            let (length, client) = socket.recv_from(&mut message).unwrap();
            // The last counter of the head is that of additional records, of which OPT is the only one.
            let edns = message[11] > 0;
            if usize::from(message[12]) == NAME.len() - ".test".len() {
                log.lock().unwrap().push((number, edns));
            }
            let code = match does {
                Does::Knows => Some(0),
                Does::Says(code) => Some(code),
                Does::SaysToEdns(code) => Some(if edns { code } else { 0 }),
                Does::DropsEdns => (!edns).then_some(0),
                Does::IsSilent | Does::IsClosed => None,
            };
            if let Some(code) = code {
                socket.send_to(&reply(&message[..length], code), client).unwrap();
            }
        }
    });
    address
}

/// A reply with this code; one address where it is 0 and IPv4 is asked for.
fn reply(question: &[u8], code: u8) -> Vec<u8> {
    let mut end = 12;
    while question[end] > 0 {
        end += 1 + usize::from(question[end]);
    }
    let is_v4 = question[end + 2] == 1;
    let has_address = code == 0 && is_v4;
    let counts = [0, 1, 0, u8::from(has_address), 0, 0, 0, 0];
    let mut reply = [&question[..2], &[0x81, 0x80 | code], &counts, &question[12..end + 5]].concat();
    if has_address {
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 2]);
    }
    reply
}

/// Looks a name up after another one, and returns what came of it and which servers were asked in which order.
async fn look_up(servers: &[Does], limit: Duration) -> (Result<Vec<String>, LookupError>, Vec<(usize, bool)>) {
    let log = Log::default();
    let addresses = servers.iter().enumerate().map(|(number, does)| start(number, *does, &log)).collect();
    let resolver = for_transfers(&Resolver::Servers(addresses), 1);
    // What a server did to this one is not remembered.
    let _ = resolver.find("warm-up.test", FamilyChoice::Any, limit).await;
    let found = resolver.find(NAME, FamilyChoice::Any, limit).await;
    let mut asked = log.lock().unwrap().clone();
    // Two kinds of records, and datagrams that are sent again.
    asked.dedup();
    (found.map(|found| found.iter().map(ToString::to_string).collect()), asked)
}

#[tokio::test]
async fn servers_are_asked_in_order_until_one_answers() {
    use Does::{DropsEdns, IsClosed, IsSilent, Knows, Says, SaysToEdns};
    let found = Ok(vec!["127.0.0.2".to_owned()]);
    let none = || Err(LookupError::NotFound("there is no such host".to_owned()));
    let (with, without) = (true, false);
    for (servers, expected, asked) in [
        (&[Knows, Knows][..], found.clone(), &[(0, with)][..]),
        (&[Says(NAME_ERROR), Knows], none(), &[(0, with)]),
        (&[Says(SERVER_FAILURE), Knows], found.clone(), &[(0, with), (1, with)]),
        (&[Says(REFUSED), Says(SERVER_FAILURE), Knows], found.clone(), &[(0, with), (1, with), (2, with)]),
        (&[IsClosed, Knows], found.clone(), &[(1, with)]),
        (&[SaysToEdns(FORMAT_ERROR), Knows], found.clone(), &[(0, with), (0, without)]),
        (&[SaysToEdns(NOT_IMPLEMENTED)], found.clone(), &[(0, with), (0, without)]),
        (&[Says(FORMAT_ERROR), Knows], found.clone(), &[(0, with), (0, without), (1, with)]),
    ] {
        let (came, was_asked) = look_up(servers, Duration::from_secs(120)).await;
        assert_eq!((came, was_asked), (expected, asked.to_vec()), "{servers:?}");
    }
    // Silence is waited for, but a second server's answer comes within the time that there is.
    for (servers, asked) in [
        (&[IsSilent, Knows][..], &[(0, with), (0, without), (1, with)][..]),
        (&[DropsEdns, Knows], &[(0, with), (0, without)]),
        (&[DropsEdns], &[(0, with), (0, without)]),
    ] {
        let (came, was_asked) = look_up(servers, Duration::from_secs(4)).await;
        assert_eq!((came, was_asked), (found.clone(), asked.to_vec()), "{servers:?}");
    }
}

#[tokio::test]
async fn a_failed_lookup_names_each_server() {
    use Does::{IsSilent, Says};
    let (failed, _) = look_up(&[Says(REFUSED), Says(SERVER_FAILURE)], Duration::from_secs(120)).await;
    let Err(LookupError::Failed(text)) = &failed else { panic!("{failed:?}") };
    assert_eq!((text.matches("127.0.0.1:").count(), text.matches("; ").count()), (2, 1), "{text}");
    let (silent, _) = look_up(&[IsSilent], Duration::from_millis(400)).await;
    assert!(matches!(silent, Err(LookupError::Timeout(_))), "{silent:?}");
    let (closed, _) = look_up(&[Does::IsClosed], Duration::from_secs(120)).await;
    assert!(matches!(closed, Err(LookupError::Failed(_))), "{closed:?}");
}
