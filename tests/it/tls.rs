//! TLS failures with real servers (openssl, nginx): each has its outcome, and a message that leads to its cause.
//!
//! Without these programs, the tests print one line and pass, unless `BANDPROBE_REQUIRE_ALL=1`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{io::Read, net::TcpListener, thread};

use bandprobe::{
    model::{outcome::Outcome, phase::Phase, probe::PartName, sample::Sample},
    probe::requested_bytes::RequestedBytes,
};
use rcgen::{BasicConstraints, CustomExtension, GeneralSubtree, IsCa, NameConstraints, SanType};
use rustls::{ServerConnection, StreamOwned};

use self::{
    certificates::{Authority, Leaf, Made},
    server::{Nginx, OpensslServer, has},
};
use crate::{
    fault::certificate::{self, Flaw},
    probe::{Plan, assert_consistent, network, prober},
};

mod certificates;
mod server;

/// What a prober that trusts these authorities reports about a server at this address.
async fn probe(port: u16, ca: Option<&str>) -> Sample {
    let plan = Plan::new(&format!("https://127.0.0.1:{port}/index.html"), PartName::Full, RequestedBytes::Whole);
    let sample = plan.run(&prober(&network(ca)), None).await.sample;
    assert_consistent("tls", &sample);
    sample
}

/// Asks an `openssl s_server` with these certificates and options.
async fn ask(made: &Made, options: &[&str], ca: Option<&str>) -> Sample {
    let server = OpensslServer::start(made, options);
    probe(server.port(), ca).await
}

