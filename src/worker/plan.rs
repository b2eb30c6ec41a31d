//! What a configuration costs: runs, bytes, heavy minutes, points, and whether that fits its own limits.
//!
//! The plan is an upper bound where it can be one: every run takes place, nothing is cut short, a run takes the largest
//! asset that it may take. Points and series are those of a fleet that is well: each failure, cache state, HTTP version
//! or address family beyond the usual one adds series.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{
    config::Config,
    model::{
        probe::{PartName, Probe, Weight},
        target::{Asset, Node},
        units::{BitRate, Bytes},
    },
    schedule::budget::{candidates, planned_bytes},
};

mod misfit;
mod text;

pub use self::{misfit::Misfit, text::check_text};

/// The rate at which heavy transfers are taken to run, unless the uplink is said to be slower: what the users' CDN
/// standard asks of the best node.
pub const ASSUMED_RATE: BitRate = BitRate(20_000_000);

const DAY: Duration = Duration::from_secs(86_400);
const DAYS_PER_MONTH: f64 = 30.0;
/// From here on a transfer has a rate, and intervals (measuring.md §2).
const RATED_FROM: Bytes = Bytes(1 << 20);
/// Window metrics of a HEAD check: ttfb, wait, server, total.
const CHECK_METRICS: u64 = 4;
/// Those of a transfer with a body: the effective rate too.
const BODY_METRICS: u64 = 5;
/// Those of a rated one: goodput and interval too.
const RATED_METRICS: u64 = 7;
/// The worker's own point, each minute.
const WORKER_POINTS_PER_DAY: f64 = 1_440.0;
/// A point in the archive, in bytes: transfers take some 600, windows with their histogram 300 to 1,500.
const POINT_BYTES: f64 = 650.0;

/// The cost of a configuration, a day unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// By probe, in the order of the configuration.
    pub probes: Vec<ProbePlan>,
    /// By node, in the order of the configuration.
    pub nodes: Vec<NodePlan>,
    /// Runs of all probes against all nodes.
    pub runs: f64,
    /// Downloaded at the most.
    pub bytes: Bytes,
    /// How long heavy transfers hold the uplink in an hour, at [`Plan::rate`].
    pub heavy_minutes_per_hour: f64,
    /// The rate that the heavy minutes are reckoned with.
    pub rate: BitRate,
    /// Points to the database.
    pub points: f64,
    /// Series in the database while all is well.
    pub series: u64,
    /// What the points take in the archive.
    pub archived: Bytes,
    /// Nodes with images of unknown size, whose size is assumed.
    pub assumed_images: usize,
    /// What does not fit, and what to change.
    pub misfits: Vec<Misfit>,
}

/// The cost of one probe.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbePlan {
    /// The probe.
    pub name: Arc<str>,
    /// Mean time between two runs against one node.
    pub every: Duration,
    /// Nodes that have an asset for it.
    pub nodes: usize,
    /// Runs against all of them, a day.
    pub runs: f64,
    /// Downloads of one run.
    pub transfers_per_run: usize,
    /// Downloaded by one run at the most.
    pub bytes_per_run: Bytes,
    /// Downloaded at the most, a day.
    pub bytes: Bytes,
}

/// The cost for one node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodePlan {
    /// The node.
    pub id: Arc<str>,
    /// Runs of all probes against it, a day.
    pub runs: f64,
    /// Downloaded from it by this worker at the most, a day.
    pub bytes: Bytes,
    /// Downloaded from it by the workers of all vantages at the most, in 30 days.
    pub bytes_per_month: Bytes,
}

/// What one probe costs against one node.
struct Pair {
    runs: f64,
    bytes_per_run: Bytes,
    heavy_bytes_per_run: Bytes,
    points: f64,
    series: u64,
}

