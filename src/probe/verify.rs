//! Is the answer what was asked for? Status, range, size, type and coding are checked and never assumed.

use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, RETRY_AFTER, TRANSFER_ENCODING},
};
use serde::Deserialize;

use self::fields::{cut, number};
pub use self::{cache::cache_state, coding::AwsChunkedCheck, media::ExpectedType, retry::retry_after};
use super::requested_bytes::RequestedBytes;
use crate::model::{outcome::Outcome, sample::CacheState, size::Size, target::Profile, units::Bytes};

mod cache;
mod coding;
mod fields;
mod media;
mod retry;

/// What a response head promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedBody {
    /// Length of the wanted body. `None` when the head does not announce it.
    pub bytes: Option<u64>,
    /// Size of the whole asset, where the node states it.
    pub size: Option<Bytes>,
}

/// Why an answer is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The outcome of the transfer.
    pub outcome: Outcome,
    /// What differs, as text for people.
    pub detail: String,
}

/// Checks the response head and returns what it promises. A status other than 200 and 206 is a mismatch, too.
///
/// # Errors
/// The first mismatch, in the order status, length, encoding, type, range, size.
pub fn head(
    status: StatusCode,
    headers: &HeaderMap,
    wanted: RequestedBytes,
    known_size: Option<Size>,
    expected: Option<ExpectedType<'_>>,
) -> Result<ExpectedBody, Mismatch> {
    if status != StatusCode::OK && status != StatusCode::PARTIAL_CONTENT {
        return Err(refused(status, headers, None));
    }
    let length = content_length(headers)?;
    // This check is first, because the type of an empty answer means nothing.
    if is_empty(status, headers, length) {
        return mismatch(Outcome::WrongSize, EMPTY);
    }
    coding::check(headers)?;
    expected.map_or(Ok(()), |expected| expected.check(headers))?;
    let promise = match (wanted, status) {
        (RequestedBytes::Whole, StatusCode::OK) => ExpectedBody { bytes: length, size: length.map(Bytes) },
        (RequestedBytes::Whole, _) => return mismatch(Outcome::WrongStatus, "206 to a request without a range"),
        (_, StatusCode::OK) => return mismatch(Outcome::WrongRange, "200 to a range request: the node ignores ranges"),
        _ => range(headers, wanted)?,
    };
    match (promise.size, known_size) {
        (Some(said), Some(known)) if !known.admits(said) => Err(other_size(said, known)),
        _ => Ok(promise),
    }
}

/// The mismatch of an asset whose size differs from the known size.
#[must_use]
pub fn other_size(said: Bytes, known: Size) -> Mismatch {
    let detail = match known.exact() {
        Some(known) => format!("the node says {} bytes, but the known size is {}", said.0, known.0),
        None => format!("the node says {} bytes, but the stated size means {known}", said.0),
    };
    Mismatch { outcome: Outcome::WrongSize, detail }
}

/// The outcome of a status other than 200 and 206. `body` is the beginning of the error's body, if there is one.
#[must_use]
pub fn refused(status: StatusCode, headers: &HeaderMap, body: Option<&[u8]>) -> Mismatch {
    let size = total(headers).or_else(|| body.and_then(stored_size));
    let outcome = match status.as_u16() {
        301 | 302 | 303 | 307 | 308 => Outcome::Redirected,
        404 => not_found(body),
        416 if size == Some(0) => return Mismatch { outcome: Outcome::WrongSize, detail: EMPTY.to_owned() },
        416 => Outcome::RangeUnsatisfiable,
        421 => Outcome::Misdirected,
        429 => Outcome::RateLimited,
        503 if headers.contains_key(RETRY_AFTER) => Outcome::RateLimited,
        400..=499 => Outcome::Http4xx,
        500..=599 => Outcome::Http5xx,
        _ => Outcome::WrongStatus,
    };
    let said = match outcome {
        Outcome::Redirected => text(headers, &http::header::LOCATION).map(|to| format!(": to {to}")),
        Outcome::RangeUnsatisfiable => size.map(|size| format!(": the object has {size} bytes")),
        _ => body.and_then(message).map(|message| format!(": {message}")),
    };
    Mismatch { outcome, detail: format!("status {}{}", status.as_u16(), said.unwrap_or_default()) }
}

/// The meaning of a 404 without an explaining body, by kind of server. Argus sends no body in its answer to HEAD, and
/// Colossus sends none for unknown objects. An HTML page is from a proxy and gives `None`.
#[must_use]
pub fn bare_not_found(profile: Profile, is_head: bool, headers: &HeaderMap) -> Option<Mismatch> {
    let is_page = text(headers, &CONTENT_TYPE).is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"));
    let is_meant = match profile {
        Profile::Argus => is_head,
        Profile::Colossus => true,
        Profile::Http => false,
    };
    let detail = "status 404: the node does not know the object".to_owned();
    (is_meant && !is_page).then_some(Mismatch { outcome: Outcome::ObjectNotFound, detail })
}

/// The meaning of an empty answer. Joystream nodes have no empty objects, and Argus reports its cache state. When the
/// answer reports no cache state, a proxy has answered instead of the node.
#[must_use]
pub fn empty(profile: Profile, cache: CacheState) -> Mismatch {
    let (outcome, detail) = match (profile, cache) {
        (Profile::Argus | Profile::Colossus, CacheState::Unknown) => {
            (Outcome::RouteNotFound, "an empty answer: the path of the endpoint is probably wrong".to_owned())
        }
        (Profile::Http, _) => {
            (Outcome::WrongSize, format!("{EMPTY}, or its path is wrong: some proxies respond like this"))
        }
        _ => (Outcome::WrongSize, EMPTY.to_owned()),
    };
    Mismatch { outcome, detail }
}

