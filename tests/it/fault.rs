//! A scripted server on loopback that breaks HTTP in one way at a time, with raw bytes on blocking sockets, so that
//! nothing between the script and the wire repairs anything.
//!
//! [`cases`] is the table: what to ask, what the server then does, and which outcome and flags the sample must have. A
//! test starts `FaultServer::start(case.behaviour)`, asks `server.url()` for `case.ask` with [`DEADLINES`], size
//! [`SIZE`] known and an image expected, trusting [`certificate::ca_pem`], and compares. Every thread of a server ends
//! when the client is gone, after [`server::HOLD`] at the latest.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use bandprobe::model::{flag::Flag, outcome::Outcome};

mod bytes;
mod case;
mod cases;
pub(crate) mod certificate;
mod frames;
pub(crate) mod server;

pub(crate) use self::{
    bytes::{asset, bytes},
    case::{Ask, Case},
    cases::{DEADLINES, FIRST, LAST, SIZE, cases},
    server::FaultServer,
};

/// How a connection ended, seen by a plain socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
    /// Nothing more came, and it did not end.
    Held,
}

/// How long a client waits for more, to distinguish a held connection from a closed one.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Everything that a plain behaviour sends to a plain client, which reads until nothing arrives for [`PATIENCE`].
fn sent(case: &Case) -> (Vec<u8>, End) {
    let server = FaultServer::start(case.behaviour);
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    if let Err(error) = socket.write_all(request(case.ask).as_bytes()) {
        // The reset was faster.
        assert!(matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe), "{error}");
        return (vec![], End::Reset);
    }
    let mut bytes = vec![];
    let mut piece = vec![0; 64 << 10];
    loop {
        match socket.read(&mut piece) {
            Ok(0) => return (bytes, End::Closed),
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return (bytes, End::Reset),
            Err(_) => return (bytes, End::Held),
        }
        if bytes.len() > 4 << 20 {
            return (bytes, End::Held);
        }
    }
}

fn request(ask: Ask) -> String {
    let line = match ask {
        Ask::Head => "HEAD",
        Ask::Full | Ask::Unsized | Ask::Range | Ask::Twice => "GET",
    };
    let range = match ask {
        Ask::Range | Ask::Twice => format!("range: bytes={FIRST}-{LAST}\r\n"),
        Ask::Full | Ask::Unsized | Ask::Head => String::new(),
    };
    format!("{line} /x HTTP/1.1\r\nhost: fault\r\n{range}\r\n")
}

fn case(name: &str) -> &'static Case {
    cases().find(|case| case.name == name).unwrap_or_else(|| panic!("no case `{name}`"))
}

#[test]
fn each_case_sends_what_its_name_says() {
    let rows = [
        ("sound", "HTTP/1.1 206", "content-range: bytes 1000-2023/65536\r\n", End::Held),
        ("close_without_a_byte", "", "", End::Closed),
        ("reset_at_accept", "", "", End::Reset),
        ("reset_before_head", "", "", End::Reset),
        ("reset_mid_head", "HTTP/1.1 206", "", End::Reset),
        ("truncated_head", "HTTP/1.1 206", "", End::Closed),
        ("stall_before_head", "", "", End::Held),
        ("reset_mid_body", "HTTP/1.1 206", "content-length: 1024\r\n", End::Reset),
        ("stall_mid_body", "HTTP/1.1 206", "content-length: 1024\r\n", End::Held),
        ("short_body", "HTTP/1.1 206", "content-length: 1024\r\n", End::Closed),
        ("chunked", "HTTP/1.1 206", "transfer-encoding: chunked\r\n", End::Held),
        ("chunk_size_not_hex", "HTTP/1.1 206", "zz\r\n", End::Closed),
        ("interim_responses_first", "HTTP/1.1 100", "HTTP/1.1 103", End::Held),
        ("garbage", "\u{16}SSH", "", End::Closed),
        ("http_1_0", "HTTP/1.0 206", "", End::Closed),
        ("object_not_found", "HTTP/1.1 404", r#"{"message":"Data object does not exist"}"#, End::Held),
        ("two_content_lengths", "HTTP/1.1 206", "content-length: 7\r\n", End::Held),
        ("endless_head", "HTTP/1.1 206", "x-endless: ", End::Held),
        ("head_over_64_kib", "HTTP/1.1 206", "x-large-79: ", End::Held),
    ];
    let check = |(name, begins, contains, end): (&str, &str, &str, End)| {
        let (bytes, ended) = sent(case(name));
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with(begins) && text.contains(contains), "{name}: {text:.400}");
        assert_eq!(begins.is_empty(), bytes.is_empty(), "{name}: {text:.400}");
        assert_eq!(ended, end, "{name}");
    };
    // All at once: those that hold the connection take as long as the client's patience.
    thread::scope(|scope| rows.into_iter().for_each(|row| drop(scope.spawn(move || check(row)))));
}

