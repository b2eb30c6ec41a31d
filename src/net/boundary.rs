//! Finds the socket write that carried the end of the request, and the socket read that brought the start of the final
//! response.
//!
//! [`BoundaryStream`] sits between HTTP and the stream below it (TLS or the socket) and sees plain HTTP bytes. It
//! changes none, except for repeated lengths in HTTP/2 (`length_list`). In HTTP/2 it also reports to the meter how
//! much of an incomplete DATA frame has arrived, and counts the payload of DATA frames.
//!
//! - `sent`: the timestamp of the last socket write when the layer below has flushed the bytes that end the request. In
//!   HTTP/1.1 everything written is the request. In HTTP/2 the frames are walked (RFC 9113 §4.1) up to the one that
//!   ends the header block.
//! - `first_byte`: in HTTP/1.1 the timestamp of the socket read that brought the first byte of the status line of the
//!   final head, the first that is not 1xx (RFC 9110 §15.2). In HTTP/2 the driver uses the timestamp of the read that
//!   completed the HEADERS frame, because only HPACK decoding distinguishes interim and final heads.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    frames::{FrameWalk, Framing},
    length_list::LengthLists,
    meter::Meter,
};

/// The boundaries of the current request.
#[derive(Debug, Default)]
pub struct Boundaries {
    state: Mutex<BoundaryState>,
}

#[derive(Debug, Default)]
struct BoundaryState {
    sent: Option<Instant>,
    has_response_bytes: bool,
    first_byte: Option<Instant>,
    request: RequestWalk,
    response: ResponseWalk,
    /// The position in the incoming frames; `None` in HTTP/1.1.
    incoming: Option<FrameWalk>,
    /// Payload bytes of the DATA frames that are complete.
    data: u64,
}

impl Boundaries {
    /// Forgets the previous request. The next bytes written belong to a new one.
    pub fn arm(&self) {
        let mut state = self.lock();
        state.sent = None;
        state.has_response_bytes = false;
        state.first_byte = None;
        state.data = 0;
        state.request.arm();
        state.response = ResponseWalk::default();
    }

    /// When the kernel accepted the last byte of the request. `None` before that.
    #[must_use]
    pub fn sent(&self) -> Option<Instant> {
        self.lock().sent
    }

    /// When the first byte of the final HTTP/1.1 response head was read. `None` before that, and in HTTP/2.
    #[must_use]
    pub fn first_byte(&self) -> Option<Instant> {
        self.lock().first_byte
    }

    /// Whether any byte of a response has arrived, interim responses included. In HTTP/2, whether HEADERS or DATA have.
    #[must_use]
    pub fn has_response_bytes(&self) -> bool {
        self.lock().has_response_bytes
    }

