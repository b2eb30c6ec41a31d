//! The status check of one node: a request for its status document or, where it has none, for the head of its first
//! asset ([`web_server`]).
//!
//! A status check makes no sample. Its latency measures the back end of the node and goes into no histogram.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header::RANGE};
use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};
use url::Url;

use crate::{
    model::{
        health::{AnswerContent, StatusAnswer},
        outcome::Outcome,
        phase::Phase,
        probe::StatusProbe,
        target::{Node, Profile},
        text::made_printable,
    },
    net::{
        body::{BodyEnd, BodyLimit, ReceivedBody},
        failure::{Cause, Failure},
        meter::Meter,
        resolve::{LookupError, Reservation},
        timing::Timing,
    },
};

use super::{Prober, classify, connection::Opening, identity::RequestIds};

use self::document::{other_content, parse};

mod document;
pub mod web_server;

/// The inputs of a question to one node.
struct StatusCheck<'a> {
    node: &'a Node,
    url: Url,
    probe: &'a StatusProbe,
    prober: &'a Prober,
}

/// What is asked for.
#[derive(Clone, Copy)]
enum CheckMethod<'a> {
    /// The status document.
    Document,
    /// Whether an asset exists, by HEAD. The `Notify` is triggered when the connection is ready for the request.
    Head(&'a Notify),
    /// Whether an asset exists, by GET of its first byte, for servers that do not answer HEAD.
    FirstByte,
}

/// One exchange under way.
struct CheckProgress {
    timing: Timing,
    /// Status code of the final response.
    status: Option<u16>,
}

/// Asks a node for its status. This never fails: a failure is also an answer.
pub async fn ask(node: &Node, probe: &StatusProbe, prober: &Prober) -> StatusAnswer {
    match node.listing.profile {
        Profile::Argus | Profile::Colossus => {
            StatusCheck { node, url: node.status_url(), probe, prober }.put(CheckMethod::Document).await
        }
        Profile::Http => {
            let url = node.assets.first().map_or_else(|| node.status_url(), |asset| node.asset_url(asset));
            web_server::ask(&StatusCheck { node, url, probe, prober }).await
        }
    }
}

impl StatusCheck<'_> {
    async fn put(&self, asked: CheckMethod<'_>) -> StatusAnswer {
        let (dialer, limit, began) = (&self.prober.dialer, self.probe.deadlines.total(), Instant::now());
        let clock = dialer.clock();
        let _watching = clock.watch();
        let reserve = dialer.reserve_in_round(&self.url, self.probe.deadlines.dns, limit);
        let reserved = clock.within(began, limit, reserve).await.unwrap_or_else(Reservation::no_thread);
        let at = Timestamp::now();
        let mut exchange = CheckProgress { timing: Timing::start(Instant::now()), status: None };
        // The phases have their own deadlines. This one can only pass if the wait for a thread took part of it: the
        // wait must not make the round longer.
        let put = clock.within(began, limit, self.exchange(asked, reserved, &mut exchange)).await;
        let put = put.unwrap_or_else(|| Err(Cause::Lookup(LookupError::no_thread()).during(Phase::Dns)));
        let away = clock.away_since(exchange.timing.t0());
        let (latency, content) = match put {
            // An answer stays valid after a freeze of this process, but its latency does not.
            Ok((ended, content)) => (Some(exchange.timing.offset(ended)).filter(|_| away.is_zero()), content),
            Err(failure) => match classify::outcome(&failure) {
                outcome if outcome == Outcome::Blocked || away.is_zero() => {
                    (None, AnswerContent::Nothing { outcome, error: made_printable(&failure.to_string()) })
                }
                _ => (None, AnswerContent::Frozen(away.into())),
            },
        };
        StatusAnswer { at, latency, status: exchange.status, content, head_refusal: None }
    }

    /// Returns the content of the answer, and when the last byte of it arrived.
    async fn exchange(
        &self,
        asked: CheckMethod<'_>,
        reserved: Reservation,
        exchange: &mut CheckProgress,
    ) -> Result<(Instant, AnswerContent), Failure> {
        let deadlines = &self.probe.deadlines;
        let mut connection = self.opening().open(reserved, Meter::new(), &mut exchange.timing, |_| {}).await?;
        let method = if matches!(asked, CheckMethod::Head(_)) { Method::HEAD } else { Method::GET };
        let mut request = connection.request(method, &self.url);
        if matches!(asked, CheckMethod::FirstByte) {
            request.headers_mut().insert(RANGE, HeaderValue::from_static("bytes=0-0"));
        }
        let ids = RequestIds::draw(&mut rand::rng());
        tracing::debug!(node = %self.node.id, probe = %self.probe.name, trace_id = ids.trace_id, "asking");
        ids.put_on(request.headers_mut(), &self.prober.agent);
        if let CheckMethod::Head(opened) = asked {
            opened.notify_one();
        }
        let mut answer = connection.send(request, deadlines, &mut exchange.timing).await?;
        let (status, timing) = (answer.head.status, &exchange.timing);
        exchange.status = Some(status.as_u16());
        if matches!(asked, CheckMethod::Head(_)) {
            return Ok((timing.last(), web_server::of_head(status, &answer.head.headers)));
        }
        let is_byte = matches!(asked, CheckMethod::FirstByte) && web_server::is_there(status);
        let (mut body, mut last) = (Vec::new(), timing.last());
        // One more byte shows that a document is too long.
        let bytes = if is_byte { 1 } else { MAX_DOCUMENT + 1 };
        let limit = BodyLimit { bytes, body: deadlines.body, stall: deadlines.stall };
        let keep = |chunk: &[u8], stamp, _| {
            body.extend_from_slice(chunk);
            last = stamp;
        };
        let received = connection.receive(&mut answer, limit, keep).await;
        if is_byte {
            return Ok((last, web_server::of_byte(status, received)?));
        }
        Ok((last, read(status, &answer.head.headers, received, &body, deadlines.body)?))
    }

    const fn opening(&self) -> Opening<'_> {
        let Self { node, url, probe, prober } = self;
        Opening { dialer: &prober.dialer, node, url, deadlines: &probe.deadlines }
    }
}

/// Interprets an answer with a body. Only a status document has to be complete.
fn read(
    status: StatusCode,
    headers: &HeaderMap,
    received: ReceivedBody,
    body: &[u8],
    deadline: Duration,
) -> Result<AnswerContent, Failure> {
    let document = (status == StatusCode::OK).then_some(received.end);
    match document {
        Some(BodyEnd::Failed(failure)) => Err(failure),
        Some(BodyEnd::Partial) => Err(Cause::Deadline(deadline).during(Phase::Receive)),
        Some(BodyEnd::Finished) if let Some(document) = parse(body) => Ok(AnswerContent::Document(Box::new(document))),
        Some(BodyEnd::Finished | BodyEnd::Enough) | None => {
            Ok(AnswerContent::Other(other_content(status, headers, body)))
        }
    }
}

/// The longest status document that is read, in bytes. Real ones have about 400.
const MAX_DOCUMENT: u64 = 64 << 10;
