//! Windows: the values of each series since the last flush, and their points in `bandprobe_window`.
//!
//! A series is a set of labels and a metric. Latencies are taken from every transfer that ended ok (except the total of
//! one that its deadline cut off), and rates from valid transfers only. Until the flush, values are packed in 32 bytes
//! per transfer, so that 10,000 nodes fit in 64 MB. Intervals, of which a transfer may have hundreds, are counted by
//! bucket.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use jiff::Timestamp;

use self::series::{Key, SeriesValues};
use super::{
    histogram::{Encoder, Metric, nearest_rank},
    point::Point,
    schema::window as schema,
};
use crate::model::{flag::Flag, sample::Sample, units::Micros};

mod series;

/// The open window of all series.
pub struct Windows {
    window: Duration,
    /// The boundary at which the open window ends; `None` while it is empty.
    due: Option<Timestamp>,
    /// When a window last ended.
    flushed: Timestamp,
    series: BTreeMap<Key, SeriesValues>,
    /// Memory that the values of all series use, in bytes.
    bytes: usize,
    /// Points that a flush has prepared but that have not been taken yet.
    ready: VecDeque<Point>,
    counts: WindowCounts,
    encoder: Encoder,
}

/// Values and samples that could not be recorded unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowCounts {
    /// Values above the range of their scale, recorded as the end of the range.
    pub clamped: u64,
    /// Samples that did not fit: too many sets of labels, or no flush for too long.
    pub dropped: u64,
}

/// Takes points out of the window, one series at a time. Points that are not taken stay for the next flush.
#[must_use = "a flush does nothing until its points are taken"]
pub struct Flush<'a>(Option<&'a mut Windows>);

/// The most sets of labels that can be open at once: seven for each of 10,000 nodes, and some spare.
pub const MAX_SERIES: usize = 100_000;

/// The most memory for the values of all series, in bytes. Ten thousand nodes use 13 MB in an hour.
pub const MAX_BYTES: usize = 32_000_000;

/// When the values use this many bytes, a flush is due early.
const FLUSH_BYTES: usize = MAX_BYTES / 4 * 3;

impl Windows {
    /// Creates windows that end at multiples of `window` since 1970, so that the windows of several workers coincide.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self {
            window: window.max(Duration::from_micros(1)),
            due: None,
            flushed: Timestamp::MIN,
            series: BTreeMap::new(),
            bytes: 0,
            ready: VecDeque::new(),
            counts: WindowCounts::default(),
            encoder: Encoder::new(),
        }
    }

    /// Adds the values of a sample, if it ended ok and this process ran all the time.
    pub fn record(&mut self, sample: &Sample) {
        if !sample.outcome.is_ok() || sample.flags.contains(Flag::Frozen) {
            return;
        }
        let key = Key::of(&sample.labels);
        let known = self.series.contains_key(&key);
        if self.bytes >= MAX_BYTES || (!known && self.series.len() >= MAX_SERIES) {
            self.counts.dropped += 1;
            return;
        }
        let values = self.series.entry(key).or_default();
        let before = values.bytes();
        self.counts.clamped += values.record(sample);
        self.bytes += values.bytes() - before;
        // A transfer that began before the last flush belongs to the window in which it ended.
        self.due.get_or_insert_with(|| boundary_after(sample.at.max(self.flushed), self.window));
    }

    /// The points of the window if it has ended at `now` or is full; otherwise none.
    pub fn flush_due(&mut self, now: Timestamp) -> Flush<'_> {
        let ended = self.due.is_some_and(|due| {
            // Otherwise a clock that was set back would keep the window open until it has caught up.
            let set_back = due.duration_since(now).unsigned_abs() > self.window && due > now;
            due <= now || set_back
        });
        if ended {
            self.flushed = now;
        }
        let due = ended || self.bytes >= FLUSH_BYTES;
        Flush(due.then_some(self))
    }

    /// The points of the window as filled so far: for shutdown, reload and `once`.
    pub fn flush_all(&mut self) -> Flush<'_> {
        Flush(Some(self))
    }

    /// The counts since the last call.
    pub fn take_counts(&mut self) -> WindowCounts {
        std::mem::take(&mut self.counts)
    }

    /// Prepares the points of one series; `false` when there is none left.
    fn close_series(&mut self) -> bool {
        let Some((key, values)) = self.series.pop_first() else {
            self.due = None;
            return false;
        };
        self.bytes -= values.bytes();
        let points = Metric::ALL.into_iter().filter_map(|metric| self.point(&key, &values, metric));
        self.ready = points.collect();
        true
    }

    fn point(&mut self, key: &Key, values: &SeriesValues, metric: Metric) -> Option<Point> {
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
        let windows = self.0.as_mut()?;
        loop {
            if let Some(point) = windows.ready.pop_front() {
                return Some(point);
            }
            if !windows.close_series() {
                return None;
            }
        }
    }
}

fn boundary_after(at: Timestamp, window: Duration) -> Timestamp {
    let window = i128::try_from(window.as_nanos()).unwrap_or(i128::MAX);
    let boundary = (at.as_nanosecond().div_euclid(window) + 1).saturating_mul(window);
    Timestamp::from_nanosecond(boundary).unwrap_or(Timestamp::MAX)
}
