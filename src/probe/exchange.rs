//! The steps of one exchange, from opening the connection to the last body byte wanted.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use http::{
    HeaderValue, Method, StatusCode,
    header::{CONTENT_RANGE, RANGE},
};
use tokio::time::Instant;

use crate::{
    model::{flag::Flag, multihash, outcome::Outcome, phase::Phase, probe::PartName, size::Size, units::Bytes},
    net::{
        body::{BodyEnd, BodyLimit, ReceivedBody},
        http::{Connection, UnreadResponse},
        meter::{Meter, thread::ThreadClock},
        resolve::Reservation,
    },
};

use super::{
    Prober, classify,
    facts::Facts,
    request::{TransferFailure, TransferRequest},
    requested_bytes::RequestedBytes,
    verify::{self, AwsChunkedCheck, ExpectedBody, Mismatch},
};

/// The connection that carries the exchange.
pub(super) enum ConnectionSource {
    /// The connection of the previous exchange.
    Kept(Box<Connection>),
    /// A new one. Looking up its name needs the reservation.
    New(Reservation),
}

/// Runs the exchange and stores its results in `facts`. Returns the connection for the next exchange, already closed
/// when it cannot be used again. After a check it returns `None`, because a part never uses the connection of a check.
pub(super) async fn exchange(
    request: &TransferRequest<'_>,
    prober: &Prober,
    way: ConnectionSource,
    meter: Arc<Meter>,
    facts: &mut Facts,
) -> Result<Option<Connection>, TransferFailure> {
    let mut connection = match way {
        ConnectionSource::Kept(connection) => *connection,
        ConnectionSource::New(reserved) => {
            let Facts { timing, remote, .. } = &mut *facts;
            request.opening(prober).open(reserved, meter, timing, |address| *remote = Some(address)).await?
        }
    };
    facts.record_connection(connection.info());
    let ended = transact(request, prober, &mut connection, facts).await;
    let ended = ended.map_err(|failed| match failed.detail == verify::EMPTY {
        true => verify::empty(request.node.listing.profile, facts.cache()).into(),
        false => failed,
    });
    facts.read_kernel_counters(connection.info(), connection.meter());
    facts.check_overshoot(request.wanted).and(ended)?;
    if stopped_early(facts) {
        connection.close();
    }
    Ok((request.part != PartName::Check).then_some(connection))
}

/// Sends the request, checks the response head, reads the body.
async fn transact(
    request: &TransferRequest<'_>,
    prober: &Prober,
    connection: &mut Connection,
    facts: &mut Facts,
) -> Result<(), TransferFailure> {
    let is_check = request.part == PartName::Check;
    let method = if is_check { Method::HEAD } else { Method::GET };
    let mut http_request = connection.request(method, request.url);
    facts.ids.put_on(http_request.headers_mut(), &prober.agent);
    if let Some(range) = request.wanted.header() {
        let range = HeaderValue::try_from(range).expect("invariant: digits and dashes");
        http_request.headers_mut().insert(RANGE, range);
    }
    let answered = connection.send(http_request, request.deadlines, &mut facts.timing).await;
    facts.has_response_bytes = connection.has_response_bytes();
    let mut answer = answered?;
    facts.record_head(&answer.head, request.checked);

    let promise = match accept(request, &answer) {
        Ok(promise) => promise,
        Err(mismatch) => return Err(explain(request, connection, &mut answer, mismatch, facts).await),
    };
    facts.size = promise.size.map(Size::from).or(facts.size);
    if is_check {
        facts.end_receive(None);
        return Ok(());
    }
    let body = download(request, connection, &mut answer, promise, facts).await;
    let data = connection.data();
    complete(request, promise, body.received, data, facts)?;
    body.signed.map_or(Ok(()), |signed| signed.finish())?;
    if let Some(content) = body.content.filter(|_| !facts.flags.contains(Flag::Partial)) {
        verify_hash(request, &content)?;
    }
    // Nothing is measured from here on.
    if !stopped_early(facts) {
        let surplus = connection.drain(answer).await;
        note_surplus(surplus, request, facts);
    }
    Ok(())
}

/// Counts bytes that were not asked for. They cost the node as much as the others.
fn note_surplus(surplus: u64, request: &TransferRequest<'_>, facts: &mut Facts) {
    request.received.fetch_add(surplus, Relaxed);
    if surplus > 0 {
        facts.flags.raise(Flag::Overshoot);
    }
}

