//! One HTTP exchange: a request, the final response head, and as much of the body as is wanted.

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
    boundary::{Boundaries, Watched},
    dial::{About, Line},
    drive::Protocol,
    failure::{self, Cause, Failure},
    meter::Meter,
    run_clock::RunClock,
    tcp_info::Kernel,
    timing::Timing,
    watch::{Flow, Watch},
};

/// An HTTP connection that carries one exchange at a time.
pub struct Connection {
    protocol: Protocol,
    meter: Arc<Meter>,
    boundaries: Arc<Boundaries>,
    about: About,
    clock: RunClock,
}

/// A response whose body has not been read.
#[derive(Debug)]
pub struct Answer {
    /// Status and headers.
    pub head: Parts,
    body: Incoming,
}

/// What of a body arrived, and why reading it stopped.
#[derive(Debug)]
pub struct Received {
    /// Bytes that were wanted and came.
    pub bytes: u64,
    /// Bytes that came beyond those.
    pub surplus: u64,
    /// Why reading stopped.
    pub end: End,
}

/// Why reading a body stopped.
#[derive(Debug)]
pub enum End {
    /// All that was wanted is here.
    Enough,
    /// The body ended; whether early is for the caller to judge.
    Finished,
    /// The body deadline came while bytes were flowing.
    Partial,
    /// Something broke.
    Failed(Failure),
}

/// How far a body is read.
#[derive(Clone, Copy, Debug)]
pub struct Appetite {
    /// Stop after so many bytes.
    pub bytes: u64,
    /// From the response head to the last byte.
    pub body: Duration,
    /// The longest time without a byte of it.
    pub stall: Duration,
}

impl Answer {
    /// How many bytes the head promises, where it does.
    #[must_use]
    pub fn announced(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }
}

impl Connection {
    /// Speaks HTTP on an open connection.
    ///
    /// # Errors
    /// When the connection breaks while HTTP/2 introduces itself.
    pub async fn start(line: Line) -> Result<Self, Failure> {
        let boundaries = Arc::new(Boundaries::default());
        let http2 = line.about.http == HttpVersion::Http2;
        let watched = Watched::new(line.stream, line.meter.clone(), boundaries.clone(), http2);
        let protocol =
            Protocol::start(watched, line.about.http).await.map_err(|error| Cause::Http(error).during(Phase::Send))?;
        Ok(Self { protocol, meter: line.meter, boundaries, about: line.about, clock: line.clock })
    }

    /// What is known of the connection.
    #[must_use]
    pub const fn about(&self) -> &About {
        &self.about
    }

