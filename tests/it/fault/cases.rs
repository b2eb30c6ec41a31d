//! The table of behaviours, each with what to ask and what a sample must say of it.

use std::time::Duration;

use bandprobe::model::{flag::Flag, outcome::Outcome, probe::Deadlines};

use super::{
    certificate::Flaw,
    server::{
        Behaviour,
        Port::{self, Http, Http2, Https, PlainBehindHttps, Refused},
        Step::{self, Anything, Close, Drip, Endless, Hold, Http2Request, Pause, Request, Reset, Send},
    },
};

/// Size of the asset in bytes, known to the client beforehand.
pub(crate) const SIZE: u64 = 64 << 10;

/// First and last byte of the range that is asked for.
pub(crate) const FIRST: u64 = 1_000;
pub(crate) const LAST: u64 = 2_023;

/// The deadlines that the outcomes are stated for.
pub(crate) const DEADLINES: Deadlines = Deadlines {
    dns: Duration::from_secs(2),
    connect: Duration::from_secs(2),
    tls: Duration::from_millis(1_000),
    headers: Duration::from_millis(1_000),
    body: Duration::from_secs(3),
    stall: Duration::from_millis(1_000),
};

/// What to ask for. The asset is an image, and no answer may be longer than what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// GET of `FIRST..=LAST`.
    Range,
    /// The same twice in one run, the second on the connection of the first where that still holds. Outcome and flags
    /// are those of the second.
    Twice,
    /// GET without a range.
    Full,
    /// HEAD.
    Head,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) ask: Ask,
    pub(crate) behaviour: Behaviour,
    pub(crate) outcome: Outcome,
    /// The flags, without `too_small` and `coarse`: these follow from the small asset and the fast loopback alone.
    pub(crate) flags: &'static [Flag],
}

/// The asset.
pub(crate) fn asset() -> Vec<u8> {
    bytes(0, SIZE - 1)
}

/// Bytes of the asset, both ends inclusive.
pub(crate) fn bytes(first: u64, last: u64) -> Vec<u8> {
    (first..=last).map(|offset| (offset % 251).to_le_bytes()[0]).collect()
}

const fn row(name: &'static str, ask: Ask, port: Port, script: fn(usize) -> Vec<Step>, outcome: Outcome) -> Case {
    Case { name, ask, behaviour: Behaviour { port, script }, outcome, flags: &[] }
}

const fn flagged(case: Case, flags: &'static [Flag]) -> Case {
    Case { flags, ..case }
}

const RIGHT_RANGE: &str = "content-range: bytes 1000-2023/65536";
const IMAGE: &str = "content-type: image/png";
const JSON: &str = "content-type: application/json; charset=utf-8";
const LENGTH: &str = "content-length: 1024";
const FULL_LENGTH: &str = "content-length: 65536";

/// A head of HTTP/1.1.
fn head(status: &str, lines: &[&str]) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{}\r\n", lines.iter().map(|line| format!("{line}\r\n")).collect::<String>()).into()
}

fn part() -> Vec<u8> {
    bytes(FIRST, LAST)
}

fn half() -> Vec<u8> {
    part()[..512].to_vec()
}

/// The head of the right answer to the range.
fn right() -> Vec<u8> {
    head("206 Partial Content", &[IMAGE, RIGHT_RANGE, LENGTH])
}

/// A head without the empty line at its end.
fn open_ended(mut head: Vec<u8>) -> Vec<u8> {
    head.truncate(head.len() - 2);
    head
}

/// The same head in HTTP/1.0.
fn in_1_0(head: Vec<u8>) -> Vec<u8> {
    String::from_utf8_lossy(&head).replacen("HTTP/1.1", "HTTP/1.0", 1).into()
}

/// Reads the request, then sends a head and a body.
fn answer(status: &str, lines: &[&str], body: &[u8]) -> Vec<Step> {
    vec![Request, Send([&head(status, lines), body].concat())]
}

/// A 206 with these lines beside the type.
fn partial(lines: &[&str], body: &[u8]) -> Vec<Step> {
    answer("206 Partial Content", &[&[IMAGE], lines].concat(), body)
}

