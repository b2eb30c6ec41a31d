//! One HTTP exchange: a request, the head of the final response, and as much of the body as the caller wants.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Version, header::HOST, response::Parts};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, sleep_until};
use url::Url;

use crate::{
    measure::timeline::Timeline,
    model::{phase::Phase, probe::Deadlines, sample::HttpVersion},
};

use super::{
    body::{BodyArrivals, BodyDeadlines, BodyEnd, BodyLimit, ReceivedBody},
    boundary::{Boundaries, BoundaryStream},
    dial::{ConnectionInfo, OpenConnection},
    drive::Protocol,
    failure::{self, Cause, Failure},
    meter::Meter,
    run_clock::RunClock,
    tcp_info::KernelCounters,
    timing::Timing,
};

/// An HTTP connection that carries one exchange at a time.
pub struct Connection {
    protocol: Protocol,
    meter: Arc<Meter>,
    boundaries: Arc<Boundaries>,
    info: ConnectionInfo,
    clock: RunClock,
}

/// A response whose body has not been read.
#[derive(Debug)]
pub struct UnreadResponse {
    /// Status and headers.
    pub head: Parts,
    body: Incoming,
}

impl UnreadResponse {
    /// The body length that the head announces. `None` when it announces none.
    #[must_use]
    pub fn announced(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }
}

impl Connection {
    /// Starts HTTP on an open connection.
    ///
    /// # Errors
    /// When the connection fails during the HTTP/2 handshake.
    pub async fn start(open: OpenConnection) -> Result<Self, Failure> {
        let boundaries = Arc::new(Boundaries::default());
        let http2 = open.info.http == HttpVersion::Http2;
        let watched = BoundaryStream::new(open.stream, open.meter.clone(), boundaries.clone(), http2);
        let protocol =
            Protocol::start(watched, open.info.http).await.map_err(|error| Cause::Http(error).during(Phase::Send))?;
        Ok(Self { protocol, meter: open.meter, boundaries, info: open.info, clock: open.clock })
    }

