//! Threads for lookups by the system: `getaddrinfo` blocks and cannot be cancelled.
//!
//! A lookup first takes a thread, outside its measured time, and then uses it. When its caller gives up, the lookup is
//! abandoned: the thread stays taken and is counted until the system returns. Nothing waits for it, not even the end of
//! the process. Threads start when they are needed, up to the limit, and are kept for later lookups.
//!
//! A name whose lookup was abandoned gets no second thread while the first one waits: few such names would take them
//! all. Names whose last lookup got no answer are remembered, so that they can be looked up after the others.

use std::{
    collections::HashMap,
    fmt, io,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, timeout_at},
};

use super::LookupError;

/// A pool of threads. Clones share it. Dropping the last clone ends the idle threads.
#[derive(Clone, Debug)]
pub struct Threads(Arc<Shared>);

/// The body of a thread, from its start to its end.
pub type ThreadBody = Box<dyn FnOnce() + Send>;

/// The purpose of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupPurpose {
    /// A transfer.
    Transfer,
    /// A status round, a registry, a database or a report. These never take the threads that transfers need.
    Other,
}

/// Lookups that their callers gave up before the system returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abandoned {
    /// Lookups whose threads still wait for the system.
    pub waiting: u64,
    /// Lookups that have returned since the last call.
    pub returned: u64,
}

/// A thread that is reserved for one lookup. Dropping it frees the thread for others.
#[derive(Debug)]
pub struct ReservedThread {
    purpose: LookupPurpose,
    jobs: Option<mpsc::Sender<LookupJob>>,
    permits: Permits,
    shared: Weak<Shared>,
}

struct Shared {
    all: Arc<Semaphore>,
    others: Arc<Semaphore>,
    idle: Mutex<Vec<mpsc::Sender<LookupJob>>>,
    counts: Mutex<Counts>,
    start: Box<dyn Fn(ThreadBody) -> io::Result<()> + Send + Sync>,
}

#[derive(Debug, Default)]
struct Permits {
    _all: Option<OwnedSemaphorePermit>,
    _other: Option<OwnedSemaphorePermit>,
}

#[derive(Debug, Default)]
struct Counts {
    abandoned: Abandoned,
    /// When a lookup whose caller still waited last got an answer, for each purpose.
    answered: [Option<Instant>; 2],
    /// The names whose last lookup got no answer, and how many abandoned lookups of each still wait for the system.
    silent: HashMap<Arc<str>, u32>,
}

struct LookupJob {
    question: Box<dyn FnOnce() + Send>,
    /// Freed when the job is done.
    thread: ReservedThread,
}

/// The state of a lookup, shared by its caller and its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LookupState {
    Running,
    Done,
    Abandoned,
}

/// The caller's side of a lookup. Dropping it abandons the lookup.
struct LookupWaiter {
    name: Arc<str>,
    progress: Arc<Mutex<LookupState>>,
    shared: Weak<Shared>,
}

/// The thread's side of a lookup. Dropping it ends the lookup.
struct RunningLookup {
    name: Arc<str>,
    purpose: LookupPurpose,
    progress: Arc<Mutex<LookupState>>,
    shared: Weak<Shared>,
    /// Whether the lookup got an answer. "No such name" is an answer.
    has_answer: bool,
}

impl Threads {
    /// A pool for this many transfers at once. `start` starts a thread that runs the given work.
    #[must_use]
    pub fn new(transfers: usize, start: Box<dyn Fn(ThreadBody) -> io::Result<()> + Send + Sync>) -> Self {
        Self(Arc::new(Shared {
            all: Arc::new(Semaphore::new(transfers.saturating_add(OTHERS).min(Semaphore::MAX_PERMITS))),
            others: Arc::new(Semaphore::new(OTHERS)),
            idle: Mutex::default(),
            counts: Mutex::default(),
            start,
        }))
    }

    /// The abandoned lookups. Each call resets `returned`.
    #[must_use]
    pub fn abandoned(&self) -> Abandoned {
        let mut counts = lock(&self.0.counts);
        Abandoned { waiting: counts.abandoned.waiting, returned: std::mem::take(&mut counts.abandoned.returned) }
    }

    /// Whether an abandoned lookup of this name still waits for the system.
    pub(super) fn is_hanging(&self, name: &str) -> bool {
        lock(&self.0.counts).silent.get(name).is_some_and(|hanging| *hanging > 0)
    }

    /// Whether the last lookup of this name got no answer.
    pub(super) fn is_silent(&self, name: &str) -> bool {
        lock(&self.0.counts).silent.contains_key(name)
    }

