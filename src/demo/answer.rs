//! Responses of the simulated servers, with the JSON errors of Joystream's request validator.

use http::{HeaderValue, Response, StatusCode, header};

use super::{memory_body::MemoryBody, response_body::ResponseBody};

/// A response, and whether the connection is reset when the body breaks off.
pub(super) struct Answer {
    pub(super) response: Response<ResponseBody>,
    pub(super) reset: bool,
}

impl From<Response<ResponseBody>> for Answer {
    fn from(response: Response<ResponseBody>) -> Self {
        Self { response, reset: false }
    }
}

/// A response without a body.
pub(super) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(MemoryBody::none().into());
    *response.status_mut() = status;
    response
}

/// A response with a JSON document.
pub(super) fn json(status: StatusCode, body: String) -> Response<ResponseBody> {
    let mut response = empty(status);
    *response.body_mut() = MemoryBody::of(body.into()).into();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

/// An error of the request validator that runs before the handlers. `message` must already be JSON-escaped.
pub(super) fn validation_error(status: StatusCode, path: &str, message: &str) -> Response<ResponseBody> {
    let path = path.replace(['"', '\\'], "");
    let errors = format!(r#"[{{"path":"{path}","message":"{message}"}}]"#);
    json(status, format!(r#"{{"type":"request_validation","message":"{message}","errors":{errors}}}"#))
}

/// Turns a response to GET into one to HEAD: it has no body. An error also loses its content type and has length 0.
pub(super) fn head_response(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    if response.status().is_client_error() || response.status().is_server_error() {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    *response.body_mut() = MemoryBody::none().into();
    response
}

/// A header value from the demo's own text, which must be visible ASCII.
pub(super) fn text(value: String) -> HeaderValue {
    HeaderValue::try_from(value).expect("invariant: only visible ASCII is written here")
}

/// The content type of every JSON document.
pub(super) const JSON: &str = "application/json; charset=utf-8";
