//! The states and reasons for each kind of answer.

use super::*;

const ERROR: OtherContent = OtherContent::Error { is_typed: true, message: String::new() };
/// HTTP status, what the body looks like, and the expected health.
const ANSWERS: [(u16, OtherContent, HealthState, &str); 15] = [
    (
        200,
        OtherContent::Page,
        HealthState::Misconfigured,
        "answers 200 with a web page, not a status document: its endpoint leads elsewhere",
    ),
    (
        200,
        OtherContent::Unknown,
        HealthState::Misconfigured,
        "answers 200, but not with a status document: its endpoint leads elsewhere",
    ),
    (
        302,
        OtherContent::Unknown,
        HealthState::Misconfigured,
        "answers 302, a redirect: its endpoint must be the final URL",
    ),
    (404, ERROR, HealthState::Misconfigured, "answers 404: the path of its endpoint is wrong"),
    (404, OtherContent::Page, HealthState::Misconfigured, "answers 404: the path of its endpoint is wrong"),
    (404, OtherContent::Unknown, HealthState::Misconfigured, "answers 404: the requested object is not there"),
    (401, OtherContent::Unknown, HealthState::Misconfigured, "answers 401: it refuses access"),
    (403, OtherContent::Page, HealthState::Misconfigured, "answers 403: it refuses access"),
    (400, ERROR, HealthState::Misconfigured, "answers 400 to a plain request"),
    (
        200,
        OtherContent::Empty,
        HealthState::Misconfigured,
        "answers 200 with an empty body: the path of its endpoint is probably wrong",
    ),
    (404, OtherContent::Empty, HealthState::Misconfigured, "answers 404: the requested object is not there"),
    (502, OtherContent::Unknown, HealthState::Dead, "its proxy answers 502, but the node behind it does not answer"),
    (500, OtherContent::Page, HealthState::Dead, "its proxy answers 500, but the node behind it does not answer"),
    (500, ERROR, HealthState::Dead, "answers 500: a server error"),
    (101, OtherContent::Unknown, HealthState::Misconfigured, "answers 101, which makes no sense for this request"),
];

#[test]
fn other_answers_have_their_reasons() {
    for (status, shape, state, reason) in ANSWERS {
        let health = judged(&other(status, shape), USUAL);
        assert_eq!((health.state, health.up, &*health.reason), (state, Some(false), reason));
    }
    let health = judged(&other(301, OtherContent::Redirect("https://a.example/".into())), USUAL);
    let reason = "redirects (301) to https://a.example/: its endpoint must be the final URL";
    assert_eq!((health.state, &*health.reason), (HealthState::Misconfigured, reason));
    let health = judged(&other(429, OtherContent::Unknown), USUAL);
    assert_eq!(
        (health.state, health.up, &*health.reason),
        (HealthState::Degraded, Some(true), "answers 429: it rate-limits bandprobe")
    );
}

#[test]
fn silence_has_its_reasons() {
    use HealthState::{Blocked, Dead, Ok, Unknown};
    let broken =
        answer(Some(200), AnswerContent::Nothing { outcome: Outcome::Stalled, error: "receive: no byte".into() });
    for (node, state, up, reason) in [
        (answer(Some(200), AnswerContent::Present), Ok, Some(true), "nothing wrong"),
        (
            nothing(Outcome::ConnectRefused),
            Dead,
            Some(false),
            "cannot be reached: nothing listens on the port (connect: no luck)",
        ),
        (broken, Dead, Some(false), "answers 200 and breaks off: the body stopped flowing (receive: no byte)"),
        (nothing(Outcome::Blocked), Blocked, Some(false), "never contacted: connect: no luck"),
        (nothing(Outcome::LocalFailed), Unknown, None, "this vantage itself is at fault: connect: no luck"),
        (nothing(Outcome::TlsUnsupported), Unknown, None, "cannot be judged from here: connect: no luck"),
    ] {
        let health = judged(&node, USUAL);
        assert_eq!((health.state, health.up, &*health.reason), (state, up, reason));
    }
    assert_eq!(blocked("its port is 22").reason, "never contacted: its port is 22");
}

#[test]
fn the_error_text_of_a_node_is_part_of_the_reason() {
    let content = |message: &str, is_typed| OtherContent::Error { is_typed, message: message.to_owned() };
    for (status, shape, state, reason) in [
        (
            500,
            content("Query node is down", true),
            HealthState::Dead,
            "answers 500: a server error; it says `Query node is down`",
        ),
        (503, content("Overloaded", false), HealthState::Dead, "answers 503: a server error; it says `Overloaded`"),
        (
            404,
            content("gone", false),
            HealthState::Misconfigured,
            "answers 404: the requested object is not there; it says `gone`",
        ),
        (500, content("  ", false), HealthState::Dead, "answers 500: a server error"),
    ] {
        let health = judged(&other(status, shape), USUAL);
        assert_eq!((health.state, &*health.reason), (state, reason));
    }
}

#[test]
fn a_refused_head_request_is_part_of_the_reason() {
    let why = || Some("it refuses HEAD (405) and answers GET".to_owned());
    let present = StatusAnswer { head_refusal: why(), ..answer(Some(206), AnswerContent::Present) };
    let health = judged(&present, USUAL);
    assert_eq!(
        (health.state, &*health.reason),
        (HealthState::Ok, "nothing wrong; it refuses HEAD (405) and answers GET")
    );
    let why = || Some("it refuses HEAD (405)".to_owned());
    for (node, reason) in [
        (
            nothing(Outcome::HeadersTimeout),
            "does not answer GET: no complete response head in time (connect: no luck); it refuses HEAD (405)",
        ),
        (other(404, OtherContent::Page), "answers 404: the path of its endpoint is wrong; it refuses HEAD (405)"),
    ] {
        assert_eq!(judged(&StatusAnswer { head_refusal: why(), ..node }, USUAL).reason, reason);
    }
}
