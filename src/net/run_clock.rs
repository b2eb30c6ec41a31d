//! Deadlines that count only the time in which this process ran.
//!
//! A process that was stopped for 30 s finds all its timers expired and all answers in its sockets. Without this clock it would
//! read the timers first and blame the node. So every wait that judges a node asks this clock when its deadline is due: the time
//! of each freeze is added, and a little more, in which what the sockets already hold is read.
//!
//! Freezes are noticed by [`RunClock::tick`], which runs on the thread of the transfers, and by every check of a deadline,
//! whichever runs first after the freeze. Where nothing ticks, no freeze is noticed, and deadlines are ordinary ones.

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

/// Knows when this process ran. Clones share what they know.
#[derive(Clone, Debug)]
pub struct RunClock(Arc<Shared>);

/// While it lives, freezes are noticed within `TICK` (0.1 s).
#[derive(Debug)]
pub struct Watching(RunClock);

#[derive(Debug)]
struct Shared {
    base: Instant,
    state: Mutex<State>,
    watched: Notify,
}

#[derive(Debug, Default)]
struct State {
    freezes: Freezes,
    /// Transfers and checks under way.
    watching: usize,
    /// How far apart looks are now, at most.
    tick: Duration,
    /// The freezes that were not reported yet.
    unreported: Duration,
}

impl Default for RunClock {
    fn default() -> Self {
        Self(Arc::new(Shared { base: Instant::now(), state: Mutex::default(), watched: Notify::new() }))
    }
}

impl RunClock {
    /// Looks at the clock regularly, and reports the length of each freeze. Never returns: run it next to the transfers, on
    /// their thread.
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
            // A new watcher needs the shorter tick.
            let _ = timeout_at(Instant::now() + tick, self.0.watched.notified()).await;
            self.look();
            let frozen = std::mem::take(&mut self.lock().unreported);
            if !frozen.is_zero() {
                report(frozen);
            }
        }
    }

    /// To be held by each transfer from before its start until its end. An earlier freeze does not concern it.
    #[must_use]
    pub fn watch(&self) -> Watching {
        self.look();
        let mut state = self.lock();
        state.watching += 1;
        if state.watching == 1 {
            self.0.watched.notify_one();
        }
        drop(state);
        Watching(self.clone())
    }

    /// When a deadline is due that began at `began`: once the process has run for `length` since then.
    #[must_use]
    pub fn due(&self, began: Instant, length: Duration) -> Instant {
        let lost = self.lost_since(began);
        let grace = if lost.is_zero() { Duration::ZERO } else { GRACE };
        began + length + lost + grace
    }

    /// Is that deadline over?
    #[must_use]
    pub fn is_over(&self, began: Instant, length: Duration) -> bool {
        // The plain deadline comes first, and is cheap to compare with.
        Instant::now() >= began + length && Instant::now() >= self.due(began, length)
    }

    /// For how long the process has run since then.
    #[must_use]
    pub fn ran_since(&self, since: Instant) -> Duration {
        let lost = self.lost_since(since);
        since.elapsed().saturating_sub(lost)
    }

    /// For how long it has not run since then, the time included that the machine slept.
    #[must_use]
    pub fn away_since(&self, since: Instant) -> Duration {
        self.look();
        self.lock().freezes.away_since(self.offset(since))
    }

    /// For how long the machine has slept since then, so that not even the kernel received anything.
    #[must_use]
    pub fn slept_since(&self, since: Instant) -> Duration {
        self.look();
        self.lock().freezes.slept_since(self.offset(since))
    }

    /// Awaits something until this deadline; `None` when it came first.
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
            // A timer may fire before the sockets have been read: go round the event loop once more.
            due = now_due;
        }
    }

    fn lost_since(&self, since: Instant) -> Duration {
        self.look();
        self.lock().freezes.lost_since(self.offset(since))
    }

    /// This thread runs now.
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.lock().watching -= 1;
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::time::Duration;

    use rustix::time::{ClockId, Timespec, clock_gettime};

    /// How long the machine has slept since its start: `CLOCK_BOOTTIME` goes on meanwhile, and the monotonic clock does not
    /// (clock_gettime(2)). The former is read first, so that a pause between both makes the result too small and never too large.
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

/// How far apart looks are while transfers or status checks are under way.
const TICK: Duration = Duration::from_millis(100);
/// How far apart they are otherwise: once a second costs nothing, and freezes are still counted.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// A wait that was frozen gets this much more, to read what its socket holds.
const GRACE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// Runs something next to a clock that ticks.
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
    async fn a_deadline_waits_for_as_long_as_the_process_did_not_run() {
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
    async fn without_ticks_deadlines_are_ordinary_ones() {
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
