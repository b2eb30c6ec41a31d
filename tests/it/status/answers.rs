//! The table of answers: what a server does, and how the status probe judges it.

use bandprobe::model::{
    health::{AnswerContent, OtherContent, StatusDocument},
    outcome::Outcome,
    target::Profile,
};

use super::{answer, asked, serve};
use crate::fault::server::Step;

struct Case {
    name: &'static str,
    script: fn(usize) -> Vec<Step>,
    status: Option<u16>,
    expected: fn() -> Result<AnswerContent, Outcome>,
}

const DOCUMENT: &str = r#"{"version":"2.1.2","queryNodeStatus":{"chainHead":7,"blocksProcessed":5}}"#;
const TYPED: &str = r#"{"type":"request_validation","message":"not found","errors":[]}"#;
const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"version\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_answer_is_recognised() {
    for Case { name, script, status, expected } in CASES {
        let server = serve(script);
        let answer = asked(&server, Profile::Argus).await;
        let is_whole = answer.latency.is_some();
        let content = match answer.content {
            AnswerContent::Nothing { outcome, error } => {
                assert!(!error.is_empty(), "{name}");
                Err(outcome)
            }
            content => Ok(content),
        };
        assert_eq!((answer.status, &content), (status, &expected()), "{name}");
        assert_eq!(is_whole, content.is_ok(), "{name}: only a whole answer has a latency");
    }
}

fn report() -> Result<AnswerContent, Outcome> {
    let report = StatusDocument {
        version: Some("2.1.2".into()),
        chain_head: Some(7),
        blocks_processed: Some(5),
        ..StatusDocument::default()
    };
    Ok(AnswerContent::Document(Box::new(report)))
}

fn send(bytes: impl Into<Vec<u8>>) -> Vec<Step> {
    vec![Step::Request, Step::Send(bytes.into())]
}

const CASES: [Case; 16] = [
    Case { name: "document", script: |_| send(answer("200 OK", "", DOCUMENT)), status: Some(200), expected: report },
    Case {
        name: "document in chunks",
        script: |_| {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            send(format!("{head}{:x}\r\n{DOCUMENT}\r\n0\r\n\r\n", DOCUMENT.len()))
        },
        status: Some(200),
        expected: report,
    },
    Case {
        name: "document until the end",
        script: |_| [send(format!("HTTP/1.1 200 OK\r\n\r\n{DOCUMENT}")), vec![Step::Close]].concat(),
        status: Some(200),
        expected: report,
    },
    Case {
        name: "page",
        script: |_| send(answer("200 OK", "", "<!doctype html>")),
        status: Some(200),
        expected: || Ok(AnswerContent::Other(OtherContent::Page)),
    },
    Case {
        name: "endless",
        script: |_| [send("HTTP/1.1 200 OK\r\n\r\n["), vec![Step::Endless(b"1,".repeat(500))]].concat(),
        status: Some(200),
        expected: || Ok(AnswerContent::Other(OtherContent::Unknown)),
    },
    Case {
        name: "proxy",
        script: |_| send(answer("502 Bad Gateway", "server: Caddy\r\n", "")),
        status: Some(502),
        expected: || Ok(AnswerContent::Other(OtherContent::Empty)),
    },
    Case {
        name: "wrong path",
        script: |_| send(answer("404 Not Found", "", TYPED)),
        status: Some(404),
        expected: || Ok(AnswerContent::Other(OtherContent::Error { is_typed: true, message: "not found".into() })),
    },
    Case {
        name: "empty answer of a proxy that does not know the path",
        script: |_| send(answer("200 OK", "server: Caddy\r\n", "")),
        status: Some(200),
        expected: || Ok(AnswerContent::Other(OtherContent::Empty)),
    },
    Case {
        name: "failure in the node's own words",
        script: |_| {
            let body = r#"{"type":"exception","message":"Response not successful: Received status code 502"}"#;
            send(answer("500 Internal Server Error", "", body))
        },
        status: Some(500),
        expected: || {
            let message = "Response not successful: Received status code 502".into();
            Ok(AnswerContent::Other(OtherContent::Error { is_typed: true, message }))
        },
    },
    Case {
        name: "error that breaks off",
        script: |_| [send("HTTP/1.1 404 Not Found\r\ncontent-length: 99\r\n\r\n<html>"), vec![Step::Close]].concat(),
        status: Some(404),
        expected: || Ok(AnswerContent::Other(OtherContent::Page)),
    },
    Case {
        name: "redirect",
        script: |_| send(answer("302 Found", "location: https://elsewhere.example/x\r\n", "")),
        status: Some(302),
        expected: || Ok(AnswerContent::Other(OtherContent::Redirect("https://elsewhere.example/x".into()))),
    },
    Case {
        name: "hanging head",
        script: |_| vec![Step::Request, Step::Hold],
        status: None,
        expected: || Err(Outcome::HeadersTimeout),
    },
    Case { name: "hanging body", script: |_| send(HALF), status: Some(200), expected: || Err(Outcome::Stalled) },
    Case {
        name: "body that breaks off",
        script: |_| [send(HALF), vec![Step::Close]].concat(),
        status: Some(200),
        expected: || Err(Outcome::Truncated),
    },
    Case {
        name: "reset",
        script: |_| vec![Step::Request, Step::Reset],
        status: None,
        expected: || Err(Outcome::Reset),
    },
    Case {
        name: "no HTTP",
        script: |_| send("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        status: None,
        expected: || Err(Outcome::HeadersInvalid),
    },
];
