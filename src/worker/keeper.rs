//! The thread that writes the small state files, so that nothing else waits for the disk.
//!
//! State changes in memory at once. It is written at most once a second, and when the worker stops. A process that is
//! killed loses about a second of changes, or more if the disk is slow.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

/// State that is kept in memory and written to disk from time to time.
pub(super) trait Keep: Send + Sync {
    /// Writes what has changed since the last call, and reads what other processes wrote. `last` is `true` when the
    /// worker stops and this is the last call.
    fn keep(&self, last: bool);
}

/// A handle of the thread. The thread ends when all handles are gone.
#[derive(Clone)]
pub(super) struct Keeper(mpsc::Sender<Order>);

enum Order {
    Register(Arc<dyn Keep>),
    Do(Box<dyn FnOnce() + Send>),
    Stop(oneshot::Sender<()>),
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, orders) = mpsc::channel();
        thread::Builder::new().name("state".to_owned()).spawn(move || work(&orders))?;
        Ok(Self(sender))
    }

    /// Writes this state regularly from now on.
    pub(super) fn register(&self, kept: Arc<dyn Keep>) {
        self.order(Order::Register(kept));
    }

    /// Runs this job on the thread as soon as the orders before it are done.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        self.order(Order::Do(Box::new(job)));
    }

    /// Writes everything and ends the thread; waits until `deadline` at most. Returns whether everything was written.
    pub(super) async fn stop(&self, deadline: Instant) -> bool {
        let (done, stopped) = oneshot::channel();
        self.order(Order::Stop(done));
        timeout_at(deadline, stopped).await.is_ok_and(|stopped| stopped.is_ok())
    }

    fn order(&self, order: Order) {
        if self.0.send(order).is_err() {
            tracing::debug!("state that changed after the end is not kept");
        }
    }
}

fn work(orders: &mpsc::Receiver<Order>) {
    let mut all: Vec<Arc<dyn Keep>> = Vec::new();
    let mut due = Instant::now() + EVERY;
    let done = loop {
        match orders.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(Order::Register(kept)) => all.push(kept),
            Ok(Order::Do(job)) => job(),
            Ok(Order::Stop(done)) => break Some(done),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break None,
        }
        if Instant::now() >= due {
            all.iter().for_each(|kept| kept.keep(false));
            due = Instant::now() + EVERY;
        }
    };
    all.iter().for_each(|kept| kept.keep(true));
    // The caller may have given up.
    let _ = done.map(|done| done.send(()));
}

/// The pause between two writes.
const EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Calls(Mutex<Vec<bool>>);

    impl Keep for Calls {
        fn keep(&self, last: bool) {
            self.0.lock().unwrap().push(last);
        }
    }

    #[tokio::test]
    async fn everything_is_kept_once_more_at_the_end() {
        let (calls, keeper) = (Arc::new(Calls::default()), Keeper::start().unwrap());
        keeper.register(calls.clone());
        let (told, mut done) = oneshot::channel();
        keeper.run(move || told.send(()).unwrap());
        assert!(keeper.stop(Instant::now() + Duration::from_secs(60)).await);
        assert_eq!(calls.0.lock().unwrap().iter().filter(|last| **last).count(), 1);
        assert_eq!(done.try_recv(), Ok(()), "in their order");
        assert!(!keeper.stop(Instant::now() + Duration::from_secs(60)).await, "it has ended");
    }

    #[tokio::test]
    async fn nothing_waits_longer_than_the_deadline() {
        let keeper = Keeper::start().unwrap();
        let (_held, waits) = mpsc::channel::<()>();
        keeper.run(move || _ = waits.recv());
        assert!(!keeper.stop(Instant::now() + Duration::from_millis(50)).await);
    }
}
