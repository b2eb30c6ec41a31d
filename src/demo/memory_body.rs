//! Response bodies from memory, which are sent at once, at a limited pace, or only in part.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// The largest piece that is passed to hyper at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// How long a body waits before it breaks off, so that all bytes before have left the process. When a body fails, hyper
/// drops what it still buffers.
const BEFORE_BREAK: Duration = Duration::from_millis(20);

/// A response body from memory.
pub(super) struct MemoryBody {
    rest: Bytes,
    framing: Framing,
    /// The next fault, and how many bytes come before it.
    fault: Option<(usize, BodyFault)>,
    pace: Option<Pace>,
    /// Whether the wait for the next piece at `pace` is over.
    fetched: bool,
    wait: Option<Pin<Box<Sleep>>>,
    broken: bool,
}

/// How the client learns where the body ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
}

/// A fault in the middle of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFault {
    /// No bytes for this time, once.
    Pause(Duration),
    /// No bytes for this time, again and again after this number of bytes.
    Pauses(usize, Duration),
    /// The connection breaks.
    Break,
}

/// When each byte of an object that is still being fetched is available.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    /// When the first of the remaining bytes is available.
    pub(super) from: Instant,
    /// The time for each byte, in nanoseconds.
    pub(super) nanos_per_byte: u64,
}

/// The error of a body that breaks off on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the demo node breaks this body off")]
pub(super) struct BrokenOff;

impl MemoryBody {
    /// A body of known length that is sent at once.
    pub(super) const fn of(bytes: Bytes) -> Self {
        Self {
            rest: bytes,
            framing: Framing::Length,
            fault: None,
            pace: None,
            fetched: false,
            wait: None,
            broken: false,
        }
    }

    /// An empty body.
    pub(super) const fn none() -> Self {
        Self::of(Bytes::new())
    }

    /// A body of unannounced length (chunked) that is sent no faster than `pace`.
    pub(super) fn fetched(bytes: Bytes, pace: Pace) -> Self {
        Self { framing: Framing::Chunked, pace: Some(pace), ..Self::of(bytes) }
    }

    /// Adds a fault: in the middle of the body, or for pauses at their own distance. An empty body gets no fault.
    pub(super) fn with(self, fault: Option<BodyFault>) -> Self {
        let middle = self.rest.len() / 2;
        let distance = |fault: BodyFault| if let BodyFault::Pauses(every, _) = fault { every } else { middle };
        let fault = fault.map(|fault| (distance(fault), fault)).filter(|(distance, _)| *distance > 0);
        Self { fault, ..self }
    }

    /// The next piece, up to the next fault; `None` when a wait begins instead.
    fn next_piece(&mut self) -> Option<Bytes> {
        let mut piece = self.rest.len().min(PIECE_BYTES);
        if let Some((distance, fault)) = self.fault {
            if distance == 0 {
                let (next, pause) = match fault {
                    BodyFault::Pause(pause) => (None, pause),
                    BodyFault::Pauses(every, pause) => (Some((every, fault)), pause),
                    BodyFault::Break => (None, BEFORE_BREAK),
                };
                self.fault = next;
                self.broken = fault == BodyFault::Break;
                self.wait = Some(Box::pin(sleep(pause)));
                return None;
            }
            piece = piece.min(distance);
        }
        if let Some(pace) = &mut self.pace {
            let due = pace.from + Duration::from_nanos(pace.nanos_per_byte.saturating_mul(piece as u64));
            self.fetched = !self.fetched;
            if self.fetched {
                self.wait = Some(Box::pin(sleep_until(due)));
                return None;
            }
            pace.from = due;
        }
        if let Some((distance, _)) = &mut self.fault {
            *distance -= piece;
        }
        Some(self.rest.split_to(piece))
    }
}

impl Body for MemoryBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        loop {
            if let Some(wait) = &mut this.wait {
                ready!(wait.as_mut().poll(context));
                this.wait = None;
            }
            if this.broken {
                return Poll::Ready(Some(Err(BrokenOff)));
            }
            if this.rest.is_empty() {
                return Poll::Ready(None);
            }
            if let Some(piece) = this.next_piece() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && !self.broken
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length => SizeHint::with_exact(self.rest.len() as u64),
            Framing::Chunked => SizeHint::default(),
        }
    }
}
