//! The worker's own counters and gauges, and the point that it writes of them each minute.

use std::{
    fs,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    archive::status,
    config::Config,
    model::{
        flag::Flag,
        sample::Sample,
        units::{Bytes, Micros},
    },
    net::resolve::Resolver,
    record::{
        histogram::nearest_rank,
        point::Point,
        worker::{WorkerCounters, WorkerGauges, worker_point},
    },
};

pub(super) use self::overload::{LATE, Overload, late_from};
use super::log_throttle::LogThrottle;

mod overload;

/// The counters since the last point. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    counts: Mutex<Counts>,
    /// Returns how many log lines were dropped since the start.
    log: OnceLock<fn() -> u64>,
    /// Lost points that are not in the stored total yet.
    dropped: AtomicU64,
    /// Is the disk full?
    full: AtomicBool,
    /// The resolver whose abandoned lookups are counted.
    resolver: OnceLock<Resolver>,
}

/// The counts of a period.
#[derive(Debug, Default)]
pub(super) struct Counts {
    counters: WorkerCounters,
    /// Lateness in µs of the transfers since the last point, for up to [`MAX_LATENESS`] of them.
    lateness: Vec<u64>,
    /// The greatest delay of the schedule since the last point.
    schedule_delay: Micros,
    now: Gauges,
    /// The overload since it was last logged.
    overload: Overload,
}

/// Values that remain until they are noted again, even when the counts are taken.
#[derive(Clone, Copy, Debug, Default)]
struct Gauges {
    /// How far the database's clock was ahead of ours at the last comparison, in ms.
    clock_offset_ms: Option<i64>,
    targets: Option<Targets>,
    vantage_ok: Option<bool>,
    /// Abandoned lookups whose threads are still waiting.
    lookups_waiting: u64,
    chain_still: Option<Duration>,
    /// The duration of the last status round.
    round: Option<Micros>,
    /// Log lines dropped since the start, as far as they are in the counters.
    log_lines_dropped: u64,
}

/// The list of nodes as last noted.
#[derive(Clone, Copy, Debug)]
struct Targets {
    nodes: u64,
    /// The age of the list then, and when that was.
    age: Option<(Duration, Instant)>,
}

impl Tally {
    /// Changes counters of the next point.
    pub fn count(&self, change: impl FnOnce(&mut WorkerCounters)) {
        change(&mut self.lock().counters);
    }

    /// Counts points that are lost.
    pub fn count_dropped(&self, points: u64) {
        self.0.dropped.fetch_add(points, Ordering::Relaxed);
        self.count(|counters| counters.points_dropped += points);
    }

    /// Returns the points lost since the last call.
    pub(super) fn take_unnoted(&self) -> u64 {
        self.0.dropped.swap(0, Ordering::Relaxed)
    }

    /// Notes whether the disk has no room for new results.
    pub(super) fn note_full(&self, is_full: bool) {
        self.0.full.store(is_full, Ordering::Relaxed);
    }

    /// Returns whether the disk was full at the last attempt to write.
    pub(super) fn is_full(&self) -> bool {
        self.0.full.load(Ordering::Relaxed)
    }

    /// Counts a finished transfer.
    pub fn count_sample(&self, sample: &Sample) {
        let mut counts = self.lock();
        counts.counters.transfers += u64::from(sample.labels.conn.is_some());
        counts.counters.failed += u64::from(!sample.outcome.is_ok());
        counts.counters.bytes_downloaded += sample.bytes.unwrap_or(0);
        if counts.lateness.len() < MAX_LATENESS {
            counts.lateness.push(sample.lateness.0);
        }
    }