/// Did reading stop before the end of the body?
fn stopped_early(facts: &Facts) -> bool {
    facts.flags.contains(Flag::Partial) || facts.flags.contains(Flag::Overshoot)
}

fn accept(request: &TransferRequest<'_>, answer: &UnreadResponse) -> Result<ExpectedBody, Mismatch> {
    let head = &answer.head;
    let promise = verify::head(head.status, &head.headers, request.wanted, request.size, request.expected_type())?;
    let whole =
        promise.bytes.or(request.size.map(|size| size.least().0)).filter(|_| request.wanted == RequestedBytes::Whole);
    if whole.is_none_or(|bytes| bytes <= request.limit) {
        return Ok(promise);
    }
    let unsized_hint = if request.asset.size.is_none() { " of an asset of unknown size" } else { "" };
    let detail =
        format!("the asset is larger than the {} that bandprobe downloads whole{unsized_hint}", Bytes(request.limit));
    Err(Mismatch { outcome: Outcome::WrongSize, detail })
}

/// Finds the outcome of a wrong answer. The beginning of an error's body distinguishes an unknown object from an
/// unknown route.
async fn explain(
    request: &TransferRequest<'_>,
    connection: &mut Connection,
    answer: &mut UnreadResponse,
    mismatch: Mismatch,
    facts: &mut Facts,
) -> TransferFailure {
    let status = answer.head.status;
    let is_check = request.part == PartName::Check;
    let mut body = Vec::new();
    if !is_check && (status.is_client_error() || status.is_server_error()) {
        let limit = BodyLimit { bytes: MAX_ERROR_BODY, body: ERROR_BODY_DEADLINE, stall: ERROR_BODY_DEADLINE };
        let received = connection.receive(answer, limit, |chunk, _, _| body.extend_from_slice(chunk)).await;
        request.received.fetch_add(received.bytes + received.surplus, Relaxed);
    }
    let names_no_range = status == StatusCode::OK || !answer.head.headers.contains_key(CONTENT_RANGE);
    let is_empty = mismatch.outcome == Outcome::WrongRange
        && names_no_range
        && answer.announced().is_none_or(|bytes| bytes == 0)
        && has_no_body(connection, answer, request).await;
    facts.timing.end(Phase::Receive, Instant::now());
    if is_empty {
        return TransferFailure::wrong(Outcome::WrongSize, verify::EMPTY.to_owned());
    }
    if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
        return mismatch.into();
    }
    let bare = || verify::bare_not_found(request.node.listing.profile, is_check, &answer.head.headers);
    if let Some(mismatch) = (status == StatusCode::NOT_FOUND && body.is_empty()).then(bare).flatten() {
        return mismatch.into();
    }
    let body = Some(&body).filter(|body| !body.is_empty()).map(Vec::as_slice);
    let mut failed = TransferFailure::from(verify::refused(status, &answer.head.headers, body));
    // nginx completes the handshake without a client certificate, and then answers 400.
    if connection.info().wants_client_certificate && status.is_client_error() {
        failed.detail.push_str("; the node asked for a client certificate, and bandprobe has none");
    }
    failed
}

/// Is a body of unannounced length empty? A server that ignores the range of an empty object answers with such a 200.
async fn has_no_body(connection: &mut Connection, answer: &mut UnreadResponse, request: &TransferRequest<'_>) -> bool {
    let limit = BodyLimit { bytes: 1, body: ERROR_BODY_DEADLINE, stall: ERROR_BODY_DEADLINE };
    let received = connection.receive(answer, limit, |_, _, _| {}).await;
    request.received.fetch_add(received.bytes + received.surplus, Relaxed);
    matches!(received.end, BodyEnd::Finished) && received.bytes == 0
}

struct DownloadedBody {
    received: ReceivedBody,
    /// The body. Kept only when there is a hash to compare it with.
    content: Option<Vec<u8>>,
    /// The check for `aws-chunked`. Present only when the head says that the body may have this coding.
    signed: Option<AwsChunkedCheck>,
}

