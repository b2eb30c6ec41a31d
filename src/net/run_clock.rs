//! Deadlines that count only the time in which this process runs.
//!
//! When a process is stopped for 30 s, all its timers have expired and all responses are waiting in its sockets.
//! Without this clock it would see the timers first and blame the node. So every wait that judges a node asks this
//! clock when its deadline is due. The clock adds the duration of each freeze and a little more, in which the data in
//! the sockets is read.
//!
//! Freezes are detected by [`RunClock::tick`], which runs on the thread of the transfers, and by every check of a
//! deadline, whichever runs first after the freeze. Where `tick` does not run, no freeze is detected, and deadlines are
//! ordinary ones.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::measure::freezes::Freezes;

/// Knows when this process ran. Clones share their state.
#[derive(Clone, Debug)]
pub struct RunClock(Arc<Shared>);

/// While this value exists, freezes are detected within `TICK` (0.1 s).
#[derive(Debug)]
pub struct FreezeDetection(RunClock);

#[derive(Debug)]
struct Shared {
    base: Instant,
    state: Mutex<ClockState>,
    watched: Notify,
}

#[derive(Debug, Default)]
struct ClockState {
    freezes: Freezes,
    /// The number of transfers and checks in progress.
    watching: usize,
    /// The current maximum time between two looks at the clock.
    tick: Duration,
    /// The duration of freezes that were not reported yet.
    unreported: Duration,
}

impl Default for RunClock {
    fn default() -> Self {
        Self(Arc::new(Shared { base: Instant::now(), state: Mutex::default(), watched: Notify::new() }))
    }
}

