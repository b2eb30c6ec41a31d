//! A listener that nobody may connect to, and that counts who does.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::TcpListener, task::JoinSet};

/// Where it stands and how often it was stepped into.
#[derive(Debug)]
pub(super) struct Trap {
    pub(super) address: SocketAddr,
    sprung: Arc<AtomicUsize>,
}

impl Trap {
    /// Sets one up.
    pub(super) async fn set(at: SocketAddr, tasks: &mut JoinSet<()>) -> io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let trap = Self { address: listener.local_addr()?, sprung: Arc::default() };
        let sprung = Arc::clone(&trap.sprung);
        tasks.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                sprung.fetch_add(1, Ordering::Relaxed);
                drop(connection);
            }
        });
        Ok(trap)
    }

    /// Only the address of one, where the system has none like it.
    pub(super) fn painted(address: IpAddr, port: u16) -> Self {
        Self { address: SocketAddr::new(address, port), sprung: Arc::default() }
    }

    /// Connections accepted so far.
    pub(super) fn sprung(&self) -> usize {
        self.sprung.load(Ordering::Relaxed)
    }
}
