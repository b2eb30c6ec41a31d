//! A listener that counts connections, for addresses that must not be contacted.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::TcpListener, task::JoinSet};

/// The address of the trap, and how many connections it accepted.
#[derive(Debug)]
pub(super) struct Trap {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Trap {
    /// Starts a trap.
    pub(super) async fn set(at: SocketAddr, tasks: &mut JoinSet<()>) -> io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let trap = Self { address: listener.local_addr()?, connections: Arc::default() };
        let connections = Arc::clone(&trap.connections);
        tasks.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                drop(connection);
            }
        });
        Ok(trap)
    }

    /// A trap without a listener, for systems that cannot listen on its address.
    pub(super) fn painted(address: IpAddr, port: u16) -> Self {
        Self { address: SocketAddr::new(address, port), connections: Arc::default() }
    }

    /// Connections accepted so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