    /// Payload bytes of DATA frames, handed over or not. Zero in HTTP/1.1.
    #[must_use]
    pub fn data(&self) -> u64 {
        let state = self.lock();
        state.data + state.unfinished_data() as u64
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BoundaryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BoundaryState {
    /// Takes received bytes.
    fn hear(&mut self, received: &[u8], meter: &Meter) {
        if self.incoming.is_some() {
            self.walk_response_frames(received);
            meter.set_unfinished_frame(self.unfinished_data());
            return;
        }
        self.has_response_bytes |= !received.is_empty();
        if self.first_byte.is_none() {
            self.first_byte = self.response.walk(received, meter.last_read());
        }
    }

    /// Walks received HTTP/2 bytes. There is only one request at a time, so all HEADERS and DATA belong to it.
    fn walk_response_frames(&mut self, received: &[u8]) {
        let Some(incoming) = &mut self.incoming else { return };
        incoming.walk(received, |frame| {
            self.has_response_bytes |= matches!(frame.kind, DATA | HEADERS);
            if frame.kind == DATA {
                self.data += frame.length as u64;
            }
        });
        self.has_response_bytes |= incoming.under_way().is_some_and(|(frame, _)| matches!(frame.kind, DATA | HEADERS));
    }

    fn unfinished_data(&self) -> usize {
        let under_way = self.incoming.as_ref().and_then(FrameWalk::under_way);
        under_way.filter(|(frame, _)| frame.kind == DATA).map_or(0, |(_, seen)| seen)
    }
}

/// A stream that carries HTTP and whose message boundaries are recorded.
#[derive(Debug)]
pub struct BoundaryStream<S> {
    stream: S,
    meter: Arc<Meter>,
    boundaries: Arc<Boundaries>,
    /// `None` in HTTP/1.1.
    lists: Option<LengthLists>,
}

impl<S> BoundaryStream<S> {
    /// Watches a stream that carries HTTP/1.1 or HTTP/2.
    pub fn new(stream: S, meter: Arc<Meter>, boundaries: Arc<Boundaries>, http2: bool) -> Self {
        if http2 {
            let mut state = boundaries.lock();
            state.request = RequestWalk::http2();
            state.incoming = Some(FrameWalk::new(Framing::Http2, 0));
        }
        Self { stream, meter, boundaries, lists: http2.then(LengthLists::default) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundaryStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let Self { stream, meter, boundaries, lists } = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if let Some(lists) = lists
                && lists.give(buf.remaining(), |given| buf.put_slice(given))
            {
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut *stream).poll_read(cx, buf))?;
            let received = &buf.filled()[before..];
            boundaries.lock().hear(received, meter);
            let Some(lists) = lists else { return Poll::Ready(Ok(())) };
            let is_end = received.is_empty();
            let passed = lists.take(received);
            buf.set_filled(before + passed);
            if is_end {
                lists.end();
            }
            // Nothing in the buffer would mean the end of the stream.
            if passed > 0 || (is_end && lists.is_empty()) {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundaryStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = polled {
            // Walk all bytes, also those after a request: otherwise the walk would lose its position in the frames.
            self.boundaries.lock().request.walk(&buf[..written]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        if let Poll::Ready(Ok(())) = polled {
            let mut state = self.boundaries.lock();
            if state.sent.is_none() && state.request.complete {
                state.sent = Some(self.meter.last_write());
            }
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Walks the written bytes until they contain a whole request head.
#[derive(Debug, Default)]
struct RequestWalk {
    complete: bool,
    frames: Option<FrameWalk>,
}

impl RequestWalk {
    fn http2() -> Self {
        Self { complete: false, frames: Some(FrameWalk::new(Framing::Http2, HTTP2_PREFACE)) }
    }

    fn arm(&mut self) {
        self.complete = false;
    }

    fn walk(&mut self, bytes: &[u8]) {
        match &mut self.frames {
            None => self.complete |= !bytes.is_empty(),
            Some(frames) => frames.walk(bytes, |frame| {
                self.complete |= matches!(frame.kind, HEADERS | CONTINUATION) && frame.flags & END_HEADERS != 0;
            }),
        }
    }
}

/// Walks an HTTP/1.1 response up to the status line of its final head.
#[derive(Debug, Default)]
struct ResponseWalk {
    /// When the first byte of the current status line arrived.
    began: Option<Instant>,
    /// Bytes seen of the status line, up to the status code.
    seen: usize,
    skipping_head: bool,
    /// Consecutive line ends seen while an interim head is skipped.
    line_ends: u8,
}

impl ResponseWalk {
    /// The timestamp of the first byte of the final head, once these bytes show that it is final.
    fn walk(&mut self, bytes: &[u8], stamp: Instant) -> Option<Instant> {
        for &byte in bytes {
            if self.skipping_head {
                match byte {
                    b'\n' => self.line_ends += 1,
                    b'\r' => {}
                    _ => self.line_ends = 0,
                }
                if self.line_ends == 2 {
                    *self = Self::default();
                }
                continue;
            }
            if self.began.is_none() && matches!(byte, b'\r' | b'\n') {
                continue; // RFC 9112 §2.2: empty lines before a status line are tolerated
            }
            let began = *self.began.get_or_insert(stamp);
            self.seen += 1;
            match self.seen {
                STATUS_HUNDREDS if byte == b'1' => {}
                STATUS_HUNDREDS => return Some(began),
                // 101 switches protocols: there is no other head after it
                STATUS_UNITS if byte == b'1' => return Some(began),
                STATUS_UNITS => self.skipping_head = true,
                _ => {}
            }
        }
        None
    }
}

/// `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`, RFC 9113 §3.4.
const HTTP2_PREFACE: usize = 24;
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;
/// Positions of digits of the status code in `HTTP/1.1 103`, counted from one.
const STATUS_HUNDREDS: usize = 10;
const STATUS_UNITS: usize = 12;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Feeds pieces one millisecond apart. Returns the time of the piece with the first byte of the final head.
    fn final_head(pieces: &[&str]) -> Option<u128> {
        let start = Instant::now();
        let mut walk = ResponseWalk::default();
        let found = pieces
            .iter()
            .zip(0..)
            .find_map(|(piece, at)| walk.walk(piece.as_bytes(), start + Duration::from_millis(at)));
        found.map(|stamp| (stamp - start).as_millis())
    }

    #[test]
    fn the_final_head_counts_from_its_first_byte() {
        for (pieces, at) in [
            (&["HTTP/1.1 200 OK\r\n"][..], Some(0)),
            (&["H", "TTP/1.", "1 2", "00"], Some(0)),
            (&["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n"], Some(1)),
            (&["HTTP/1.1 103 Early\r\nlink: x\r\n", "\r", "\n", "HTTP/1.1 206 P"], Some(3)),
            (&["HTTP/1.1 103 Early\r\n\r\nHT", "TP/1.1 200 OK"], Some(0)),
            (&["HTTP/1.1 101 Switching"], Some(0)),
            (&["HTTP/1.1 1", "0", "2 Processing\r\n\r\n"], None),
            (&["\r\n", "HTTP/1.0 404 x"], Some(1)),
            (&["<html>", "garbage!"], Some(0)),
        ] {
            assert_eq!(final_head(pieces), at, "{pieces:?}");
        }
    }

    #[test]
    fn an_http2_request_ends_with_its_header_block() {
        let frame = |kind: u8, flags: u8, len: u8| {
            let mut bytes = vec![0, 0, len, kind, flags, 0, 0, 0, 1];
            bytes.extend(vec![0; len.into()]);
            bytes
        };
        let preface = vec![b'P'; HTTP2_PREFACE];
        let settings = frame(0x4, 0, 18);
        let headers = frame(HEADERS, 0x5, 40);
        let split = frame(HEADERS, 0x1, 40);
        let rest = frame(CONTINUATION, END_HEADERS, 3);
        for (parts, complete) in [
            (vec![&preface, &settings], false),
            (vec![&preface, &settings, &headers], true),
            (vec![&preface, &settings, &split], false),
            (vec![&preface, &settings, &split, &rest], true),
        ] {
            let bytes: Vec<u8> = parts.into_iter().flatten().copied().collect();
            for step in [1, 7, bytes.len()] {
                let mut walk = RequestWalk::http2();
                bytes.chunks(step).for_each(|piece| walk.walk(piece));
                assert_eq!(walk.complete, complete, "step {step}");
            }
        }
    }
}
