//! Opens a TCP connection: one address, one attempt.

use std::{io, net::SocketAddr};

use tokio::net::{TcpSocket, TcpStream};

/// Connects to exactly this address.
///
/// `TCP_NODELAY` is on, so that a small request is not delayed. The receive buffer is not set, because setting it would
/// turn off the kernel's autotuning.
///
/// # Errors
/// Those of `socket(2)` and `connect(2)`.
pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_nodelay(true)?;
    socket.connect(address).await
}