impl RunClock {
    /// Looks at the clock regularly and reports the duration of each freeze. Never returns: run it together with the
    /// transfers, on their thread.
    pub async fn tick(&self, mut report: impl FnMut(Duration)) {
        struct Ticking<'a>(&'a RunClock);
        impl Drop for Ticking<'_> {
            fn drop(&mut self) {
                self.0.lock().freezes.stop();
            }
        }
        let now = self.offset(Instant::now());
        self.lock().freezes.start(now, system::slept());
        let _ticking = Ticking(self);
        loop {
            let tick = {
                let mut state = self.lock();
                state.tick = if state.watching > 0 { TICK } else { IDLE_TICK };
                state.tick
            };
            // A new watcher ends the wait early, because it needs the shorter tick.
            let _ = timeout_at(Instant::now() + tick, self.0.watched.notified()).await;
            self.look();
            let frozen = std::mem::take(&mut self.lock().unreported);
            if !frozen.is_zero() {
                report(frozen);
            }
        }
    }

    /// Each transfer holds the returned value from before its start until its end. Detects earlier freezes first, so
    /// that they do not count for this transfer.
    #[must_use]
    pub fn watch(&self) -> FreezeDetection {
        self.look();
        let mut state = self.lock();
        state.watching += 1;
        if state.watching == 1 {
            self.0.watched.notify_one();
        }
        drop(state);
        FreezeDetection(self.clone())
    }

    /// When a deadline of `length` that began at `began` is due: once the process has run for `length` since then.
    #[must_use]
    pub fn due(&self, began: Instant, length: Duration) -> Instant {
        let lost = self.lost_since(began);
        let grace = if lost.is_zero() { Duration::ZERO } else { GRACE };
        began + length + lost + grace
    }

    /// Whether that deadline has passed.
    #[must_use]
    pub fn is_over(&self, began: Instant, length: Duration) -> bool {
        // The plain deadline is never later than the due one, and is cheap to compare with.
        Instant::now() >= began + length && Instant::now() >= self.due(began, length)
    }

    /// How long the process has run since `since`.
    #[must_use]
    pub fn ran_since(&self, since: Instant) -> Duration {
        let lost = self.lost_since(since);
        since.elapsed().saturating_sub(lost)
    }

    /// How long the process has not run since `since`, including the time in which the machine slept.
    #[must_use]
    pub fn away_since(&self, since: Instant) -> Duration {
        self.look();
        self.lock().freezes.away_since(self.offset(since))
    }

    /// How long the machine has slept since `since`. Not even the kernel received anything in that time.
    #[must_use]
    pub fn slept_since(&self, since: Instant) -> Duration {
        self.look();
        self.lock().freezes.slept_since(self.offset(since))
    }

    /// Awaits `work` until this deadline. `None` when the deadline passed first.
    pub async fn within<T>(&self, began: Instant, length: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut due = began + length;
        loop {
            if let Ok(done) = timeout_at(due, work.as_mut()).await {
                return Some(done);
            }
            let now_due = self.due(began, length);
            if now_due <= due {
                return None;
            }
            // A timer may fire before the sockets have been read: run the event loop once more.
            due = now_due;
        }
    }

    fn lost_since(&self, since: Instant) -> Duration {
        self.look();
        self.lock().freezes.lost_since(self.offset(since))
    }

    /// Records that this thread runs now.
    fn look(&self) {
        let slept = system::slept();
        let now = self.offset(Instant::now());
        let mut state = self.lock();
        let tick = state.tick;
        if let Some(frozen) = state.freezes.look(now, slept, tick) {
            state.unreported += frozen;
        }
    }

    fn offset(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.0.base)
    }

    fn lock(&self) -> MutexGuard<'_, ClockState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FreezeDetection {
    fn drop(&mut self) {
        self.0.lock().watching -= 1;
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::time::Duration;

    use rustix::time::{ClockId, Timespec, clock_gettime};

    /// How long the machine has slept since its start: `CLOCK_BOOTTIME` continues meanwhile, the monotonic clock does
    /// not (clock_gettime(2)). The boot clock is read first, so that a pause between the two reads makes the result too
    /// small, never too large.
    pub(super) fn slept() -> Duration {
        let [boot, monotonic] = [ClockId::Boottime, ClockId::Monotonic].map(|clock| duration(clock_gettime(clock)));
        boot.saturating_sub(monotonic)
    }

    fn duration(time: Timespec) -> Duration {
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::time::Duration;

    pub(super) const fn slept() -> Duration {
        Duration::ZERO
    }
}

/// The time between two looks while transfers or status checks are in progress.
const TICK: Duration = Duration::from_millis(100);
/// The time between two looks otherwise. One per second costs nothing, and freezes are still counted.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// Extra time for a wait that was frozen, in which it reads what its socket holds.
const GRACE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// Runs `work` together with a clock that ticks.
    async fn ticking<T>(clock: &RunClock, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            () = clock.tick(|_| {}) => unreachable!("it ticks for ever"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_is_no_freeze() {
        let clock = RunClock::default();
        let began = Instant::now();
        let waited = async {
            let _watching = clock.watch();
            sleep(secs(7_200)).await;
        };
        ticking(&clock, waited).await;
        ticking(&clock, sleep(secs(7_200))).await;
        assert_eq!(clock.away_since(began), Duration::ZERO);
        assert_eq!(clock.ran_since(began), secs(14_400));
    }

    #[tokio::test(start_paused = true)]
    async fn deadlines_are_extended_by_the_time_frozen() {
        let clock = RunClock::default();
        let (mut reported, mut ended) = (Duration::ZERO, None);
        let began = Instant::now();
        let work = async {
            let _watching = clock.watch();
            tokio::join!(
                async {
                    ended = Some((clock.within(began, secs(5), std::future::pending::<()>()).await, began.elapsed()))
                },
                async {
                    sleep(secs(2)).await;
                    advance(secs(30)).await;
                }
            );
            sleep(secs(1)).await;
        };
        tokio::select! {
            biased;
            () = work => {}
            () = clock.tick(|frozen| reported += frozen) => {}
        }
        let (outcome, after) = ended.unwrap();
        assert!(outcome.is_none());
        // The freeze began somewhere between two ticks.
        assert!((secs(35)..=secs(35) + TICK + GRACE).contains(&after), "{after:?}");
        assert!((secs(30)..=secs(30) + TICK).contains(&reported), "{reported:?}");
        assert_eq!(clock.away_since(began), reported);
    }

    #[tokio::test(start_paused = true)]
    async fn without_ticks_deadlines_are_not_extended() {
        let clock = RunClock::default();
        let began = Instant::now();
        advance(secs(4)).await;
        assert!(!clock.is_over(began, secs(5)));
        advance(secs(2)).await;
        assert!(clock.is_over(began, secs(5)));
        assert_eq!(clock.within(began, secs(5), std::future::pending::<()>()).await, None);
        assert_eq!(clock.within(began, secs(5), async { 7 }).await, Some(7), "what is there is taken");
    }
}
