//! What every server of the fake world sends back, and the JSON that Joystream's request validator answers with.

use http::{HeaderValue, Response, StatusCode, header};

use super::{content::Content, flow::Flow};

/// An answer, and whether the connection is to end in a reset when its body breaks off.
pub(super) struct Answer {
    pub(super) response: Response<Flow>,
    pub(super) reset: bool,
}

impl From<Response<Flow>> for Answer {
    fn from(response: Response<Flow>) -> Self {
        Self { response, reset: false }
    }
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<Flow> {
    let mut response = Response::new(Content::none().into());
    *response.status_mut() = status;
    response
}

/// A JSON document.
pub(super) fn json(status: StatusCode, body: String) -> Response<Flow> {
    let mut response = empty(status);
    *response.body_mut() = Content::of(body.into()).into();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

/// What the request validator in front of the handlers answers. `message` is JSON-escaped already.
pub(super) fn refusal(status: StatusCode, path: &str, message: &str) -> Response<Flow> {
    let path = path.replace(['"', '\\'], "");
    let errors = format!(r#"[{{"path":"{path}","message":"{message}"}}]"#);
    json(status, format!(r#"{{"type":"request_validation","message":"{message}","errors":{errors}}}"#))
}

/// What HEAD sends of an answer: no body, and of an error not even what it would be like.
pub(super) fn beheaded(mut response: Response<Flow>) -> Response<Flow> {
    if response.status().is_client_error() || response.status().is_server_error() {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    *response.body_mut() = Content::none().into();
    response
}

/// A header value out of our own words.
pub(super) fn text(value: String) -> HeaderValue {
    HeaderValue::try_from(value).expect("invariant: only visible ASCII is written here")
}

/// The type of every JSON document.
pub(super) const JSON: &str = "application/json; charset=utf-8";
