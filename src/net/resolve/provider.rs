//! Sockets to name servers. On Linux they are connected, so that they report a closed port or a missing route at once.

use std::{
    io::{self, Read},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hickory_resolver::net::runtime::{DnsUdpSocket, RuntimeProvider, TokioRuntimeProvider};
use socket2::SockRef;
use tokio::{io::Interest, net::UdpSocket};

/// Creates the sockets of one question.
#[derive(Clone, Default)]
pub(super) struct Sockets {
    tokio: TokioRuntimeProvider,
    /// The last error of the operating system. hickory itself only reports that there is no connection.
    refused: Arc<Mutex<Option<io::Error>>>,
}

/// A UDP socket to one server.
pub(super) struct Datagrams {
    socket: UdpSocket,
    server: SocketAddr,
    sockets: Sockets,
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

impl Sockets {
    /// Takes the last error of the operating system, if there was one.
    pub(super) fn refused(&self) -> Option<io::Error> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Stores an error and returns a copy of it.
    fn note<T>(&self, done: io::Result<T>) -> io::Result<T> {
        done.map_err(|error| {
            let copy = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            copy
        })
    }
}

impl RuntimeProvider for Sockets {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = <TokioRuntimeProvider as RuntimeProvider>::Timer;
    type Udp = Datagrams;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.tokio.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        within: Option<Duration>,
    ) -> Boxed<'static, Self::Tcp> {
        let (connecting, sockets) = (self.tokio.connect_tcp(server, local, within), self.clone());
        Box::pin(async move { sockets.note(connecting.await) })
    }

    fn bind_udp(&self, local: SocketAddr, server: SocketAddr) -> Boxed<'static, Self::Udp> {
        let sockets = self.clone();
        Box::pin(async move {
            let socket = sockets.note(UdpSocket::bind(local).await)?;
            // On other systems a connected socket cannot send with an address, which hickory does.
            if cfg!(target_os = "linux") {
                sockets.note(socket.connect(server).await)?;
            }
            Ok(Datagrams { socket, server, sockets })
        })
    }
}

impl DnsUdpSocket for Datagrams {
    type Time = <TokioRuntimeProvider as RuntimeProvider>::Timer;

    fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        DnsUdpSocket::poll_recv_from(&self.socket, cx, buf)
    }

    /// tokio's own method does not wake up when there is an error and nothing to read.
    fn recv_from<'a, 'b, 'c>(&'a self, buf: &'b mut [u8]) -> Boxed<'c, (usize, SocketAddr)>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move {
            if !cfg!(target_os = "linux") {
                return self.socket.recv_from(buf).await;
            }
            let read = || (&*SockRef::from(&self.socket)).read(buf);
            let received = self.socket.async_io(Interest::READABLE | Interest::ERROR, read).await;
            self.sockets.note(received).map(|length| (length, self.server))
        })
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], target: SocketAddr) -> Poll<io::Result<usize>> {
        DnsUdpSocket::poll_send_to(&self.socket, cx, buf, target).map(|sent| self.sockets.note(sent))
    }
}
