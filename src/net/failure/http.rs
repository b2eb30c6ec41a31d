//! HTTP failures in plain words. The texts of hyper and h2 are for programmers, and some contain Rust debug output.

use std::{error::Error, io};

use h2::Reason;

use crate::net::tls;

/// All known causes, from the outermost to the innermost.
pub(super) fn words(error: &hyper::Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        causes.extend(one(error).filter(|words| !causes.contains(words)));
        next = error.source();
    }
    if causes.is_empty() { "the HTTP exchange failed".to_owned() } else { causes.join(": ") }
}

/// The words for one error, without those of its source.
fn one(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return hyper(error).map(str::to_owned);
    }
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        return Some(error.get_io().map_or_else(|| h2(error), socket));
    }
    error.downcast_ref().map(socket)
}

/// `None` when only the source is informative.
fn hyper(error: &hyper::Error) -> Option<&'static str> {
    // hyper exposes no more kinds than these; the rest is only in its texts.
    let text = error.to_string();
    if let Some((_, words)) = HYPER.iter().find(|(known, _)| *known == text) {
        return Some(words);
    }
    if error.is_parse() {
        Some("the response is not valid HTTP")
    } else if error.is_incomplete_message() {
        Some("the connection was closed before the response was complete")
    } else if error.is_closed() || error.is_canceled() {
        Some("the connection was closed")
    } else {
        None
    }
}

fn h2(error: &h2::Error) -> String {
    if error.is_library() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
        // The library does this when a header block has too many or too large frames.
        return "the response head is too large".to_owned();
    }
    let what = match (error.is_library(), error.is_remote(), error.is_go_away()) {
        (true, ..) => "the server violated the HTTP/2 protocol",
        (_, true, true) => "the server ended the connection",
        (_, true, false) => "the server reset the stream",
        _ => "the HTTP/2 stream ended",
    };
    let Some(reason) = error.reason() else { return what.to_owned() };
    match REASONS.iter().find(|(known, _)| *known == reason) {
        Some((_, name)) => format!("{what} ({name})"),
        None => format!("{what} (code {})", u32::from(reason)),
    }
}

/// An error of the system or of rustls in its own words; an error of hyper's chunk decoder by its kind.
fn socket(error: &io::Error) -> String {
    if error.raw_os_error().is_some() || tls::inner(error).is_some() || tls::is_cut(error) {
        return super::of_socket(error);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the connection was closed too early".to_owned(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => "its chunked encoding is malformed".to_owned(),
        kind => kind.to_string(),
    }
}

/// hyper's texts, and what they mean.
const HYPER: &[(&str, &str)] = &[
    ("message head is too large", "the response head is too large"),
    ("invalid HTTP version parsed", "the response is not HTTP, or has a version that bandprobe does not know"),
    ("invalid HTTP version parsed (found HTTP2 preface)", "the server responds in HTTP/2 to an HTTP/1.1 request"),
    ("invalid HTTP status-code parsed", "the status line of the response is malformed"),
    ("invalid HTTP header parsed", "a header of the response is malformed"),
    ("invalid content-length parsed", "the content-length of the response is not a number, or has two values"),
    ("unexpected transfer-encoding parsed", "the response is HTTP/1.0 and has a transfer-encoding"),
    ("received unexpected message from connection", "the server sent data without a request"),
    ("error reading a body from connection", "the body broke off"),
    ("error writing a body to connection", "the request could not be sent"),
    ("connection error", "the connection broke"),
];

/// The error codes with their names in RFC 9113 §7.
const REASONS: [(Reason, &str); 14] = [
    (Reason::NO_ERROR, "NO_ERROR"),
    (Reason::PROTOCOL_ERROR, "PROTOCOL_ERROR"),
    (Reason::INTERNAL_ERROR, "INTERNAL_ERROR"),
    (Reason::FLOW_CONTROL_ERROR, "FLOW_CONTROL_ERROR"),
    (Reason::SETTINGS_TIMEOUT, "SETTINGS_TIMEOUT"),
    (Reason::STREAM_CLOSED, "STREAM_CLOSED"),
    (Reason::FRAME_SIZE_ERROR, "FRAME_SIZE_ERROR"),
    (Reason::REFUSED_STREAM, "REFUSED_STREAM"),
    (Reason::CANCEL, "CANCEL"),
    (Reason::COMPRESSION_ERROR, "COMPRESSION_ERROR"),
    (Reason::CONNECT_ERROR, "CONNECT_ERROR"),
    (Reason::ENHANCE_YOUR_CALM, "ENHANCE_YOUR_CALM"),
    (Reason::INADEQUATE_SECURITY, "INADEQUATE_SECURITY"),
    (Reason::HTTP_1_1_REQUIRED, "HTTP_1_1_REQUIRED"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_errors_keep_their_text_and_decoder_errors_do_not() {
        for (error, words) in [
            (io::Error::from_raw_os_error(libc::ECONNRESET), "Connection reset by peer (os error 104)"),
            (io::Error::new(io::ErrorKind::UnexpectedEof, "end of file"), "the connection was closed too early"),
            (io::Error::new(io::ErrorKind::InvalidInput, "Invalid Size"), "its chunked encoding is malformed"),
            (io::Error::new(io::ErrorKind::BrokenPipe, "stream closed"), "broken pipe"),
        ] {
            assert_eq!(socket(&error), words);
        }
    }

    #[test]
    fn error_codes_print_their_standard_names() {
        for (code, words) in
            [(2, "the HTTP/2 stream ended (INTERNAL_ERROR)"), (99, "the HTTP/2 stream ended (code 99)")]
        {
            assert_eq!(h2(&h2::Error::from(Reason::from(code))), words);
        }
    }
}
