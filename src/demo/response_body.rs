//! The body of a response: bytes in memory, or an object that comes from another server.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

#[cfg(feature = "fleet")]
use super::fleet::fetched_body::FetchedBody;
use super::memory_body::{BodyFault, BrokenOff, MemoryBody};

/// A response body.
pub(super) enum ResponseBody {
    /// Bytes that are in memory.
    Ready(MemoryBody),
    /// Bytes that a storage node sends.
    #[cfg(feature = "fleet")]
    Fetched(FetchedBody),
}

impl ResponseBody {
    /// Adds a fault to a body from memory. Other bodies stay as they are.
    pub(super) fn with(self, fault: Option<BodyFault>) -> Self {
        match self {
            Self::Ready(content) => Self::Ready(content.with(fault)),
            #[cfg(feature = "fleet")]
            fetched => fetched,
        }
    }
}

impl From<MemoryBody> for ResponseBody {
    fn from(content: MemoryBody) -> Self {
        Self::Ready(content)
    }
}

#[cfg(feature = "fleet")]
impl From<FetchedBody> for ResponseBody {
    fn from(body: FetchedBody) -> Self {
        Self::Fetched(body)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.get_mut() {
            Self::Ready(content) => Pin::new(content).poll_frame(context),
            #[cfg(feature = "fleet")]
            Self::Fetched(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Ready(content) => content.is_end_stream(),
            #[cfg(feature = "fleet")]
            Self::Fetched(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ready(content) => content.size_hint(),
            #[cfg(feature = "fleet")]
            Self::Fetched(body) => body.size_hint(),
        }
    }
}
