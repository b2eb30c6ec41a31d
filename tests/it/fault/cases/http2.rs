//! The rows over HTTP/2.

use super::*;

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    row("http2_goaway", Ask::Range, Http2, |_| http2(&[http2_goaway(0, NO_ERROR)]), Outcome::Reset),
    row("http2_rst_stream", Ask::Range, Http2, |_| http2(&[http2_rst(1, INTERNAL_ERROR)]), Outcome::Reset),
    row("http2_pings_without_end", Ask::Range, Http2, |_| vec![Send(SETTINGS.to_vec()), Http2Request, Endless(PING.repeat(100))], Outcome::HeadersTimeout),
    row("http2_sound", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &part(), true)]), Outcome::Ok),
    row("http2_length_twice", Ask::Range, Http2, |_| http2(&[http2_head_with(1, LENGTH_TWICE), http2_data(1, &part(), true)]), Outcome::Ok),
    row("http2_length_twice_in_huffman_code", Ask::Range, Http2, |_| http2(&[http2_head_with(1, b"\x5c\x87\x08\x04\xd7\xd2\x81\x00\x9a"), http2_data(1, &part(), true)]), Outcome::Ok),
    row("http2_length_twice_in_two_fields", Ask::Range, Http2, |_| http2(&[http2_head_with(1, &literal(CONTENT_LENGTH, "1024").repeat(2)), http2_data(1, &part(), true)]), Outcome::Ok),
    row("http2_length_twice_in_two_frames", Ask::Range, Http2, |_| {
        let (first, rest) = LENGTH_TWICE.split_at(6);
        http2(&[http2_frame(HEADERS, 0, 1, &[&right_without_length(), first].concat()), http2_frame(CONTINUATION, END_HEADERS, 1, rest), http2_data(1, &part(), true)])
    }, Outcome::Ok),
    row("http2_length_twice_and_again_from_the_table", Ask::Twice, Http2, |_| vec![
        Send(SETTINGS.to_vec()), Http2Request, Send([http2_head_with(1, LENGTH_TWICE), http2_data(1, &part(), true)].concat()),
        Http2Head, Send([http2_head_with(3, &[NEWEST_ENTRY]), http2_data(3, &part(), true)].concat()), Hold,
    ], Outcome::Ok),
    row("http2_length_twice_of_a_short_body", Ask::Range, Http2, |_| http2(&[http2_head_with(1, LENGTH_TWICE), http2_data(1, &half(), true)]), Outcome::Truncated),
    row("http2_two_lengths", Ask::Range, Http2, |_| http2(&[http2_head_with(1, b"\x5c\x0a1024, 1025"), http2_data(1, &part(), true)]), Outcome::HeadersInvalid),
    row("http2_short_body", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &half(), true)]), Outcome::Truncated),
    row("http2_closed_mid_body", Ask::Range, Http2, |_| {
        vec![Send(SETTINGS.to_vec()), Http2Request, Send([http2_head(1), http2_data(1, &half(), false)].concat()), Close]
    }, Outcome::Truncated),
    row("http2_short_by_one_byte", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &part()[..1_023], true)]), Outcome::Truncated),
    row("http2_closed_one_byte_early", Ask::Range, Http2, |_| {
        vec![Send(SETTINGS.to_vec()), Http2Request, Send([http2_head(1), http2_data(1, &part()[..1_023], false)].concat()), Close]
    }, Outcome::Truncated),
    row("http2_longer_by_one_byte", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &[part(), vec![b'x']].concat(), true)]), Outcome::BodyInvalid),
    row("http2_interim_then_closed_when_used_again", Ask::Twice, Http2, |nth| {
        let first = vec![Send(SETTINGS.to_vec()), Http2Request, Send([http2_head(1), http2_data(1, &part(), true)].concat())];
        let second = vec![Http2Head, Send(http2_block(3, &status_103())), Close];
        if nth == 0 { [first, second].concat() } else { http2(&[http2_head(1), http2_data(1, &part(), true)]) }
    }, Outcome::Reset).failing(Phase::Wait),
    row("http2_rst_mid_body", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &half(), false), http2_rst(1, INTERNAL_ERROR)]), Outcome::Reset).failing(Phase::Receive),
    row("http2_more_than_asked", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &[part(), part()].concat(), true)]), Outcome::BodyInvalid),
    row("http2_rst_of_the_second", Ask::Twice, Http2, |_| {
        let answer = [http2_head(1), http2_data(1, &part(), true)].concat();
        vec![Send(SETTINGS.to_vec()), Http2Request, Send(answer), Pause(Duration::from_millis(300)), Send(http2_rst(3, INTERNAL_ERROR)), Hold]
    }, Outcome::Reset),
    row("http2_ended_by_rst", Ask::Range, Http2, |_| http2(&[http2_head_without_length(1), http2_data(1, &half(), false), http2_rst(1, NO_ERROR)]), Outcome::Reset).failing(Phase::Receive),
    row("http2_whole_ended_by_rst", Ask::Full, Http2, |_| http2(&[http2_head_of_unsized(1), http2_data(1, &half(), false), http2_rst(1, NO_ERROR)]), Outcome::Reset).failing(Phase::Receive),
    row("http2_rst_after_the_end", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &part(), true), http2_rst(1, NO_ERROR)]), Outcome::Ok),
    row("http2_broken_protocol", Ask::Range, Http2, |_| http2(&[http2_data(1, &part(), false)]), Outcome::HeadersInvalid),
    row("http2_broken_protocol_of_the_second", Ask::Twice, Http2, |_| vec![
        Send(SETTINGS.to_vec()), Http2Request, Send([http2_head(1), http2_data(1, &part(), true)].concat()),
        Http2Head, Send(http2_data(3, &part(), false)),
    ], Outcome::HeadersInvalid),
    row("http2_broken_protocol_mid_body", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &half(), false), http2_data(0, &half(), false)]), Outcome::BodyInvalid),
    // Our library calls a head over the limit what it calls a malformed one, unless its frames do not end.
    row("http2_head_over_64_kib", Ask::Range, Http2, |_| http2(&http2_large_head(1, 5)), Outcome::HeadersInvalid),
    row("http2_endless_head", Ask::Range, Http2, |_| vec![
        Send(SETTINGS.to_vec()), Http2Request, Send(http2_frame(HEADERS, 0, 1, &STATUS_206)), Endless(http2_frame(CONTINUATION, 0, 1, &literal(CONTENT_TYPE, &"y".repeat(120)))),
    ], Outcome::HeadersTooLarge),
    row("http2_trailers", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &part(), false), http2_frame(HEADERS, END_HEADERS | END_STREAM, 1, &literal(CONTENT_TYPE, "x"))]), Outcome::Ok),
    row("http2_goaway_before_the_rest", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &half(), false), http2_goaway(1, NO_ERROR), http2_data(1, &part()[512..], true)]), Outcome::Ok),
    row("http2_goaway_mid_body", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &half(), false), http2_goaway(0, INTERNAL_ERROR)]), Outcome::Reset).failing(Phase::Receive),
    row("http2_refused", Ask::Range, Http2, |_| http2(&[http2_rst(1, REFUSED_STREAM)]), Outcome::Reset),
    row("http2_told_to_calm_down", Ask::Range, Http2, |_| http2(&[http2_goaway(0, ENHANCE_YOUR_CALM)]), Outcome::Reset),
    row("http2_many_settings", Ask::Range, Http2, |_| http2(&[http2_settings(&[(0xff, 1); 2_700]), http2_head(1), http2_data(1, &part(), true)]), Outcome::Ok),
    row("http2_large_settings", Ask::Range, Http2, |_| http2(&[
        http2_settings(&[(1, u32::MAX), (3, u32::MAX), (4, i32::MAX.unsigned_abs()), (5, (1 << 24) - 1), (6, u32::MAX)]), http2_head(1), http2_data(1, &part(), true),
    ]), Outcome::Ok),
    row("http2_settings_over_the_window", Ask::Range, Http2, |_| http2(&[http2_settings(&[(4, u32::MAX)]), http2_head(1)]), Outcome::HeadersInvalid),
    row("http2_settings_without_end", Ask::Range, Http2, |_| vec![Send(SETTINGS.to_vec()), Http2Request, Endless(SETTINGS.repeat(100))], Outcome::HeadersTimeout),
    row("http2_frame_over_16_kib", Ask::Range, Http2, |_| http2(&[http2_head(1), http2_data(1, &[0; 17 << 10], true)]), Outcome::BodyInvalid),
    row("http2_interim_responses_first", Ask::Range, Http2, |_| http2(&[http2_block(1, &status_103()), http2_head(1), http2_data(1, &part(), true)]), Outcome::Ok),
    row("http2_interim_responses_without_end", Ask::Range, Http2, |_| vec![Send(SETTINGS.to_vec()), Http2Request, Endless(http2_block(1, &status_103()).repeat(100))], Outcome::HeadersTimeout),
    row("http2_empty_frames_without_end", Ask::Range, Http2, |_| vec![Send(SETTINGS.to_vec()), Http2Request, Send(http2_head(1)), Endless(http2_data(1, b"", false).repeat(100))], Outcome::BodyInvalid),
    row("http2_pushed", Ask::Range, Http2, |_| http2(&[http2_frame(5, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]), http2_head(1)]), Outcome::HeadersInvalid),
    row("http2_without_status", Ask::Range, Http2, |_| http2(&[http2_block(1, &literal(CONTENT_LENGTH, "1024"))]), Outcome::HeadersInvalid),
    row("http2_negative_content_length", Ask::Range, Http2, |_| http2(&[http2_block(1, &[STATUS_206.to_vec(), literal(CONTENT_LENGTH, "-1")].concat())]), Outcome::HeadersInvalid),
    row("http2_with_chunks", Ask::Range, Http2, |_| http2(&[http2_block(1, &[STATUS_206.to_vec(), literal(TRANSFER_ENCODING, "chunked")].concat())]), Outcome::HeadersInvalid),
    row("http2_unsized", Ask::Unsized, Http2, |_| http2(&[http2_head_of_unsized(1), http2_data(1, &part(), false), http2_data(1, b"", true)]), Outcome::Ok),
    row("http2_unsized_with_trailers", Ask::Unsized, Http2, |_| http2(&[http2_head_of_unsized(1), http2_data(1, &part(), false), http2_frame(HEADERS, END_HEADERS | END_STREAM, 1, &literal(CONTENT_TYPE, "x"))]), Outcome::Ok),
    row("http2_unsized_ended_by_rst", Ask::Unsized, Http2, |_| http2(&[http2_head_of_unsized(1), http2_data(1, &half(), false), http2_rst(1, NO_ERROR)]), Outcome::Reset).failing(Phase::Receive),
    row("http2_unsized_closed", Ask::Unsized, Http2, |_| vec![Send(SETTINGS.to_vec()), Http2Request, Send([http2_head_of_unsized(1), http2_data(1, &half(), false)].concat()), Close], Outcome::Reset).failing(Phase::Receive),
    row("http2_stall", Ask::Range, Http2, |_| vec![Send(SETTINGS.to_vec()), Hold], Outcome::HeadersTimeout),
];
