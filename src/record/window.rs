//! Windows: the values of each series since the last flush, and their points in `bandprobe_window`.
//!
//! A series is a set of labels and a metric. Latencies come from every transfer that ended ok (without the total of one
//! that its deadline cut off), rates from the valid ones. Values lie packed, in 32 bytes a transfer, until the flush, so
//! that 10,000 nodes fit in 64 MB; intervals, of which a transfer may have hundreds, are counted by bucket.

use std::{collections::BTreeMap, sync::Arc, time::Duration, vec};

use jiff::Timestamp;

use crate::model::{
    flag::Flag,
    phase::Phase,
    probe::PartName,
    sample::{CacheState, Conn, Labels, Rates, Sample},
    target::AssetKind,
    units::Micros,
};

use super::{
    histogram::{Encoder, Metric, Scale, nearest_rank},
    line,
    point::Point,
    schema::{NONE, window as schema},
};

/// The open window of all series.
pub struct Windows {
    window: Duration,
    /// The boundary at which the open window ends; `None` while it is empty.
    due: Option<Timestamp>,
    series: BTreeMap<Key, Values>,
    /// Rows in all series.
    rows: usize,
    counts: WindowCounts,
    encoder: Encoder,
}

/// What did not go into a window as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowCounts {
    /// Values above the range of their scale, recorded as its end.
    pub clamped: u64,
    /// Samples that found no room: too many sets of labels, or no flush for too long.
    pub dropped: u64,
}

/// Takes series out of their window, one after the other; those not taken stay in it.
#[must_use = "a flush does nothing until its points are taken"]
pub struct Flush<'a> {
    windows: Option<&'a mut Windows>,
    ready: vec::IntoIter<Point>,
}

/// How many sets of labels may be open at once: seven for each of 10,000 nodes, and some.
pub const MAX_SERIES: usize = 100_000;

/// How many transfers may be open at once.
pub const MAX_ROWS: usize = 1_000_000;

/// From so many on a flush is due before its time.
const FLUSH_ROWS: usize = MAX_ROWS / 2;

impl Windows {
    /// Windows that end at the multiples of `window` since 1970, so that those of several workers line up.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self {
            window: window.max(Duration::from_micros(1)),
            due: None,
            series: BTreeMap::new(),
            rows: 0,
            counts: WindowCounts::default(),
            encoder: Encoder::new(),
        }
    }

    /// Takes the values of a sample, if it ended ok.
    pub fn record(&mut self, sample: &Sample) {
        if !sample.outcome.is_ok() {
            return;
        }
        let key = Key::of(&sample.labels);
        let known = self.series.contains_key(&key);
        if self.rows >= MAX_ROWS || (!known && self.series.len() >= MAX_SERIES) {
            self.counts.dropped += 1;
            return;
        }
        let row = Row::of(sample, &mut self.counts.clamped);
        let values = self.series.entry(key).or_default();
        if sample.is_valid() && !sample.intervals.is_empty() {
            values.first_interval = values.first_interval.min(row.at);
            for rate in &sample.intervals {
                let clamped = clamp(Scale::Rate, rate.0, &mut self.counts.clamped);
                *values.intervals.entry(pack(Scale::Rate, Scale::Rate.middle(clamped))).or_default() += 1;
            }
        }
        values.rows.push(row);
        self.rows += 1;
        self.due.get_or_insert_with(|| boundary_after(sample.at, self.window));
    }

    /// The points of the window, if it has ended at `now`, or is full; else none.
    pub fn flush_due(&mut self, now: Timestamp) -> Flush<'_> {
        let ended = self.due.is_some_and(|due| {
            // A clock that was set back must not keep the window open until it has caught up.
            let set_back = due.duration_since(now).unsigned_abs() > self.window && due > now;
            due <= now || set_back
        });
        let due = ended || self.rows >= FLUSH_ROWS;
        Flush { windows: due.then_some(self), ready: Vec::new().into_iter() }
    }

    /// The points of the window as far as it is filled: shutdown, reload, `once`.
    pub fn flush_all(&mut self) -> Flush<'_> {
        Flush { windows: Some(self), ready: Vec::new().into_iter() }
    }

    /// Clamped and dropped since the last call.
    pub fn take_counts(&mut self) -> WindowCounts {
        std::mem::take(&mut self.counts)
    }

    fn take_series(&mut self) -> Option<Vec<Point>> {
        let Some((key, values)) = self.series.pop_first() else {
            self.due = None;
            return None;
        };
        self.rows -= values.rows.len();
        Some(Metric::ALL.into_iter().filter_map(|metric| self.point(&key, &values, metric)).collect())
    }

    fn point(&mut self, key: &Key, values: &Values, metric: Metric) -> Option<Point> {
        let (first, sorted) = values.sorted(metric);
        let count = sorted.iter().map(|(_, count)| count).sum();
        let time = Timestamp::from_nanosecond(i128::from(first)).ok()?;
        let percentile = |percent| nearest_rank(sorted.iter().copied(), count, percent);
        let mut point = Point::new(&schema::MEASUREMENT, time);
        key.tags(&mut point);
        point.tag(schema::METRIC, metric.label());
        point.integer(schema::COUNT, Some(count));
        point.integer(schema::MIN, Some(sorted.first()?.0));
        point.integer(schema::MAX, Some(sorted.last()?.0));
        for (field, percent) in [(schema::P10, 10), (schema::P50, 50), (schema::P90, 90), (schema::P99, 99)] {
            point.integer(field, percentile(percent));
        }
        point.integer(schema::WINDOW, Some(Micros::from(self.window).0));
        point.blob(schema::HDR, self.encoder.encode(metric.scale(), sorted.iter().copied()));
        Some(point)
    }
}

