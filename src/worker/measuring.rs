//! The runtime that only measures: one thread that runs transfers and nothing else. Status checks have a second runtime
//! of this kind, with a lower priority.
//!
//! Compressing a batch for the database or writing a report must never look like a slow node. So everything except
//! transfers runs in other threads, on another runtime.
//!
//! The thread also drives the clock of all deadlines: see [`RunClock`].

use std::{thread, time::Duration};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::JoinSet,
};

use super::threads::{self, ThreadError, cannot_start, lower_priority};
use crate::net::run_clock::RunClock;

/// The measuring thread. Dropping this ends the thread and cancels the transfers that run on it.
#[derive(Debug)]
pub struct MeasuringThread {
    handle: Handle,
    /// Dropped before the thread is joined: this ends the runtime.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    clock: RunClock,
}

impl MeasuringThread {
    /// Starts the thread for transfers. It calls `on_freeze` with the length of each time in which the process did not
    /// run.
    ///
    /// # Errors
    /// When the system cannot create a thread or an event queue.
    pub fn start(on_freeze: impl FnMut(Duration) + Send + 'static) -> Result<Self, ThreadError> {
        Self::start_on("measuring", || {}, on_freeze)
    }

    /// Starts the thread for status checks. A round of a thousand checks takes a second of CPU time, which must not be
    /// taken from transfers.
    ///
    /// # Errors
    /// When the system cannot create a thread or an event queue.
    pub(super) fn start_for_checks() -> Result<Self, ThreadError> {
        Self::start_on("checks", lower_priority, |_| {})
    }

    fn start_on(
        name: &'static str,
        prepare: impl FnOnce() + Send + 'static,
        on_freeze: impl FnMut(Duration) + Send + 'static,
    ) -> Result<Self, ThreadError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot_start(name))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let clock = RunClock::default();
        let ticking = clock.clone();
        let thread = threads::spawn(name, move || {
            prepare();
            runtime.block_on(async {
                tokio::select! {
                    // An error here only means that the sender is gone, which is also a stop.
                    _ = stopped => {}
                    () = ticking.tick(on_freeze) => {}
                }
            });
        })?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread), clock })
    }

    /// The runtime on which to spawn transfers.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The clock for the deadlines of transfers that run here.
    #[must_use]
    pub const fn clock(&self) -> &RunClock {
        &self.clock
    }

    /// Starts transfers on this thread. Dropping the returned set cancels them.
    #[must_use]
    pub fn begin(&self, transfers: impl Future<Output = ()> + Send + 'static) -> JoinSet<()> {
        let mut running = JoinSet::new();
        running.spawn_on(transfers, &self.handle);
        running
    }
}

impl Drop for MeasuringThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If the thread panicked, a transfer caused it, and it was reported there.
            let _ = thread.join();
        }
    }
}
