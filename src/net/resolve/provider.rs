//! Sockets to name servers, connected ones on Linux: only these learn at once that a port is closed.

use std::{io, net::SocketAddr, pin::Pin, time::Duration};

use hickory_resolver::net::runtime::{RuntimeProvider, TokioRuntimeProvider};
use tokio::net::UdpSocket;

/// hickory's own sockets, connected.
#[derive(Clone, Default)]
pub(super) struct Connected(TokioRuntimeProvider);

type Opening<T> = Pin<Box<dyn Send + Future<Output = io::Result<T>>>>;

impl RuntimeProvider for Connected {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = <TokioRuntimeProvider as RuntimeProvider>::Timer;
    type Udp = UdpSocket;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.0.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        within: Option<Duration>,
    ) -> Opening<Self::Tcp> {
        self.0.connect_tcp(server, local, within)
    }

    fn bind_udp(&self, local: SocketAddr, server: SocketAddr) -> Opening<Self::Udp> {
        Box::pin(async move {
            let socket = UdpSocket::bind(local).await?;
            // Elsewhere a connected socket cannot send with an address, as hickory does.
            if cfg!(target_os = "linux") {
                socket.connect(server).await?;
            }
            Ok(socket)
        })
    }
}
