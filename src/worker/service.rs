//! The runtime of the schedule, status rounds (except the checks themselves), discovery, reports and the demo's nodes.
//! Nothing in it waits for the disk. The threads that may wait for the disk are started here too.

use std::{io, thread};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    task::JoinSet,
};

/// Starts the runtime. On Linux its threads have a lower priority than the measuring thread. A pipeline that is started
/// in this runtime runs its transfers on another one ([`Measuring`](super::measuring::Measuring)), so that no transfer
/// waits for work that is done here.
///
/// # Errors
/// When the system cannot create a thread or an event queue.
pub fn start() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("service")
        .on_thread_start(give_way)
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

/// Runs work that may wait for the disk on a new thread, within the caller's runtime. The caller can stop waiting by
/// dropping the future.
///
/// # Errors
/// When the system cannot start a thread.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    let runtime = Handle::current();
    thread::Builder::new().name("start".to_owned()).spawn(move || {
        let _within = runtime.enter();
        // The caller may have stopped waiting.
        let _ = done.send(work());
    })?;
    result.await.map_err(|_| io::Error::other("the thread ended in a bug of ours"))
}

/// Starts a thread that runs only this future, which may wait for the disk. The returned receiver completes when the
/// future has ended. The thread does not outlive the process, even if it is not done.
///
/// # Errors
/// When the system cannot create a thread or an event queue.
pub(super) fn on_own_thread(
    name: &str,
    work: impl Future<Output = ()> + Send + 'static,
) -> io::Result<oneshot::Receiver<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (done, ended) = oneshot::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        give_way();
        runtime.block_on(work);
        // Do not wait for a name lookup that is under way.
        runtime.shutdown_background();
        // The caller may have given up.
        let _ = done.send(());
    })?;
    Ok(ended)
}

/// Lowers the priority of the calling thread. If the system refuses, all threads have the same priority.
#[cfg(target_os = "linux")]
pub(super) fn give_way() {
    // PRIO_PROCESS with 0 means only this thread on Linux (setpriority(2)). On other systems it means the whole
    // process.
    let _ = rustix::process::setpriority_process(None, NICE);
}

#[cfg(not(target_os = "linux"))]
pub(super) const fn give_way() {}

/// About a tenth of the weight of a thread with nice 0 (sched(7)).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// One for each of two cores.
const THREADS: usize = 2;
