//! Servers that refuse HEAD, or never answer it: a GET of one byte decides.

use bandprobe::model::probe::StatusProbe;

use super::*;

/// What a server does with HEAD, with GET, and what is content of it.
struct Case {
    name: &'static str,
    script: fn(usize) -> Vec<Step>,
    status: Option<u16>,
    content: fn() -> Result<AnswerContent, Outcome>,
    why: Option<&'static str>,
}

const fn present() -> Result<AnswerContent, Outcome> {
    Ok(AnswerContent::Present)
}

fn send(status: &str, headers: &str, body: &str) -> Vec<Step> {
    vec![Step::Send(answer(status, headers, body))]
}

/// The first connection is that of HEAD.
macro_rules! script {
    ($head:expr, $get:expr) => {
        |connection| [vec![Step::Request], if connection == 0 { $head } else { $get }].concat()
    };
}

const CASES: &[Case] = &[
    Case {
        name: "403",
        script: script!(
            send("403 Forbidden", "", ""),
            send("206 Partial Content", "content-range: bytes 0-0/5\r\n", "i")
        ),
        status: Some(206),
        content: present,
        why: Some("it refuses HEAD (403) and answers GET"),
    },
    Case {
        name: "405, and ranges are ignored",
        script: script!(
            send("405 Method Not Allowed", "allow: GET\r\n", ""),
            send("200 OK", "", &"image".repeat(100_000))
        ),
        status: Some(200),
        content: present,
        why: Some("it refuses HEAD (405) and answers GET"),
    },
    Case {
        name: "501",
        script: script!(send("501 Not Implemented", "", ""), send("200 OK", "", "image")),
        status: Some(200),
        content: present,
        why: Some("it refuses HEAD (501) and answers GET"),
    },
    Case {
        name: "404 and 400 of an application that routes GET alone",
        script: script!(send("404 Not Found", "", ""), send("200 OK", "", "image")),
        status: Some(200),
        content: present,
        why: Some("it refuses HEAD (404) and answers GET"),
    },
    Case {
        name: "reset",
        script: script!(vec![Step::Reset], send("200 OK", "", "image")),
        status: Some(200),
        content: present,
        why: Some("it does not answer HEAD (the connection broke during the transfer) and answers GET"),
    },
    Case {
        name: "length of 0",
        script: script!(send("200 OK", "", ""), send("200 OK", "", "image")),
        status: Some(200),
        content: present,
        why: Some("it answers HEAD with a length of 0 and answers GET"),
    },
    Case {
        name: "nothing there at all",
        script: script!(send("200 OK", "server: Caddy\r\n", ""), send("200 OK", "server: Caddy\r\n", "")),
        status: Some(200),
        content: || Ok(AnswerContent::Other(OtherContent::Empty)),
        why: None,
    },
    Case {
        name: "the asset is missing, for HEAD as for GET",
        script: script!(send("404 Not Found", "", ""), send("404 Not Found", "", "gone")),
        status: Some(404),
        content: || Ok(AnswerContent::Other(OtherContent::Unknown)),
        why: None,
    },
    Case {
        name: "it fails, whatever the method",
        script: script!(send("500 Internal Server Error", "", ""), send("500 Internal Server Error", "", "")),
        status: Some(500),
        content: || Ok(AnswerContent::Other(OtherContent::Empty)),
        why: None,
    },
    Case {
        name: "it breaks off, whatever the method",
        script: script!(vec![Step::Reset], vec![Step::Reset]),
        status: None,
        content: || Err(Outcome::Reset),
        why: None,
    },
    Case {
        name: "redirects",
        script: script!(send("302 Found", "location: /x\r\n", ""), send("302 Found", "location: /x\r\n", "")),
        status: Some(302),
        content: || Ok(AnswerContent::Other(OtherContent::Redirect("/x".to_owned()))),
        why: None,
    },
    Case {
        name: "redirects HEAD alone",
        script: script!(send("302 Found", "location: /x\r\n", ""), send("200 OK", "", "image")),
        status: Some(200),
        content: present,
        why: Some("it refuses HEAD (302) and answers GET"),
    },
    Case {
        name: "GET fails too",
        script: script!(send("405 Method Not Allowed", "", ""), send("404 Not Found", "", "<html>")),
        status: Some(404),
        content: || Ok(AnswerContent::Other(OtherContent::Page)),
        why: Some("it refuses HEAD (405)"),
    },
    Case {
        name: "GET breaks off",
        script: script!(send("405 Method Not Allowed", "", ""), vec![Step::Reset]),
        status: None,
        content: || Err(Outcome::Reset),
        why: Some("it refuses HEAD (405)"),
    },
    Case {
        name: "GET hangs",
        script: script!(send("405 Method Not Allowed", "", ""), vec![Step::Hold]),
        status: None,
        content: || Err(Outcome::HeadersTimeout),
        why: Some("it refuses HEAD (405)"),
    },
    Case {
        name: "limited: it is left in peace",
        script: script!(send("429 Too Many Requests", "", ""), panic!("asked again")),
        status: Some(429),
        content: || Ok(AnswerContent::Other(OtherContent::Unknown)),
        why: None,
    },
];

