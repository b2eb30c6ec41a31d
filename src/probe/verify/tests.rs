//! The checks of response heads.

use super::*;
use crate::model::target::AssetKind;

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

const fn expected(kind: AssetKind) -> Option<ExpectedType<'static>> {
    Some(ExpectedType { kind, types: &[], may_lack: false })
}

#[test]
fn ranges_are_checked_against_the_request() {
    let asked = RequestedBytes::Range { first: 0, last: 1023 };
    let tail = RequestedBytes::Suffix(100);
    for (wanted, status, content_range, known, result) in [
        (asked, 206, "bytes 0-1023/4096", None, Ok((1024, Some(4096)))),
        (asked, 206, "bytes 0-1023/*", None, Ok((1024, None))),
        (asked, 206, "bytes 0-511/512", None, Ok((512, Some(512)))),
        (asked, 206, "bytes 0-511/4096", None, Err(Outcome::WrongRange)),
        (asked, 206, "bytes 1-1024/4096", None, Err(Outcome::WrongRange)),
        (asked, 206, "bytes 0-2047/4096", None, Err(Outcome::WrongRange)),
        (asked, 206, "bytes 0-1023/9999", Some(4096), Err(Outcome::WrongSize)),
        (asked, 206, "bytes */4096", None, Err(Outcome::WrongRange)),
        (asked, 206, "bytes 5-1/4096", None, Err(Outcome::WrongRange)),
        (asked, 206, "octets 0-1023/4096", None, Err(Outcome::WrongRange)),
        (asked, 206, "bytes 0-18446744073709551615/*", None, Err(Outcome::WrongRange)),
        (asked, 200, "", None, Err(Outcome::WrongRange)),
        (tail, 206, "bytes 900-999/1000", None, Ok((100, Some(1000)))),
        (tail, 206, "bytes 0-59/60", None, Ok((60, Some(60)))),
        (tail, 206, "bytes 800-899/1000", None, Err(Outcome::WrongRange)),
        (RequestedBytes::Whole, 206, "bytes 0-99/100", None, Err(Outcome::WrongStatus)),
    ] {
        let headers = headers(&[("content-range", content_range), ("content-type", "video/mp4")]);
        let status = StatusCode::from_u16(status).unwrap();
        let got = head(status, &headers, wanted, known.map(|known| Bytes(known).into()), expected(AssetKind::Video));
        let got = got.map(|promise| (promise.bytes.unwrap(), promise.size.map(|size| size.0)));
        assert_eq!(got.map_err(|mismatch| mismatch.outcome), result, "{status} {content_range}");
    }
}

#[test]
fn a_whole_asset_is_checked_too() {
    for (lines, known, result) in [
        (&[("content-length", "21136"), ("content-type", "image/webp")][..], None, Ok(Some(21_136))),
        (&[("content-type", "image/webp")], None, Ok(None)),
        (&[("content-length", "21136"), ("content-type", "image/png")], Some(21_136), Ok(Some(21_136))),
        (&[("content-length", "21136"), ("content-type", "image/png")], Some(7), Err(Outcome::WrongSize)),
        (&[("content-length", "0"), ("content-type", "image/png")], None, Err(Outcome::WrongSize)),
        (&[("content-length", "21136")], None, Ok(Some(21_136))),
        (&[("content-length", "21136, 21136")], None, Ok(Some(21_136))),
        (&[("content-length", "21136 ,21136"), ("content-length", "21136")], None, Ok(Some(21_136))),
        (&[("content-length", "21136, 7")], None, Err(Outcome::HeadersInvalid)),
        (&[("content-length", "21136"), ("content-length", "7")], None, Err(Outcome::HeadersInvalid)),
        (&[("content-length", "21136,")], None, Err(Outcome::HeadersInvalid)),
        (&[("content-length", "7"), ("transfer-encoding", "chunked")], Some(21_136), Ok(None)),
        (&[("content-length", "0"), ("transfer-encoding", "chunked")], None, Ok(None)),
        (&[("content-length", "7, 8"), ("transfer-encoding", "chunked")], None, Ok(None)),
        (&[("content-length", "9"), ("content-type", "text/html; charset=utf-8")], None, Err(Outcome::WrongType)),
        (&[("content-type", "application/octet-stream")], None, Ok(None)),
        (&[("content-encoding", "gzip")], None, Err(Outcome::BodyInvalid)),
    ] {
        let got = head(
            StatusCode::OK,
            &headers(lines),
            RequestedBytes::Whole,
            known.map(|known| Bytes(known).into()),
            expected(AssetKind::Image),
        );
        assert_eq!(got.map(|promise| promise.bytes).map_err(|mismatch| mismatch.outcome), result, "{lines:?}");
    }
}

