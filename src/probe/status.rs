//! One node of a status round: its status document, or the head of its first asset where it has none.
//!
//! This is no transfer: no sample comes of it, and its latency, which measures the node's back end, is in no histogram.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use tokio::time::Instant;
use url::Url;

use crate::{
    model::{
        availability::{Answer, Said, Shape},
        outcome::Outcome,
        phase::Phase,
        probe::StatusProbe,
        target::{Node, Profile},
        text::made_printable,
    },
    net::{
        failure::{Cause, Failure},
        http::{Appetite, Connection, End, Received},
        meter::Meter,
        timing::Timing,
    },
};

use super::{Prober, classify, identity::Ids};

use self::document::{report, shape};

mod document;

/// One question under way.
struct Question<'a> {
    node: &'a Node,
    url: Url,
    method: Method,
    probe: &'a StatusProbe,
    prober: &'a Prober,
    timing: Timing,
    /// Of the final response.
    status: Option<u16>,
}

/// Asks a node how it fares. Never fails: whatever happens is an answer.
pub async fn ask(node: &Node, probe: &StatusProbe, prober: &Prober) -> Answer {
    let at = Timestamp::now();
    let (method, url) = match node.listing.profile {
        Profile::Argus | Profile::Colossus => (Method::GET, node.status_url()),
        Profile::Http => (Method::HEAD, node.assets.first().map_or_else(|| node.status_url(), |a| node.asset_url(a))),
    };
    let clock = prober.dialer.clock();
    let _watching = clock.watch();
    let timing = Timing::start(Instant::now());
    let mut question = Question { node, url, method, probe, prober, timing, status: None };
    let put = question.put().await;
    let away = clock.away_since(timing.t0());
    let (latency, said) = match put {
        // What a node said holds; the time that it took does not when part of it was ours.
        Ok((ended, said)) => (Some(question.timing.offset(ended)).filter(|_| away.is_zero()), said),
        Err(failure) => match classify::outcome(&failure) {
            outcome if outcome == Outcome::Blocked || away.is_zero() => {
                (None, Said::Nothing { outcome, error: made_printable(&failure.to_string()) })
            }
            _ => (None, Said::Frozen(away.into())),
        },
    };
    Answer { at, latency, status: question.status, said }
}

impl Question<'_> {
    /// What is said, and when its last byte came.
    async fn put(&mut self) -> Result<(Instant, Said), Failure> {
        let deadlines = &self.probe.deadlines;
        let mut connection = self.open().await?;
        let mut request = connection.request(self.method.clone(), &self.url);
        let ids = Ids::draw(&mut rand::rng());
        tracing::debug!(node = %self.node.id, probe = %self.probe.name, trace_id = ids.trace_id, "asking");
        ids.put_on(request.headers_mut(), &self.prober.agent);
        let mut answer = connection.ask(request, deadlines, &mut self.timing).await?;
        let status = answer.head.status;
        self.status = Some(status.as_u16());
        if self.method == Method::HEAD {
            let is_there = status.as_u16() < StatusCode::BAD_REQUEST.as_u16();
            let said = if is_there { Said::Present } else { Said::Other(Shape::Unknown) };
            return Ok((self.timing.last(), said));
        }
        let (mut body, mut last) = (Vec::new(), self.timing.last());
        // One byte more shows that it is too long.
        let appetite = Appetite { bytes: MAX_DOCUMENT + 1, body: deadlines.body, stall: deadlines.stall };
        let keep = |chunk: &[u8], stamp, _| {
            body.extend_from_slice(chunk);
            last = stamp;
        };
        let received = connection.receive(&mut answer, appetite, keep).await;
        Ok((last, read(status, &answer.head.headers, received, &body, deadlines.body)?))
    }

    async fn open(&mut self) -> Result<Connection, Failure> {
        let (dialer, deadlines) = (&self.prober.dialer, &self.probe.deadlines);
        let from_stranger = self.node.listing.origin.is_stranger();
        let address = dialer.look_up(&self.url, from_stranger, deadlines.dns, &mut self.timing).await?;
        let line = dialer.open(&self.url, address, deadlines, Meter::new(), &mut self.timing).await?;
        let clock = dialer.clock();
        clock
            .within(self.timing.last(), deadlines.headers, Connection::start(line))
            .await
            .unwrap_or_else(|| Err(Cause::Deadline(deadlines.headers).during(Phase::Send)))
    }
}

/// What an answer with a body says. Only the document itself has to be whole.
fn read(
    status: StatusCode,
    headers: &HeaderMap,
    received: Received,
    body: &[u8],
    deadline: Duration,
) -> Result<Said, Failure> {
    let document = (status == StatusCode::OK).then_some(received.end);
    match document {
        Some(End::Failed(failure)) => Err(failure),
        Some(End::Partial) => Err(Cause::Deadline(deadline).during(Phase::Receive)),
        Some(End::Finished) if let Some(report) = report(body) => Ok(Said::Report(Box::new(report))),
        Some(End::Finished | End::Enough) | None => Ok(Said::Other(shape(status, headers, body))),
    }
}

/// The longest status document that is read, in bytes; real ones have some 400.
const MAX_DOCUMENT: u64 = 64 << 10;
