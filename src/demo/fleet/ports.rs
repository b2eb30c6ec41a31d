//! The addresses of the simulated servers.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use socket2::{Domain, Socket, Type};
use tokio::{net::TcpListener, task::JoinSet};

use super::{super::DemoError, trap::Trap};

/// Assigns ports: consecutive ones from a first port, or free ones.
pub(super) struct Ports(Option<u16>);

impl From<Option<u16>> for Ports {
    fn from(first: Option<u16>) -> Self {
        Self(first)
    }
}

impl Ports {
    fn next(&mut self, address: Ipv4Addr) -> SocketAddr {
        let port = self.0.unwrap_or(0);
        self.0 = self.0.map(|port| port.saturating_add(1));
        (address, port).into()
    }

    pub(super) async fn listen(&mut self, node: &'static str) -> Result<TcpListener, DemoError> {
        let address = self.next(Ipv4Addr::LOCALHOST);
        TcpListener::bind(address).await.map_err(|source| DemoError::Listen { node, address, source })
    }

    pub(super) async fn trap(
        &mut self,
        node: &'static str,
        address: Ipv4Addr,
        tasks: &mut JoinSet<()>,
    ) -> Result<Trap, DemoError> {
        let address = self.next(address);
        Trap::set(address, tasks).await.map_err(|source| DemoError::Listen { node, address, source })
    }

    /// Reserves a port on which nothing listens.
    pub(super) fn bind(&mut self, node: &'static str) -> Result<(Socket, SocketAddr), DemoError> {
        let address = self.next(Ipv4Addr::LOCALHOST);
        let bound = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&address.into())?;
            let bound = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
            Ok((socket, bound))
        };
        bound().map_err(|source| DemoError::Listen { node, address, source })
    }
}