/// An error with a body of its type and length.
fn error(status: &str, kind: &str, body: &str) -> Vec<Step> {
    answer(status, &[kind, &format!("content-length: {}", body.len())], body.as_bytes())
}

fn sound() -> Vec<Step> {
    vec![Request, Send([right(), part()].concat())]
}

/// The right answer, as often as it is asked for on one connection.
fn sound_twice() -> Vec<Step> {
    [sound(), sound()].concat()
}

/// Framing of RFC 9112 §7.1, in pieces of 400 bytes.
fn chunks(body: &[u8]) -> Vec<u8> {
    body.chunks(400).flat_map(|piece| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).collect()
}

/// A chunked 206 whose body is framed like this.
fn chunked(framed: &[u8]) -> Vec<Step> {
    partial(&[RIGHT_RANGE, "transfer-encoding: chunked"], framed)
}

fn and(mut script: Vec<Step>, then: Step) -> Vec<Step> {
    script.push(then);
    script
}

/// A server's SETTINGS, empty (RFC 9113 §6.5).
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
/// GOAWAY with last stream 0, NO_ERROR (§6.8).
const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// RST_STREAM of stream 1, INTERNAL_ERROR (§6.4).
const RST_STREAM: [u8; 13] = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 2];

/// PING (§6.7).
const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The right answer to the range as a HEADERS frame (RFC 9113 §6.2): literals of HPACK's static table (RFC 7541 §6.2.2).
fn http2_head(stream: u8) -> Vec<u8> {
    const STATUS_206: u8 = 0x80 | 10;
    let mut block = vec![STATUS_206];
    for (index, value) in [(28, "1024"), (30, "bytes 1000-2023/65536"), (31, "image/webp")] {
        block.extend([0x0f, index - 15, u8::try_from(value.len()).unwrap()]);
        block.extend(value.as_bytes());
    }
    http2_frame(1, 0x4, stream, &block)
}

/// A DATA frame (§6.1).
fn http2_data(stream: u8, body: &[u8], ends: bool) -> Vec<u8> {
    http2_frame(0, u8::from(ends), stream, body)
}