impl Iterator for Flush<'_> {
    type Item = Point;

    fn next(&mut self) -> Option<Point> {
        loop {
            if let Some(point) = self.ready.next() {
                return Some(point);
            }
            self.ready = self.windows.as_mut()?.take_series()?.into_iter();
        }
    }
}

/// The labels of a series, all but the metric.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    vantage: Arc<str>,
    node: Arc<str>,
    region: Option<Arc<str>>,
    probe: Arc<str>,
    kind: Option<AssetKind>,
    part: Option<PartName>,
    conn: Option<Conn>,
    cache: CacheState,
}

impl Key {
    fn of(labels: &Labels) -> Self {
        Self {
            vantage: labels.vantage.clone(),
            node: labels.node.clone(),
            region: labels.region.clone(),
            probe: labels.probe.clone(),
            kind: labels.kind,
            part: labels.part,
            conn: labels.conn,
            cache: labels.cache,
        }
    }

    fn tags(&self, point: &mut Point) {
        point.tag(schema::VANTAGE, &self.vantage);
        point.tag(schema::NODE, &self.node);
        point.tag(schema::REGION, self.region.as_deref().unwrap_or(NONE));
        point.tag(schema::PROBE, &self.probe);
        point.tag(schema::KIND, self.kind.map_or(NONE, AssetKind::label));
        point.tag(schema::PART, self.part.map_or(NONE, PartName::label));
        point.tag(schema::CONN, self.conn.map_or(NONE, Conn::label));
        point.tag(schema::CACHE, self.cache.label());
    }
}

/// The values of all metrics of one set of labels.
struct Values {
    rows: Vec<Row>,
    /// Packed middle of the bucket → how often.
    intervals: BTreeMap<u32, u32>,
    /// Start of the first transfer that had intervals.
    first_interval: i64,
}

impl Default for Values {
    fn default() -> Self {
        Self { rows: Vec::new(), intervals: BTreeMap::new(), first_interval: i64::MAX }
    }
}

impl Values {
    /// The start of the first value, and the sorted (value, how often).
    fn sorted(&self, metric: Metric) -> (i64, Vec<(u64, u64)>) {
        if metric == Metric::Interval {
            let counts = self.intervals.iter();
            let sorted = counts.map(|(packed, count)| (unpack(Scale::Rate, *packed), u64::from(*count))).collect();
            return (self.first_interval, sorted);
        }
        let column = metric as usize;
        let rows = || self.rows.iter().filter(|row| row.packed[column] != ABSENT);
        let mut sorted: Vec<_> = rows().map(|row| (unpack(metric.scale(), row.packed[column]), 1)).collect();
        sorted.sort_unstable();
        (rows().map(|row| row.at).min().unwrap_or(i64::MAX), sorted)
    }
}

/// The values of one transfer: a column for each metric but the last, [`Metric::Interval`].
struct Row {
    /// Nanoseconds since 1970.
    at: i64,
    packed: [u32; COLUMNS],
}

impl Row {
    fn of(sample: &Sample, clamped: &mut u64) -> Self {
        let total = (!sample.flags.contains(Flag::Partial)).then(|| sample.phases.total());
        let rates = if sample.is_valid() { sample.rates } else { Rates::default() };
        let mut value_of = |metric: Metric| {
            let value = match metric {
                Metric::Ttfb => sample.phases.ttfb()?.0,
                Metric::Wait => sample.phases.took(Phase::Wait)?.0,
                Metric::Server => sample.server_time()?.0,
                Metric::Total => total?.0,
                Metric::Effective => rates.effective?.0,
                Metric::Goodput => rates.goodput?.0,
                Metric::Interval => return None,
            };
            Some(pack(metric.scale(), clamp(metric.scale(), value, clamped)))
        };
        let packed = std::array::from_fn(|column| value_of(Metric::ALL[column]).unwrap_or(ABSENT));
        Self { at: line::nanoseconds(sample.at), packed }
    }
}

fn clamp(scale: Scale, value: u64, clamped: &mut u64) -> u64 {
    *clamped += u64::from(value > scale.highest());
    value.min(scale.highest())
}

/// Times as they are; rates in steps of 32 bit/s, a whole fraction of the histogram's finest bucket.
fn pack(scale: Scale, value: u64) -> u32 {
    u32::try_from(value >> step_bits(scale)).expect("invariant: both scales end below 2^32 steps")
}

fn unpack(scale: Scale, packed: u32) -> u64 {
    u64::from(packed) << step_bits(scale)
}

const fn step_bits(scale: Scale) -> u32 {
    match scale {
        Scale::Time => 0,
        Scale::Rate => 5,
    }
}

fn boundary_after(at: Timestamp, window: Duration) -> Timestamp {
    let window = i128::try_from(window.as_nanos()).unwrap_or(i128::MAX);
    let boundary = (at.as_nanosecond().div_euclid(window) + 1).saturating_mul(window);
    Timestamp::from_nanosecond(boundary).unwrap_or(Timestamp::MAX)
}

const COLUMNS: usize = Metric::ALL.len() - 1;

/// Above every packed value.
const ABSENT: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten thousand nodes with the shipped probes and hourly windows: an image every 5 minutes, cold and warm, and a
    /// video an hour in three parts, all of them checked before.
    #[test]
    fn ten_thousand_nodes_fit_in_64_mb() {
        let series = [12_usize, 12, 12, 1, 1, 1, 1];
        let rows: usize = series.iter().map(|rows| rows.next_power_of_two().max(4) * size_of::<Row>()).sum();
        // A B-tree's nodes are at least half full.
        let keys = series.len() * (size_of::<Key>() + size_of::<Values>()) * 2;
        let labels = 200;
        let per_node = rows + keys + labels;
        assert!(per_node * 10_000 <= 64_000_000, "{per_node} bytes a node");
    }
}