#[test]
fn an_empty_object_is_reported_as_empty() {
    let range = RequestedBytes::Range { first: 0, last: 1023 };
    for (wanted, status, lines, empty) in [
        (range, 416, &[("content-range", "bytes */0")][..], true),
        (range, 416, &[("content-range", "Bytes */0"), ("content-length", "0")], true),
        (range, 416, &[("content-range", "bytes */500")], false),
        (range, 416, &[("content-length", "0")], false),
        (range, 416, &[("content-range", "bytes */")], false),
        (range, 200, &[("content-length", "0")], true),
        (range, 200, &[("content-length", "0, 0")], true),
        (range, 200, &[("content-length", "0"), ("content-type", "text/plain")], true),
        (range, 200, &[("content-length", "0"), ("content-encoding", "gzip")], true),
        (range, 200, &[("content-length", "9")], false),
        (range, 206, &[("content-range", "bytes */0"), ("content-length", "0")], true),
        (range, 206, &[("content-range", "bytes 0-0/0")], true),
        (range, 206, &[("content-range", "bytes 0--1/0"), ("content-length", "0")], true),
        (range, 206, &[("content-length", "0")], true),
        (range, 206, &[("content-range", "bytes 0-1023/4096"), ("content-length", "0")], false),
        (RequestedBytes::Suffix(7), 416, &[("content-range", "bytes */0")], true),
        (RequestedBytes::Whole, 200, &[("content-length", "0")], true),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        for known in [None, Some(Bytes(4096).into())] {
            let got = head(status, &headers(lines), wanted, known, expected(AssetKind::Image));
            let is_empty =
                got.is_err_and(|mismatch| (mismatch.outcome, &*mismatch.detail) == (Outcome::WrongSize, EMPTY));
            assert_eq!(is_empty, empty, "{status} {lines:?}");
        }
    }
}

#[test]
fn a_rounded_size_is_compared_as_it_was_written() {
    let known: Option<Size> = Some("2.1 MB".parse().unwrap());
    for (said, outcome) in [
        ("2097152", Ok(())),
        ("2050000", Ok(())),
        ("2150000", Ok(())),
        ("2049999", Err(Outcome::WrongSize)),
        ("2150001", Err(Outcome::WrongSize)),
    ] {
        let got = head(StatusCode::OK, &headers(&[("content-length", said)]), RequestedBytes::Whole, known, None);
        assert_eq!(got.map(drop).map_err(|mismatch| mismatch.outcome), outcome, "{said}");
    }
}

#[test]
fn the_meaning_of_an_empty_answer_depends_on_the_server() {
    use Outcome::{ObjectNotFound, RouteNotFound, WrongSize};
    let page = headers(&[("content-type", "text/html; charset=utf-8")]);
    let not_found = |profile, is_head, headers: &HeaderMap| {
        bare_not_found(profile, is_head, headers).map(|mismatch| mismatch.outcome)
    };
    for (profile, is_head, expected) in [
        (Profile::Argus, true, Some(ObjectNotFound)),
        (Profile::Argus, false, None),
        (Profile::Colossus, true, Some(ObjectNotFound)),
        (Profile::Colossus, false, Some(ObjectNotFound)),
        (Profile::Http, true, None),
    ] {
        assert_eq!(not_found(profile, is_head, &HeaderMap::new()), expected, "{profile:?} {is_head}");
        assert_eq!(not_found(profile, is_head, &page), None, "{profile:?}: a proxy's page");
    }
    for (profile, cache, outcome) in [
        (Profile::Argus, CacheState::Unknown, RouteNotFound),
        (Profile::Argus, CacheState::Hit, WrongSize),
        (Profile::Colossus, CacheState::Unknown, RouteNotFound),
        (Profile::Http, CacheState::Unknown, WrongSize),
    ] {
        assert_eq!(empty(profile, cache).outcome, outcome, "{profile:?} {cache:?}");
    }
}

#[test]
fn every_other_status_has_its_outcome() {
    let no_object = br#"{"message":"Data object does not exist"}"#;
    let no_route = br#"{"type":"request_validation","message":"not found","errors":[]}"#;
    for (status, body, outcome) in [
        (404, Some(&no_object[..]), Outcome::ObjectNotFound),
        (404, Some(&no_route[..]), Outcome::RouteNotFound),
        (404, Some(&b"<html>"[..]), Outcome::Http4xx),
        (404, None, Outcome::Http4xx),
        (421, None, Outcome::Misdirected),
        (416, None, Outcome::RangeUnsatisfiable),
        (429, None, Outcome::RateLimited),
        (403, None, Outcome::Http4xx),
        (500, None, Outcome::Http5xx),
        (503, None, Outcome::Http5xx),
        (302, None, Outcome::Redirected),
        (304, None, Outcome::WrongStatus),
        (204, None, Outcome::WrongStatus),
        (101, None, Outcome::WrongStatus),
    ] {
        let mismatch = refused(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body);
        assert_eq!(mismatch.outcome, outcome, "{status}");
    }
    for (size, outcome) in
        [("0", Outcome::WrongSize), ("7", Outcome::RangeUnsatisfiable), ("", Outcome::RangeUnsatisfiable)]
    {
        let body = format!("<Error><Code>InvalidRange</Code><ActualObjectSize>{size}</ActualObjectSize></Error>");
        let mismatch = refused(StatusCode::RANGE_NOT_SATISFIABLE, &HeaderMap::new(), Some(body.as_bytes()));
        assert_eq!(mismatch.outcome, outcome, "{size}");
        assert_eq!(mismatch.detail.contains("7 bytes"), size == "7", "{}", mismatch.detail);
    }
    let busy = headers(&[("retry-after", "120")]);
    assert_eq!(refused(StatusCode::SERVICE_UNAVAILABLE, &busy, None).outcome, Outcome::RateLimited);
}