async fn download(
    request: &TransferRequest<'_>,
    connection: &mut Connection,
    answer: &mut UnreadResponse,
    promise: ExpectedBody,
    facts: &mut Facts,
) -> DownloadedBody {
    let stated = facts.size.filter(|_| request.wanted == RequestedBytes::Whole).and_then(Size::exact);
    let known = promise.bytes.or(stated.map(|size| size.0));
    // One byte beyond the limit shows that a body of unknown length is too long.
    let bytes = known.unwrap_or_else(|| request.limit.saturating_add(1));
    let limit = BodyLimit { bytes, body: request.deadlines.body, stall: request.deadlines.stall };
    let has_hash = request.wanted == RequestedBytes::Whole && request.asset.hash.is_some();
    let mut content = has_hash.then(Vec::new);
    let mut signed = request.wanted.first().and_then(|first| AwsChunkedCheck::watch(&answer.head.headers, first));
    let timing = facts.timing;
    if answer.announced().is_some_and(|all| all > bytes) {
        facts.flags.raise(Flag::Overshoot);
    }
    let clock = ThreadClock::read();
    let (received, timeline) = connection
        .receive_timed(answer, limit, timing, |chunk| {
            request.received.fetch_add(chunk.len() as u64, Relaxed);
            if let Some(content) = &mut content {
                content.extend_from_slice(chunk);
            }
            if let Some(signed) = &mut signed {
                signed.take(chunk);
            }
        })
        .await;
    facts.set_reader_stats(clock.since());
    match received.end {
        BodyEnd::Failed(_) => {}
        // The deadline cut the body off. The silence after the last byte is part of the transfer.
        BodyEnd::Partial => facts.end_receive(Some(timing.offset(Instant::now()))),
        BodyEnd::Enough | BodyEnd::Finished => facts.end_receive(timeline.last().map(|point| point.at)),
    }
    facts.timeline = Some(timeline);
    facts.bytes = Some(received.bytes);
    facts.expected = known;
    note_surplus(received.surplus, request, facts);
    DownloadedBody { received, content, signed }
}

/// Does the body have the expected length? `data` counts the bytes of its DATA frames: when the length of an HTTP/2
/// body differs from the announced one, the library does not hand over the last frame.
fn complete(
    request: &TransferRequest<'_>,
    promise: ExpectedBody,
    received: ReceivedBody,
    data: u64,
    facts: &mut Facts,
) -> Result<(), TransferFailure> {
    let wrong = |outcome, detail| Err(TransferFailure::wrong(outcome, detail));
    let expected = facts.expected;
    match received.end {
        BodyEnd::Failed(failure)
            if classify::ended_short(&failure) && expected.is_some_and(|all| received.bytes.max(data) < all) =>
        {
            Err(TransferFailure { outcome: Outcome::Truncated, broke_off: true, ..TransferFailure::from(failure) })
        }
        BodyEnd::Failed(failure) => Err(failure.into()),
        BodyEnd::Partial => {
            facts.flags.raise(Flag::Partial);
            Ok(())
        }
        BodyEnd::Finished if expected.is_some_and(|expected| received.bytes < expected) => {
            let detail = format!("the body ended after {} of {} bytes", received.bytes, expected.unwrap_or_default());
            Err(TransferFailure {
                phase: Some(Phase::Receive),
                broke_off: true,
                ..TransferFailure::wrong(Outcome::Truncated, detail)
            })
        }
        BodyEnd::Finished if received.bytes == 0 => wrong(Outcome::WrongSize, verify::EMPTY.to_owned()),
        BodyEnd::Finished if request.wanted == RequestedBytes::Whole && promise.bytes.is_none() => {
            let all = Bytes(received.bytes);
            facts.size = Some(all.into());
            request
                .size
                .filter(|known| !known.admits(all))
                .map_or(Ok(()), |known| Err(verify::other_size(all, known).into()))
        }
        BodyEnd::Finished => Ok(()),
        BodyEnd::Enough if received.bytes > request.limit && expected.is_none() => {
            wrong(Outcome::WrongSize, format!("the body goes on beyond {}", Bytes(request.limit)))
        }
        BodyEnd::Enough => Ok(()),
    }
}

/// Compares the content with its registered hash.
fn verify_hash(request: &TransferRequest<'_>, content: &[u8]) -> Result<(), TransferFailure> {
    let Some(registered) = &request.asset.hash else { return Ok(()) };
    let computed = multihash::of(content);
    if computed == **registered {
        return Ok(());
    }
    let detail = format!("the content has hash {computed}, but {registered} is registered");
    Err(TransferFailure::wrong(Outcome::WrongHash, detail))
}

/// The most bytes of an error's body that are read.
const MAX_ERROR_BODY: u64 = 64 << 10;
const ERROR_BODY_DEADLINE: Duration = Duration::from_secs(2);
