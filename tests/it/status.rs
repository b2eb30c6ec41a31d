//! The status probe: one node's answer from the scripted server, and whole rounds through the pipeline.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use bandprobe::{
    model::{
        flag::Flag,
        health::{AnswerContent, OtherContent, StatusAnswer},
        outcome::Outcome,
        probe::{PartName, StatusProbe, Tolerance},
        target::{Asset, AssetKind, Listing, Node, Origin, Profile},
    },
    probe::{requested_bytes::RequestedBytes, status::ask},
};

use crate::{
    fault::{
        DEADLINES, FaultServer,
        server::{Behaviour, Port, Step},
    },
    probe::{Plan, network, prober},
};

mod answers;
mod crowd;
mod head;
mod rounds;
mod standstill;

pub(crate) fn probe() -> StatusProbe {
    let tolerance = Tolerance { behind: 100, ahead: 2_000 };
    StatusProbe { name: "status".into(), every: Duration::from_secs(300), deadlines: DEADLINES, tolerance }
}

/// A node that the user named, at the root of a server, below a prefix.
pub(crate) fn node(id: &str, server: &FaultServer, profile: Profile) -> Node {
    Node {
        id: id.into(),
        endpoint: format!("http://{}/distributor/", server.address()).parse().unwrap(),
        listing: Listing::bare(Origin::Static, profile),
        assets: vec![],
    }
}

/// An answer that ends with its announced length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub(crate) fn serve(script: fn(usize) -> Vec<Step>) -> FaultServer {
    FaultServer::start(Behaviour { port: Port::Http, script })
}

async fn asked(server: &FaultServer, profile: Profile) -> StatusAnswer {
    let mut node = node("n", server, profile);
    if profile == Profile::Http {
        let asset = |id: &str| Asset { kind: AssetKind::Image, id: id.into(), size: None, hash: None, fixed: true };
        node.assets = vec![asset("/img/1.webp?w=3"), asset("/img/2.webp")];
    }
    ask(&node, &probe(), &prober(&network(None))).await
}

#[tokio::test]
async fn status_requests_keep_the_prefix_and_name_us() {
    for (profile, line) in [
        (Profile::Argus, "GET /distributor/api/v1/status HTTP/1.1"),
        (Profile::Colossus, "GET /distributor/api/v1/status HTTP/1.1"),
        (Profile::Http, "HEAD /distributor/img/1.webp?w=3 HTTP/1.1"),
    ] {
        let server = serve(|_| vec![Step::Request, Step::Send(answer("200 OK", "", "{\"uptime\":1}"))]);
        let answered = asked(&server, profile).await;
        let is_present = answered.content == AnswerContent::Present;
        assert_eq!((answered.status, is_present), (Some(200), profile == Profile::Http));
        let heads = server.heads();
        assert_eq!((heads.len(), heads[0].lines().next()), (1, Some(line)));
        for header in ["traceparent: 00-", "x-request-id: ", "user-agent: bandprobe/", "accept-encoding: identity"] {
            assert!(heads[0].contains(header), "{header} in {}", heads[0]);
        }
    }
}

#[tokio::test]
async fn a_web_server_is_up_while_it_serves_its_asset() {
    type Script = fn(usize) -> Vec<Step>;
    let rows: [(Script, AnswerContent); 4] = [
        (|_| vec![Step::Request, Step::Send(answer("204 No Content", "", ""))], AnswerContent::Present),
        (
            |_| vec![Step::Request, Step::Send(answer("302 Found", "location: /x\r\n", ""))],
            AnswerContent::Other(OtherContent::Redirect("/x".to_owned())),
        ),
        (
            |_| vec![Step::Request, Step::Send(answer("404 Not Found", "", ""))],
            AnswerContent::Other(OtherContent::Empty),
        ),
        (|_| vec![Step::Request, Step::Send(answer("503 Busy", "", ""))], AnswerContent::Other(OtherContent::Empty)),
    ];
    for (script, content) in rows {
        let server = serve(script);
        assert_eq!(asked(&server, Profile::Http).await.content, content);
    }
}

#[tokio::test]
async fn an_untrusted_endpoint_cannot_reach_this_host() {
    let server = serve(|_| vec![Step::Request]);
    let mut stranger = node("n", &server, Profile::Argus);
    stranger.listing.origin = Origin::Joystream;
    let answer = ask(&stranger, &probe(), &prober(&network(None))).await;
    assert!(matches!(answer.content, AnswerContent::Nothing { outcome: Outcome::Blocked, .. }), "{answer:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn only_failures_of_a_suspect_vantage_are_flagged() {
    let server = serve(|index| match index {
        0 | 2 => vec![Step::Request, Step::Reset],
        _ => vec![Step::Request, Step::Send(answer("200 OK", "content-type: image/webp\r\n", "image"))],
    });
    let prober = prober(&network(None));
    for (is_suspect, is_flagged) in [(false, false), (true, false), (true, true), (false, false)] {
        prober.vantage_health.set_suspect(is_suspect);
        let plan = Plan::new(&server.url(), PartName::Full, RequestedBytes::Whole);
        let sample = plan.run(&prober, None).await.sample;
        let flagged = sample.flags.contains(Flag::VantageSuspect);
        assert_eq!(flagged, is_flagged, "{is_suspect} {:?}", sample.outcome);
        assert!(!flagged || (!sample.outcome.is_ok() && !sample.is_valid()));
    }
}
