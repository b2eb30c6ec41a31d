//! The thread that writes the small state files, so that nothing else waits for the disk.
//!
//! State changes in memory at once. It is written at most once a second, and when the worker stops. A process that is
//! killed loses about a second of changes, or more if the disk is slow.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::threads::{self, ThreadError};

/// State that is kept in memory and written to disk from time to time.
pub(super) trait StateFile: Send + Sync {
    /// Writes what has changed since the last call, and reads what other processes wrote. `is_last` is `true` when the
    /// worker stops and this is the last call.
    fn save(&self, is_last: bool);
}

/// A handle of the thread. The thread ends when all handles are gone.
#[derive(Clone)]
pub(super) struct StateWriter {
    orders: mpsc::Sender<Order>,
    /// The last pass is next, so the thread leaves out the rest of the one under way.
    is_stopping: Arc<AtomicBool>,
}

enum Order {
    Register(Arc<dyn StateFile>),
    Do(Box<dyn FnOnce() + Send>),
    Stop(oneshot::Sender<()>),
}

impl StateWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(super) fn start() -> Result<Self, ThreadError> {
        let (sender, orders) = mpsc::channel();
        let is_stopping = Arc::<AtomicBool>::default();
        let stopping = is_stopping.clone();
        threads::spawn("state", move || work(&orders, &stopping))?;
        Ok(Self { orders: sender, is_stopping })
    }

    /// Writes this state regularly from now on.
    pub(super) fn register(&self, file: Arc<dyn StateFile>) {
        self.order(Order::Register(file));
    }

    /// Runs this job on the thread as soon as the orders before it are done.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        self.order(Order::Do(Box::new(job)));
    }

    /// Writes everything and ends the thread; waits until `given_up` completes at most. Returns whether everything was
    /// written.
    pub(super) async fn stop(&self, given_up: impl Future<Output = ()>) -> bool {
        let (done, stopped) = oneshot::channel();
        self.is_stopping.store(true, Ordering::Release);
        self.order(Order::Stop(done));
        tokio::select! {
            stopped = stopped => stopped.is_ok(),
            () = given_up => false,
        }
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            tracing::debug!("state that changed after the end is not saved");
        }
    }
}

fn work(orders: &mpsc::Receiver<Order>, is_stopping: &AtomicBool) {
    let mut all: Vec<Arc<dyn StateFile>> = Vec::new();
    let mut due = Instant::now() + EVERY;
    let done = loop {
        match orders.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(Order::Register(file)) => all.push(file),
            Ok(Order::Do(job)) => job(),
            Ok(Order::Stop(done)) => break Some(done),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break None,
        }
        if Instant::now() >= due {
            all.iter().take_while(|_| !is_stopping.load(Ordering::Acquire)).for_each(|file| file.save(false));
            due = Instant::now() + EVERY;
        }
    };
    all.iter().for_each(|file| file.save(true));
    // The caller may have given up.
    let _ = done.map(|done| done.send(()));
}

/// The pause between two writes.
const EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::{future, sync::Mutex};

    use super::*;

    #[derive(Default)]
    struct Calls(Mutex<Vec<bool>>);

    impl StateFile for Calls {
        fn save(&self, is_last: bool) {
            self.0.lock().unwrap().push(is_last);
        }
    }

    #[tokio::test]
    async fn every_file_is_saved_once_more_at_the_end() {
        let (calls, writer) = (Arc::new(Calls::default()), StateWriter::start().unwrap());
        writer.register(calls.clone());
        let (tell, mut done) = oneshot::channel();
        writer.run(move || tell.send(()).unwrap());
        assert!(writer.stop(future::pending()).await);
        assert_eq!(calls.0.lock().unwrap().iter().filter(|is_last| **is_last).count(), 1);
        assert_eq!(done.try_recv(), Ok(()), "jobs run in their order");
        assert!(!writer.stop(future::pending()).await, "it has ended");
    }

    #[tokio::test]
    async fn a_stop_ends_when_the_caller_gives_up() {
        let writer = StateWriter::start().unwrap();
        let (_held, waits) = mpsc::channel::<()>();
        writer.run(move || _ = waits.recv());
        assert!(!writer.stop(future::ready(())).await);
    }
}
