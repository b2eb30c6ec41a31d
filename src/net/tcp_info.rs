//! The kernel's counters of a TCP connection (Linux): `TCP_INFO` as the *receiver* of data sees it.
//!
//! Only fields that are meaningful at a receiver are read: the round-trip times, the receiver's own estimate,
//! out-of-order segments. Delivery rate, retransmissions and similar fields describe the request that bandprobe sent.

#[cfg(target_os = "linux")]
use std::sync::Arc;

use crate::model::units::{Bytes, Micros};

/// A reading of the kernel's counters. A field is `None` where the kernel does not provide it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed round-trip time of the connection (RFC 6298).
    pub rtt: Option<Micros>,
    /// The smallest round-trip time of the last minutes.
    pub min_rtt: Option<Micros>,
    /// The receiver's estimate of the round-trip time from the turnaround of its window. For information only.
    pub rcv_rtt: Option<Micros>,
    /// Segments that arrived out of order since the connection was opened.
    pub ooo_segments: Option<u64>,
    /// The receive window that was last announced to the peer (Linux 6.2 and later).
    pub rcv_wnd: Option<Bytes>,
}

/// A handle for reading the counters of a connection whose stream already belongs to HTTP.
#[derive(Debug, Default)]
pub struct KernelCounters {
    #[cfg(target_os = "linux")]
    socket: Option<Arc<tokio::net::TcpStream>>,
}

#[cfg(target_os = "linux")]
impl KernelCounters {
    /// Keeps the socket open while the handle exists.
    #[must_use]
    pub fn of(socket: &Arc<tokio::net::TcpStream>) -> Self {
        Self { socket: Some(socket.clone()) }
    }

    /// Reads the counters now.
    #[must_use]
    pub fn tcp_info(&self) -> TcpInfo {
        let raw = self.socket.as_deref().map(raw).unwrap_or_default();
        let u32_at = |at: usize| raw.get(at..at + 4)?.try_into().map(u32::from_ne_bytes).ok();
        // The kernel reports zero, or all ones, for a value that it has not measured yet.
        let micros_at =
            |at: usize| u32_at(at).filter(|&value| value != 0 && value != u32::MAX).map(|v| Micros(v.into()));
        TcpInfo {
            rtt: micros_at(offset::RTT),
            min_rtt: micros_at(offset::MIN_RTT),
            rcv_rtt: micros_at(offset::RCV_RTT),
            ooo_segments: u32_at(offset::RCV_OOOPACK).map(u64::from),
            rcv_wnd: u32_at(offset::RCV_WND).filter(|&window| window != 0).map(|window| Bytes(window.into())),
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl KernelCounters {
    /// On other systems the socket is not kept.
    #[must_use]
    pub fn of(_socket: &std::sync::Arc<tokio::net::TcpStream>) -> Self {
        Self {}
    }

    /// On other systems every field is `None`.
    #[must_use]
    pub fn tcp_info(&self) -> TcpInfo {
        TcpInfo::default()
    }
}

/// The bytes of the kernel's `struct tcp_info`, as many as this kernel provides; empty when it refuses.
#[cfg(target_os = "linux")]
fn raw(socket: &tokio::net::TcpStream) -> Vec<u8> {
    use std::os::fd::AsRawFd;

    let mut buffer = vec![0_u8; offset::ROOM];
    let mut length = libc::socklen_t::try_from(buffer.len()).expect("invariant: a small constant");
    #[expect(unsafe_code, reason = "no crate offers TCP_INFO with the fields of newer kernels")]
    // SAFETY: the descriptor is open for as long as `socket` is borrowed; `buffer` is valid for writes of `length`
    // bytes and `length` for a read and a write, and the kernel writes at most `length` bytes (tcp(7), getsockopt(2)).
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            buffer.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    buffer.truncate(if status == 0 { length as usize } else { 0 });
    buffer
}

/// Offsets in `struct tcp_info` of include/uapi/linux/tcp.h. The kernel only ever appends fields.
#[cfg(target_os = "linux")]
mod offset {
    pub(super) const RTT: usize = 68;
    pub(super) const RCV_RTT: usize = 92;
    pub(super) const MIN_RTT: usize = 148;
    pub(super) const RCV_OOOPACK: usize = 224;
    pub(super) const RCV_WND: usize = 232;
    /// Larger than the struct of any kernel so far.
    pub(super) const ROOM: usize = 512;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[tokio::test]
    async fn a_loopback_connection_has_a_round_trip_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        near.write_all(b"x").await.unwrap();
        far.read_u8().await.unwrap();
        far.write_all(b"y").await.unwrap();
        near.read_u8().await.unwrap();
        let info = KernelCounters::of(&Arc::new(near)).tcp_info();
        let (rtt, min_rtt) = (info.rtt.unwrap(), info.min_rtt.unwrap());
        assert!(min_rtt <= rtt && rtt < Micros(1_000_000), "{info:?}");
        assert_eq!(info.ooo_segments, Some(0));
        // Absent before Linux 6.2. Loopback starts with 64 KiB and never goes below one segment.
        assert!(info.rcv_wnd.is_none_or(|window| (1_000..1 << 30).contains(&window.0)), "{info:?}");
    }
}