impl Plan {
    /// Reckons the cost of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let pairs = |probe: &'_ Probe, node: &'_ Node| Pair::of(probe, node, config.window);
        let probes: Vec<_> = config.probes.iter().map(|probe| ProbePlan::of(probe, config)).collect();
        let nodes: Vec<_> = config.nodes.iter().map(|node| NodePlan::of(node, config)).collect();
        let all: Vec<Pair> =
            config.nodes.iter().flat_map(|n| config.probes.iter().filter_map(move |p| pairs(p, n))).collect();
        let sum = |of: fn(&Pair) -> f64| all.iter().map(of).sum::<f64>();
        let rate = config.vantage.uplink.map_or(ASSUMED_RATE, |uplink| uplink.min(ASSUMED_RATE));
        let heavy_bits = 8.0 * sum(|pair| pair.runs * pair.heavy_bytes_per_run.0 as f64);
        let points = WORKER_POINTS_PER_DAY + sum(|pair| pair.points);
        let mut plan = Self {
            runs: sum(|pair| pair.runs),
            bytes: bytes(sum(|pair| pair.runs * pair.bytes_per_run.0 as f64)),
            heavy_minutes_per_hour: heavy_bits / rate.0 as f64 / 60.0 / 24.0,
            rate,
            points,
            archived: bytes(points * POINT_BYTES),
            series: 1 + all.iter().map(|pair| pair.series).sum::<u64>(),
            assumed_images: config.nodes.iter().filter(|node| is_assumed(node, config)).count(),
            misfits: Vec::new(),
            probes,
            nodes,
        };
        plan.misfits = misfit::all(&plan, config);
        plan
    }

    /// Does it fit its own limits?
    #[must_use]
    pub fn fits(&self) -> bool {
        self.misfits.is_empty()
    }
}

impl ProbePlan {
    fn of(probe: &Probe, config: &Config) -> Self {
        let pairs: Vec<_> = config.nodes.iter().filter_map(|node| Pair::of(probe, node, config.window)).collect();
        Self {
            name: Arc::clone(&probe.name),
            every: probe.every,
            nodes: pairs.len(),
            runs: pairs.iter().map(|pair| pair.runs).sum(),
            transfers_per_run: probe.parts.len(),
            bytes_per_run: pairs.iter().map(|pair| pair.bytes_per_run).max().unwrap_or_default(),
            bytes: bytes(pairs.iter().map(|pair| pair.runs * pair.bytes_per_run.0 as f64).sum()),
        }
    }
}

impl NodePlan {
    fn of(node: &Node, config: &Config) -> Self {
        let pairs: Vec<_> = config.probes.iter().filter_map(|probe| Pair::of(probe, node, config.window)).collect();
        let a_day: f64 = pairs.iter().map(|pair| pair.runs * pair.bytes_per_run.0 as f64).sum();
        Self {
            id: Arc::clone(&node.id),
            runs: pairs.iter().map(|pair| pair.runs).sum(),
            bytes: bytes(a_day),
            bytes_per_month: bytes(a_day * DAYS_PER_MONTH * config.limits.vantages as f64),
        }
    }
}

impl Pair {
    /// `None` when the node has no asset for the probe.
    fn of(probe: &Probe, node: &Node, window: Duration) -> Option<Self> {
        let asset = candidates(probe, node).max_by_key(|asset| planned_bytes(probe, asset))?;
        let bytes_per_run = planned_bytes(probe, asset);
        let runs = per_day(probe.every);
        let check = u64::from(node.listing.profile.is_checked());
        let transfers = labels(probe, asset);
        let window_series = transfers.iter().map(|(_, _, metrics)| metrics).sum::<u64>() + check * CHECK_METRICS;
        // A window without a run leaves no point.
        let window_points = window_series as f64 * runs.min(per_day(window));
        Some(Self {
            runs,
            bytes_per_run,
            heavy_bytes_per_run: if probe.weight == Weight::Heavy { bytes_per_run } else { Bytes(0) },
            points: runs * (probe.parts.len() as f64 + check as f64) + window_points,
            series: transfers.len() as u64 + check + window_series,
        })
    }
}

