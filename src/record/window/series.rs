//! The packed values of one set of labels.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    model::{
        flag::Flag,
        phase::Phase,
        probe::PartName,
        sample::{CacheState, ConnectionKind, Labels, Rates, Sample},
        target::AssetKind,
    },
    record::{
        histogram::{Metric, Scale},
        line,
        point::Point,
        schema::{NONE, window as schema},
    },
};

/// All labels of a series except the metric.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    vantage: Arc<str>,
    node: Arc<str>,
    region: Option<Arc<str>>,
    probe: Arc<str>,
    kind: Option<AssetKind>,
    part: Option<PartName>,
    conn: Option<ConnectionKind>,
    cache: CacheState,
}

impl Key {
    pub(super) fn of(labels: &Labels) -> Self {
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

    pub(super) fn tags(&self, point: &mut Point) {
        point.tag(schema::VANTAGE, &self.vantage);
        point.tag(schema::NODE, &self.node);
        point.tag(schema::REGION, self.region.as_deref().unwrap_or(NONE));
        point.tag(schema::PROBE, &self.probe);
        point.tag(schema::KIND, self.kind.map_or(NONE, AssetKind::label));
        point.tag(schema::PART, self.part.map_or(NONE, PartName::label));
        point.tag(schema::CONN, self.conn.map_or(NONE, ConnectionKind::label));
        point.tag(schema::CACHE, self.cache.label());
    }
}

/// The values of all metrics of one set of labels.
pub(super) struct SeriesValues {
    rows: Vec<TransferValues>,
    /// Packed middle of the bucket → number of occurrences.
    intervals: BTreeMap<u32, u32>,
    /// Start of the first transfer that had intervals, in nanoseconds since 1970.
    first_interval: i64,
}

impl Default for SeriesValues {
    fn default() -> Self {
        Self { rows: Vec::new(), intervals: BTreeMap::new(), first_interval: i64::MAX }
    }
}

impl SeriesValues {
    /// Memory that the values use, in bytes, without the spare capacity of the collections.
    pub(super) fn bytes(&self) -> usize {
        self.rows.len() * size_of::<TransferValues>() + self.intervals.len() * INTERVAL_BYTES
    }

    /// Adds the values of a transfer that ended ok. Returns how many of them were clamped.
    pub(super) fn record(&mut self, sample: &Sample) -> u64 {
        let mut clamped = 0;
        let row = TransferValues::of(sample, &mut clamped);
        if sample.is_valid() && !sample.intervals.is_empty() {
            self.first_interval = self.first_interval.min(row.at);
            for rate in &sample.intervals {
                let middle = Scale::Rate.middle(clamp(Scale::Rate, rate.0, &mut clamped));
                *self.intervals.entry(pack(Scale::Rate, middle)).or_default() += 1;
            }
        }
        self.rows.push(row);
        clamped
    }

    /// The start of the first value (nanoseconds since 1970), and the sorted values as (value, number of occurrences).
    pub(super) fn sorted(&self, metric: Metric) -> (i64, Vec<(u64, u64)>) {
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

/// The values of one transfer: one column for each metric except the last one, [`Metric::Interval`].
struct TransferValues {
    /// Nanoseconds since 1970.
    at: i64,
    packed: [u32; COLUMNS],
}

impl TransferValues {
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

/// Times are kept exactly. Rates are kept in steps of 32 bit/s; a bucket of the histogram is a multiple of this.
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

/// Memory of an entry of a B-tree that is half full.
const INTERVAL_BYTES: usize = 2 * size_of::<(u32, u32)>();

const COLUMNS: usize = Metric::ALL.len() - 1;

/// Greater than every packed value.
const ABSENT: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten thousand nodes with the shipped probes and hourly windows: an image every 5 minutes, cold and warm, and a
    /// video per hour in three parts, each with a check before it.
    #[test]
    fn ten_thousand_nodes_fit_in_64_mb() {
        let series = [12_usize, 12, 12, 1, 1, 1, 1];
        let rows: usize = series.iter().map(|rows| rows.next_power_of_two().max(4) * size_of::<TransferValues>()).sum();
        // The nodes of a B-tree are at least half full.
        let keys = series.len() * (size_of::<Key>() + size_of::<SeriesValues>()) * 2;
        let labels = 200;
        let per_node = rows + keys + labels;
        assert!(per_node * 10_000 <= 64_000_000, "{per_node} bytes a node");
    }
}