    /// Waits for a free thread as long as lookups of this purpose get answers, and until `patience` after the last one.
    ///
    /// # Errors
    /// When no thread becomes free or none can be started. Both are faults of this machine.
    pub(super) async fn take(&self, purpose: LookupPurpose, patience: Duration) -> Result<ReservedThread, LookupError> {
        let began = Instant::now();
        let mut permits = std::pin::pin!(self.permits(purpose));
        let permits = loop {
            let until = self.last_answer(purpose).map_or(began, |at| at.max(began)) + patience;
            match timeout_at(until, &mut permits).await {
                Ok(permits) => break permits,
                Err(_) if self.last_answer(purpose).is_some_and(|at| at + patience > until) => {}
                Err(_) => return Err(LookupError::no_thread()),
            }
        };
        let idle = lock(&self.0.idle).pop();
        let jobs = match idle {
            Some(jobs) => jobs,
            None => self
                .start()
                .map_err(|error| LookupError::Local(format!("cannot start a thread to look up the name: {error}")))?,
        };
        Ok(ReservedThread { purpose, jobs: Some(jobs), permits, shared: Arc::downgrade(&self.0) })
    }

    async fn permits(&self, purpose: LookupPurpose) -> Permits {
        let of = |semaphore: &Arc<Semaphore>| semaphore.clone().acquire_owned();
        let other = match purpose {
            LookupPurpose::Transfer => None,
            LookupPurpose::Other => of(&self.0.others).await.ok(),
        };
        Permits { _all: of(&self.0.all).await.ok(), _other: other }
    }

    fn start(&self) -> io::Result<mpsc::Sender<LookupJob>> {
        let (jobs, queue) = mpsc::channel::<LookupJob>();
        (self.0.start)(Box::new(move || {
            for LookupJob { question, thread } in queue {
                // After a panic, the caller notices that no answer arrives, and the thread serves the next lookup.
                let _ = panic::catch_unwind(AssertUnwindSafe(question));
                drop(thread);
            }
        }))?;
        Ok(jobs)
    }

    /// When a lookup of this purpose was last answered.
    pub(super) fn last_answer(&self, purpose: LookupPurpose) -> Option<Instant> {
        lock(&self.0.counts).answered[purpose as usize]
    }
}

impl ReservedThread {
    /// Runs a lookup of this name on the thread. When the caller stops waiting, the lookup is abandoned.
    pub(super) async fn run<T: Send + 'static>(
        self,
        name: &str,
        question: impl FnOnce() -> Result<T, LookupError> + Send + 'static,
    ) -> Result<T, LookupError> {
        let (answer, answered) = oneshot::channel();
        let progress = Arc::new(Mutex::new(LookupState::Running));
        let shared = self.shared.clone();
        let (name, purpose) = (Arc::<str>::from(name), self.purpose);
        let (progress_too, shared_too) = (progress.clone(), shared.clone());
        let running = RunningLookup {
            name: name.clone(),
            purpose,
            progress: progress_too,
            shared: shared_too,
            has_answer: false,
        };
        let _waiting = LookupWaiter { name, progress, shared };
        let question = Box::new(move || {
            let mut running = running;
            let result = question();
            running.has_answer = matches!(result, Ok(_) | Err(LookupError::NotFound(_)));
            // End the lookup before sending the result, so that a caller that has the result cannot abandon it.
            drop(running);
            let _ = answer.send(result);
        });
        let ended =
            || LookupError::Local("the lookup failed because of a bug in bandprobe, please report it".to_owned());
        let jobs = self.jobs.clone().ok_or_else(ended)?;
        jobs.send(LookupJob { question, thread: self }).map_err(|_| ended())?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for ReservedThread {
    fn drop(&mut self) {
        // Return the thread to the list before the permit: a caller that the permit wakes finds the thread.
        if let (Some(shared), Some(jobs)) = (self.shared.upgrade(), self.jobs.take()) {
            lock(&shared.idle).push(jobs);
        }
        self.permits = Permits::default();
    }
}

impl Drop for LookupWaiter {
    fn drop(&mut self) {
        let mut progress = lock(&self.progress);
        if *progress == LookupState::Running {
            *progress = LookupState::Abandoned;
            if let Some(shared) = self.shared.upgrade() {
                let mut counts = lock(&shared.counts);
                counts.abandoned.waiting += 1;
                counts.note_silence(&self.name, 1);
            }
        }
    }
}

impl Drop for RunningLookup {
    fn drop(&mut self) {
        let mut progress = lock(&self.progress);
        let before = std::mem::replace(&mut *progress, LookupState::Done);
        let Some(shared) = self.shared.upgrade() else { return };
        let mut counts = lock(&shared.counts);
        if before == LookupState::Abandoned {
            counts.abandoned.waiting -= 1;
            counts.abandoned.returned += 1;
            if let Some(hanging) = counts.silent.get_mut(&self.name) {
                *hanging = hanging.saturating_sub(1);
            }
        } else if self.has_answer {
            counts.answered[self.purpose as usize] = Some(Instant::now());
            counts.silent.remove(&self.name);
        } else {
            counts.note_silence(&self.name, 0);
        }
    }
}

impl Counts {
    /// Notes that a lookup of this name got no answer, and how many more of its lookups now hang.
    fn note_silence(&mut self, name: &Arc<str>, hanging: u32) {
        if self.silent.len() < MAX_SILENT || self.silent.contains_key(name) {
            *self.silent.entry(name.clone()).or_default() += hanging;
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").field("counts", &self.counts).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads in addition to those that transfers need.
const OTHERS: usize = 16;
/// Further names without an answer are not remembered.
const MAX_SILENT: usize = 10_000;

#[cfg(test)]
mod tests;
