//! The runtime of the schedule, status rounds (except the checks themselves), discovery, reports and the demo's nodes.
//! Nothing in it waits for the disk.

use std::io;

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

use super::threads::lower_priority;

/// Starts the runtime. On Linux its threads have a lower priority than the measuring thread. A pipeline that is started
/// in this runtime runs its transfers on another one ([`MeasuringThread`](super::measuring::MeasuringThread)), so that
/// no transfer waits for work that is done here.
///
/// # Errors
/// When the system cannot create a thread or an event queue.
pub fn start() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("service")
        .on_thread_start(lower_priority)
        .enable_all()
        .build()
}

/// Runs a task on a thread of the runtime. Dropping the returned set cancels it.
///
/// # Panics
/// When called outside a runtime.
#[must_use]
pub fn begin(task: impl Future<Output = ()> + Send + 'static) -> JoinSet<()> {
    let mut running = JoinSet::new();
    running.spawn(task);
    running
}

/// One for each of two cores.
const THREADS: usize = 2;