fn check(name: &str, sample: &Sample, outcome: Outcome, words: &[&str]) {
    let error = sample.error.clone().unwrap_or_default();
    assert_eq!(sample.outcome, outcome, "{name}: {error}");
    for wanted in words {
        assert!(error.contains(wanted), "{name}: `{wanted}` is not in: {error}");
    }
    for debug in ["(Other", "Error(", "Context {", "AlertReceived", "UnknownIssuer", "BadSignature", "HandshakeFailure"]
    {
        assert!(!error.contains(debug), "{name}: debug output in: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_certificate_is_explained() {
    if !has("openssl") {
        return;
    }
    let root = Authority::root("Test Root", "Lab");
    let trusted = Some(root.pem());
    let inter = root.intermediate("Issuing CA", "Lab");
    let quiet = root.intermediate("quiet", "");
    let stranger = Authority::root("Strange Root", "Elsewhere");
    let below = stranger.intermediate("Strange Issuing CA", "Elsewhere");
    let missing = "the node does not send its intermediate certificate";
    for (name, made, ca, outcome, words) in [
        ("sound", root.sign(Leaf::default(), &[]), trusted, Outcome::WrongType, &[][..]),
        ("with its intermediate", inter.sign(Leaf::default(), &[inter.pem()]), trusted, Outcome::WrongType, &[]),
        (
            "missing intermediate of a known organisation",
            inter.sign(Leaf::default(), &[]),
            trusted,
            Outcome::TlsUntrusted,
            &[missing, "`Issuing CA`", "whole chain"],
        ),
        (
            "missing intermediate of a public authority",
            quiet.sign(Leaf { has_issuer_url: true, ..Leaf::default() }, &[]),
            trusted,
            Outcome::TlsUntrusted,
            &[missing, "`quiet`", "whole chain"],
        ),
        (
            "missing intermediate without any trace",
            quiet.sign(Leaf::default(), &[]),
            trusted,
            Outcome::TlsUntrusted,
            &[missing, "its authority is unknown", "`quiet`"],
        ),
        (
            "unknown root that is sent along",
            below.sign(Leaf::default(), &[below.pem(), stranger.pem()]),
            trusted,
            Outcome::TlsUntrusted,
            &["the root `Strange Root`", "not a trusted authority"],
        ),
        (
            "unknown root that is not",
            below.sign(Leaf::default(), &[below.pem()]),
            trusted,
            Outcome::TlsUntrusted,
            &["`Strange Root`", "not trusted here"],
        ),
    ] {
        let sample = ask(&made, &[], ca).await;
        check(name, &sample, outcome, words);
        assert_eq!(sample.failed_phase, (outcome != Outcome::WrongType).then_some(Phase::Tls), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dates_and_names_of_certificates_are_explained() {
    if !has("openssl") {
        return;
    }
    let root = Authority::root("Test Root", "Lab");
    for (name, made, outcome, words) in [
        ("self-signed", Made::self_signed(), Outcome::TlsUntrusted, &["self-signed"][..]),
        (
            "expired",
            root.sign(Leaf { years: (2019, 2020), ..Leaf::default() }, &[]),
            Outcome::TlsExpired,
            &["the node's certificate expired on 2020-01-01"],
        ),
        (
            "not yet valid",
            root.sign(Leaf { years: (3999, 4001), ..Leaf::default() }, &[]),
            Outcome::TlsExpired,
            &["not valid before 3999-01-01", "clock"],
        ),
        (
            "wrong name",
            root.sign(Leaf { names: &["a.example", "b.example", "10.0.0.1"], ..Leaf::default() }, &[]),
            Outcome::TlsWrongName,
            &["not for 127.0.0.1 but for a.example, b.example, 10.0.0.1"],
        ),
        (
            "an address as a DNS name",
            root.sign_with(Leaf::default(), &[], |params| {
                params.subject_alt_names = vec![SanType::DnsName("127.0.0.1".try_into().unwrap())];
            }),
            Outcome::TlsWrongName,
            &["127.0.0.1 as a DNS name"],
        ),
        (
            "no host",
            root.sign_with(Leaf::default(), &[], |params| {
                params.subject_alt_names = vec![SanType::URI("http://a.example/".try_into().unwrap())];
            }),
            Outcome::TlsWrongName,
            &["not for 127.0.0.1", "names no host"],
        ),
    ] {
        let sample = ask(&made, &[], Some(root.pem())).await;
        check(name, &sample, outcome, words);
        assert_eq!(sample.failed_phase, Some(Phase::Tls), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_certificate_rule_is_explained() {
    if !has("openssl") {
        return;
    }
    let root = Authority::root("Test Root", "Lab");
    let elsewhere = root.intermediate_with("elsewhere", "Lab", |params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("allowed.example".into())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: vec![] });
    });
    let last = root.intermediate_with("last", "Lab", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let below = last.intermediate("below", "Lab");
    let example = Leaf { names: &["a.example", "127.0.0.1"], ..Leaf::default() };
    let (self_signed, usual) = (Made::self_signed(), Leaf::default());
    let trusted = self_signed.chain.clone();
    for (name, made, ca, outcome, words) in [
        (
            "name constraints",
            elsewhere.sign(example, &[elsewhere.pem()]),
            root.pem(),
            Outcome::TlsUntrusted,
            &["name constraints"][..],
        ),
        (
            "path length",
            below.sign(usual, &[below.pem(), last.pem()]),
            root.pem(),
            Outcome::TlsUntrusted,
            &["path length"],
        ),
        (
            "critical extension",
            root.sign_with(usual, &[], |params| {
                let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
                extension.set_criticality(true);
                params.custom_extensions.push(extension);
            }),
            root.pem(),
            Outcome::TlsUnsupported,
            &["critical extension"],
        ),
        ("a trusted authority's own", self_signed, &trusted, Outcome::TlsUntrusted, &["trusted authority", "CA:TRUE"]),
    ] {
        check(name, &ask(&made, &[], Some(ca)).await, outcome, words);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_our_client_cannot_verify_are_explained() {
    if !has("openssl") {
        return;
    }
    let folder = certificates::by_openssl();
    for (name, made, options, outcome, words) in [
        ("weak key", folder.made("weak"), &[][..], Outcome::TlsFailed, &["too weak", "1024 bits", "2048"][..]),
        ("sha-1", folder.made("sha1"), &[], Outcome::TlsFailed, &["SHA-1", "no longer secure"]),
        ("key on p-521", folder.made("p521"), &[], Outcome::TlsUnsupported, &["in common with bandprobe"]),
        (
            "signed by p-521",
            folder.made("byp521"),
            &[],
            Outcome::TlsUnsupported,
            &["ECDSA and SHA-512", "bandprobe does not support"],
        ),
        (
            "curve",
            folder.made("good"),
            &["-groups", "P-521"],
            Outcome::TlsUnsupported,
            &["curve", "in common with bandprobe"],
        ),
        (
            "cipher suite",
            folder.made("good"),
            &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA:@SECLEVEL=0"],
            Outcome::TlsUnsupported,
            &["cipher suite", "in common with bandprobe"],
        ),
        ("version", folder.made("good"), &["-tls1_1"], Outcome::TlsUnsupported, &["neither TLS 1.2 nor TLS 1.3"]),
    ] {
        let sample = ask(&made, options, Some(&folder.ca)).await;
        check(name, &sample, outcome, words);
        assert_eq!(sample.failed_phase, Some(Phase::Tls), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_that_is_required_is_named() {
    if !has("openssl") {
        return;
    }
    let root = Authority::root("Test Root", "Lab");
    let made = root.sign(Leaf::default(), &[]);
    for (version, phases) in [("-tls1_2", &[Phase::Tls][..]), ("-tls1_3", &[Phase::Send, Phase::Wait])] {
        let sample = ask(&made, &["-Verify", "1", version], Some(root.pem())).await;
        check(version, &sample, Outcome::TlsFailed, &["the node requires a client certificate"]);
        assert!(
            sample.failed_phase.is_some_and(|phase| phases.contains(&phase)),
            "{version}: {:?}",
            sample.failed_phase
        );
    }
    // One that is only asked for is not missed.
    let sample = ask(&made, &["-verify", "1"], Some(root.pem())).await;
    check("asked for", &sample, Outcome::WrongType, &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_fails_in_the_same_words() {
    if !has("nginx") {
        return;
    }
    let root = Authority::root("Test Root", "Lab");
    let inter = root.intermediate("Issuing CA", "Lab");
    let (whole, alone) = (inter.sign(Leaf::default(), &[inter.pem()]), inter.sign(Leaf::default(), &[]));
    for (name, made, directives, outcome, words) in [
        ("sound", &whole, "", Outcome::WrongType, &[][..]),
        ("missing", &alone, "", Outcome::TlsUntrusted, &["the node does not send its intermediate certificate"]),
        (
            "cipher suite",
            &whole,
            "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0;",
            Outcome::TlsUnsupported,
            &["in common with bandprobe"],
        ),
        (
            "client certificate",
            &whole,
            "ssl_verify_client on; ssl_client_certificate ca.pem;",
            Outcome::Http4xx,
            &["status 400", "the node asked for a client certificate"],
        ),
    ] {
        let server = Nginx::start(made, root.pem(), directives);
        check(name, &probe(server.port(), Some(root.pem())).await, outcome, words);
    }
    let plain = Nginx::start_plain();
    let sample = probe(plain.port(), Some(root.pem())).await;
    check("plain HTTP", &sample, Outcome::TlsFailed, &["does not speak TLS", "plain HTTP"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_inside_tls_is_explained() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let node = thread::spawn(move || {
        let tls = ServerConnection::new(certificate::server(Flaw::None, &[b"http/1.1"])).unwrap();
        let mut stream = StreamOwned::new(tls, listener.accept().unwrap().0);
        let mut head = vec![];
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
    });
    let sample = probe(port, Some(certificate::ca_pem())).await;
    node.join().unwrap();
    check("cut", &sample, Outcome::Reset, &["without ending TLS first", "close_notify"]);
}
