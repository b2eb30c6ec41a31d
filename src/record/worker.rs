//! The health of the worker itself: its point in `bandprobe_worker`.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{
    target::Vantage,
    units::{Bytes, Micros},
};

use super::{point::Point, schema::worker as schema};

/// What happened since the last point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerCounters {
    /// Runs that started.
    pub runs_started: u64,
    /// Runs that could not start before their next slot.
    pub runs_missed: u64,
    /// Runs that started much later than their slot.
    pub runs_late: u64,
    /// Runs that were skipped because a download budget was spent.
    pub runs_skipped_budget: u64,
    /// Transfers that were attempted, including HEAD checks.
    pub transfers: u64,
    /// Transfers that did not end `ok`.
    pub failed: u64,
    /// Points that InfluxDB accepted.
    pub points_written: u64,
    /// Points that InfluxDB rejected permanently.
    pub points_rejected: u64,
    /// Points that were deleted before delivery because the archive was full.
    pub points_dropped: u64,
    /// Values above the range of the histograms, recorded as the end of the range.
    pub values_clamped: u64,
    /// Samples that did not fit into the histograms. Their transfer points are not affected.
    pub values_dropped: u64,
    /// Deliveries that were tried again.
    pub retries: u64,
    /// Body bytes received.
    pub bytes_downloaded: u64,
    /// Nodes that sources added.
    pub targets_added: u64,
    /// Nodes that sources removed.
    pub targets_removed: u64,
    /// Name look-ups that were given up before the system returned. A look-up whose thread is still waiting counts in
    /// every point.
    pub lookups_abandoned: u64,
    /// Slots of status rounds that passed while the previous round was still running.
    pub rounds_missed: u64,
    /// Log lines that were dropped because stderr was not read.
    pub log_lines_dropped: u64,
    /// Time in which this process did not run.
    pub frozen: Micros,
}

/// Current values. A value that is not known is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerGauges {
    /// 99th percentile of the lateness of the runs since the last point.
    pub lateness_p99: Option<Micros>,
    /// Greatest delay of the schedule itself since the last point.
    pub schedule_delay: Micros,
    /// Duration of the last status round.
    pub round: Option<Micros>,
    /// Size of the files that wait for delivery.
    pub spool: Option<Bytes>,
    /// Age of their oldest point.
    pub spool_age: Option<Duration>,
    /// CPU time of the process since its start.
    pub cpu: Option<Micros>,
    /// Resident memory of the process.
    pub rss: Option<Bytes>,
    /// Number of nodes on the schedule.
    pub nodes: u64,
    /// Age of the list of nodes; `None` when no source provided it.
    pub targets_age: Option<Duration>,
    /// Whether any node answered the last status round; `None` when too few were asked to blame the vantage.
    pub vantage_ok: Option<bool>,
    /// How long the fleet's median chain head had not changed at the last status round.
    pub chain_still: Option<Duration>,
    /// How far the database's clock is ahead of ours, in ms, with an error of up to half a second.
    pub clock_offset_ms: Option<i64>,
    /// Version of bandprobe.
    pub version: String,
    /// Hash that distinguishes configurations.
    pub config_hash: String,
}

/// The worker's point at `at`.
#[must_use]
pub fn worker_point(vantage: &Vantage, at: Timestamp, counters: &WorkerCounters, gauges: &WorkerGauges) -> Point {
    let mut point = Point::new(&schema::MEASUREMENT, at);
    point.tag(schema::VANTAGE, &vantage.id);
    point.tag(schema::WORKER, &vantage.worker);
    for (field, count) in [
        (schema::RUNS_STARTED, counters.runs_started),
        (schema::RUNS_MISSED, counters.runs_missed),
        (schema::RUNS_LATE, counters.runs_late),
        (schema::RUNS_SKIPPED_BUDGET, counters.runs_skipped_budget),
        (schema::TRANSFERS, counters.transfers),
        (schema::FAILED, counters.failed),
        (schema::POINTS_WRITTEN, counters.points_written),
        (schema::POINTS_REJECTED, counters.points_rejected),
        (schema::POINTS_DROPPED, counters.points_dropped),
        (schema::VALUES_CLAMPED, counters.values_clamped),
        (schema::VALUES_DROPPED, counters.values_dropped),
        (schema::RETRIES, counters.retries),
        (schema::BYTES_DOWNLOADED, counters.bytes_downloaded),
        (schema::TARGETS_ADDED, counters.targets_added),
        (schema::TARGETS_REMOVED, counters.targets_removed),
        (schema::LOOKUPS_ABANDONED, counters.lookups_abandoned),
        (schema::ROUNDS_MISSED, counters.rounds_missed),
        (schema::LOG_LINES_DROPPED, counters.log_lines_dropped),
        (schema::FROZEN, counters.frozen.0),
        (schema::NODES, gauges.nodes),
    ] {
        point.integer(field, Some(count));
    }
    point.integer(schema::LATENESS_P99, gauges.lateness_p99.map(|lateness| lateness.0));
    point.integer(schema::SCHEDULE_DELAY, Some(gauges.schedule_delay.0));
    point.integer(schema::ROUND, gauges.round.map(|time| time.0));
    point.integer(schema::SPOOL_BYTES, gauges.spool.map(|size| size.0));
    point.integer(schema::SPOOL_AGE, gauges.spool_age.map(|age| age.as_secs()));
    point.integer(schema::CPU, gauges.cpu.map(|time| time.0));
    point.integer(schema::RSS, gauges.rss.map(|size| size.0));
    point.integer(schema::TARGETS_AGE, gauges.targets_age.map(|age| age.as_secs()));
    point.integer(schema::VANTAGE_OK, gauges.vantage_ok.map(u64::from));
    point.integer(schema::CHAIN_STILL, gauges.chain_still.map(|still| still.as_secs()));
    point.signed(schema::CLOCK_OFFSET, gauges.clock_offset_ms);
    point.text(schema::VERSION, Some(&gauges.version));
    point.text(schema::CONFIG_HASH, Some(&gauges.config_hash));
    point
}
