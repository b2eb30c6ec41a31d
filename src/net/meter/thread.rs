//! What the measuring thread used and waited for (Linux): its CPU time, and the time that it spent on the run queue.
//!
//! Transfers share one thread. What another transfer took meanwhile is in these figures too, and rightly: for this one it was
//! time in which nobody read.

use std::{thread::ThreadId, time::Duration};

use tokio::time::Instant;

use crate::{
    measure::evidence::waited,
    model::{sample::Reader, units::Micros},
};

/// A reading of the clocks of the thread that takes it.
#[derive(Clone, Copy, Debug)]
pub struct ThreadClock {
    thread: ThreadId,
    at: Instant,
    on_cpu: Option<Duration>,
    run_queue: Option<RunQueue>,
}

/// What a thread was on the run queue for.
#[derive(Clone, Copy, Debug)]
struct RunQueue {
    time: Duration,
    /// How often it came from there to a CPU.
    turns: u64,
}

impl ThreadClock {
    /// Reads the clocks.
    #[must_use]
    pub fn read() -> Self {
        Self {
            thread: std::thread::current().id(),
            at: Instant::now(),
            on_cpu: system::on_cpu(),
            run_queue: system::run_queue(),
        }
    }

    /// What was used since. Without shares when the task has moved to another thread, where no time passed, and where the
    /// system does not tell. The receive lag is not known here.
    #[must_use]
    pub fn since(&self) -> Reader {
        let now = Self::read();
        let wall = now.at - self.at;
        if self.thread != now.thread {
            return Reader::default();
        }
        let run_delay = self
            .run_queue
            .zip(now.run_queue)
            .map(|(then, now)| waited(now.time.saturating_sub(then.time), now.turns.saturating_sub(then.turns)));
        let on_cpu = self.on_cpu.zip(now.on_cpu).map(|(then, now)| now.saturating_sub(then));
        let busy = on_cpu.map(|on_cpu| on_cpu + run_delay.unwrap_or_default());
        Reader {
            lag_p90: None,
            frozen: None,
            cpu_share: busy.filter(|_| !wall.is_zero()).map(|busy| rounded(busy.div_duration_f64(wall))),
            run_delay: run_delay.map(Micros::from),
            span: Some(wall.into()),
        }
    }
}

/// To four digits after the point: the clocks do not carry more, and what is judged is what is written.
fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}

#[cfg(target_os = "linux")]
mod system {
    use std::{cell::RefCell, fs::File, os::unix::fs::FileExt, time::Duration};

    use rustix::time::{ClockId, clock_gettime};

    use super::RunQueue;

    /// CPU time of this thread, up to this moment (clock_gettime(2)).
    #[expect(clippy::unnecessary_wraps, reason = "other systems do not tell")]
    pub(super) fn on_cpu() -> Option<Duration> {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Some(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)))
    }

    /// The second and the third number in `schedstat` (Linux, Documentation/scheduler/sched-stats.rst): nanoseconds on the run
    /// queue, and turns on a CPU. Absent where the kernel keeps none.
    pub(super) fn run_queue() -> Option<RunQueue> {
        thread_local! {
            // Opened once a thread: opening it costs more than all that is measured here.
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
    fn a_busy_thread_is_told_from_an_idle_one() {
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
    fn every_turn_on_a_cpu_is_counted() {
        let [before, after] = std::array::from_fn(|_| {
            (0..10).for_each(|_| std::thread::sleep(Duration::from_millis(1)));
            ThreadClock::read().run_queue.unwrap().turns
        });
        assert!(after >= before + 10, "{before} {after}");
    }

    #[test]
    fn what_another_thread_read_is_no_share_of_this_one() {
        let began = std::thread::spawn(ThreadClock::read).join().unwrap();
        assert_eq!(began.since(), Reader::default());
    }
}