    /// Its meter.
    #[must_use]
    pub const fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// A request, without a body so far, for this connection: origin form and `host` for HTTP/1.1, absolute form for HTTP/2.
    #[must_use]
    pub fn request(&self, method: Method, url: &Url) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = method;
        let parsed = match self.about.http {
            HttpVersion::Http1 => url[url::Position::BeforePath..url::Position::AfterQuery].parse(),
            HttpVersion::Http2 => url[..url::Position::AfterQuery].parse(),
        };
        *request.uri_mut() = parsed.expect("invariant: a URL without fragment is a URI");
        if self.about.http == HttpVersion::Http1 {
            let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
            let host = HeaderValue::from_str(authority).expect("invariant: a URL's host is ASCII");
            request.headers_mut().insert(HOST, host);
        } else {
            *request.version_mut() = Version::HTTP_2;
        }
        request
    }

    /// Can it carry another exchange? Looks at the socket once, so that a close by the peer is seen.
    pub async fn is_reusable(&mut self) -> bool {
        poll_fn(|cx| {
            self.turn(cx);
            Poll::Ready(self.protocol.is_ready())
        })
        .await
    }

    /// Ends it at once, whatever is still under way on it. What is left says that it is not reusable.
    pub fn close(&mut self) {
        self.protocol.close();
        self.about.kernel = Kernel::default();
    }

    /// Did any byte of an answer to the request under way come, interim ones included?
    #[must_use]
    pub fn has_heard(&self) -> bool {
        self.boundaries.has_heard()
    }

    /// Bytes of the body under way that HTTP/2 has brought, those included that it does not hand over since their number is not
    /// the one announced. Zero in HTTP/1.1, which hands over all.
    #[must_use]
    pub fn data(&self) -> u64 {
        self.boundaries.data()
    }

    /// Sends a request and awaits the final response head; ends the phases `send` and `wait`.
    ///
    /// # Errors
    /// The phase that failed, `send` ended when it was not that one.
    pub async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
        deadlines: &Deadlines,
        timing: &mut Timing,
    ) -> Result<Answer, Failure> {
        self.boundaries.arm();
        let (clock, began) = (self.clock.clone(), timing.last());
        let mut answering = self.protocol.send(request);
        let asking = poll_fn(|cx| {
            loop {
                let again = self.turn(cx);
                if let Poll::Ready(answered) = answering.as_mut().poll(cx) {
                    return Poll::Ready(answered);
                }
                // A peer that never pauses would give the alarm no chance to ring.
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
        Ok(Answer::from(answer))
    }

    /// Why there is no answer. A node that asked for a client certificate and then ends the connection without an answer does so for
    /// lack of one; whether its alert arrives before the reset that follows is chance.
    fn given_up(&self, error: hyper::Error) -> Cause {
        let is_refusal = self.about.wants_ours && !self.has_heard();
        if is_refusal || failure::wants_ours(&error) { Cause::CertificateWanted } else { Cause::Http(error) }
    }

    /// A node may answer (an error, mostly) before our last write was flushed: then both boundaries are that answer's.
    fn answered_early(&self, answer: Response<Incoming>, timing: &mut Timing) -> Result<Answer, Failure> {
        let first_byte = self.boundaries.first_byte().unwrap_or_else(|| self.meter.last_read());
        timing.end(Phase::Send, first_byte);
        timing.end(Phase::Wait, first_byte);
        Ok(Answer::from(answer))
    }

    /// Reads a body. Each chunk goes to `sink`: what of it is wanted, the stamp of the socket read that completed it, and the
    /// longest time without a body byte since the chunk before. The clock of both deadlines starts now, and stops while this
    /// process does not run.
    ///
    /// measuring rules: no body byte for `stall` is a stall at any time; when the body deadline comes, body bytes within the
    /// last two seconds mean slow and not failed.
    pub async fn receive(
        &mut self,
        answer: &mut Answer,
        appetite: Appetite,
        sink: impl FnMut(&[u8], Instant, Duration),
    ) -> Received {
        self.meter.set_in_body(true);
        let received = self.receive_body(answer, appetite, sink).await;
        self.meter.set_in_body(false);
        received
    }

    async fn receive_body(
        &mut self,
        answer: &mut Answer,
        appetite: Appetite,
        mut sink: impl FnMut(&[u8], Instant, Duration),
    ) -> Received {
        let mut watch = Watch::start(appetite, self.clock.clone());
        let mut flow = Flow::start(&self.meter);
        let mut received = Received { bytes: 0, surplus: 0, end: End::Finished };
        let mut alarm = std::pin::pin!(sleep_until(watch.next_alarm()));
        received.end = poll_fn(|cx| {
            let (mut again, mut turned) = (true, false);
            loop {
                if received.bytes == appetite.bytes {
                    return Poll::Ready(End::Enough);
                }
                // What a turn brought is taken out before the next one; that of the head's turn may hold a body too.
                let mut took = false;
                while let Poll::Ready(frame) = Pin::new(&mut answer.body).poll_frame(cx) {
                    let chunk = match frame {
                        // hyper ends the body in silence when the stream was reset without an error (RFC 9113 §8.1).
                        None if self.about.http == HttpVersion::Http2 && !answer.body.is_end_stream() => {
                            return Poll::Ready(End::Failed(Cause::EndedByReset.during(Phase::Receive)));
                        }
                        None => return Poll::Ready(End::Finished),
                        Some(Err(error)) => {
                            return Poll::Ready(End::Failed(Cause::Http(error).during(Phase::Receive)));
                        }
                        Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                    };
                    took = true;
                    if chunk.is_empty() {
                        continue;
                    }
                    watch.any_byte = true;
                    let wanted = clip(chunk.len(), appetite.bytes - received.bytes);
                    received.bytes += wanted as u64;
                    received.surplus += (chunk.len() - wanted) as u64;
                    sink(&chunk[..wanted], self.meter.last_read(), flow.came(&self.meter));
                    if received.bytes == appetite.bytes {
                        return Poll::Ready(End::Enough);
                    }
                }
                // After each turn, not only when the alarm rings: a peer that never pauses gives it no chance to. Not before
                // one: when we were suspended, bytes may lie ready.
                flow.look(&self.meter);
                watch.last_byte = watch.last_byte.max(flow.last);
                if let Some(end) = watch.verdict().filter(|_| turned) {
                    return Poll::Ready(end);
                }
                if !took && !again {
                    ready!(alarm.as_mut().poll(cx));
                    alarm.as_mut().reset(watch.next_alarm());
                }
                again = self.turn(cx);
                turned = true;
            }
        })
        .await;
        received
    }

    /// Reads a body and records its arrival, in offsets from the start of `timing`, whose last boundary is the head. What was
    /// silent before the body is no pause of it.
    pub async fn receive_timed(
        &mut self,
        answer: &mut Answer,
        appetite: Appetite,
        timing: Timing,
        mut sink: impl FnMut(&[u8]),
    ) -> (Received, Timeline) {
        let mut timeline = Timeline::new(timing.phases().total());
        let mut total = 0;
        let meter = self.meter.clone();
        let received = self
            .receive(answer, appetite, |chunk, stamp, silence| {
                total += chunk.len() as u64;
                // What of the next record or frame is here has arrived too, though it cannot be handed over.
                let arrived = total.saturating_add(meter.unfinished()).min(appetite.bytes);
                timeline.record_after(timing.offset(stamp), arrived, silence.into());
                sink(chunk);
            })
            .await;
        (received, timeline)
    }

    /// Reads what an ended body still holds, outside any clock, so that the connection can carry another exchange. Returns
    /// how many further body bytes came: any shows an overshoot.
    pub async fn settle(&mut self, mut answer: Answer) -> u64 {
        if answer.body.is_end_stream() {
            return 0;
        }
        let appetite = Appetite { bytes: 1, body: SETTLE, stall: SETTLE };
        let received = self.receive(&mut answer, appetite, |_, _, _| {}).await;
        received.bytes + received.surplus
    }

    /// Grants a read and lets the connection move; whether it wanted to read more than that.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool {
        self.meter.grant_read();
        self.protocol.poll(cx);
        self.meter.take_refusal()
    }
}

impl From<Response<Incoming>> for Answer {
    fn from(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        Self { head, body }
    }
}

fn clip(length: usize, room: u64) -> usize {
    usize::try_from(room).map_or(length, |room| length.min(room))
}

/// How long a peer may take to end a body of which we have all bytes.
const SETTLE: Duration = Duration::from_millis(250);