fn plain(server: &FaultServer) -> Node {
    let asset = Asset { kind: AssetKind::Image, id: "/i.webp".into(), size: None, hash: None, fixed: true };
    Node { assets: vec![asset], ..node("n", server, Profile::Http) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_has_the_last_word() {
    for case in CASES {
        let server = serve(case.script);
        let answer = ask(&plain(&server), &probe(), &prober(&network(None))).await;
        let content = match answer.content {
            AnswerContent::Nothing { outcome, .. } => Err(outcome),
            content => Ok(content),
        };
        assert_eq!((answer.status, content), (case.status, (case.content)()), "{}", case.name);
        assert_eq!(answer.head_refusal.as_deref(), case.why, "{}", case.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_head_is_remembered_while_get_works() {
    let server = serve(|connection| {
        let answer = match connection {
            0 => send("405 Method Not Allowed", "", ""),
            1 | 2 => send("206 Partial Content", "content-range: bytes 0-0/5\r\n", "i"),
            3 => send("503 Busy", "", ""),
            _ => send("200 OK", "", "image"),
        };
        [vec![Step::Request], answer].concat()
    });
    let (node, prober) = (plain(&server), prober(&network(None)));
    let mut statuses = vec![];
    for _ in 0..4 {
        statuses.push(ask(&node, &probe(), &prober).await.status);
    }
    assert_eq!(statuses, [Some(206), Some(206), Some(503), Some(200)]);
    let methods: Vec<_> = server.heads().iter().map(|head| head.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(methods, ["HEAD", "GET", "GET", "GET", "HEAD"], "after a failure HEAD has its chance again");
    assert!(server.heads()[1].contains("range: bytes=0-0\r\n"));
}

/// HEAD hangs: both are under way until the deadline of HEAD, which is that of any hanging server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_on_head_gets_a_concurrent_get() {
    let patient = |seconds| {
        let headers = Duration::from_secs(seconds);
        StatusProbe { deadlines: bandprobe::model::probe::Deadlines { headers, ..DEADLINES }, ..probe() }
    };
    let hangs_on_head = serve(script!(vec![Step::Hold], send("200 OK", "", "image")));
    let answer = ask(&plain(&hangs_on_head), &patient(20), &prober(&network(None))).await;
    assert_eq!((answer.status, answer.content), (Some(200), AnswerContent::Present));
    assert_eq!(answer.head_refusal.as_deref(), Some("it does not answer HEAD in 5.00 s and answers GET"));

    let hangs = serve(script!(vec![Step::Hold], vec![Step::Hold]));
    let answer = ask(&plain(&hangs), &patient(1), &prober(&network(None))).await;
    assert!(matches!(answer.content, AnswerContent::Nothing { outcome: Outcome::HeadersTimeout, .. }), "{answer:?}");
    assert_eq!(answer.head_refusal, None, "it does not answer GET either");
    assert_eq!(hangs.connections(), 2);
}
