//! The source of a response's bytes: memory, an object that is still arriving, or another server.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::{
    content::{BrokenOff, Content, Turn},
    fetch::Passed,
    growing::Growing,
};

/// A response body.
pub(super) enum Flow {
    /// Bytes that are in memory.
    Ready(Content),
    /// Bytes of an object, sent as they arrive.
    Tail(Tail),
    /// The body of another server's response, passed on.
    Passed(Passed),
}

/// The bytes `next..end` of an arriving object.
pub(super) struct Tail {
    pub(super) object: Arc<Growing>,
    pub(super) next: u64,
    pub(super) end: u64,
}

impl Flow {
    /// Adds a fault to a body from memory. Other bodies stay as they are.
    pub(super) fn with(self, turn: Option<Turn>) -> Self {
        match self {
            Self::Ready(content) => Self::Ready(content.with(turn)),
            other => other,
        }
    }
}

impl From<Content> for Flow {
    fn from(content: Content) -> Self {
        Self::Ready(content)
    }
}

impl Body for Flow {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.get_mut() {
            Self::Ready(content) => Pin::new(content).poll_frame(context),
            Self::Passed(passed) => passed.poll_frame(context),
            Self::Tail(tail) if tail.next >= tail.end => Poll::Ready(None),
            Self::Tail(tail) => tail.object.poll_piece(tail.next, tail.end, context).map(|piece| {
                let piece = piece.map(|piece| {
                    tail.next += piece.len() as u64;
                    Frame::data(piece)
                });
                Some(piece)
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Ready(content) => content.is_end_stream(),
            Self::Passed(passed) => passed.is_end_stream(),
            Self::Tail(tail) => tail.next >= tail.end,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ready(content) => content.size_hint(),
            Self::Passed(passed) => passed.size_hint(),
            // Argus does not announce the length of an object that is still arriving.
            Self::Tail(_) => SizeHint::default(),
        }
    }
}