#[test]
fn faulty_bodies_have_the_intended_lengths() {
    let rows = [
        ("sound", 1_024),
        ("reset_mid_body", 512),
        ("stall_mid_body", 512),
        ("short_body", 512),
        ("long_body_over_its_length", 1_024 + 4_096),
        ("more_than_asked_by_length", SIZE - FIRST),
        ("full_short_body", SIZE / 2),
        ("range_ignored", SIZE),
    ];
    let check = |(name, length): (&str, u64)| {
        let (bytes, _) = sent(case(name));
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert_eq!((bytes.len() - head) as u64, length, "{name}");
        assert_eq!(bytes.ends_with(&asset()), length == SIZE, "{name}");
    };
    thread::scope(|scope| rows.into_iter().for_each(|row| drop(scope.spawn(move || check(row)))));
}

#[test]
fn a_refused_port_refuses() {
    let server = FaultServer::start(case("connect_refused").behaviour);
    assert_eq!(TcpStream::connect(server.address()).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn request_heads_are_kept() {
    let server = FaultServer::start(case("sound").behaviour);
    let mut socket = TcpStream::connect(server.address()).unwrap();
    let requests = [request(Ask::Range), request(Ask::Head)];
    for request in &requests {
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = vec![];
        while !answer.ends_with(&bytes(FIRST, LAST)) {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
    }
    assert_eq!(server.heads(), requests);
}

#[test]
fn certificates_fail_for_the_reason_in_their_name() {
    use rustls::CertificateError as Bad;
    type Reason = fn(&Bad) -> bool;
    let reasons: [(&str, Option<Reason>); 6] = [
        ("tls_sound", None),
        ("tls_expired", Some(|bad| matches!(bad, Bad::Expired | Bad::ExpiredContext { .. }))),
        ("tls_not_yet_valid", Some(|bad| matches!(bad, Bad::NotValidYet | Bad::NotValidYetContext { .. }))),
        ("tls_wrong_name", Some(|bad| matches!(bad, Bad::NotValidForName | Bad::NotValidForNameContext { .. }))),
        ("tls_untrusted", Some(|bad| matches!(bad, Bad::UnknownIssuer))),
        ("tls_self_signed", Some(|bad| !matches!(bad, Bad::Expired | Bad::NotValidForName))),
    ];
    for (name, reason) in reasons {
        let server = FaultServer::start(case(name).behaviour);
        assert!(server.url().starts_with("https://127.0.0.1:"), "{}", server.url());
        let mut socket = TcpStream::connect(server.address()).unwrap();
        let mut tls = certificate::client(&[b"http/1.1"]);
        let done = tls.complete_io(&mut socket).map(|_| ());
        let refusal = done.err().and_then(|error| error.downcast::<rustls::Error>().ok());
        match (reason, refusal) {
            (None, None) => {}
            (Some(holds), Some(rustls::Error::InvalidCertificate(bad))) => assert!(holds(&bad), "{name}: {bad:?}"),
            (_, refusal) => panic!("{name}: {refusal:?}"),
        }
    }
}

/// The outcomes that one exchange with a scripted server cannot produce. They come from policy, schedule, DNS, routes,
/// content hashes, or faults of this machine.
const NOT_FROM_A_SERVER: &[Outcome] = &[
    Outcome::Blocked,
    Outcome::NotCached,
    Outcome::LocalFailed,
    Outcome::Cancelled,
    Outcome::DnsNotFound,
    Outcome::DnsTimeout,
    Outcome::DnsFailed,
    Outcome::ConnectTimeout,
    Outcome::ConnectFailed,
    Outcome::BodyTimeout,
    Outcome::WrongHash,
];

#[test]
fn every_outcome_of_a_transfer_has_a_case() {
    let mut names: Vec<_> = cases().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases().count(), "names are unique");
    let longest = [DEADLINES.tls, DEADLINES.headers, DEADLINES.body, DEADLINES.stall].into_iter().max().unwrap();
    assert!(longest < server::HOLD, "a server outlasts every deadline");
    for outcome in Outcome::ALL {
        let met = cases().any(|case| case.outcome == *outcome);
        assert_eq!(
            met,
            !NOT_FROM_A_SERVER.contains(outcome),
            "{outcome}: for a new outcome, add a row to fault/cases.rs"
        );
    }
    for flag in [Flag::Overshoot, Flag::Partial, Flag::Reconnected, Flag::StalledSome] {
        assert!(cases().any(|case| case.flags.contains(&flag)), "{}", flag.label());
    }
}

#[test]
fn http2_faults_are_frames() {
    const SETTINGS: u8 = 4;
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let frames = [PREFACE, &[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0], &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x82]].concat();
    for (name, kinds) in [("http2_goaway", [SETTINGS, 7]), ("http2_rst_stream", [SETTINGS, 3])] {
        let server = FaultServer::start(case(name).behaviour);
        let mut socket = TcpStream::connect(server.address()).unwrap();
        let mut tls = certificate::client(&[b"h2"]);
        let mut stream = rustls::Stream::new(&mut tls, &mut socket);
        stream.write_all(&frames).unwrap();
        for kind in kinds {
            let mut head = [0; 9];
            stream.read_exact(&mut head).unwrap();
            assert_eq!(head[3], kind, "{name}");
            stream.read_exact(&mut vec![0; usize::from(head[2])]).unwrap();
        }
    }
}