    /// Returns a function that counts each freeze, a time in which the process did not run. It logs freezes at most
    /// once a minute.
    pub fn on_freeze(&self) -> impl FnMut(Duration) + Send + 'static {
        let tally = self.clone();
        let (mut unlogged, mut throttle) = (Duration::ZERO, LogThrottle::default());
        move |frozen| {
            tally.count(|counters| counters.frozen = Micros(counters.frozen.0 + Micros::from(frozen).0));
            unlogged += frozen;
            // A process that gets too little CPU time freezes every second.
            if throttle.allows() {
                let frozen = Micros::from(std::mem::take(&mut unlogged));
                tracing::warn!(
                    "bandprobe did not run for {frozen}: it was stopped, suspended or starved of CPU; transfers under way \
                     then are flagged `{}` and not charged to their nodes",
                    Flag::Frozen.label()
                );
            }
        }
    }

    /// Notes how far the database's clock is ahead of ours, in ms; `None` when it is unknown.
    pub fn note_clock_offset(&self, ms: Option<i64>) {
        self.lock().now.clock_offset_ms = ms;
    }

    /// Notes how many nodes are on the schedule, and how old their list is now; `None` when all nodes are from the
    /// config. The age increases from now on.
    pub fn note_targets(&self, nodes: u64, age: Option<Duration>) {
        let age = age.map(|age| (age, Instant::now()));
        self.lock().now.targets = Some(Targets { nodes, age });
    }

    /// Notes whether the last status round found this vantage itself in order; `None` when that could not be judged.
    pub fn note_vantage(&self, is_ok: Option<bool>) {
        self.lock().now.vantage_ok = is_ok;
    }

    /// Counts the lookups of this resolver that are abandoned from now on.
    pub(super) fn follow_lookups(&self, resolver: &Resolver) {
        // A second resolver in one process would be a bug, and its lookups would not be counted.
        let _ = self.0.resolver.set(resolver.clone());
    }

    /// Notes for how long the chain of the whole fleet had not moved at the last status round; `None` when no node
    /// reported a height.
    pub fn note_chain_still(&self, still: Option<Duration>) {
        self.lock().now.chain_still = still;
    }

    /// Counts a run that begins.
    pub fn count_run_started(&self) {
        let mut counts = self.lock();
        counts.counters.runs_started += 1;
        counts.overload.started += 1;
    }

    /// Counts runs that were skipped, because they could not begin before their next slot.
    pub fn count_runs_missed(&self, missed: u64) {
        let mut counts = self.lock();
        counts.counters.runs_missed += missed;
        counts.overload.missed += missed;
    }

    /// Counts a run that began much later than its slot.
    pub fn count_run_late(&self) {
        let mut counts = self.lock();
        counts.counters.runs_late += 1;
        counts.overload.late += 1;
    }

    /// Notes how long a status round took, and counts the slots that were skipped because of it.
    pub fn count_round(&self, took: Duration, missed: u64) {
        let mut counts = self.lock();
        counts.now.round = Some(took.into());
        counts.counters.rounds_missed += missed;
        if missed > 0 {
            counts.overload.rounds_missed += missed;
            counts.overload.round = took.into();
        }
    }

    /// Notes how late the schedule itself was.
    pub fn note_schedule_delay(&self, delay: Micros) {
        let mut counts = self.lock();
        counts.schedule_delay = counts.schedule_delay.max(delay);
        counts.overload.schedule_delay = counts.overload.schedule_delay.max(delay);
    }

    /// The overload since the last call of [`Self::take_overload`].
    pub(super) fn overload(&self) -> Overload {
        self.lock().overload
    }

    /// Resets the overload after it was logged.
    pub(super) fn take_overload(&self) -> Overload {
        std::mem::take(&mut self.lock().overload)
    }

    /// Counts the lines that the log drops from now on. `dropped` returns how many it has dropped since the start.
    pub fn watch_log(&self, dropped: fn() -> u64) {
        let _ = self.0.log.set(dropped);
    }

    /// Takes what was counted since the last call.
    pub(super) fn take(&self) -> Counts {
        let lookups = self.0.resolver.get().map(Resolver::abandoned).unwrap_or_default();
        let dropped = self.0.log.get().map_or(0, |dropped| dropped());
        let mut counts = self.lock();
        counts.counters.lookups_abandoned += lookups.returned;
        counts.now.lookups_waiting = lookups.waiting;
        counts.counters.log_lines_dropped += dropped.saturating_sub(counts.now.log_lines_dropped);
        counts.now.log_lines_dropped = dropped;
        let (now, overload) = (counts.now, counts.overload);
        std::mem::replace(&mut *counts, Counts { now, overload, ..Counts::default() })
    }

    /// Adds counts again whose point could not be written, so that they are in the next one.
    pub(super) fn put_back(&self, unwritten: Counts) {
        let mut counts = self.lock();
        counts.counters = sum(&counts.counters, &unwritten.counters);
        counts.schedule_delay = counts.schedule_delay.max(unwritten.schedule_delay);
        let room = MAX_LATENESS - counts.lateness.len().min(MAX_LATENESS);
        counts.lateness.extend(unwritten.lateness.into_iter().take(room));
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// The worker's point, with these counts and the current gauges.
    pub(super) fn point(&self, config: &Config, config_hash: &str, now: Timestamp) -> Point {
        let mut lateness = self.lateness.clone();
        lateness.sort_unstable();
        let count = lateness.len() as u64;
        let lateness_p99 = nearest_rank(lateness.into_iter().map(|value| (value, 1)), count, 99).map(Micros);
        let (waiting, oldest) = status::backlog(&config.archive.dir).ok().unzip();
        let gauges = WorkerGauges {
            lateness_p99,
            schedule_delay: self.schedule_delay,
            round: self.now.round,
            spool: waiting,
            spool_age: oldest.map(|oldest| oldest.map_or(Duration::ZERO, |oldest| age(oldest, now))),
            cpu: cpu_time(),
            rss: resident(),
            nodes: self.now.targets.map_or(config.nodes.len() as u64, |targets| targets.nodes),
            targets_age: self.now.targets.and_then(|targets| targets.age).map(|(age, at)| age + at.elapsed()),
            vantage_ok: self.now.vantage_ok,
            chain_still: self.now.chain_still,
            clock_offset_ms: self.now.clock_offset_ms,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_hash: config_hash.to_owned(),
        };
        let mut counters = self.counters;
        counters.lookups_abandoned += self.now.lookups_waiting;
        worker_point(&config.vantage, now, &counters, &gauges)
    }
}