/// The sets of tags that the transfers of a run have: part, whether the connection is warm, number of window metrics.
fn labels(probe: &Probe, asset: &Asset) -> BTreeSet<(PartName, bool, u64)> {
    let labels = probe.parts.iter().enumerate().map(|(index, part)| {
        let is_rated = part.extent.bytes().or(asset.size) >= Some(RATED_FROM);
        (part.name, index > 0, if is_rated { RATED_METRICS } else { BODY_METRICS })
    });
    labels.collect()
}

fn is_assumed(node: &Node, config: &Config) -> bool {
    config.probes.iter().any(|probe| {
        let asks_whole = probe.parts.iter().any(|part| part.extent.bytes().is_none());
        asks_whole && candidates(probe, node).any(|asset| asset.size.is_none())
    })
}

fn per_day(every: Duration) -> f64 {
    DAY.as_secs_f64() / every.as_secs_f64()
}

#[expect(clippy::cast_possible_truncation, reason = "rounded first, and `as` saturates")]
fn bytes(sum: f64) -> Bytes {
    Bytes(sum.round() as u64)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::*;
    use crate::config::check::{Input, load};

    /// An http node with both kinds, the image of unknown size, and an argus node with an image alone.
    const TWO_NODES: &str = r#"
vantage.id = "here"
source = [{ kind = "static", nodes = [
    { id = "n1", endpoint = "http://n1.example/", assets = [
        { kind = "image", path = "/1.webp" }, { kind = "video", path = "/1.mp4", size = "100 MB" } ] },
    { id = "n2", endpoint = "http://n2.example/", profile = "argus", assets = [
        { kind = "image", id = "7", size = "20 kB" } ] },
] }]
"#;

    fn config(more: &str) -> Config {
        let text = format!("{TWO_NODES}{more}");
        let read = |_: &Path| Ok(text.clone().into_bytes());
        load(&Input { path: Path::new("b.toml"), environment: &BTreeMap::new(), read: &read }).unwrap()
    }

    #[test]
    fn costs_are_those_reckoned_by_hand() {
        let plan = Plan::of(&config(""));
        // Images 2 × 288 and videos 24 a day. A video run is 6 MiB + 256 KiB + 1 MiB.
        assert!((plan.runs - 600.0).abs() < 1e-9, "{}", plan.runs);
        let [image, video] = plan.probes.as_slice() else { panic!("{:?}", plan.probes) };
        assert_eq!((image.bytes_per_run, image.bytes), (Bytes(64_000), Bytes(288 * 64_000 + 288 * 40_000)));
        assert_eq!((video.bytes_per_run, video.bytes), (Bytes(7_602_176), Bytes(24 * 7_602_176)));
        assert_eq!((image.nodes, video.nodes, video.transfers_per_run), (2, 1, 3));
        assert_eq!(plan.bytes, Bytes(212_404_224));
        let nodes: Vec<_> = plan.nodes.iter().map(|node| (&*node.id, node.bytes, node.bytes_per_month)).collect();
        let expected = [
            ("n1", Bytes(200_884_224), Bytes(200_884_224 * 30 * 10)),
            ("n2", Bytes(11_520_000), Bytes(11_520_000 * 30 * 10)),
        ];
        assert_eq!(nodes, expected);
        // 7,602,176 bytes at 20 Mbit/s take 3.0408704 s.
        assert!((plan.heavy_minutes_per_hour - 3.040_870_4 / 60.0).abs() < 1e-9, "{}", plan.heavy_minutes_per_hour);
        // Transfers: 288 × 2, 288 × (2 + check), 24 × 3. Windows, 24 a day: 2 × 5, 2 × 5 + 4, 7 + 5 + 7. Worker: 1440.
        let points = 288.0 * 5.0 + 24.0 * 3.0 + 24.0 * (10.0 + 14.0 + 19.0) + 1_440.0;
        assert!((plan.points - points).abs() < 1e-9, "{}", plan.points);
        assert_eq!(plan.series, (2 + 10) + (3 + 14) + (3 + 19) + 1);
        assert_eq!((plan.assumed_images, plan.fits()), (1, true));
    }

    #[test]
    fn a_window_without_a_run_leaves_no_point() {
        let config = config("record.window = \"1m\"\n");
        let points = 288.0 * 5.0 + 24.0 * 3.0 + 288.0 * (10.0 + 14.0) + 24.0 * 19.0 + 1_440.0;
        assert!((Plan::of(&config).points - points).abs() < 1e-9);
    }

    #[test]
    fn what_does_not_fit_is_said_with_what_to_change() {
        let check = |more: &str, expected: &[&str]| {
            let said: Vec<_> = Plan::of(&config(more)).misfits.iter().map(ToString::to_string).collect();
            assert_eq!(said, expected, "{more}");
        };
        check("limits.bytes-per-day = \"213 MB\"", &[]);
        // Videos take 182.452 of 212.404 MB, so 60.048 MB are left for them.
        check(
            "limits.bytes-per-day = \"90 MB\"",
            &["212 MB a day are over `limits.bytes-per-day`, 90.0 MB: runs will be skipped each day before it ends; \
               give probe `video` an `every` at least 3.1 times as long, or raise the limit"],
        );
        check(
            "limits.bytes-per-node-per-day = \"7 MB\"",
            &[
                "201 MB a day from `n1`, the most of 2 nodes, are over `limits.bytes-per-node-per-day`, 7.00 MB: runs will \
                 be skipped each day before it ends; measure less often, or raise the limit",
                "one run of probe `video` takes 7.60 MB, over `limits.bytes-per-node-per-day`, 7.00 MB: it will never run; \
                 raise the limit, or use a probe of your own with fewer `bytes`",
            ],
        );
        // 3.04 s at 20 Mbit/s are 60.8 s at 1 Mbit/s, once an hour; at 10 kbit/s 101.4 minutes.
        check("vantage.uplink = \"1 Mbit/s\"", &[]);
        check(
            "vantage.uplink = \"10 kbit/s\"",
            &[
                "heavy transfers take 101 minutes an hour at 10.0 kbit/s: there are 60 of them, so runs will be missed; give \
               heavy probes an `every` at least 1.7 times as long, or measure fewer nodes here",
            ],
        );
    }

    #[test]
    fn a_plan_reads_like_this() {
        let text = check_text(Path::new("etc/b.toml"), &config(""));
        let expected = "\
etc/b.toml has no problems.

vantage here: results are written to bandprobe-data and stay there, because there is no [influxdb]
probe image: every 5m, 2 transfers and up to 64.0 kB a run; against 2 nodes 576 runs and up to 30.0 MB a day
probe video: every 1h, 3 transfers and up to 7.60 MB a run; against 1 node 24 runs and up to 182 MB a day
node n1: 312 runs and up to 201 MB a day; 60.3 GB a month from all 10 vantages
node n2: 288 runs and up to 11.5 MB a day; 3.46 GB a month from all 10 vantages
downloads: 600 runs and up to 212 MB of 5.00 GB a day
uplink: heavy transfers take 0.1 of 60 minutes an hour at 20.0 Mbit/s
database: up to 3,984 points a day in 52 series while all is well
archive: about 2.59 MB a day, kept for 30d after delivery; holds an outage of InfluxDB of up to 772 days in 2.00 GB
assumed: 32.0 kB for images whose size is not given (1 node)

The plan fits its limits.
";
        assert_eq!(text, expected);
        let tight = check_text(Path::new("b.toml"), &config("limits.bytes-per-day = \"90 MB\""));
        assert!(tight.contains("\nThe plan does not fit its limits:\n- 212 MB a day are over"), "{tight}");
    }
}
