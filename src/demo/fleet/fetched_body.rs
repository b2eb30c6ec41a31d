//! The body of a response whose bytes come from a storage node.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::{super::memory_body::BrokenOff, arriving::ArrivingObject, fetch::ProxiedBody};

/// A body that a storage node supplies.
pub(in crate::demo) enum FetchedBody {
    /// Bytes of an object, sent as they arrive.
    Arriving(ArrivingRange),
    /// The body of the storage node's response, passed on.
    Proxied(ProxiedBody),
}

/// The bytes `next..end` of an arriving object.
pub(in crate::demo) struct ArrivingRange {
    pub(in crate::demo) object: Arc<ArrivingObject>,
    pub(in crate::demo) next: u64,
    pub(in crate::demo) end: u64,
}

impl Body for FetchedBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.get_mut() {
            Self::Proxied(body) => body.poll_frame(context),
            Self::Arriving(range) if range.next >= range.end => Poll::Ready(None),
            Self::Arriving(range) => range.object.poll_piece(range.next, range.end, context).map(|piece| {
                let piece = piece.map(|piece| {
                    range.next += piece.len() as u64;
                    Frame::data(piece)
                });
                Some(piece)
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Proxied(body) => body.is_end_stream(),
            Self::Arriving(range) => range.next >= range.end,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Proxied(body) => body.size_hint(),
            // Argus does not announce the length of an object that is still arriving.
            Self::Arriving(_) => SizeHint::default(),
        }
    }
}
