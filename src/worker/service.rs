//! The runtime of everything but measuring: recording, delivery, discovery, reports, the demo's nodes.

use std::io;

use tokio::runtime::{Builder, Runtime};

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

/// Lowers the priority of the calling thread. Where that is refused, delivery and measuring share as equals.
#[cfg(target_os = "linux")]
fn give_way() {
    // PRIO_PROCESS with 0 is this thread alone on Linux (setpriority(2)); elsewhere it would be the whole process.
    let _ = rustix::process::setpriority_process(None, NICE);
}

#[cfg(not(target_os = "linux"))]
const fn give_way() {}

/// A tenth of the weight of a thread that is not nice (sched(7)).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// One that may wait for the disk, and one beside it.
const THREADS: usize = 2;
