//! Resolves names to addresses, without a cache: as the operating system does, or through the servers of
//! `network.resolver`.
//!
//! One resolver serves every connection of a process: to nodes, registries and the database.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::time::timeout;

use crate::config::{FamilyChoice, Resolver as ResolverChoice};

use super::run_clock::RunClock;

use self::{
    servers::Servers,
    threads::{Abandoned, LookupPurpose, ReservedThread, Threads},
};

mod hosts;
mod preference;
mod provider;
mod servers;
mod system;
pub mod threads;
mod uplink;

pub use self::preference::source_address;

/// Resolves names. Clones share its threads.
#[derive(Clone, Debug)]
pub struct Resolver {
    threads: Threads,
    /// `None` when the system resolves names.
    servers: Option<Arc<Servers>>,
}

/// The resource that a lookup needs before its clock starts: a thread, if the system resolves names.
#[derive(Debug)]
pub struct Reservation(Reserved);

#[derive(Debug)]
enum Reserved {
    /// The lookup needs none.
    Nothing,
    Thread(Result<ReservedThread, LookupError>),
    /// An earlier lookup of this name still waits for the system. This one would wait too, so it gets no thread.
    Hanging,
}

/// Why there is no address for a name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LookupError {
    /// The name does not exist, or it has no address of the wanted family.
    #[error("{0}")]
    NotFound(String),
    /// There was no response in time.
    #[error("{0}")]
    Timeout(String),
    /// The name server or the system's resolver failed.
    #[error("{0}")]
    Failed(String),
    /// A fault of this machine: no thread, descriptor, memory, or route to a name server.
    #[error("{0}")]
    Local(String),
}

impl Resolver {
    /// A resolver through the system on these threads, or through the servers of the config.
    #[must_use]
    pub fn new(choice: &ResolverChoice, threads: Threads) -> Self {
        let servers = match choice {
            ResolverChoice::System => None,
            ResolverChoice::Servers(servers) => Some(Arc::new(Servers::new(servers.clone()))),
        };
        Self { threads, servers }
    }

    /// Waits for the resource that a lookup of `host` needs, until `patience` after the last answer of any lookup of
    /// this purpose. If that fails, the lookup fails.
    pub async fn reserve(&self, host: &str, purpose: LookupPurpose, patience: Duration) -> Reservation {
        Reservation(match self.servers {
            Some(_) => Reserved::Nothing,
            None if self.threads.is_hanging(host) => Reserved::Hanging,
            None => Reserved::Thread(self.threads.take(purpose, patience).await),
        })
    }

    /// Whether the system has answered a lookup of this purpose within the last `time`.
    #[must_use]
    pub fn has_answered_within(&self, time: Duration, purpose: LookupPurpose) -> bool {
        self.threads.last_answer(purpose).is_some_and(|at| at.elapsed() <= time)
    }

    /// Whether the system gave no answer to the last lookup of this name.
    #[must_use]
    pub fn is_silent(&self, host: &str) -> bool {
        self.threads.is_silent(host)
    }

    /// The addresses of a name of the wanted family, in the order in which to try them. `limit` is measured by `clock`;
    /// the servers of a list share it. When the caller stops waiting for the system's lookup, the lookup is abandoned.
    /// While such a lookup still waits for the system, another one for the same name never ends: callers have
    /// deadlines.
    ///
    /// # Errors
    /// When there is no address. The variant shows who is responsible.
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
            Reserved::Thread(reserved) => reserved?,
            Reserved::Nothing => self.threads.take(LookupPurpose::Other, limit).await?,
            Reserved::Hanging => std::future::pending().await,
        };
        let name = host.to_owned();
        thread.run(host, move || system::look_up(&name, family)).await
    }

    /// Like [`Self::look_up`], for callers that do not measure. Waits at most `limit` for a thread, and as long again
    /// for the answer.
    ///
    /// # Errors
    /// As [`Self::look_up`].
    pub async fn find(&self, host: &str, family: FamilyChoice, limit: Duration) -> Result<Vec<IpAddr>, LookupError> {
        let reserved = self.reserve(host, LookupPurpose::Other, limit).await;
        let found = timeout(limit, self.look_up(host, family, reserved, limit, &RunClock::default())).await;
        found.unwrap_or_else(|_| Err(LookupError::Timeout(format!("no answer within {limit:?}"))))
    }

    /// The number of lookups that their callers gave up before the system returned.
    #[must_use]
    pub fn abandoned(&self) -> Abandoned {
        self.threads.abandoned()
    }
}

impl Reservation {
    /// Whether no thread became free in time, or none could be started.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        matches!(self.0, Reserved::Thread(Err(_)))
    }

    /// For a lookup for which no thread became free in time. It fails.
    #[must_use]
    pub fn no_thread() -> Self {
        Self(Reserved::Thread(Err(LookupError::no_thread())))
    }

    /// For an address, which needs no lookup.
    #[must_use]
    pub const fn unneeded() -> Self {
        Self(Reserved::Nothing)
    }
}

impl LookupError {
    /// No thread became free in time.
    #[must_use]
    pub fn no_thread() -> Self {
        Self::Local("all resolver threads are waiting".to_owned())
    }

    fn no_name() -> Self {
        Self::NotFound("there is no such host".to_owned())
    }

    fn no_address() -> Self {
        Self::NotFound("the name has no address of the wanted family".to_owned())
    }

    /// An error of the operating system on the way to a name server.
    fn from_io(error: &io::Error) -> Self {
        let is_local = super::errno::is_local(error);
        let text = error.to_string();
        if is_local { Self::Local(text) } else { Self::Failed(text) }
    }
}
