//! A link with a fixed rate: a token bucket that all connections of one node share.
//!
//! The bucket counts **TCP payload**: the bytes that the node writes to its sockets. This includes response heads but
//! not Ethernet, IP and TCP headers. A plain-HTTP body with a content length therefore flows at the nominal rate less
//! its own head (about 0.5 kB for each response, under 0.01 % of a video range). On a wire with frames of 1514 bytes,
//! the same payload takes 1514/1448 of that rate at layer 2.
//!
//! Each piece reserves its slot when it asks, on a schedule that depends only on the rate. A timer that fires late
//! costs nothing, because later slots do not depend on the clock. The long-run rate is therefore exact with timers of
//! 1 ms, as long as they fire within the time of one burst (13 ms at 20 Mbit/s, 4 ms above 66 Mbit/s).

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::model::units::BitRate;

/// The least that an idle link may send at once, in bytes.
pub const BURST_BYTES: usize = 32 << 10;

/// The largest piece that a slow link sends at once, in bytes: 1.6 ms at 20 Mbit/s, so that a reader sees a steady
/// flow. For the pieces of fast links, see [`Link::piece`].
pub const PIECE_BYTES: usize = 4 << 10;

/// The least time that a burst lasts, for fast links: timers have a resolution of 1 ms, and fire late.
const BURST_TIME: Duration = Duration::from_millis(4);

/// The least time that a piece lasts, for fast links: waking up for smaller pieces would cost more than they carry.
const PIECE_TIME: Duration = Duration::from_micros(500);

/// A token bucket; see the module documentation.
#[derive(Debug)]
pub struct Link {
    rate: BitRate,
    /// When all pieces reserved so far will have been sent; `None` before the first piece.
    sent_by: Mutex<Option<Instant>>,
}

impl Link {
    /// A link of `rate` bits of TCP payload per second. A rate of zero counts as one bit per second.
    #[must_use]
    pub fn new(rate: BitRate) -> Self {
        Self { rate: BitRate(rate.0.max(1)), sent_by: Mutex::new(None) }
    }

    /// Bits of TCP payload per second, in the long run.
    #[must_use]
    pub const fn payload_rate(&self) -> BitRate {
        self.rate
    }

    /// Reserves the next slot for a piece of `bytes`. Returns the time from which the piece may be sent.
    ///
    /// Slots are given in the order of the calls. A link that was idle gets credit for at most one burst.
    pub fn reserve(&self, bytes: usize, now: Instant) -> Instant {
        let mut sent_by = self.sent_by.lock().expect("invariant: nothing panics under this lock");
        let earliest = now.checked_sub(self.takes(BURST_BYTES).max(BURST_TIME)).unwrap_or(now);
        let begin = sent_by.map_or(earliest, |at| at.max(earliest));
        *sent_by = Some(begin + self.takes(bytes));
        begin
    }

    /// The largest piece that is sent at once, in bytes: 500 µs at the link's rate, but at least [`PIECE_BYTES`].
    #[must_use]
    pub fn piece(&self) -> usize {
        let carried = u128::from(self.rate.0) * PIECE_TIME.as_nanos() / 8 / 1_000_000_000;
        usize::try_from(carried).unwrap_or(usize::MAX).max(PIECE_BYTES)
    }

    /// The time for `bytes` at the link's rate, rounded down to the nanosecond.
    fn takes(&self, bytes: usize) -> Duration {
        let nanos = bytes as u128 * 8 * 1_000_000_000 / u128::from(self.rate.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A byte stream whose writes pass through an optional link. Reads are not limited.
#[derive(Debug)]
pub struct Shaped<S> {
    inner: S,
    link: Option<Arc<Link>>,
    slot: Slot,
}

/// The slot of the next piece.
#[derive(Debug)]
enum Slot {
    /// No slot is reserved.
    None,
    /// This many bytes may be sent when the timer fires.
    Ahead(Pin<Box<Sleep>>, usize),
    /// This many bytes may be sent now; never 0.
    Open(usize),
}

impl<S> Shaped<S> {
    /// Puts `inner` behind `link`. Without a link, writes are not limited.
    pub const fn new(inner: S, link: Option<Arc<Link>>) -> Self {
        Self { inner, link, slot: Slot::None }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Shaped<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(link) = this.link.as_ref().filter(|_| !bytes.is_empty()) else {
            return Pin::new(&mut this.inner).poll_write(context, bytes);
        };
        loop {
            match &mut this.slot {
                Slot::None => {
                    let piece = bytes.len().min(link.piece());
                    let begin = link.reserve(piece, Instant::now());
                    this.slot = Slot::Ahead(Box::pin(sleep_until(begin)), piece);
                }
                Slot::Ahead(begin, piece) => {
                    ready!(begin.as_mut().poll(context));
                    this.slot = Slot::Open(*piece);
                }
                Slot::Open(left) => {
                    let piece = &bytes[..bytes.len().min(*left)];
                    let written = ready!(Pin::new(&mut this.inner).poll_write(context, piece))?;
                    this.slot = match *left - written {
                        0 => Slot::None,
                        left => Slot::Open(left),
                    };
                    return Poll::Ready(Ok(written));
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Shaped<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(context, into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_that_fire_late_do_not_slow_the_link() {
        let link = Link::new(BitRate(20_000_000));
        let start = Instant::now();
        let mut now = start;
        for piece in 0..10_000_u64 {
            let begin = link.reserve(PIECE_BYTES, now);
            // Timers round up to the next millisecond. Sometimes they fire far later, as on a busy machine.
            let late = Duration::from_millis(if piece % 50 == 0 { 9 } else { 1 });
            now = now.max(begin + late);
        }
        let credited = 10_000 * PIECE_BYTES - BURST_BYTES;
        let nominal = link.takes(credited);
        let took = now - start;
        assert!(took >= nominal - link.takes(PIECE_BYTES) && took < nominal + Duration::from_millis(10), "{took:?}");
    }

    #[test]
    fn an_idle_link_saves_one_burst_and_no_more() {
        let link = Link::new(BitRate(8_000_000)); // 1 byte a microsecond
        let start = Instant::now();
        link.reserve(1_000, start);
        let later = start + Duration::from_secs(60);
        let at_once = (0..).take_while(|_| link.reserve(1_024, later) <= later).count();
        assert_eq!(at_once, BURST_BYTES / 1_024 + 1);
    }
}
