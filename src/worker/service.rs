//! The runtime of the schedule, status rounds, discovery, reports and the demo's nodes, and the threads next to it that may
//! wait for the disk: nothing in the runtime does.

use std::{io, thread};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    task::JoinSet,
};

/// Starts its threads, which give way to the measuring one where both want a CPU (Linux). A pipeline that is started in it has its transfers on another runtime
/// ([`Measuring`](super::measuring::Measuring)), so none of them waits for what is done here.
///
/// # Errors
/// When the system refuses a thread or an event queue.
pub fn start() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("service")
        .on_thread_start(give_way)
        .enable_all()
        .build()
}

/// Does this on another thread than the caller's; dropping what is returned ends it. To be called within the runtime.
#[must_use]
pub fn begin(task: impl Future<Output = ()> + Send + 'static) -> JoinSet<()> {
    let mut running = JoinSet::new();
    running.spawn(task);
    running
}

/// Does this on a thread of its own, within the caller's runtime: it may wait for the disk, which the caller can stop
/// waiting for.
///
/// # Errors
/// When the system refuses a thread.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    let runtime = Handle::current();
    thread::Builder::new().name("start".to_owned()).spawn(move || {
        let _within = runtime.enter();
        // Nobody may be waiting any more.
        let _ = done.send(work());
    })?;
    result.await.map_err(|_| io::Error::other("the thread ended in a bug of ours"))
}

/// Starts a thread that does this and nothing else, and may wait for the disk. What is returned ends when it has ended; it
/// ends with the process, wherever it is then.
///
/// # Errors
/// When the system refuses a thread or an event queue.
pub(super) fn on_own_thread(
    name: &str,
    work: impl Future<Output = ()> + Send + 'static,
) -> io::Result<oneshot::Receiver<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (done, ended) = oneshot::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        give_way();
        runtime.block_on(work);
        // A name lookup under way must not hold this up.
        runtime.shutdown_background();
        // The caller may have given up.
        let _ = done.send(());
    })?;
    Ok(ended)
}

/// Lowers the priority of the calling thread. Where that is refused, delivery and measuring share as equals.
#[cfg(target_os = "linux")]
pub(super) fn give_way() {
    // PRIO_PROCESS with 0 is this thread alone on Linux (setpriority(2)); elsewhere it would be the whole process.
    let _ = rustix::process::setpriority_process(None, NICE);
}

#[cfg(not(target_os = "linux"))]
pub(super) const fn give_way() {}

/// A tenth of the weight of a thread that is not nice (sched(7)).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// One for each of two cores.
const THREADS: usize = 2;
