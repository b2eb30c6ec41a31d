//! An object that arrives from a storage node while clients read it.

use std::{
    future::poll_fn,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use super::super::memory_body::BrokenOff;

/// An object: the bytes that have arrived, and the readers that wait for more.
#[derive(Debug)]
pub(in crate::demo) struct ArrivingObject {
    size: usize,
    arrived: Mutex<Arrived>,
}

#[derive(Debug)]
struct Arrived {
    bytes: Held,
    /// Whether a storage node has begun to send the object.
    begun: bool,
    failed: bool,
    readers: Vec<Waker>,
}

#[derive(Debug)]
enum Held {
    Part(Vec<u8>),
    Whole(Bytes),
}

impl ArrivingObject {
    /// An object of `size` bytes, none of which have arrived.
    pub(in crate::demo) fn new(size: usize) -> Self {
        let bytes = Held::Part(Vec::new());
        Self { size, arrived: Mutex::new(Arrived { bytes, begun: false, failed: false, readers: vec![] }) }
    }

    /// Records that a storage node has begun to send the object.
    pub(in crate::demo) fn begin(&self) {
        let mut arrived = self.lock();
        arrived.begun = true;
        arrived.wake();
    }

    /// Appends bytes that arrived. Returns the whole object once, with its last byte. More than `size` bytes are a
    /// failure.
    pub(in crate::demo) fn push(&self, piece: &[u8]) -> Option<Bytes> {
        let mut arrived = self.lock();
        arrived.begun = true;
        arrived.wake();
        let size = self.size;
        let Held::Part(part) = &mut arrived.bytes else { return None };
        part.extend_from_slice(piece);
        if part.len() > size {
            arrived.failed = true;
            return None;
        }
        if part.len() < size {
            return None;
        }
        let whole = Bytes::from(mem::take(part));
        arrived.bytes = Held::Whole(whole.clone());
        Some(whole)
    }

    /// Records that the object will not be completed.
    pub(in crate::demo) fn fail(&self) {
        let mut arrived = self.lock();
        arrived.failed = true;
        arrived.wake();
    }

    /// How many bytes have arrived.
    pub(in crate::demo) fn length(&self) -> u64 {
        self.lock().bytes.as_slice().len() as u64
    }

    /// Waits until a storage node begins to send the object. False when the object fails instead.
    pub(in crate::demo) async fn begun(&self) -> bool {
        poll_fn(|context| {
            let mut arrived = self.lock();
            if arrived.begun || arrived.failed {
                return Poll::Ready(arrived.begun && !arrived.failed);
            }
            arrived.readers.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// The bytes between the two offsets that have arrived: at least one byte and at most one piece. If the object has
    /// failed, the error comes after its last byte.
    pub(in crate::demo) fn poll_piece(
        &self,
        next: u64,
        end: u64,
        context: &mut Context<'_>,
    ) -> Poll<Result<Bytes, BrokenOff>> {
        let mut arrived = self.lock();
        let within = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        let there = arrived.bytes.as_slice().len();
        let (next, end) = (within(next), within(end).min(there));
        if next < end {
            let piece = next..end.min(next + PIECE_BYTES);
            return Poll::Ready(Ok(match &arrived.bytes {
                Held::Whole(bytes) => bytes.slice(piece),
                Held::Part(part) => Bytes::copy_from_slice(&part[piece]),
            }));
        }
        if arrived.failed {
            return Poll::Ready(Err(BrokenOff));
        }
        arrived.readers.push(context.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Part(part) => part,
            Self::Whole(bytes) => bytes,
        }
    }
}

impl Arrived {
    fn wake(&mut self) {
        self.readers.drain(..).for_each(Waker::wake);
    }
}

/// The largest piece that is passed to hyper at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(object: &ArrivingObject, next: u64, end: u64) -> Poll<Result<Bytes, BrokenOff>> {
        object.poll_piece(next, end, &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn readers_get_what_has_arrived_and_wait_for_the_rest() {
        let object = ArrivingObject::new(6);
        assert_eq!(read(&object, 0, 6), Poll::Pending);
        assert_eq!((object.push(b"abcd"), object.length()), (None, 4));
        assert_eq!(read(&object, 1, 6), Poll::Ready(Ok(Bytes::from_static(b"bcd"))));
        assert_eq!(read(&object, 1, 3), Poll::Ready(Ok(Bytes::from_static(b"bc"))), "no more than was asked");
        assert_eq!(read(&object, 4, 6), Poll::Pending);
        assert_eq!(object.push(b"ef"), Some(Bytes::from_static(b"abcdef")));
        assert_eq!(read(&object, 4, 6), Poll::Ready(Ok(Bytes::from_static(b"ef"))));
    }

    #[test]
    fn a_failed_or_too_large_fetch_ends_after_what_arrived() {
        for overflows in [false, true] {
            let object = ArrivingObject::new(2);
            assert_eq!(object.push(b"a"), None);
            if overflows {
                assert_eq!(object.push(b"bc"), None);
            } else {
                object.fail();
            }
            assert!(matches!(read(&object, 0, 1), Poll::Ready(Ok(_))));
            assert_eq!(read(&object, 3, 4), Poll::Ready(Err(BrokenOff)));
        }
    }
}