fn http2_frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [.., a, b, c] = payload.len().to_be_bytes();
    [&[a, b, c, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A server that answers the first request with these frames.
fn http2(frames: &[Vec<u8>]) -> Vec<Step> {
    vec![Send(SETTINGS.to_vec()), Http2Request, Send(frames.concat()), Hold]
}

const HTML: &str = "<!doctype html><title>Welcome</title><p>Please log in.";
const PLAIN: Port = Http;

/// All rows.
#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    // Controls: what a sound server does, in several spellings.
    row("sound", Ask::Range, PLAIN, |_| sound_twice(), Outcome::Ok),
    row("sound_twice", Ask::Twice, PLAIN, |_| sound_twice(), Outcome::Ok),
    row("sound_full", Ask::Full, PLAIN, |_| answer("200 OK", &[IMAGE, FULL_LENGTH], &asset()), Outcome::Ok),
    row("octet_stream", Ask::Full, PLAIN, |_| answer("200 OK", &["content-type: application/octet-stream", FULL_LENGTH], &asset()), Outcome::Ok),
    row("sound_head", Ask::Head, PLAIN, |_| answer("200 OK", &[IMAGE, FULL_LENGTH, "accept-ranges: bytes", "x-cache: hit"], b""), Outcome::Ok),
    row("head_of_a_miss", Ask::Head, PLAIN, |_| answer("200 OK", &[FULL_LENGTH, "accept-ranges: bytes", "x-cache: miss"], b""), Outcome::Ok),
    row("chunked", Ask::Range, PLAIN, |_| chunked(&[chunks(&part()), b"0\r\n\r\n".to_vec()].concat()), Outcome::Ok),
    row("interim_responses_first", Ask::Range, PLAIN, |_| vec![
        Request, Send(head("100 Continue", &[])), Send(head("103 Early Hints", &["link: </x>; rel=preload"])),
        Pause(Duration::from_millis(60)), Send([right(), part()].concat()),
    ], Outcome::Ok),
    row("http_1_0", Ask::Range, PLAIN, |_| vec![
        Request, Send([in_1_0(right()), part()].concat()), Close,
    ], Outcome::Ok),
    row("close_delimited", Ask::Range, PLAIN, |_| and(partial(&[RIGHT_RANGE, "connection: close"], &part()), Close), Outcome::Ok),
    row("head_in_drips", Ask::Range, PLAIN, |_| vec![Request, Drip(right(), Duration::from_micros(500)), Send(part())], Outcome::Ok),
    row("tls_sound", Ask::Range, Https(Flaw::None), |_| sound_twice(), Outcome::Ok),

    // Reuse: the second transfer needs a new connection, and that is not the server's failure.
    flagged(row("closed_before_the_second", Ask::Twice, PLAIN, |nth| {
        if nth == 0 { [sound(), vec![Request, Close]].concat() } else { sound() }
    }, Outcome::Ok), &[Flag::Reconnected]),
    flagged(row("reset_before_the_second", Ask::Twice, PLAIN, |nth| {
        if nth == 0 { [sound(), vec![Request, Reset]].concat() } else { sound() }
    }, Outcome::Ok), &[Flag::Reconnected]),
    flagged(row("connection_close", Ask::Twice, PLAIN, |_| and(partial(&[RIGHT_RANGE, LENGTH, "connection: close"], &part()), Close), Outcome::Ok), &[Flag::Reconnected]),

    // Connection and head.
    row("connect_refused", Ask::Range, Refused, |_| vec![], Outcome::ConnectRefused),
    row("reset_at_accept", Ask::Range, PLAIN, |_| vec![Pause(Duration::from_millis(30)), Reset], Outcome::Reset),
    row("reset_before_head", Ask::Range, PLAIN, |_| vec![Request, Reset], Outcome::Reset),
    row("reset_mid_head", Ask::Range, PLAIN, |_| vec![Request, Send(right()[..40].to_vec()), Pause(Duration::from_millis(30)), Reset], Outcome::Reset),
    row("close_without_a_byte", Ask::Range, PLAIN, |_| vec![Request, Close], Outcome::Reset),
    row("truncated_head", Ask::Range, PLAIN, |_| vec![Request, Send(right()[..40].to_vec()), Close], Outcome::Reset),
    row("stall_before_head", Ask::Range, PLAIN, |_| vec![Request, Hold], Outcome::HeadersTimeout),
    row("stall_mid_head", Ask::Range, PLAIN, |_| vec![Request, Send(right()[..40].to_vec()), Hold], Outcome::HeadersTimeout),
    row("head_in_slow_drips", Ask::Range, PLAIN, |_| vec![Request, Drip(right(), Duration::from_millis(100))], Outcome::HeadersTimeout),
    row("interim_responses_only", Ask::Range, PLAIN, |_| vec![Request, Send(head("103 Early Hints", &[])), Hold], Outcome::HeadersTimeout),
    row("interim_responses_without_end", Ask::Range, PLAIN, |_| vec![Request, Endless(head("103 Early Hints", &["link: </x>; rel=preload"]))], Outcome::HeadersTimeout),
    row("head_over_64_kib", Ask::Range, PLAIN, |_| {
        let large: String = (0..80).map(|n| format!("x-large-{n}: {}\r\n", "y".repeat(1_000))).collect();
        vec![Request, Send([open_ended(right()), large.into(), b"\r\n".to_vec(), part()].concat())]
    }, Outcome::HeadersTooLarge),
    row("endless_head", Ask::Range, PLAIN, |_| vec![Request, Send(open_ended(right())), Endless(format!("x-endless: {}\r\n", "y".repeat(4_000)).into())], Outcome::HeadersTooLarge),
    row("garbage", Ask::Range, PLAIN, |_| vec![Request, Send(b"\x16SSH-2.0-OpenSSH_9.6\r\n\0\x01\x02\xff\r\n\r\n".to_vec()), Close], Outcome::HeadersInvalid),
    row("two_content_lengths", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, LENGTH, "content-length: 7"], &part()), Outcome::HeadersInvalid),
    row("negative_content_length", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, "content-length: -1"], &part()), Outcome::HeadersInvalid),
    row("content_length_over_u64", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, "content-length: 99999999999999999999999"], &part()), Outcome::HeadersInvalid),

    // Body.
    row("reset_mid_body", Ask::Range, PLAIN, |_| vec![Request, Send([right(), half()].concat()), Pause(Duration::from_millis(30)), Reset], Outcome::Reset),
    row("short_body", Ask::Range, PLAIN, |_| vec![Request, Send([right(), half()].concat()), Close], Outcome::Truncated),
    row("close_delimited_short_body", Ask::Range, PLAIN, |_| and(partial(&[RIGHT_RANGE, "connection: close"], &half()), Close), Outcome::Truncated),
    row("full_short_body", Ask::Full, PLAIN, |_| and(answer("200 OK", &[IMAGE, FULL_LENGTH], &bytes(0, SIZE / 2 - 1)), Close), Outcome::Truncated),
    row("no_body_byte", Ask::Range, PLAIN, |_| vec![Request, Send(right()), Hold], Outcome::Stalled),
    row("stall_mid_body", Ask::Range, PLAIN, |_| vec![Request, Send([right(), half()].concat()), Hold], Outcome::Stalled),
    flagged(row("pause_mid_body", Ask::Range, PLAIN, |_| vec![
        Request, Send([right(), half()].concat()), Pause(Duration::from_millis(500)), Send(part()[512..].to_vec()),
    ], Outcome::Ok), &[Flag::StalledSome]),
    flagged(row("trickle", Ask::Range, PLAIN, |_| vec![Request, Send(right()), Drip(part(), Duration::from_millis(20))], Outcome::Ok), &[Flag::Partial]),
    // Argus while it fetches: the end of the range is ignored.
    flagged(row("more_than_asked_chunked", Ask::Range, PLAIN, |_| chunked(&[chunks(&bytes(FIRST, SIZE - 1)), b"0\r\n\r\n".to_vec()].concat()), Outcome::Ok), &[Flag::Overshoot]),
    flagged(row("more_than_asked_by_length", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, "content-length: 64536"], &bytes(FIRST, SIZE - 1)), Outcome::Ok), &[Flag::Overshoot]),
    flagged(row("chunks_without_end", Ask::Full, PLAIN, |_| and(answer("200 OK", &[IMAGE, "transfer-encoding: chunked"], b""), Endless(chunks(&asset()))), Outcome::Ok), &[Flag::Overshoot]),
    // What follows a body of the right length is no part of it; but the connection cannot be used again.
    row("long_body_over_its_length", Ask::Range, PLAIN, |_| vec![Request, Send([right(), part(), vec![b'x'; 4_096]].concat())], Outcome::Ok),
    row("chunk_size_not_hex", Ask::Range, PLAIN, |_| and(chunked(&[chunks(&half()), b"zz\r\n".to_vec()].concat()), Close), Outcome::BodyInvalid),
    row("chunk_without_its_end", Ask::Range, PLAIN, |_| and(chunked(&[b"200\r\n".to_vec(), half(), b"XX200\r\n".to_vec()].concat()), Close), Outcome::BodyInvalid),
    row("chunks_cut_short", Ask::Range, PLAIN, |_| and(chunked(&chunks(&half())), Close), Outcome::Truncated),
    row("chunks_end_early", Ask::Range, PLAIN, |_| chunked(&[chunks(&half()), b"0\r\n\r\n".to_vec()].concat()), Outcome::Truncated),
    row("gzip_unasked", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, LENGTH, "content-encoding: gzip"], &part()), Outcome::BodyInvalid),

    // Another thing than the one asked for.
    row("range_ignored", Ask::Range, PLAIN, |_| answer("200 OK", &[IMAGE, FULL_LENGTH], &asset()), Outcome::WrongRange),
    row("range_of_other_start", Ask::Range, PLAIN, |_| partial(&["content-range: bytes 0-1023/65536", LENGTH], &bytes(0, 1_023)), Outcome::WrongRange),
    row("range_of_other_end", Ask::Range, PLAIN, |_| partial(&["content-range: bytes 1000-1999/65536", "content-length: 1000"], &bytes(1_000, 1_999)), Outcome::WrongRange),
    row("range_without_content_range", Ask::Range, PLAIN, |_| partial(&[LENGTH], &part()), Outcome::WrongRange),
    row("range_unreadable", Ask::Range, PLAIN, |_| partial(&["content-range: bytes=1000-2023", LENGTH], &part()), Outcome::WrongRange),
    row("range_of_other_total", Ask::Range, PLAIN, |_| partial(&["content-range: bytes 1000-2023/70000", LENGTH], &part()), Outcome::WrongSize),
    row("full_of_other_size", Ask::Full, PLAIN, |_| answer("200 OK", &[IMAGE, "content-length: 65535"], &bytes(0, SIZE - 2)), Outcome::WrongSize),
    row("full_of_huge_size", Ask::Full, PLAIN, |_| and(answer("200 OK", &[IMAGE, "content-length: 9223372036854775807"], &part()), Close), Outcome::WrongSize),
    row("head_of_other_size", Ask::Head, PLAIN, |_| answer("200 OK", &[IMAGE, "content-length: 65535", "x-cache: hit"], b""), Outcome::WrongSize),
    row("html_with_200", Ask::Full, PLAIN, |_| error("200 OK", "content-type: text/html", HTML), Outcome::WrongType),
    row("range_of_other_type", Ask::Range, PLAIN, |_| answer("206 Partial Content", &["content-type: text/plain", RIGHT_RANGE, LENGTH], &part()), Outcome::WrongType),

    // Refusals, with the bodies of Argus where it has one.
    row("object_not_found", Ask::Range, PLAIN, |_| error("404 Not Found", JSON, r#"{"message":"Data object does not exist"}"#), Outcome::ObjectNotFound),
    row("route_not_found", Ask::Range, PLAIN, |_| error("404 Not Found", JSON, r#"{"type":"request_validation","message":"not found","errors":[{"path":"/x","message":"not found"}]}"#), Outcome::RouteNotFound),
    row("not_found_html", Ask::Range, PLAIN, |_| error("404 Not Found", "content-type: text/html", HTML), Outcome::Http4xx),
    row("not_found_empty", Ask::Range, PLAIN, |_| answer("404 Not Found", &["content-length: 0"], b""), Outcome::Http4xx),
    row("head_not_found", Ask::Head, PLAIN, |_| answer("404 Not Found", &["content-length: 0"], b""), Outcome::Http4xx),
    row("misdirected", Ask::Range, PLAIN, |_| error("421 Misdirected Request", JSON, r#"{"message":"Data object not served by this node"}"#), Outcome::Misdirected),
    row("head_misdirected", Ask::Head, PLAIN, |_| answer("421 Misdirected Request", &["content-length: 0"], b""), Outcome::Misdirected),
    row("bad_request", Ask::Range, PLAIN, |_| error("400 Bad Request", JSON, r#"{"type":"request_validation","message":"should match pattern"}"#), Outcome::Http4xx),
    row("range_unsatisfiable", Ask::Range, PLAIN, |_| answer("416 Range Not Satisfiable", &["content-range: bytes */500", "content-length: 0"], b""), Outcome::RangeUnsatisfiable),
    row("too_many_requests", Ask::Range, PLAIN, |_| answer("429 Too Many Requests", &["retry-after: 30", "content-length: 0"], b""), Outcome::RateLimited),
    row("unavailable_with_retry_after", Ask::Range, PLAIN, |_| answer("503 Service Unavailable", &["retry-after: 120", "content-length: 0"], b""), Outcome::RateLimited),
    row("unavailable", Ask::Range, PLAIN, |_| answer("503 Service Unavailable", &["content-length: 0"], b""), Outcome::Http5xx),
    row("server_error", Ask::Range, PLAIN, |_| error("500 Internal Server Error", JSON, r#"{"type":"exception","message":"Failed to download object 1343"}"#), Outcome::Http5xx),
    // The status says enough: a body that never comes changes nothing.
    row("error_without_its_body", Ask::Range, PLAIN, |_| and(answer("502 Bad Gateway", &["content-type: text/html", "content-length: 500"], b""), Hold), Outcome::Http5xx),
    row("redirect", Ask::Range, PLAIN, |_| answer("301 Moved Permanently", &["location: http://127.0.0.1:1/", "content-length: 0"], b""), Outcome::Redirected),
    row("no_content", Ask::Range, PLAIN, |_| answer("204 No Content", &[], b""), Outcome::WrongStatus),
    row("not_modified", Ask::Range, PLAIN, |_| answer("304 Not Modified", &["etag: W/\"1\""], b""), Outcome::WrongStatus),
    row("switching_protocols", Ask::Range, PLAIN, |_| answer("101 Switching Protocols", &["upgrade: websocket", "connection: upgrade"], b""), Outcome::WrongStatus),

    // TLS.
    row("tls_expired", Ask::Range, Https(Flaw::Expired), |_| sound(), Outcome::TlsExpired),
    row("tls_not_yet_valid", Ask::Range, Https(Flaw::NotYetValid), |_| sound(), Outcome::TlsExpired),
    row("tls_wrong_name", Ask::Range, Https(Flaw::WrongName), |_| sound(), Outcome::TlsWrongName),
    row("tls_untrusted", Ask::Range, Https(Flaw::OtherAuthority), |_| sound(), Outcome::TlsUntrusted),
    row("tls_self_signed", Ask::Range, Https(Flaw::SelfSigned), |_| sound(), Outcome::TlsUntrusted),
    row("tls_stall", Ask::Range, PlainBehindHttps, |_| vec![Hold], Outcome::TlsTimeout),
    row("tls_closed", Ask::Range, PlainBehindHttps, |_| vec![Anything, Close], Outcome::TlsFailed),
    row("tls_reset", Ask::Range, PlainBehindHttps, |_| vec![Anything, Reset], Outcome::TlsFailed),
    row("http_behind_https", Ask::Range, PlainBehindHttps, |_| vec![Anything, Send(head("400 Bad Request", &["content-length: 0"])), Close], Outcome::TlsFailed),
    row("tls_reset_mid_body", Ask::Range, Https(Flaw::None), |_| vec![Request, Send([right(), half()].concat()), Pause(Duration::from_millis(30)), Reset], Outcome::Reset),
    row("tls_cut_mid_body", Ask::Range, Https(Flaw::None), |_| vec![Request, Send([right(), half()].concat()), Close], Outcome::Truncated),

    // HTTP/2.
    row("http2_goaway", Ask::Range, Http2, |_| vec![Send([&SETTINGS[..], &GOAWAY].concat()), Hold], Outcome::Reset),
    row("http2_rst_stream", Ask::Range, Http2, |_| vec![Send(SETTINGS.to_vec()), Http2Request, Send(RST_STREAM.to_vec()), Hold], Outcome::Reset),
    row("http2_pings_without_end", Ask::Range, Http2, |_| vec![Send(SETTINGS.to_vec()), Http2Request, Endless(PING.repeat(100))], Outcome::HeadersTimeout),
    row("http2_sound", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &part(), true)]), Outcome::Ok),
    row("http2_short_body", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &half(), true)]), Outcome::Truncated),
    row("http2_closed_mid_body", Ask::Range, Http2, |_| {
        vec![Send(SETTINGS.to_vec()), Http2Request, Send([http2_head(1), http2_data(1, &half(), false)].concat()), Close]
    }, Outcome::Truncated),
    row("http2_rst_mid_body", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &half(), false), RST_STREAM.to_vec()]), Outcome::Reset),
    row("http2_more_than_asked", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &[part(), part()].concat(), true)]), Outcome::BodyInvalid),
    row("http2_rst_of_the_second", Ask::Twice, Http2, |_| {
        let rst = [&[0, 0, 4, 3, 0, 0, 0, 0, 3][..], &[0, 0, 0, 2]].concat();
        let answer = [http2_head(1), http2_data(1, &part(), true)].concat();
        vec![Send(SETTINGS.to_vec()), Http2Request, Send(answer), Pause(Duration::from_millis(300)), Send(rst), Hold]
    }, Outcome::Reset),
    row("http2_stall", Ask::Range, Http2, |_| vec![Send(SETTINGS.to_vec()), Hold], Outcome::HeadersTimeout),
];