fn sum(a: &WorkerCounters, b: &WorkerCounters) -> WorkerCounters {
    WorkerCounters {
        runs_started: a.runs_started + b.runs_started,
        runs_missed: a.runs_missed + b.runs_missed,
        runs_late: a.runs_late + b.runs_late,
        runs_skipped_budget: a.runs_skipped_budget + b.runs_skipped_budget,
        transfers: a.transfers + b.transfers,
        failed: a.failed + b.failed,
        points_written: a.points_written + b.points_written,
        points_rejected: a.points_rejected + b.points_rejected,
        points_dropped: a.points_dropped + b.points_dropped,
        values_clamped: a.values_clamped + b.values_clamped,
        values_dropped: a.values_dropped + b.values_dropped,
        retries: a.retries + b.retries,
        bytes_downloaded: a.bytes_downloaded + b.bytes_downloaded,
        targets_added: a.targets_added + b.targets_added,
        targets_removed: a.targets_removed + b.targets_removed,
        lookups_abandoned: a.lookups_abandoned + b.lookups_abandoned,
        rounds_missed: a.rounds_missed + b.rounds_missed,
        log_lines_dropped: a.log_lines_dropped + b.log_lines_dropped,
        frozen: Micros(a.frozen.0 + b.frozen.0),
    }
}

fn age(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

/// CPU time of this process: user and system time from proc_pid_stat(5), in ticks of 10 ms. `None` on other systems
/// than Linux.
fn cpu_time() -> Option<Micros> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name in parentheses, which may contain anything. `utime` and `stime` are fields 14 and
    // 15.
    let mut after_name = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks = after_name.next()?.parse::<u64>().ok()? + after_name.next()?.parse::<u64>().ok()?;
    Some(Micros(ticks * 10_000))
}

/// Resident memory of this process, from proc_pid_status(5). `None` on other systems than Linux.
fn resident() -> Option<Bytes> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Bytes(kib * 1024))
}

/// The most lateness values that are kept; no reasonable schedule has more transfers in a minute. Beyond it, the
/// percentile covers the first ones only.
const MAX_LATENESS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_put_back_are_added_to_newer_ones() {
        let tally = Tally::default();
        tally.count(|counters| counters.runs_started = 2);
        let unwritten = tally.take();
        assert_eq!(tally.take().counters, WorkerCounters::default(), "counting starts again");
        tally.count(|counters| counters.runs_started = 3);
        tally.put_back(unwritten);
        assert_eq!(tally.take().counters, WorkerCounters { runs_started: 5, ..WorkerCounters::default() });
    }

    #[test]
    fn no_counter_is_forgotten_in_a_sum() {
        let mut one = WorkerCounters { runs_started: 1, runs_missed: 2, runs_skipped_budget: 3, ..Default::default() };
        (one.transfers, one.failed, one.points_written, one.points_rejected) = (4, 5, 6, 7);
        (one.points_dropped, one.values_clamped, one.values_dropped) = (8, 9, 10);
        (one.retries, one.bytes_downloaded, one.targets_added, one.targets_removed) = (11, 12, 13, 14);
        one.lookups_abandoned = 19;
        (one.runs_late, one.rounds_missed, one.log_lines_dropped) = (15, 16, 17);
        one.frozen = Micros(18);
        assert_eq!(sum(&one, &WorkerCounters::default()), one);
        assert_eq!(sum(&one, &one), sum(&sum(&one, &WorkerCounters::default()), &one));
        assert_eq!(sum(&one, &one).bytes_downloaded, 24);
    }

    #[test]
    fn gauges_keep_their_value_until_the_next_one() {
        let tally = Tally::default();
        tally.note_targets(7, Some(Duration::from_secs(90)));
        tally.note_vantage(Some(false));
        tally.count_round(Duration::from_secs(3), 0);
        tally.note_schedule_delay(Micros(9));
        tally.note_schedule_delay(Micros(7));
        assert_eq!(tally.take().schedule_delay, Micros(9));
        let Counts { now, schedule_delay, .. } = tally.take();
        assert_eq!((now.round, schedule_delay), (Some(Micros(3_000_000)), Micros(0)));
        assert_eq!((now.targets.unwrap().nodes, now.vantage_ok), (7, Some(false)));
        assert_eq!(now.targets.unwrap().age.unwrap().0, Duration::from_secs(90));
    }

    #[test]
    fn a_line_that_the_log_dropped_is_counted_once() {
        let tally = Tally::default();
        tally.watch_log(|| 5);
        let unwritten = tally.take();
        assert_eq!((unwritten.counters.log_lines_dropped, tally.take().counters.log_lines_dropped), (5, 0));
        tally.put_back(unwritten);
        assert_eq!(tally.take().counters.log_lines_dropped, 5);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory_and_time() {
        assert!(resident().unwrap() > Bytes(100_000));
        assert!(cpu_time().is_some());
    }
}
