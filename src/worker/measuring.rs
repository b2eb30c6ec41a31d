//! The runtime that only measures: one thread, on which transfers run and nothing else does.
//!
//! Compressing a batch for the database, or writing a report, must never look like a slow node. So everything but
//! transfers runs on another runtime, in other threads.

use std::{io, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::JoinSet,
};

/// The measuring thread. Dropping it ends the thread; transfers still running there are gone then.
#[derive(Debug)]
pub struct Measuring {
    handle: Handle,
    /// Dropped first, which ends the runtime.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Measuring {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses a thread or an event queue.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("measuring".to_owned()).spawn(move || {
            // An error here only means that the sender is gone: the same as a stop.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Where transfers are to be spawned.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
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