    /// The facts about the connection: addresses, versions, certificate.
    #[must_use]
    pub const fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// The meter on its socket.
    #[must_use]
    pub const fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// A request without body for this connection: origin form and `host` header for HTTP/1.1, absolute form for
    /// HTTP/2.
    #[must_use]
    pub fn request(&self, method: Method, url: &Url) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = method;
        let parsed = match self.info.http {
            HttpVersion::Http1 => url[url::Position::BeforePath..url::Position::AfterQuery].parse(),
            HttpVersion::Http2 => url[..url::Position::AfterQuery].parse(),
        };
        *request.uri_mut() = parsed.expect("invariant: a URL without fragment is a URI");
        if self.info.http == HttpVersion::Http1 {
            let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
            let host = HeaderValue::from_str(authority).expect("invariant: a URL's host is ASCII");
            request.headers_mut().insert(HOST, host);
        } else {
            *request.version_mut() = Version::HTTP_2;
        }
        request
    }

    /// Whether the connection can carry another exchange. Polls the socket once, so that a close by the peer is
    /// noticed.
    pub async fn is_reusable(&mut self) -> bool {
        poll_fn(|cx| {
            self.turn(cx);
            Poll::Ready(self.protocol.is_ready())
        })
        .await
    }

    /// Closes the connection at once, even during an exchange. Afterwards it is not reusable.
    pub fn close(&mut self) {
        self.protocol.close();
        self.info.kernel = KernelCounters::default();
    }

    /// Whether any byte of a response to the current request has arrived, interim responses included.
    #[must_use]
    pub fn has_response_bytes(&self) -> bool {
        self.boundaries.has_response_bytes()
    }

    /// Bytes of the current body that have arrived in HTTP/2 DATA frames. Includes those that HTTP/2 withholds because
    /// the total is not the announced length. Zero in HTTP/1.1, which withholds nothing.
    #[must_use]
    pub fn data(&self) -> u64 {
        self.boundaries.data()
    }

    /// Sends a request and awaits the head of the final response. Ends the phases `send` and `wait`.
    ///
    /// # Errors
    /// The phase that failed. If that is `wait`, the phase `send` has ended.
    pub async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        deadlines: &Deadlines,
        timing: &mut Timing,
    ) -> Result<UnreadResponse, Failure> {
        self.boundaries.arm();
        let (clock, began) = (self.clock.clone(), timing.last());
        let mut answering = self.protocol.send(request);
        let asking = poll_fn(|cx| {
            loop {
                let again = self.turn(cx);
                if let Poll::Ready(answered) = answering.as_mut().poll(cx) {
                    return Poll::Ready(answered);
                }
                // Check the deadline in the loop: a peer that never pauses would keep the timer from being polled.
                if !again || clock.is_over(began, deadlines.headers) {
                    return Poll::Pending;
                }
            }
        });
        let answered = clock.within(began, deadlines.headers, asking).await;

        let Some(sent) = self.boundaries.sent() else {
            let cause = match answered {
                Some(Ok(answer)) => return self.answered_early(answer, timing),
                Some(Err(error)) => self.given_up(error),
                None => Cause::Deadline(deadlines.headers),
            };
            return Err(cause.during(Phase::Send));
        };
        timing.end(Phase::Send, sent);
        let answer = match answered {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => return Err(self.given_up(error).during(Phase::Wait)),
            None => return Err(Cause::Deadline(deadlines.headers).during(Phase::Wait)),
        };
        timing.end(Phase::Wait, self.boundaries.first_byte().unwrap_or_else(|| self.meter.last_read()));
        Ok(UnreadResponse::from(answer))
    }

    /// Why there is no response. A node that asked for a client certificate and closes the connection without a
    /// response does so because it got none. Whether its alert arrives before the reset is a matter of chance.
    fn given_up(&self, error: hyper::Error) -> Cause {
        let is_refusal = self.info.wants_client_certificate && !self.has_response_bytes();
        if is_refusal || failure::wants_client_certificate(&error) {
            Cause::CertificateWanted
        } else {
            Cause::Http(error)
        }
    }

    /// A node may respond, usually with an error, before the last write was flushed. Both phases then end at the
    /// response.
    fn answered_early(&self, answer: Response<Incoming>, timing: &mut Timing) -> Result<UnreadResponse, Failure> {
        let first_byte = self.boundaries.first_byte().unwrap_or_else(|| self.meter.last_read());
        timing.end(Phase::Send, first_byte);
        timing.end(Phase::Wait, first_byte);
        Ok(UnreadResponse::from(answer))
    }

    /// Reads a body and passes each chunk to `sink`: its wanted bytes, the timestamp of the socket read that completed
    /// it, and the longest time without a body byte since the previous chunk. Both deadlines start now and stop while
    /// this process does not run.
    ///
    /// No body byte for `stall` is a stall, at any time. If body bytes arrived within the last two seconds before the
    /// body deadline, the transfer is slow and not failed.
    pub async fn receive(
        &mut self,
        answer: &mut UnreadResponse,
        limit: BodyLimit,
        sink: impl FnMut(&[u8], Instant, Duration),
    ) -> ReceivedBody {
        self.meter.set_in_body(true);
        let received = self.receive_body(answer, limit, sink).await;
        self.meter.set_in_body(false);
        received
    }

    async fn receive_body(
        &mut self,
        answer: &mut UnreadResponse,
        limit: BodyLimit,
        mut sink: impl FnMut(&[u8], Instant, Duration),
    ) -> ReceivedBody {
        let mut deadlines = BodyDeadlines::start(limit, self.clock.clone());
        let mut arrivals = BodyArrivals::start(&self.meter);
        let mut received = ReceivedBody { bytes: 0, surplus: 0, end: BodyEnd::Finished };
        let mut alarm = std::pin::pin!(sleep_until(deadlines.next_alarm()));
        received.end = poll_fn(|cx| {
            let (mut again, mut turned) = (true, false);
            loop {
                if received.bytes == limit.bytes {
                    return Poll::Ready(BodyEnd::Enough);
                }
                // Take out everything that a turn brought before the next turn. The turn that brought the head may have
                // brought body bytes too.
                let mut took = false;
                while let Poll::Ready(frame) = Pin::new(&mut answer.body).poll_frame(cx) {
                    let chunk = match frame {
                        // hyper ends the body without an error when the stream was reset with NO_ERROR (RFC 9113 §8.1).
                        None if self.info.http == HttpVersion::Http2 && !answer.body.is_end_stream() => {
                            return Poll::Ready(BodyEnd::Failed(Cause::EndedByReset.during(Phase::Receive)));
                        }
                        None => return Poll::Ready(BodyEnd::Finished),
                        Some(Err(error)) => {
                            return Poll::Ready(BodyEnd::Failed(Cause::Http(error).during(Phase::Receive)));
                        }
                        Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                    };
                    took = true;
                    if chunk.is_empty() {
                        continue;
                    }
                    deadlines.any_byte = true;
                    let wanted = clip(chunk.len(), limit.bytes - received.bytes);
                    received.bytes += wanted as u64;
                    received.surplus += (chunk.len() - wanted) as u64;
                    sink(&chunk[..wanted], self.meter.last_read(), arrivals.chunk_arrived(&self.meter));
                    if received.bytes == limit.bytes {
                        return Poll::Ready(BodyEnd::Enough);
                    }
                }
                // Check after each turn and not only when the timer fires: a peer that never pauses would keep it from
                // being polled. Do not check before the first turn: after a suspension, bytes may be waiting in the
                // socket.
                arrivals.note_unfinished(&self.meter);
                deadlines.last_byte = deadlines.last_byte.max(arrivals.last);
                if let Some(end) = deadlines.end().filter(|_| turned) {
                    return Poll::Ready(end);
                }
                if !took && !again {
                    ready!(alarm.as_mut().poll(cx));
                    alarm.as_mut().reset(deadlines.next_alarm());
                }
                again = self.turn(cx);
                turned = true;
            }
        })
        .await;
        received
    }

    /// Reads a body and records when it arrives, as offsets from the start of `timing`, whose last boundary is the
    /// head. Silence before the first body byte does not count as a pause.
    pub async fn receive_timed(
        &mut self,
        answer: &mut UnreadResponse,
        limit: BodyLimit,
        timing: Timing,
        mut sink: impl FnMut(&[u8]),
    ) -> (ReceivedBody, Timeline) {
        let mut timeline = Timeline::new(timing.phases().total());
        let mut total = 0;
        let meter = self.meter.clone();
        let received = self
            .receive(answer, limit, |chunk, stamp, silence| {
                total += chunk.len() as u64;
                // The received part of an unfinished record or frame has arrived too, although it is not available yet.
                let arrived = total.saturating_add(meter.unfinished()).min(limit.bytes);
                timeline.record_after(timing.offset(stamp), arrived, silence.into());
                sink(chunk);
            })
            .await;
        (received, timeline)
    }

    /// Reads the rest of a body whose wanted bytes have arrived, outside the measured time, so that the connection can
    /// carry another exchange. Returns the number of further body bytes: a number above zero means that the node sent
    /// too much.
    pub async fn drain(&mut self, mut answer: UnreadResponse) -> u64 {
        if answer.body.is_end_stream() {
            return 0;
        }
        let limit = BodyLimit { bytes: 1, body: DRAIN_TIME, stall: DRAIN_TIME };
        let received = self.receive(&mut answer, limit, |_, _, _| {}).await;
        received.bytes + received.surplus
    }

    /// Grants one read and polls the connection. Returns whether it tried to read more.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool {
        self.meter.grant_read();
        self.protocol.poll(cx);
        self.meter.take_refusal()
    }
}

impl From<Response<Incoming>> for UnreadResponse {
    fn from(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        Self { head, body }
    }
}

fn clip(length: usize, room: u64) -> usize {
    usize::try_from(room).map_or(length, |room| length.min(room))
}

/// How long a peer may take to end a body whose wanted bytes have all arrived.
const DRAIN_TIME: Duration = Duration::from_millis(250);