/// A header as text, cut to a length that a field can hold. `None` when absent or not printable ASCII.
#[must_use]
pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(&value[..value.len().min(MAX_HEADER_TEXT)])
}

/// Argus answers 404 with JSON: with a `type` for an unknown route, without one for an unknown object.
fn not_found(body: Option<&[u8]>) -> Outcome {
    #[derive(Deserialize)]
    struct ArgusError {
        r#type: Option<String>,
        #[serde(rename = "message")]
        _message: String,
    }
    match body.map(serde_json::from_slice::<ArgusError>) {
        Some(Ok(ArgusError { r#type: Some(_), .. })) => Outcome::RouteNotFound,
        Some(Ok(ArgusError { r#type: None, .. })) => Outcome::ObjectNotFound,
        _ => Outcome::Http4xx,
    }
}

/// The `message` of a JSON error.
fn message(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(value.get("message")?.as_str()?.chars().take(MAX_HEADER_TEXT).collect())
}

/// The size of the object in an S3 error (`InvalidRange`), which has no Content-Range.
fn stored_size(body: &[u8]) -> Option<u64> {
    let (_, rest) = str::from_utf8(body).ok()?.split_once("<ActualObjectSize>")?;
    let (size, _) = rest.split_once("</ActualObjectSize>")?;
    number(size.trim()).filter(|_| !size.trim().is_empty())
}

/// Content-Length. When no body follows (HEAD), hyper has not checked it. Repeated values, in a list or in several
/// lines, must be the same (RFC 9110 §8.6). Next to Transfer-Encoding it means nothing (RFC 9112 §6.3).
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Mismatch> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return Ok(None);
    }
    let mut length = None;
    for line in headers.get_all(&CONTENT_LENGTH) {
        let line = String::from_utf8_lossy(line.as_bytes());
        for said in line.split(',') {
            match number(said.trim()) {
                Some(said) if length.is_none_or(|before| before == said) => length = Some(said),
                Some(_) => return mismatch(Outcome::HeadersInvalid, "two different values of content-length"),
                None => return mismatch(Outcome::HeadersInvalid, format!("content-length `{}`", cut(&line))),
            }
        }
    }
    Ok(length)
}

/// Does the answer say that the object is empty? No range fits an empty object, so servers say it in several ways:
/// with 416, with a 200 or 206 of length 0, or with a total of 0.
fn is_empty(status: StatusCode, headers: &HeaderMap, length: Option<u64>) -> bool {
    let is_whole = status == StatusCode::OK || !headers.contains_key(CONTENT_RANGE);
    total(headers) == Some(0) || (length == Some(0) && is_whole)
}

/// The size of the whole object in Content-Range. The range itself may be unreadable: `bytes */0`, `bytes 0--1/0`.
fn total(headers: &HeaderMap) -> Option<u64> {
    let (unit, range) = text(headers, &CONTENT_RANGE)?.trim().split_once(' ')?;
    let (_, total) = range.rsplit_once('/')?;
    number(total.trim()).filter(|_| unit.eq_ignore_ascii_case("bytes") && !total.trim().is_empty())
}

/// Content-Range (RFC 9110 §14.4) must be the requested range, possibly clipped at the size.
fn range(headers: &HeaderMap, wanted: RequestedBytes) -> Result<ExpectedBody, Mismatch> {
    let said = text(headers, &CONTENT_RANGE).unwrap_or("(none)");
    let wrong = || {
        mismatch(Outcome::WrongRange, format!("content-range `{said}` to `{}`", wanted.header().unwrap_or_default()))
    };
    let mut lines = headers.get_all(&CONTENT_RANGE).iter();
    if lines.next().is_some_and(|first| lines.any(|further| further != first)) {
        return mismatch(Outcome::WrongRange, "two different values of content-range");
    }
    let Some((first, last, size)) = parse_content_range(said) else { return wrong() };
    let clipped_at = size.map_or(u64::MAX, |size| size.saturating_sub(1));
    let asked = match (wanted, size) {
        (RequestedBytes::Range { first, last }, _) => (first, last.min(clipped_at)),
        (RequestedBytes::Suffix(bytes), Some(size)) => (size.saturating_sub(bytes), clipped_at),
        (RequestedBytes::Suffix(_) | RequestedBytes::Whole, _) => return wrong(),
    };
    if (first, last) != asked {
        return wrong();
    }
    Ok(ExpectedBody { bytes: Some(last - first + 1), size: size.map(Bytes) })
}

/// Parses `bytes FIRST-LAST/SIZE`, with `*` for an unknown size. `None` when malformed or inconsistent. The unit is
/// case-insensitive (RFC 9110 §14.1).
fn parse_content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (unit, range) = text.split_once(' ')?;
    let (range, size) = range.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first.trim())?, number(last.trim())?);
    let size = match size.trim() {
        "*" => None,
        size => Some(number(size)?),
    };
    let consistent = first <= last && last < u64::MAX && size.is_none_or(|size| last < size);
    (consistent && unit.eq_ignore_ascii_case("bytes")).then_some((first, last, size))
}

fn mismatch<T>(outcome: Outcome, detail: impl Into<String>) -> Result<T, Mismatch> {
    Err(Mismatch { outcome, detail: detail.into() })
}

/// The detail of an asset without content, in whichever way the node reports it.
pub const EMPTY: &str = "the object is empty";
/// Characters of a header text that are kept. Longer texts are cut.
const MAX_HEADER_TEXT: usize = 200;

#[cfg(test)]
mod tests;
