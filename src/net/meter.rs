//! Stamps on the socket: how many bytes, and when.
//!
//! [`Metered`] sits directly on the socket and stamps each read and write as it returns from the kernel. Everything above
//! it (the buffer, TLS, HTTP) may split, join or delay bytes; the stamps stay those of the socket.
//!
//! **One read a turn.** HTTP/2 drains the socket in one go and hands its frames over afterwards, which would give the
//! frames of many reads the stamp of the last one. So whoever drives a connection grants one socket read
//! ([`Meter::grant_read`]), takes out what that read completed, and only then grants the next. A read that was asked for
//! in vain is remembered ([`Meter::take_refusal`]), so that the driver knows to take another turn.
//!
//! Beside the stamps is the evidence of how well we kept up ourselves: [`socket`] tells how long what is read lay in the
//! kernel, [`thread`] how busy the thread was that reads.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::{measure::lag::Lags, model::units::Micros};

pub mod socket;
pub mod thread;

/// What a connection's socket has done so far. Shared by the socket, the message boundaries and the driver, which all
/// live in one task; atomics only because a task may move between threads.
#[derive(Debug)]
pub struct Meter {
    base: Instant,
    /// Nanoseconds after `base`, plus one; zero = never.
    last_read: AtomicU64,
    last_write: AtomicU64,
    bytes_read: AtomicU64,
    /// When what an exchange waits for last came on.
    progress: AtomicU64,
    /// Is it body bytes that it waits for? Otherwise every byte counts.
    in_body: AtomicBool,
    /// Payload bytes read of the TLS record, and of the HTTP/2 DATA frame, whose end has not been read yet.
    unfinished_record: AtomicU64,
    unfinished_frame: AtomicU64,
    /// Driven turn by turn? Otherwise (TLS handshake) reads are free.
    turns: AtomicBool,
    granted: AtomicBool,
    refused: AtomicBool,
    lags: Mutex<Lags>,
}

/// A socket with a meter.
#[derive(Debug)]
pub struct Metered<S> {
    socket: S,
    meter: Arc<Meter>,
}

