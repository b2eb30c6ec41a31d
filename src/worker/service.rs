//! The runtime of everything but measuring: recording, delivery, discovery, reports, the demo's nodes.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Starts its threads. A pipeline that is started in it has its transfers on another runtime
/// ([`Measuring`](super::measuring::Measuring)), so none of them waits for what is done here.
///
/// # Errors
/// When the system refuses a thread or an event queue.
pub fn start() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(THREADS).thread_name("service").enable_all().build()
}

/// One that may wait for the disk, and one beside it.
const THREADS: usize = 2;
