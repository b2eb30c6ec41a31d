//! Starts threads, each with a name that its error repeats.

use std::{io, thread};

use thiserror::Error;
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// The system could not start a thread, or the event queue that the thread needs.
#[derive(Debug, Error)]
#[error("cannot start the thread `{name}`")]
pub struct ThreadError {
    name: &'static str,
    #[source]
    source: io::Error,
}

/// Turns the error of the system into one that names the thread.
pub(super) fn cannot_start(name: &'static str) -> impl Fn(io::Error) -> ThreadError {
    move |source| ThreadError { name, source }
}

/// Starts a thread.
///
/// # Errors
/// When the system cannot create a thread.
pub(super) fn spawn(
    name: &'static str,
    work: impl FnOnce() + Send + 'static,
) -> Result<thread::JoinHandle<()>, ThreadError> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(cannot_start(name))
}

/// Starts a thread that runs only this future, which may wait for the disk. The returned receiver completes when the
/// future has ended. The thread does not outlive the process, even if it is not done.
///
/// # Errors
/// When the system cannot create a thread or an event queue.
pub(super) fn spawn_future(
    name: &'static str,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<oneshot::Receiver<()>, ThreadError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot_start(name))?;
    let (done, ended) = oneshot::channel();
    spawn(name, move || {
        lower_priority();
        runtime.block_on(work);
        // Do not wait for a name lookup that is under way.
        runtime.shutdown_background();
        // The caller may have given up.
        let _ = done.send(());
    })?;
    Ok(ended)
}

/// Runs work that may wait for the disk on a new thread, within the caller's runtime. The caller can stop waiting by
/// dropping the future.
///
/// # Errors
/// When the system cannot start a thread.
pub(super) async fn run_on_new<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ThreadError> {
    let (done, result) = oneshot::channel();
    let runtime = Handle::current();
    spawn(name, move || {
        let _within = runtime.enter();
        // The caller may have stopped waiting.
        let _ = done.send(work());
    })?;
    let panicked = |_| cannot_start(name)(io::Error::other("it panicked, which is a bug in bandprobe"));
    result.await.map_err(panicked)
}

/// Lowers the priority of the calling thread. If the system refuses, all threads have the same priority.
#[cfg(target_os = "linux")]
pub(super) fn lower_priority() {
    // PRIO_PROCESS with 0 means only this thread on Linux (setpriority(2)). On other systems it means the whole
    // process.
    let _ = rustix::process::setpriority_process(None, NICE);
}

#[cfg(not(target_os = "linux"))]
pub(super) const fn lower_priority() {}

/// About a tenth of the weight of a thread with nice 0 (sched(7)).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