impl Meter {
    /// A meter that starts now.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            base: Instant::now(),
            last_read: AtomicU64::new(0),
            last_write: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            in_body: AtomicBool::new(false),
            unfinished_record: AtomicU64::new(0),
            unfinished_frame: AtomicU64::new(0),
            turns: AtomicBool::new(false),
            granted: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            lags: Mutex::default(),
        })
    }

    /// When the last socket read returned; the start of the connection before any.
    #[must_use]
    pub fn last_read(&self) -> Instant {
        self.instant(self.last_read.load(Relaxed))
    }

    /// When the kernel took the last bytes; the start of the connection before any.
    #[must_use]
    pub fn last_write(&self) -> Instant {
        self.instant(self.last_write.load(Relaxed))
    }

    /// When the exchange under way last came on: by any byte in either direction, or while a body is read, by a byte of that.
    /// A peer that sends pings, or extensions of chunks, is not silent and does not come on.
    #[must_use]
    pub fn last_progress(&self) -> Instant {
        self.instant(self.progress.load(Relaxed))
    }

    /// From now on, only [`Self::note_progress`] is progress; or every byte again.
    pub(super) fn set_in_body(&self, in_body: bool) {
        self.in_body.store(in_body, Relaxed);
    }

    /// The last read brought bytes of the body.
    pub(super) fn note_progress(&self) {
        self.progress.store(self.last_read.load(Relaxed), Relaxed);
    }

    /// Bytes read from the socket, those of TLS and HTTP included.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Relaxed)
    }

    /// Bytes that are here and cannot be handed over yet, since the TLS record or HTTP/2 frame that they belong to has not
    /// ended: at most about 32 KiB, exact to the few bytes of a record's own framing.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.unfinished_record.load(Relaxed) + self.unfinished_frame.load(Relaxed)
    }

    /// So many payload bytes of an unfinished TLS record have been read.
    pub(super) fn set_unfinished_record(&self, bytes: usize) {
        self.unfinished_record.store(bytes as u64, Relaxed);
    }

    /// So many payload bytes of an unfinished HTTP/2 DATA frame have been read.
    pub(super) fn set_unfinished_frame(&self, bytes: usize) {
        self.unfinished_frame.store(bytes as u64, Relaxed);
    }

    /// How long what was read lay in the kernel, since this was forgotten last: the 90th percentile, by bytes.
    #[must_use]
    pub fn lag_p90(&self) -> Option<Micros> {
        self.lags().p90()
    }

    /// Begins a new distribution of lags.
    pub fn forget_lags(&self) {
        self.lags().clear();
    }

    /// Allows one socket read, and from now on none without such a grant.
    pub fn grant_read(&self) {
        self.turns.store(true, Relaxed);
        self.granted.store(true, Relaxed);
        self.refused.store(false, Relaxed);
    }

    /// Was a read asked for beyond the granted one since the grant?
    #[must_use]
    pub fn take_refusal(&self) -> bool {
        self.refused.swap(false, Relaxed)
    }

    /// A read took `bytes`, the last of which the kernel received at `received`, as time since the epoch.
    fn note_lag(&self, received: Option<Duration>, bytes: usize) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if let Some(received) = received {
            self.lags().note(now.saturating_sub(received).into(), bytes as u64);
        }
    }

    fn lags(&self) -> MutexGuard<'_, Lags> {
        self.lags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instant(&self, stamp: u64) -> Instant {
        self.base + Duration::from_nanos(stamp.saturating_sub(1))
    }

    fn stamp(&self) -> u64 {
        let nanos = self.base.elapsed().as_nanos();
        u64::try_from(nanos).map_or(u64::MAX, |nanos| nanos.saturating_add(1))
    }

    fn may_read(&self) -> bool {
        let may = !self.turns.load(Relaxed) || self.granted.load(Relaxed);
        if !may {
            self.refused.store(true, Relaxed);
        }
        may
    }

    fn on_read(&self, bytes: usize) {
        self.last_read.store(self.moved(), Relaxed);
        self.bytes_read.fetch_add(bytes as u64, Relaxed);
        self.granted.store(false, Relaxed);
    }

    /// Bytes have moved; the stamp of it.
    fn moved(&self) -> u64 {
        let now = self.stamp();
        if !self.in_body.load(Relaxed) {
            self.progress.store(now, Relaxed);
        }
        now
    }
}

impl<S> Metered<S> {
    /// Puts a meter on a socket.
    pub fn new(socket: S, meter: Arc<Meter>) -> Self {
        Self { socket, meter }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if !self.meter.may_read() {
            // No waker is needed: the driver sees the refusal and takes another turn before it sleeps.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(cx, buf);
        if polled.is_ready() {
            self.meter.on_read(buf.filled().len() - before);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(cx, buf);
        if let Poll::Ready(Ok(1..)) = polled {
            self.meter.last_write.store(self.meter.moved(), Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn reads_and_writes_are_stamped_as_they_return() {
        let (near, mut far) = tokio::io::duplex(64);
        let meter = Meter::new();
        let start = Instant::now();
        let mut near = Metered::new(near, meter.clone());
        tokio::time::advance(Duration::from_millis(5)).await;
        near.write_all(b"request").await.unwrap();
        tokio::time::advance(Duration::from_millis(80)).await;
        far.write_all(b"answer").await.unwrap();
        let mut buf = [0; 16];
        assert_eq!(near.read(&mut buf).await.unwrap(), 6);
        assert_eq!(meter.last_write() - start, Duration::from_millis(5));
        assert_eq!(meter.last_read() - start, Duration::from_millis(85));
        assert_eq!(meter.bytes_read(), 6);
    }

    #[tokio::test]
    async fn one_grant_is_one_read() {
        let (near, mut far) = tokio::io::duplex(64);
        let meter = Meter::new();
        let mut near = Metered::new(near, meter.clone());
        far.write_all(b"abcdef").await.unwrap();
        meter.grant_read();
        let mut buf = [0; 3];
        assert_eq!(near.read(&mut buf).await.unwrap(), 3);
        assert!(!meter.take_refusal());
        let second = futures_poll_once(near.read(&mut buf)).await;
        assert!(second.is_none() && meter.take_refusal());
        meter.grant_read();
        assert_eq!(near.read(&mut buf).await.unwrap(), 3);
    }

    async fn futures_poll_once<F: Future>(future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}
