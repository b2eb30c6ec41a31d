//! The runtime that only measures: one thread, on which transfers run and nothing else does. Status checks have another one of
//! the kind, which gives way to it.
//!
//! Compressing a batch for the database, or writing a report, must never look like a slow node. So everything but
//! transfers runs on another runtime, in other threads.
//!
//! The thread also keeps the clock of all deadlines: see [`RunClock`].

use std::{io, thread, time::Duration};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::JoinSet,
};

use super::service::give_way;
use crate::net::run_clock::RunClock;

/// The measuring thread. Dropping it ends the thread; transfers still running there are gone then.
#[derive(Debug)]
pub struct Measuring {
    handle: Handle,
    /// Dropped first, which ends the runtime.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    clock: RunClock,
}

impl Measuring {
    /// Starts the thread of transfers. Each time in which the process did not run is passed to `on_freeze`, on that thread.
    ///
    /// # Errors
    /// When the system refuses a thread or an event queue.
    pub fn start(on_freeze: impl FnMut(Duration) + Send + 'static) -> io::Result<Self> {
        Self::start_on("measuring", || {}, on_freeze)
    }

    /// Starts a thread of status checks. A round of a thousand takes a second of a CPU, which transfers must not lose.
    ///
    /// # Errors
    /// When the system refuses a thread or an event queue.
    pub(super) fn start_for_checks() -> io::Result<Self> {
        Self::start_on("checks", give_way, |_| {})
    }

    fn start_on(
        name: &str,
        prepare: impl FnOnce() + Send + 'static,
        on_freeze: impl FnMut(Duration) + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let clock = RunClock::default();
        let ticking = clock.clone();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            prepare();
            runtime.block_on(async {
                tokio::select! {
                    // An error here only means that the sender is gone: the same as a stop.
                    _ = stopped => {}
                    () = ticking.tick(on_freeze) => {}
                }
            });
        })?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread), clock })
    }

    /// Where transfers are to be spawned.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The clock for the deadlines of transfers that run here.
    #[must_use]
    pub const fn clock(&self) -> &RunClock {
        &self.clock
    }

    /// Begins to run transfers here; dropping what is returned ends them.
    #[must_use]
    pub fn begin(&self, transfers: impl Future<Output = ()> + Send + 'static) -> JoinSet<()> {
        let mut running = JoinSet::new();
        running.spawn_on(transfers, &self.handle);
        running
    }
}

impl Drop for Measuring {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was that of a transfer, and has been reported there.
            let _ = thread.join();
        }
    }
}
