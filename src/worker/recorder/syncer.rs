//! The thread that syncs and seals, so that the recorder can go on appending to a slow disk.
//!
//! One sync or seal is under way at a time. Meanwhile the open file only grows.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use tokio::sync::oneshot;

use crate::{
    archive::{
        self,
        log::{Sealing, Syncing},
    },
    worker::threads::{self, ThreadError},
};

/// A handle of the thread. When it is dropped, the thread finishes the queued jobs and ends.
pub(super) struct Syncer {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_busy: AtomicBool,
    failures: Mutex<Vec<Failure>>,
}

/// A sync or seal that failed.
pub(super) struct Failure {
    pub(super) error: archive::Error,
    /// The file that was not synced. `None` for a seal, because recovery finds that file.
    pub(super) unsynced: Option<Syncing>,
}

enum Job {
    Sync(Syncing),
    Seal(Sealing),
    Tell(oneshot::Sender<()>),
}

impl Syncer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(super) fn start() -> Result<Self, ThreadError> {
        let (jobs, received) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let ours = shared.clone();
        threads::spawn("sync", move || work(&received, &ours))?;
        Ok(Self { jobs, shared })
    }

    /// Returns whether a sync or seal is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.shared.is_busy.load(Ordering::Acquire)
    }

    pub(super) fn sync(&self, syncing: Syncing) {
        self.put(Job::Sync(syncing));
    }

    pub(super) fn seal(&self, sealing: Sealing) {
        self.put(Job::Seal(sealing));
    }

    /// Sends a message to `done` when all jobs before it are done.
    pub(super) fn tell(&self, done: oneshot::Sender<()>) {
        // If the thread is gone, dropping `done` ends the wait.
        let _ = self.jobs.send(Job::Tell(done));
    }

    /// Returns the failures since the last call.
    pub(super) fn take_failures(&self) -> Vec<Failure> {
        std::mem::take(&mut *self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, job: Job) {
        self.shared.is_busy.store(true, Ordering::Release);
        // If the thread is gone, recovery handles the file.
        let _ = self.jobs.send(job);
    }
}

fn work(jobs: &mpsc::Receiver<Job>, shared: &Shared) {
    for job in jobs {
        let failure = match job {
            Job::Tell(done) => {
                let _ = done.send(());
                continue;
            }
            Job::Sync(syncing) => syncing.finish().err().map(|error| Failure { error, unsynced: Some(syncing) }),
            Job::Seal(sealing) => sealing.finish().err().map(|error| Failure { error, unsynced: None }),
        };
        shared.failures.lock().unwrap_or_else(PoisonError::into_inner).extend(failure);
        shared.is_busy.store(false, Ordering::Release);
    }
}
