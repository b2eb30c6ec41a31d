//! Names to addresses, without a cache of our own: as the operating system does it, or by the servers of `network.resolver`.
//!
//! One resolver serves everything that a process dials: nodes, registries and the database.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::time::timeout;

use crate::config::{FamilyChoice, Resolver as ResolverChoice};

use super::run_clock::RunClock;

use self::{
    servers::Servers,
    threads::{Abandoned, Share, Thread, Threads},
};

mod hosts;
mod preference;
mod provider;
mod servers;
mod system;
pub mod threads;
mod uplink;

pub use self::preference::source_address;

/// Looks names up. Clones share its threads.
#[derive(Clone, Debug)]
pub struct Resolver {
    threads: Threads,
    /// The system looks names up where there are none.
    servers: Option<Arc<Servers>>,
}

/// What a lookup needs before its clock starts: a thread, where it takes one.
#[derive(Debug)]
pub struct Reservation(Option<Result<Thread, LookupError>>);

/// Why there is no address for a name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LookupError {
    /// There is no such name, or no address of the wanted family.
    #[error("{0}")]
    NotFound(String),
    /// No answer in time.
    #[error("{0}")]
    Timeout(String),
    /// The resolver failed.
    #[error("{0}")]
    Failed(String),
    /// A fault of this host: no thread, descriptor, memory or route to a name server.
    #[error("{0}")]
    Local(String),
}

impl Resolver {
    /// A resolver by the system on these threads, or by the servers of the config.
    #[must_use]
    pub fn new(choice: &ResolverChoice, threads: Threads) -> Self {
        let servers = match choice {
            ResolverChoice::System => None,
            ResolverChoice::Servers(servers) => Some(Arc::new(Servers::new(servers.clone()))),
        };
        Self { threads, servers }
    }

    /// Waits for what a lookup needs, `patience` beyond the last answer that any lookup brought. A failure to get it is
    /// that of the lookup.
    pub async fn reserve(&self, share: Share, patience: Duration) -> Reservation {
        match self.servers {
            Some(_) => Reservation::unneeded(),
            None => Reservation(Some(self.threads.take(share, patience).await)),
        }
    }

    /// The addresses of a name, of the wanted family, the one to try first in front. Within `limit` by the clock, which the
    /// servers of a list share out; a caller that stops waiting for the system's lookup abandons it.
    ///
    /// # Errors
    /// When there is none, and who is responsible.
    pub async fn look_up(
        &self,
        host: &str,
        family: FamilyChoice,
        reserved: Reservation,
        limit: Duration,
        clock: &RunClock,
    ) -> Result<Vec<IpAddr>, LookupError> {
        if let Some(servers) = &self.servers {
            // Boxed: the futures of every transfer and check would hold it, several times over.
            return Box::pin(servers.look_up(host, family, limit, clock)).await;
        }
        let thread = match reserved.0 {
            Some(reserved) => reserved?,
            None => self.threads.take(Share::Other, limit).await?,
        };
        let host = host.to_owned();
        thread.run(move || system::look_up(&host, family)).await
    }

    /// The same for callers who do not measure: waits for a thread and for the answer, each for at most this time.
    ///
    /// # Errors
    /// As [`Self::look_up`].
    pub async fn find(&self, host: &str, family: FamilyChoice, limit: Duration) -> Result<Vec<IpAddr>, LookupError> {
        let reserved = self.reserve(Share::Other, limit).await;
        let found = timeout(limit, self.look_up(host, family, reserved, limit, &RunClock::default())).await;
        found.unwrap_or_else(|_| Err(LookupError::Timeout(format!("no answer within {limit:?}"))))
    }

    /// The lookups that were given up before the system returned.
    #[must_use]
    pub fn abandoned(&self) -> Abandoned {
        self.threads.abandoned()
    }
}

impl Reservation {
    /// For an address, which is not looked up.
    #[must_use]
    pub const fn unneeded() -> Self {
        Self(None)
    }
}

impl LookupError {
    fn no_name() -> Self {
        Self::NotFound("there is no such host".to_owned())
    }

    fn no_address() -> Self {
        Self::NotFound("the name has no address of the wanted family".to_owned())
    }

    /// What the operating system refused on the way to a name server.
    fn from_io(error: &io::Error) -> Self {
        let is_local = super::failure::is_local(error);
        let text = error.to_string();
        if is_local { Self::Local(text) } else { Self::Failed(text) }
    }
}
