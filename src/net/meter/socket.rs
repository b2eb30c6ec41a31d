//! A TCP socket whose reads report when the kernel received the data.

use std::{
    io::ErrorKind,
    net::Shutdown,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use socket2::{Domain, SockRef, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use super::Meter;

/// A TCP socket that reports to its meter how long received data waited in the kernel.
///
/// Linux takes the time of each segment as it arrives from the driver (`SO_TIMESTAMPING`, "software receive", in
/// Documentation/networking/timestamping.rst). `recvmsg` returns, next to the bytes, the timestamp of the last segment
/// that the read took data from. On other systems, and where the kernel refuses, reads have no timestamps.
#[derive(Debug)]
pub struct Socket {
    stream: Arc<TcpStream>,
    meter: Arc<Meter>,
}

impl Socket {
    /// Wraps a socket and requests receive timestamps, which go to `meter`.
    #[must_use]
    pub fn new(stream: Arc<TcpStream>, meter: Arc<Meter>) -> Self {
        kernel::ask_for_stamps(&*stream);
        Self { stream, meter }
    }
}

/// Keeps the kernel taking timestamps while the returned value exists, even when no transfer runs. `None` where it
/// refuses.
///
/// Linux takes no timestamps until a socket wants them, and patches its own code whenever the first such socket appears
/// or the last one disappears. A single connection would pay for that, and its first segments would have no timestamps.
#[must_use]
pub fn keep_stamping() -> Option<Arc<socket2::Socket>> {
    let held = socket2::Socket::new(Domain::IPV4, Type::DGRAM, None).ok()?;
    kernel::ask_for_stamps(&held);
    Some(Arc::new(held))
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            let mut read = None;
            let tried = self.stream.try_io(Interest::READABLE, || {
                let (length, received) = read.insert(kernel::receive(&self.stream, buf)?);
                self.meter.note_lag(*received, *length);
                // A read that does not fill the buffer has emptied the socket (epoll(7), question 9). With
                // `WouldBlock`, tokio waits for the next event and skips the read that would only confirm it.
                if buf.remaining() > 0 && *length > 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match tried {
                _ if read.is_some() => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return Poll::Ready(other),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_write(buf) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.stream).shutdown(Shutdown::Write))
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::{io, mem::MaybeUninit, os::fd::AsRawFd, ptr, time::Duration};

    use tokio::{io::ReadBuf, net::TcpStream};

    /// Requests software receive timestamps. If the kernel refuses, reads have none.
    pub(super) fn ask_for_stamps(socket: &impl AsRawFd) {
        let flags = libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
        let length = libc::socklen_t::try_from(size_of_val(&flags)).expect("invariant: a small constant");
        #[expect(unsafe_code, reason = "no crate sets SO_TIMESTAMPING")]
        // SAFETY: the descriptor is open for as long as `socket` is borrowed, and the kernel reads `length` bytes at
        // the address of `flags`, which is that long (setsockopt(2)). It keeps no pointer.
        let _ = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_TIMESTAMPING,
                ptr::from_ref(&flags).cast(),
                length,
            )
        };
    }

    /// Reads once. Returns the number of bytes, and when the kernel received the last segment of them, as time since
    /// the epoch.
    pub(super) fn receive(socket: &TcpStream, buf: &mut ReadBuf<'_>) -> io::Result<(usize, Option<Duration>)> {
        let mut control = Control([MaybeUninit::uninit(); CONTROL]);
        #[expect(unsafe_code, reason = "no crate hands out receive stamps without copies or allocations")]
        // SAFETY: all-zero bytes are a valid `msghdr` (null pointers and zero lengths). The pointers set afterwards
        // refer to memory that outlives the call and is valid for writes of the given lengths: the unfilled part of
        // `buf`, and `control`, which is aligned for a `cmsghdr`. The descriptor is open for as long as `socket` is
        // borrowed. The kernel initialises as many bytes of the former as it returns, and of the latter as it writes to
        // `msg_controllen` (recvmsg(2)). Nothing more is assumed of them below.
        let (length, received) = unsafe {
            let unfilled = buf.unfilled_mut();
            let mut piece = libc::iovec { iov_base: unfilled.as_mut_ptr().cast(), iov_len: unfilled.len() };
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = &raw mut piece;
            message.msg_iovlen = 1;
            message.msg_control = control.0.as_mut_ptr().cast();
            message.msg_controllen = CONTROL as _;
            let length = libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0);
            let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
            buf.assume_init(length);
            (length, stamp(&message))
        };
        buf.advance(length);
        Ok((length, received))
    }

    /// The software timestamp in the control messages of a `recvmsg` that has returned.
    #[expect(unsafe_code, reason = "the macros of cmsg(3) walk raw memory")]
    // SAFETY of calling: `message` is as `recvmsg` left it, and its control buffer is still there.
    unsafe fn stamp(message: &libc::msghdr) -> Option<Duration> {
        // SAFETY: the macros stay within the `msg_controllen` bytes that the kernel has written (cmsg(3)), and a
        // message of type SCM_TIMESTAMPING holds three `timespec` (timestamping.rst §2.1), read without assuming their
        // alignment.
        let time = unsafe {
            let mut header = libc::CMSG_FIRSTHDR(message);
            while !header.is_null()
                && ((*header).cmsg_level, (*header).cmsg_type) != (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING)
            {
                header = libc::CMSG_NXTHDR(message, header);
            }
            if header.is_null() {
                return None;
            }
            // The first of the three is the software timestamp.
            libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned()
        };
        let stamp = Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?);
        Some(stamp).filter(|stamp| !stamp.is_zero())
    }

    /// Room for control messages, with the alignment of a `cmsghdr`.
    #[repr(align(8))]
    struct Control([MaybeUninit<u8>; CONTROL]);

    /// The size in bytes. One timestamp takes 64; nothing else was requested.
    const CONTROL: usize = 128;
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::{io, time::Duration};

    use tokio::{io::ReadBuf, net::TcpStream};

    pub(super) const fn ask_for_stamps<S>(_: &S) {}

    pub(super) fn receive(socket: &TcpStream, buf: &mut ReadBuf<'_>) -> io::Result<(usize, Option<Duration>)> {
        socket.try_read_buf(buf).map(|length| (length, None))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{thread, time::Duration};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::model::units::Micros;

    #[expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
    async fn pair() -> (Socket, TcpStream, Arc<Meter>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let meter = Meter::new();
        (Socket::new(Arc::new(near), meter.clone()), far, meter)
    }

    #[tokio::test]
    async fn written_bytes_and_the_shutdown_arrive() {
        let (mut near, mut far, _) = pair().await;
        near.write_all(b"ping").await.unwrap();
        let mut four = [0; 4];
        far.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"ping");

        let sent: Vec<u8> = (0..200_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let (mut got, copy) = (vec![], sent.clone());
        let sending = async {
            far.write_all(&copy).await.unwrap();
            far.shutdown().await.unwrap();
        };
        tokio::join!(sending, async { near.read_to_end(&mut got).await.unwrap() });
        assert!(got == sent, "{} of {} bytes, or others", got.len(), sent.len());
        near.shutdown().await.unwrap();
        assert_eq!(far.read(&mut four).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_late_read_keeps_the_kernels_timestamp() {
        let (mut near, mut far, meter) = pair().await;
        // If no other socket on the system wants timestamps, the kernel starts to take them a moment after the first
        // request.
        let mut byte = [0];
        while meter.lag_p90().is_none() {
            far.write_all(b"x").await.unwrap();
            near.read_exact(&mut byte).await.unwrap();
        }
        meter.forget_lags();
        far.write_all(&[b'x'; 1_000]).await.unwrap();
        thread::sleep(Duration::from_millis(60));
        near.read_exact(&mut [0; 1_000]).await.unwrap();
        assert!(meter.lag_p90() >= Some(Micros(55_000)), "{:?}", meter.lag_p90());
    }

    #[tokio::test]
    async fn a_reset_is_an_error() {
        let (mut near, far, _) = pair().await;
        SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        let error = near.read(&mut [0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}
