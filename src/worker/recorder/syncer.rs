//! The thread that syncs and seals, so that the recorder goes on appending while the disk takes its time.
//!
//! One sync or seal is under way at a time; while it is, the open file only grows.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use tokio::sync::oneshot;

use crate::archive::{
    self,
    log::{Sealing, Syncing},
};

/// A handle of the thread, which ends with it.
pub(super) struct Syncer {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_busy: AtomicBool,
    failures: Mutex<Vec<Failure>>,
}

/// What the disk refused.
pub(super) struct Failure {
    pub(super) error: archive::Error,
    /// The file that was to be synced; one that was to be sealed is left to recovery.
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
    /// When the system refuses a thread.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, received) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let ours = shared.clone();
        thread::Builder::new().name("sync".to_owned()).spawn(move || work(&received, &ours))?;
        Ok(Self { jobs, shared })
    }

    /// Is a sync or seal under way?
    pub(super) fn is_busy(&self) -> bool {
        self.shared.is_busy.load(Ordering::Acquire)
    }

    pub(super) fn sync(&self, syncing: Syncing) {
        self.put(Job::Sync(syncing));
    }

    pub(super) fn seal(&self, sealing: Sealing) {
        self.put(Job::Seal(sealing));
    }

    /// Answers `done` when everything before it is done.
    pub(super) fn tell(&self, done: oneshot::Sender<()>) {
        // When the thread is gone, nothing waits for this.
        let _ = self.jobs.send(Job::Tell(done));
    }

    /// What failed since this was last asked.
    pub(super) fn take_failures(&self) -> Vec<Failure> {
        std::mem::take(&mut *self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, job: Job) {
        self.shared.is_busy.store(true, Ordering::Release);
        // What is dropped with the thread is left to recovery.
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
