//! CPU time of the measuring thread, and its time on the run queue (Linux).
//!
//! All transfers share one thread. The figures include the time that other transfers took, because for this transfer it
//! was time in which its socket was not read.

use std::{thread::ThreadId, time::Duration};

use tokio::time::Instant;

use crate::{
    measure::evidence::waited,
    model::{sample::ReaderStats, units::Micros},
};

/// A reading of the clocks of the current thread.
#[derive(Clone, Copy, Debug)]
pub struct ThreadClock {
    thread: ThreadId,
    at: Instant,
    on_cpu: Option<Duration>,
    run_queue: Option<RunQueue>,
}

/// How long and how often a thread was on the run queue.
#[derive(Clone, Copy, Debug)]
struct RunQueue {
    time: Duration,
    /// How often it moved from the run queue to a CPU.
    turns: u64,
}

impl ThreadClock {
    /// Reads the clocks of the current thread.
    #[must_use]
    pub fn read() -> Self {
        Self {
            thread: std::thread::current().id(),
            at: Instant::now(),
            on_cpu: system::on_cpu(),
            run_queue: system::run_queue(),
        }
    }

    /// The thread's use of time since this reading. The shares are `None` when the task moved to another thread, when
    /// no time passed, and where the system does not report them. The receive lag is not set here.
    #[must_use]
    pub fn since(&self) -> ReaderStats {
        let now = Self::read();
        let wall = now.at - self.at;
        if self.thread != now.thread {
            return ReaderStats::default();
        }
        let run_delay = self
            .run_queue
            .zip(now.run_queue)
            .map(|(then, now)| waited(now.time.saturating_sub(then.time), now.turns.saturating_sub(then.turns)));
        let on_cpu = self.on_cpu.zip(now.on_cpu).map(|(then, now)| now.saturating_sub(then));
        let busy = on_cpu.map(|on_cpu| on_cpu + run_delay.unwrap_or_default());
        ReaderStats {
            lag_p90: None,
            frozen: None,
            cpu_share: busy.filter(|_| !wall.is_zero()).map(|busy| rounded(busy.div_duration_f64(wall))),
            run_delay: run_delay.map(Micros::from),
            span: Some(wall.into()),
        }
    }
}

/// Rounds to four decimal places: the clocks are not more accurate, and the flags must be judged by the written value.
fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}

#[cfg(target_os = "linux")]
mod system {
    use std::{cell::RefCell, fs::File, os::unix::fs::FileExt, time::Duration};

    use rustix::time::{ClockId, clock_gettime};

    use super::RunQueue;

    /// CPU time of this thread so far (clock_gettime(2)).
    #[expect(clippy::unnecessary_wraps, reason = "other systems do not report it")]
    pub(super) fn on_cpu() -> Option<Duration> {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Some(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)))
    }

    /// The second and third number in `schedstat` (Linux, Documentation/scheduler/sched-stats.rst): nanoseconds on the
    /// run queue, and turns on a CPU. `None` where the kernel does not keep them.
    pub(super) fn run_queue() -> Option<RunQueue> {
        thread_local! {
            // Opened once per thread: opening it costs more than everything that is measured here.
            static SCHEDSTAT: RefCell<Option<File>> = RefCell::new(File::open("/proc/thread-self/schedstat").ok());
        }
        let mut text = [0; 96];
        let length = SCHEDSTAT.with_borrow(|file| file.as_ref()?.read_at(&mut text, 0).ok())?;
        let mut numbers = std::str::from_utf8(&text[..length]).ok()?.split_ascii_whitespace().skip(1);
        let mut next = || numbers.next()?.parse().ok();
        Some(RunQueue { time: Duration::from_nanos(next()?), turns: next()? })
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::time::Duration;

    use super::RunQueue;

    pub(super) const fn on_cpu() -> Option<Duration> {
        None
    }

    pub(super) const fn run_queue() -> Option<RunQueue> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_busy_thread_has_a_higher_cpu_share() {
        let began = ThreadClock::read();
        std::thread::sleep(Duration::from_millis(30));
        let idle = began.since();
        let began = ThreadClock::read();
        while began.since().cpu_share.unwrap() * began.at.elapsed().as_secs_f64() < 0.02 {}
        let busy = began.since();
        assert!(busy.cpu_share.unwrap() > 0.9, "running and waiting to run are all that it did: {busy:?}");
        assert!(idle.cpu_share.unwrap() < busy.cpu_share.unwrap(), "{idle:?} {busy:?}");
        assert!(idle.run_delay.is_some(), "{idle:?}");
    }

    #[test]
    fn each_time_slice_is_counted() {
        let [before, after] = std::array::from_fn(|_| {
            (0..10).for_each(|_| std::thread::sleep(Duration::from_millis(1)));
            ThreadClock::read().run_queue.unwrap().turns
        });
        assert!(after >= before + 10, "{before} {after}");
    }

    #[test]
    fn cpu_time_of_other_threads_does_not_count() {
        let began = std::thread::spawn(ThreadClock::read).join().unwrap();
        assert_eq!(began.since(), ReaderStats::default());
    }
}
