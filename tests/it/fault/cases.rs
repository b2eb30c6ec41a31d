//! The table of server behaviours: for each, the request and what the sample must contain. To add a case, add a row.

use std::time::Duration;

use bandprobe::{
    config::HttpChoice,
    model::{flag::Flag, outcome::Outcome, phase::Phase, probe::Deadlines},
};

use super::{
    bytes::*,
    case::{Ask, Case, row},
    certificate::Flaw,
    frames::*,
    server::{
        Port::{self, Http, Http2, Https, HttpsWithoutAlpn, PlainBehindHttps, Refused},
        Step::{Anything, Close, Drip, Endless, Hold, Http2Head, Http2Request, Pause, Raw, Request, Reset, Send},
    },
};

mod http2;
mod tls;

/// Size of the asset in bytes, known to the client beforehand.
pub(crate) const SIZE: u64 = 64 << 10;

/// First and last byte of the requested range.
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

const PLAIN: Port = Http;

/// All rows.
pub(crate) fn cases() -> impl Iterator<Item = &'static Case> {
    HTTP1.iter().chain(tls::CASES).chain(http2::CASES)
}

/// The rows over plain HTTP/1.1.
#[rustfmt::skip]
const HTTP1: &[Case] = &[
    // Controls: what a sound server does, in several spellings.
    row("sound", Ask::Range, PLAIN, |_| sound_twice(), Outcome::Ok),
    row("sound_twice", Ask::Twice, PLAIN, |_| sound_twice(), Outcome::Ok),
    row("sound_full", Ask::Full, PLAIN, |_| answer("200 OK", &[IMAGE, FULL_LENGTH], &asset()), Outcome::Ok),
    row("octet_stream", Ask::Full, PLAIN, |_| answer("200 OK", &["content-type: application/octet-stream", FULL_LENGTH], &asset()), Outcome::Ok),
    row("sound_head", Ask::Head, PLAIN, |_| answer("200 OK", &[IMAGE, FULL_LENGTH, "accept-ranges: bytes", "x-cache: hit"], b""), Outcome::Ok),
    row("head_of_a_miss", Ask::Head, PLAIN, |_| answer("200 OK", &[FULL_LENGTH, "accept-ranges: bytes", "x-cache: miss"], b""), Outcome::Ok),
    row("head_with_a_body", Ask::Head, PLAIN, |_| answer("200 OK", &[IMAGE, FULL_LENGTH], &asset()), Outcome::Ok),
    row("chunked", Ask::Range, PLAIN, |_| chunked(&[chunks(&part()), LAST_CHUNK.to_vec()].concat()), Outcome::Ok),
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
    row("closed_before_the_second", Ask::Twice, PLAIN, |nth| {
        if nth == 0 { [sound(), vec![Request, Close]].concat() } else { sound() }
    }, Outcome::Ok).flagged(&[Flag::Reconnected]),
    row("reset_before_the_second", Ask::Twice, PLAIN, |nth| {
        if nth == 0 { [sound(), vec![Request, Reset]].concat() } else { sound() }
    }, Outcome::Ok).flagged(&[Flag::Reconnected]),
    row("connection_close", Ask::Twice, PLAIN, |_| and(partial(&[RIGHT_RANGE, LENGTH, "connection: close"], &part()), Close), Outcome::Ok).flagged(&[Flag::Reconnected]),
    // An unrequested response does not answer the next request.
    row("answer_to_the_second_beforehand", Ask::Twice, PLAIN, |nth| {
        if nth == 0 { vec![Request, Send([right(), part(), head("404 Not Found", &["content-length: 0"])].concat()), Hold] } else { sound() }
    }, Outcome::Ok).flagged(&[Flag::Reconnected]),

    // Connection and head.
    row("connect_refused", Ask::Range, Refused, |_| vec![], Outcome::ConnectRefused),
    row("reset_at_accept", Ask::Range, PLAIN, |_| vec![Pause(Duration::from_millis(200)), Reset], Outcome::Reset),
    row("reset_before_head", Ask::Range, PLAIN, |_| vec![Request, Reset], Outcome::Reset),
    row("reset_mid_head", Ask::Range, PLAIN, |_| vec![Request, Send(right()[..40].to_vec()), Pause(Duration::from_millis(30)), Reset], Outcome::Reset),
    row("close_without_a_byte", Ask::Range, PLAIN, |_| vec![Request, Close], Outcome::Reset),
    row("truncated_head", Ask::Range, PLAIN, |_| vec![Request, Send(right()[..40].to_vec()), Close], Outcome::Reset),
    row("stall_before_head", Ask::Range, PLAIN, |_| vec![Request, Hold], Outcome::HeadersTimeout),
    row("stall_mid_head", Ask::Range, PLAIN, |_| vec![Request, Send(right()[..40].to_vec()), Hold], Outcome::HeadersTimeout),
    row("head_in_slow_drips", Ask::Range, PLAIN, |_| vec![Request, Drip(right(), Duration::from_millis(100))], Outcome::HeadersTimeout),
    row("interim_responses_only", Ask::Range, PLAIN, |_| vec![Request, Send(head("103 Early Hints", &[])), Hold], Outcome::HeadersTimeout),
    row("interim_responses_without_end", Ask::Range, PLAIN, |_| vec![Request, Endless(head("103 Early Hints", &["link: </x>; rel=preload"]))], Outcome::HeadersTimeout),
    row("head_with_folded_lines", Ask::Range, PLAIN, |_| partial(&["content-range:\r\n bytes 1000-2023/65536", LENGTH, "x-folded: a\r\n\t b"], &part()), Outcome::Ok),
    row("head_with_bare_line_feeds", Ask::Range, PLAIN, |_| vec![Request, Send(String::from_utf8(right()).unwrap().replace("\r\n", "\n").into()), Send(part())], Outcome::Ok),
    row("empty_lines_first", Ask::Range, PLAIN, |_| vec![Request, Send([b"\r\n\r\n".to_vec(), right(), part()].concat())], Outcome::Ok),
    row("two_equal_content_lengths", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, LENGTH, LENGTH], &part()), Outcome::Ok),
    row("content_lengths_joined", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, "content-length: 1024, 1024"], &part()), Outcome::Ok),
    row("content_lengths_joined_and_repeated", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, "content-length: 1024 ,1024", LENGTH], &part()), Outcome::Ok),
    row("head_with_joined_lengths", Ask::Head, PLAIN, |_| answer("200 OK", &[IMAGE, "content-length: 65536, 65536", "x-cache: hit"], b""), Outcome::Ok),
    // RFC 9112 §6.3: the chunks overrule the length.
    row("length_beside_chunks", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, "content-length: 7", "transfer-encoding: chunked"], &[chunks(&part()), LAST_CHUNK.to_vec()].concat()), Outcome::Ok),
    row("chunks_in_http_1_0", Ask::Range, PLAIN, |_| vec![Request, Send(in_1_0(head("206 Partial Content", &[IMAGE, RIGHT_RANGE, "transfer-encoding: chunked"]))), Send(chunks(&part())), Close], Outcome::HeadersInvalid),
    row("over_100_headers", Ask::Range, PLAIN, |_| vec![Request, Send([open_ended(right()), b"x-many: 1\r\n".repeat(120), b"\r\n".to_vec(), part()].concat())], Outcome::HeadersTooLarge),
    row("header_without_colon", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, LENGTH, "nonsense"], &part()), Outcome::HeadersInvalid),
    row("space_before_colon", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, LENGTH, "x-spaced : 1"], &part()), Outcome::HeadersInvalid),
    row("nul_in_a_header", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, LENGTH, "x-nul: a\0b"], &part()), Outcome::HeadersInvalid),
    row("status_of_two_digits", Ask::Range, PLAIN, |_| answer("99 Low", &[LENGTH], &part()), Outcome::HeadersInvalid),
    row("status_of_four_digits", Ask::Range, PLAIN, |_| answer("1000 High", &[LENGTH], &part()), Outcome::HeadersInvalid),
    row("http_0_9", Ask::Range, PLAIN, |_| vec![Request, Send(HTML.into()), Close], Outcome::HeadersInvalid),
    row("http_3_0", Ask::Range, PLAIN, |_| vec![Request, Send(b"HTTP/3.0 206 Partial Content\r\n\r\n".to_vec()), Close], Outcome::HeadersInvalid),
    row("head_over_64_kib", Ask::Range, PLAIN, |_| {
        let large: String = (0..80).map(|n| format!("x-large-{n}: {}\r\n", "y".repeat(1_000))).collect();
        vec![Request, Send([open_ended(right()), large.into(), b"\r\n".to_vec(), part()].concat())]
    }, Outcome::HeadersTooLarge),
    row("endless_head", Ask::Range, PLAIN, |_| vec![Request, Send(open_ended(right())), Endless(format!("x-endless: {}\r\n", "y".repeat(4_000)).into())], Outcome::HeadersTooLarge),
    row("garbage", Ask::Range, PLAIN, |_| vec![Request, Send(b"\x16SSH-2.0-OpenSSH_9.6\r\n\0\x01\x02\xff\r\n\r\n".to_vec()), Close], Outcome::HeadersInvalid),
    row("two_content_lengths", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, LENGTH, "content-length: 7"], &part()), Outcome::HeadersInvalid),
    row("two_content_lengths_joined", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, "content-length: 1024, 7"], &part()), Outcome::HeadersInvalid),
    row("head_with_two_lengths", Ask::Head, PLAIN, |_| answer("200 OK", &[IMAGE, "content-length: 65536, 7", "x-cache: hit"], b""), Outcome::HeadersInvalid).answered(),
    row("negative_content_length", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, "content-length: -1"], &part()), Outcome::HeadersInvalid),
    row("content_length_over_u64", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, "content-length: 99999999999999999999999"], &part()), Outcome::HeadersInvalid),

    // Body.
    row("reset_mid_body", Ask::Range, PLAIN, |_| vec![Request, Send([right(), half()].concat()), Pause(Duration::from_millis(30)), Reset], Outcome::Reset).failing(Phase::Receive),
    row("short_body", Ask::Range, PLAIN, |_| vec![Request, Send([right(), half()].concat()), Close], Outcome::Truncated),
    row("close_delimited_short_body", Ask::Range, PLAIN, |_| and(partial(&[RIGHT_RANGE, "connection: close"], &half()), Close), Outcome::Truncated),
    row("full_short_body", Ask::Full, PLAIN, |_| and(answer("200 OK", &[IMAGE, FULL_LENGTH], &bytes(0, SIZE / 2 - 1)), Close), Outcome::Truncated),
    row("no_body_byte", Ask::Range, PLAIN, |_| vec![Request, Send(right()), Hold], Outcome::Stalled),
    row("stall_mid_body", Ask::Range, PLAIN, |_| vec![Request, Send([right(), half()].concat()), Hold], Outcome::Stalled),
    row("pause_mid_body", Ask::Range, PLAIN, |_| vec![
        Request, Send([right(), half()].concat()), Pause(Duration::from_millis(500)), Send(part()[512..].to_vec()),
    ], Outcome::Ok).flagged(&[Flag::StalledSome]),
    row("trickle", Ask::Range, PLAIN, |_| vec![Request, Send(right()), Drip(part(), Duration::from_millis(20))], Outcome::Ok).flagged(&[Flag::Partial]),
    row("trickle_after_a_pause", Ask::Range, PLAIN, |_| vec![
        Request, Send([right(), part()[..9].to_vec()].concat()), Pause(Duration::from_millis(500)), Drip(part()[9..].to_vec(), Duration::from_millis(20)),
    ], Outcome::Ok).flagged(&[Flag::Partial]),
    // Argus while it fetches: the end of the range is ignored.
    row("more_than_asked_chunked", Ask::Range, PLAIN, |_| chunked(&[chunks(&bytes(FIRST, SIZE - 1)), LAST_CHUNK.to_vec()].concat()), Outcome::Ok).flagged(&[Flag::Overshoot]),
    row("more_than_asked_by_length", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, "content-length: 64536"], &bytes(FIRST, SIZE - 1)), Outcome::Ok).flagged(&[Flag::Overshoot]),
    row("chunks_without_end", Ask::Full, PLAIN, |_| and(answer("200 OK", &[IMAGE, "transfer-encoding: chunked"], b""), Endless(chunks(&asset()))), Outcome::WrongSize),
    // A whole asset that is longer than its known size is a different one; its announced length or its body shows it.
    row("longer_than_known", Ask::Full, PLAIN, |_| answer("200 OK", &[IMAGE, "transfer-encoding: chunked"], &[chunks(&[asset(), part()].concat()), LAST_CHUNK.to_vec()].concat()), Outcome::WrongSize),
    row("longer_than_known_to_the_close", Ask::Full, PLAIN, |_| and(answer("200 OK", &[IMAGE, "connection: close"], &[asset(), part()].concat()), Close), Outcome::WrongSize),
    row("longer_than_known_in_a_later_chunk", Ask::Full, PLAIN, |_| vec![
        Request, Send([head("200 OK", &[IMAGE, "transfer-encoding: chunked"]), chunks(&asset())].concat()), Pause(Duration::from_millis(60)),
        Send([chunks(b"x"), LAST_CHUNK.to_vec()].concat()),
    ], Outcome::WrongSize),
    row("whole_in_chunks", Ask::Full, PLAIN, |_| answer("200 OK", &[IMAGE, "transfer-encoding: chunked"], &[chunks(&asset()), LAST_CHUNK.to_vec()].concat()), Outcome::Ok),
    row("whole_in_chunks_with_a_length", Ask::Full, PLAIN, |_| answer("200 OK", &[IMAGE, "content-length: 7", "transfer-encoding: chunked"], &[chunks(&asset()), LAST_CHUNK.to_vec()].concat()), Outcome::Ok),
    row("whole_in_chunks_with_no_number", Ask::Full, PLAIN, |_| answer("200 OK", &[IMAGE, "content-length: x", "transfer-encoding: chunked"], &[chunks(&asset()), LAST_CHUNK.to_vec()].concat()), Outcome::Ok),
    row("head_with_chunks_with_a_length", Ask::Head, PLAIN, |_| answer("200 OK", &[IMAGE, "content-length: 7", "transfer-encoding: chunked", "x-cache: hit"], b""), Outcome::Ok),
    // What follows a body of the right length is no part of it; but the connection cannot be used again.
    row("long_body_over_its_length", Ask::Range, PLAIN, |_| vec![Request, Send([right(), part(), vec![b'x'; 4_096]].concat())], Outcome::Ok),
    row("unsized_to_the_close", Ask::Unsized, PLAIN, |_| and(answer("200 OK", &[IMAGE, "connection: close"], &part()), Close), Outcome::Ok),
    row("unsized_in_chunks", Ask::Unsized, PLAIN, |_| answer("200 OK", &[IMAGE, "transfer-encoding: chunked"], &[chunks(&part()), LAST_CHUNK.to_vec()].concat()), Outcome::Ok),
    row("unsized_chunks_cut_short", Ask::Unsized, PLAIN, |_| and(answer("200 OK", &[IMAGE, "transfer-encoding: chunked"], &chunks(&part())), Close), Outcome::Truncated),
    row("unsized_to_the_reset", Ask::Unsized, PLAIN, |_| [answer("200 OK", &[IMAGE, "connection: close"], &part()), vec![Pause(Duration::from_millis(30)), Reset]].concat(), Outcome::Reset).failing(Phase::Receive),
    row("unsized_and_empty", Ask::Unsized, PLAIN, |_| and(answer("200 OK", &[IMAGE, "connection: close"], b""), Close), Outcome::WrongSize),
    row("tls_unsized_cut", Ask::Unsized, Https(Flaw::None), |_| and(answer("200 OK", &[IMAGE, "connection: close"], &part()), Close), Outcome::Truncated),
    row("chunk_size_not_hex", Ask::Range, PLAIN, |_| and(chunked(&[chunks(&half()), b"zz\r\n".to_vec()].concat()), Close), Outcome::BodyInvalid),
    row("chunk_without_its_end", Ask::Range, PLAIN, |_| and(chunked(&[b"200\r\n".to_vec(), half(), b"XX200\r\n".to_vec()].concat()), Close), Outcome::BodyInvalid),
    row("chunks_cut_short", Ask::Range, PLAIN, |_| and(chunked(&chunks(&half())), Close), Outcome::Truncated),
    row("trailers", Ask::Range, PLAIN, |_| chunked(&[chunks(&part()), b"0\r\nx-sum: 1\r\n\r\n".to_vec()].concat()), Outcome::Ok),
    row("trailers_without_end", Ask::Range, PLAIN, |_| and(chunked(&[chunks(&part()), b"0\r\n".to_vec()].concat()), Endless(b"x-trailer: 1\r\n".repeat(100))), Outcome::Ok),
    row("chunks_held_at_their_end", Ask::Range, PLAIN, |_| and(chunked(&chunks(&part())), Hold), Outcome::Ok),
    row("chunk_extensions", Ask::Range, PLAIN, |_| chunked(&[b"400;name=value;other\r\n".to_vec(), part(), b"\r\n".to_vec(), LAST_CHUNK.to_vec()].concat()), Outcome::Ok),
    row("chunk_extension_without_end", Ask::Range, PLAIN, |_| and(chunked(b"400"), Endless(b";name=value".repeat(100))), Outcome::BodyInvalid),
    row("chunk_size_over_u64", Ask::Range, PLAIN, |_| chunked(b"10000000000000000\r\n"), Outcome::BodyInvalid),
    row("chunk_size_huge", Ask::Range, PLAIN, |_| and(chunked(&[b"7fffffffffffffff\r\n".to_vec(), half()].concat()), Close), Outcome::Truncated),
    row("chunk_size_negative", Ask::Range, PLAIN, |_| chunked(b"-400\r\n"), Outcome::BodyInvalid),
    row("chunk_size_absent", Ask::Range, PLAIN, |_| chunked(b"\r\n\r\n"), Outcome::BodyInvalid),
    row("chunks_end_early", Ask::Range, PLAIN, |_| chunked(&[chunks(&half()), LAST_CHUNK.to_vec()].concat()), Outcome::Truncated),
    row("gzip_unasked", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, LENGTH, "content-encoding: gzip"], &part()), Outcome::BodyInvalid).answered(),
    row("gzip_unasked_in_a_second_line", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, LENGTH, "content-encoding: identity", "content-encoding: gzip"], &part()), Outcome::BodyInvalid).answered(),
    row("identity_said_twice", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, LENGTH, "content-encoding: identity,, Identity"], &part()), Outcome::Ok),
    row("encodings_that_are_none", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, LENGTH, "content-encoding: UTF-8, none", "content-encoding: binary"], &part()), Outcome::Ok),
    row("aws_chunked_in_name_alone", Ask::Full, PLAIN, |_| answer("200 OK", &[IMAGE, FULL_LENGTH, "content-encoding: aws-chunked"], &asset()), Outcome::Ok),
    row("aws_chunked_and_signed", Ask::Unsized, PLAIN, |_| {
        let body = signed_chunk();
        answer("200 OK", &[IMAGE, &format!("content-length: {}", body.len()), "content-encoding: aws-chunked"], &body)
    }, Outcome::BodyInvalid).answered(),
    row("gzip_under_chunks", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, "transfer-encoding: gzip, chunked"], &[chunks(&part()), LAST_CHUNK.to_vec()].concat()), Outcome::BodyInvalid).answered(),
    row("gzip_to_the_close", Ask::Range, PLAIN, |_| and(partial(&[RIGHT_RANGE, "transfer-encoding: gzip"], &part()), Close), Outcome::BodyInvalid).answered(),
    row("chunks_not_the_last_coding", Ask::Range, PLAIN, |_| and(partial(&[RIGHT_RANGE, "transfer-encoding: chunked, identity"], &part()), Close), Outcome::BodyInvalid).answered(),
    row("empty_transfer_encoding", Ask::Range, PLAIN, |_| and(partial(&[RIGHT_RANGE, "transfer-encoding: "], &part()), Close), Outcome::BodyInvalid).answered(),
    row("chunked_and_an_empty_element", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, "transfer-encoding: chunked, "], &[chunks(&part()), LAST_CHUNK.to_vec()].concat()), Outcome::BodyInvalid).answered(),
    row("chunked_twice", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, "transfer-encoding: chunked", "transfer-encoding: chunked"], &[chunks(&part()), LAST_CHUNK.to_vec()].concat()), Outcome::Ok),

    // Something other than the requested object.
    row("range_ignored", Ask::Range, PLAIN, |_| answer("200 OK", &[IMAGE, FULL_LENGTH], &asset()), Outcome::WrongRange),
    row("range_of_other_start", Ask::Range, PLAIN, |_| partial(&["content-range: bytes 0-1023/65536", LENGTH], &bytes(0, 1_023)), Outcome::WrongRange),
    row("range_of_other_end", Ask::Range, PLAIN, |_| partial(&["content-range: bytes 1000-1999/65536", "content-length: 1000"], &bytes(1_000, 1_999)), Outcome::WrongRange),
    row("range_without_content_range", Ask::Range, PLAIN, |_| partial(&[LENGTH], &part()), Outcome::WrongRange),
    row("range_unreadable", Ask::Range, PLAIN, |_| partial(&["content-range: bytes=1000-2023", LENGTH], &part()), Outcome::WrongRange),
    row("range_with_a_sign", Ask::Range, PLAIN, |_| partial(&["content-range: bytes +1000-2023/65536", LENGTH], &part()), Outcome::WrongRange),
    row("range_unit_in_capitals", Ask::Range, PLAIN, |_| partial(&["content-range: Bytes 1000-2023/65536", LENGTH], &part()), Outcome::Ok),
    row("range_and_another", Ask::Range, PLAIN, |_| partial(&[RIGHT_RANGE, "content-range: bytes 0-1023/65536", LENGTH], &part()), Outcome::WrongRange),
    row("range_of_other_total", Ask::Range, PLAIN, |_| partial(&["content-range: bytes 1000-2023/70000", LENGTH], &part()), Outcome::WrongSize),
    row("full_of_other_size", Ask::Full, PLAIN, |_| answer("200 OK", &[IMAGE, "content-length: 65535"], &bytes(0, SIZE - 2)), Outcome::WrongSize),
    row("full_of_huge_size", Ask::Full, PLAIN, |_| and(answer("200 OK", &[IMAGE, "content-length: 9223372036854775807"], &part()), Close), Outcome::WrongSize),
    row("head_of_other_size", Ask::Head, PLAIN, |_| answer("200 OK", &[IMAGE, "content-length: 65535", "x-cache: hit"], b""), Outcome::WrongSize),
    row("head_of_two_lengths", Ask::Head, PLAIN, |_| answer("200 OK", &[IMAGE, FULL_LENGTH, "content-length: 7"], b""), Outcome::HeadersInvalid).answered(),
    row("head_of_negative_length", Ask::Head, PLAIN, |_| answer("200 OK", &[IMAGE, "content-length: -1"], b""), Outcome::HeadersInvalid).answered(),
    row("head_of_signed_length", Ask::Head, PLAIN, |_| answer("200 OK", &[IMAGE, "content-length: +65536"], b""), Outcome::HeadersInvalid).answered(),
    row("head_of_length_over_u64", Ask::Head, PLAIN, |_| answer("200 OK", &[IMAGE, "content-length: 18446744073709551616"], b""), Outcome::HeadersInvalid).answered(),
    row("html_after_an_image", Ask::Full, PLAIN, |_| answer("200 OK", &[IMAGE, "content-type: text/html", FULL_LENGTH], &asset()), Outcome::WrongType),
    row("html_with_200", Ask::Full, PLAIN, |_| error("200 OK", "content-type: text/html", HTML), Outcome::WrongType),
    row("range_of_other_type", Ask::Range, PLAIN, |_| answer("206 Partial Content", &["content-type: text/plain", RIGHT_RANGE, LENGTH], &part()), Outcome::WrongType),
    row("range_without_type", Ask::Range, PLAIN, |_| answer("206 Partial Content", &[RIGHT_RANGE, LENGTH], &part()), Outcome::Ok),
    row("full_without_type", Ask::Full, PLAIN, |_| answer("200 OK", &[FULL_LENGTH], &asset()), Outcome::Ok),
    row("type_without_subtype", Ask::Full, PLAIN, |_| answer("200 OK", &["content-type: image/", FULL_LENGTH], &asset()), Outcome::Ok),
    row("type_listed_twice", Ask::Full, PLAIN, |_| answer("200 OK", &["content-type: Image/WebP, image/webp; q=1", IMAGE, FULL_LENGTH], &asset()), Outcome::Ok),
    row("type_of_an_object_store", Ask::Full, PLAIN, |_| answer("200 OK", &["content-type: binary/octet-stream", FULL_LENGTH], &asset()), Outcome::Ok),
    row("video_for_an_image", Ask::Full, PLAIN, |_| answer("200 OK", &["content-type: video/mp4", FULL_LENGTH], &asset()), Outcome::WrongType),
    row("json_with_200", Ask::Range, PLAIN, |_| answer("206 Partial Content", &["content-type: application/problem+json", RIGHT_RANGE, LENGTH], &part()), Outcome::WrongType),
    row("several_ranges", Ask::Range, PLAIN, |_| answer("206 Partial Content", &["content-type: multipart/byteranges; boundary=x", RIGHT_RANGE, LENGTH], &part()), Outcome::WrongType),
    row("full_but_empty", Ask::Full, PLAIN, |_| answer("200 OK", &[IMAGE, "content-length: 0"], b""), Outcome::WrongSize),
    row("range_of_an_empty_object", Ask::Range, PLAIN, |_| answer("416 Range Not Satisfiable", &["content-range: bytes */0", "content-length: 0"], b""), Outcome::WrongSize),
    row("range_of_an_empty_object_with_200", Ask::Range, PLAIN, |_| answer("200 OK", &[IMAGE, "content-length: 0"], b""), Outcome::WrongSize),
    row("range_of_an_empty_object_in_chunks", Ask::Range, PLAIN, |_| answer("200 OK", &[IMAGE, "transfer-encoding: chunked"], LAST_CHUNK), Outcome::WrongSize),
    row("empty_part_in_chunks", Ask::Range, PLAIN, |_| answer("206 Partial Content", &[IMAGE, "transfer-encoding: chunked"], LAST_CHUNK), Outcome::WrongSize),
    row("empty_object_of_another_type", Ask::Range, PLAIN, |_| answer("200 OK", &["content-type: text/plain", "content-length: 0"], b""), Outcome::WrongSize),
    row("range_of_an_empty_object_with_206", Ask::Range, PLAIN, |_| answer("206 Partial Content", &[IMAGE, "content-range: bytes 0--1/0", "content-length: 0"], b""), Outcome::WrongSize),

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
    // The status is enough: a body that never arrives changes nothing.
    row("error_without_its_body", Ask::Range, PLAIN, |_| and(answer("502 Bad Gateway", &["content-type: text/html", "content-length: 500"], b""), Hold), Outcome::Http5xx),
    row("redirect", Ask::Range, PLAIN, |_| answer("301 Moved Permanently", &["location: http://127.0.0.1:1/", "content-length: 0"], b""), Outcome::Redirected),
    row("no_content", Ask::Range, PLAIN, |_| answer("204 No Content", &[], b""), Outcome::WrongStatus),
    row("not_modified", Ask::Range, PLAIN, |_| answer("304 Not Modified", &["etag: W/\"1\""], b""), Outcome::WrongStatus),
    row("switching_protocols", Ask::Range, PLAIN, |_| answer("101 Switching Protocols", &["upgrade: websocket", "connection: upgrade"], b""), Outcome::WrongStatus),
    row("body_after_no_content", Ask::Range, PLAIN, |_| answer("204 No Content", &[LENGTH], &part()), Outcome::WrongStatus),
    row("body_after_not_modified", Ask::Range, PLAIN, |_| answer("304 Not Modified", &[LENGTH], &part()), Outcome::WrongStatus),
    row("status_600", Ask::Range, PLAIN, |_| answer("600 Odd", &[LENGTH], &part()), Outcome::WrongStatus),
];
