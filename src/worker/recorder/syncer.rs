//! The thread that syncs and seals, so that the recorder can go on appending to a slow disk.
//!
//! One sync or seal is under way at a time. Meanwhile the open file only grows.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
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
    Notify(oneshot::Sender<()>),
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
    pub(super) fn notify(&self, done: oneshot::Sender<()>) {
        // If the thread is gone, dropping `done` ends the wait.
        let _ = self.jobs.send(Job::Notify(done));
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
    // The file whose sync failed last. It may have been sealed before the recorder knew of the failure.
    let mut unsynced: Option<PathBuf> = None;
    for job in jobs {
        let failure = match job {
            Job::Notify(done) => {
                let _ = done.send(());
                continue;
            }
            Job::Sync(syncing) => syncing.finish().err().map(|error| {
                unsynced = Some(syncing.path().to_owned());
                Failure { error, unsynced: Some(syncing) }
            }),
            Job::Seal(mut sealing) => {
                if unsynced.as_deref() == Some(sealing.path()) {
                    sealing.distrust();
                }
                sealing.finish().err().map(|error| Failure { error, unsynced: None })
            }
        };
        shared.failures.lock().unwrap_or_else(PoisonError::into_inner).extend(failure);
        shared.is_busy.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::archive::{log::Writer, reader};

    #[tokio::test]
    async fn a_file_sealed_behind_its_failed_sync_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        let syncer = Syncer::start().unwrap();
        let mut spooled = Vec::new();
        for (fails, line) in [(true, "a v=1i 1"), (false, "a v=1i 2")] {
            writer.append(Timestamp::now(), format!("{line}\n").as_bytes(), 1).unwrap();
            let sealing = writer.begin_seal().unwrap().unwrap();
            let path = sealing.path().to_owned();
            if fails {
                syncer.sync(Syncing::failing(&path));
            }
            syncer.seal(sealing);
            let (done, is_done) = oneshot::channel();
            syncer.notify(done);
            is_done.await.unwrap();
            assert_eq!(syncer.take_failures().len(), usize::from(fails), "{line}");
            assert!(!path.exists());
            spooled.push(dir.path().join("spool").join(path.file_name().unwrap()).exists());
        }
        assert_eq!(spooled, [false, true], "a copy has another name");
        let lines: Vec<_> = reader::lines(dir.path(), None).unwrap().map(Result::unwrap).collect();
        assert_eq!(lines, ["a v=1i 1", "a v=1i 2"]);
    }
}
