//! Timestamps of the socket: how many bytes, and when.
//!
//! [`Metered`] wraps the socket and takes the time when a read or write returns from the kernel. The layers above it
//! (buffer, TLS, HTTP) may split, join or delay bytes; the timestamps remain those of the socket.
//!
//! **One read per turn.** HTTP/2 reads until the socket is empty and hands over its frames afterwards. The frames of
//! many reads would then get the timestamp of the last one. So the driver of a connection grants one socket read
//! ([`Meter::grant_read`]), takes out what that read completed, and only then grants the next. The meter remembers an
//! attempt to read without a grant ([`Meter::take_refusal`]), so that the driver knows that another turn is needed.
//!
//! Two submodules show whether bandprobe itself read in time: [`socket`] measures how long data waited in the kernel,
//! [`thread`] how busy the reading thread was.

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

/// The counters and timestamps of a connection's socket. The socket, the message boundaries and the driver share it.
/// They run in one task; the atomics are needed only because a task may move between threads.
#[derive(Debug)]
pub struct Meter {
    base: Instant,
    /// Nanoseconds after `base`, plus one; zero means never.
    last_read: AtomicU64,
    last_write: AtomicU64,
    bytes_read: AtomicU64,
    /// When the current exchange last made progress.
    progress: AtomicU64,
    /// Whether only body bytes count as progress. Otherwise every byte does.
    in_body: AtomicBool,
    /// Payload bytes read so far of a TLS record, or of an HTTP/2 DATA frame, that is not complete yet.
    unfinished_record: AtomicU64,
    unfinished_frame: AtomicU64,
    /// Whether reads need a grant. They do not during the TLS handshake.
    turns: AtomicBool,
    granted: AtomicBool,
    refused: AtomicBool,
    lags: Mutex<Lags>,
}

/// A socket with a meter on it.
#[derive(Debug)]
pub struct Metered<S> {
    socket: S,
    meter: Arc<Meter>,
}

impl Meter {
    /// A meter whose connection starts now.
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

    /// When the last socket read returned. Before the first one, the start of the connection.
    #[must_use]
    pub fn last_read(&self) -> Instant {
        self.instant(self.last_read.load(Relaxed))
    }

    /// When the kernel accepted the last bytes written. Before the first ones, the start of the connection.
    #[must_use]
    pub fn last_write(&self) -> Instant {
        self.instant(self.last_write.load(Relaxed))
    }

    /// When the current exchange last made progress: any byte in either direction or, while a body is read, a byte of
    /// the body. Pings and chunk extensions are bytes, but they are not progress of a body.
    #[must_use]
    pub fn last_progress(&self) -> Instant {
        self.instant(self.progress.load(Relaxed))
    }

    /// With `true`, only [`Self::note_progress`] counts as progress; with `false`, every byte.
    pub(super) fn set_in_body(&self, in_body: bool) {
        self.in_body.store(in_body, Relaxed);
    }

    /// Call this when the last read brought body bytes.
    pub(super) fn note_progress(&self) {
        self.progress.store(self.last_read.load(Relaxed), Relaxed);
    }

    /// Bytes read from the socket, including those of TLS and HTTP.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Relaxed)
    }

    /// Bytes that have arrived but are not available yet, because their TLS record or HTTP/2 frame is not complete: at
    /// most about 32 KiB, exact except for a few bytes of record framing.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.unfinished_record.load(Relaxed) + self.unfinished_frame.load(Relaxed)
    }

    /// Sets the number of payload bytes read of an incomplete TLS record.
    pub(super) fn set_unfinished_record(&self, bytes: usize) {
        self.unfinished_record.store(bytes as u64, Relaxed);
    }

    /// Sets the number of payload bytes read of an incomplete HTTP/2 DATA frame.
    pub(super) fn set_unfinished_frame(&self, bytes: usize) {
        self.unfinished_frame.store(bytes as u64, Relaxed);
    }

    /// How long received data waited in the kernel, since [`Self::forget_lags`]: the 90th percentile, weighted by
    /// bytes. `None` without receive timestamps.
    #[must_use]
    pub fn lag_p90(&self) -> Option<Micros> {
        self.lags().p90()
    }

    /// Clears the waiting times.
    pub fn forget_lags(&self) {
        self.lags().clear();
    }

    /// Permits one socket read. From the first call on, every read needs a permit.
    pub fn grant_read(&self) {
        self.turns.store(true, Relaxed);
        self.granted.store(true, Relaxed);
        self.refused.store(false, Relaxed);
    }

    /// Whether a further read was attempted since the last grant. Clears the flag.
    #[must_use]
    pub fn take_refusal(&self) -> bool {
        self.refused.swap(false, Relaxed)
    }

    /// Records a read of `bytes`, the last of which the kernel received at `received`, as time since the epoch.
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

    /// Returns the timestamp of a read or write, which is also progress unless a body is read.
    fn moved(&self) -> u64 {
        let now = self.stamp();
        if !self.in_body.load(Relaxed) {
            self.progress.store(now, Relaxed);
        }
        now
    }
}

impl<S> Metered<S> {
    /// Wraps a socket with a meter.
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
