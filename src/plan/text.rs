//! The plan as text for people, as `bandprobe check` prints it.

use std::{
    fmt::{self, Write},
    path::Path,
};

use super::Plan;
use crate::{
    config::Config,
    model::units::{format_duration, grouped},
    schedule::budget::ASSUMED_IMAGE,
    term::figure::count,
};

/// The most nodes that get their own line.
const MAX_NODES: usize = 20;

/// The text that `bandprobe check` prints on stdout for a valid configuration. Ends with a newline.
#[must_use]
pub fn check_text(path: &Path, config: &Config) -> String {
    let mut text = format!("{} is valid.\n\n", path.display());
    let results = config.archive.dir.display();
    let influxdb = match &config.influxdb {
        Some(db) => format!("sent to bucket `{}` of organisation `{}` at {}", db.bucket, db.org, db.url),
        None => "stay there, because there is no [influxdb] section".to_owned(),
    };
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "vantage {}: results are written to {results} and {influxdb}", config.vantage.id);
    let _ = write!(text, "{}", Plan::of(config).text(config));
    text
}

impl Plan {
    /// The plan as lines of text, next to the limits that apply to it.
    #[must_use]
    pub const fn text<'a>(&'a self, config: &'a Config) -> PlanText<'a> {
        PlanText { plan: self, config }
    }
}

/// Displays a plan; made by [`Plan::text`].
#[derive(Clone, Copy, Debug)]
pub struct PlanText<'a> {
    plan: &'a Plan,
    config: &'a Config,
}

impl fmt::Display for PlanText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.probes(f)?;
        self.nodes(f)?;
        self.totals(f)?;
        match self.plan.exceeded_limits.as_slice() {
            [] => writeln!(f, "\nThe plan fits its limits."),
            limits => {
                writeln!(f, "\nThe plan exceeds its limits:")?;
                limits.iter().try_for_each(|limit| writeln!(f, "- {limit}"))
            }
        }
    }
}

impl PlanText<'_> {
    fn probes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for probe in &self.plan.probes {
            let (transfers, nodes) =
                (count(probe.transfers_per_run as u64, "transfer"), count(probe.nodes as u64, "node"));
            let every = format_duration(probe.every);
            write!(f, "probe {}: every {every}, ", probe.name)?;
            if probe.checks_per_run > 0 {
                write!(f, "up to {}, ", count(probe.checks_per_run as u64, "check"))?;
            }
            write!(f, "{transfers} and up to {} per run; ", probe.bytes_per_run)?;
            writeln!(f, "{} runs and up to {} a day on {nodes}", rounded(probe.runs), probe.bytes)?;
        }
        if let (Some(status), Some(rounds)) = (&self.config.status, self.plan.rounds) {
            let (every, nodes) = (format_duration(status.every), count(self.plan.nodes.len() as u64, "node"));
            let requests = rounded(rounds * self.plan.nodes.len() as f64);
            writeln!(
                f,
                "probe {}: every {every}, one small request to each of {nodes}; {requests} requests a day",
                status.name
            )?;
        }
        Ok(())
    }

    fn nodes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vantages = self.vantages();
        let mut nodes: Vec<_> = self.plan.nodes.iter().collect();
        nodes.sort_by_key(|node| std::cmp::Reverse(node.bytes));
        for node in nodes.iter().take(MAX_NODES) {
            if node.runs == 0.0 {
                let why = match self.plan.rounds {
                    Some(_) => "only its status is checked, nothing is downloaded",
                    None => "never probed, because no probe fits its assets",
                };
                writeln!(f, "node {}: {why}", node.id)?;
                continue;
            }
            let (runs, month) = (rounded(node.runs), node.bytes_per_month);
            writeln!(
                f,
                "node {}: {runs} runs and up to {} a day; {month} a month from {vantages}",
                node.id, node.bytes
            )?;
        }
        match nodes.get(MAX_NODES) {
            Some(next) => writeln!(f, "{} more nodes: up to {} a day each", nodes.len() - MAX_NODES, next.bytes),
            None => Ok(()),
        }
    }

    fn vantages(&self) -> String {
        match self.config.limits.vantages {
            1 => "this one vantage".to_owned(),
            number => format!("all {number} vantages"),
        }
    }

    fn totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plan, limits) = (self.plan, &self.config.limits);
        let minutes = 60 * limits.heavy_transfers;
        writeln!(
            f,
            "downloads: {} runs and up to {} of {} a day",
            rounded(plan.runs),
            plan.bytes,
            limits.bytes_per_day
        )?;
        if let Some(fetches) = plan.cold_fetches_per_node {
            let limit = limits.cold_fetches_per_node_per_day;
            let fetches = fetches.min(limit as f64);
            let all = rounded(fetches * limits.vantages as f64);
            let vantages = self.vantages();
            writeln!(
                f,
                "cold fetches: up to {} of {limit} a day from one node; {all} from {vantages}",
                rounded(fetches)
            )?;
        }
        if limits.cold_fetches_per_node_per_day > 0 && plan.checks_storage {
            writeln!(
                f,
                "storage: if 3 runs in a row find nothing cached on a distributor, it is made to fetch its smallest image, at most once a day"
            )?;
        }
        let heavy = plan.heavy_minutes_per_hour;
        writeln!(f, "uplink: heavy transfers take {heavy:.1} of {minutes} minutes an hour at {}", plan.rate)?;
        let points = rounded(plan.points);
        writeln!(
            f,
            "database: up to {points} points a day in {} series, as long as nothing fails",
            rounded(plan.series as f64)
        )?;
        let archive = &self.config.archive;
        let days = archive.max_size.0 / plan.archived.0.max(1);
        writeln!(
            f,
            "archive: about {} a day, kept for {} after delivery; covers an InfluxDB outage of up to {} within {}",
            plan.archived,
            format_duration(archive.keep),
            count(days, "day"),
            archive.max_size
        )?;
        if plan.assumed_images > 0 {
            let nodes = count(plan.assumed_images as u64, "node");
            writeln!(f, "assumed: {ASSUMED_IMAGE} for images of unknown size ({nodes})")?;
        }
        self.rounded_sizes(f)
    }

    /// Reports how many sizes are rounded and so compared only roughly. Names the first of these assets.
    fn rounded_sizes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let assets = self.config.nodes.iter().flat_map(|node| node.assets.iter().map(move |asset| (node, asset)));
        let rounded =
            assets.filter_map(|(node, asset)| Some((node, asset, asset.size.filter(|s| s.exact().is_none())?)));
        let rounded: Vec<_> = rounded.collect();
        let [(node, asset, size), ..] = rounded[..] else { return Ok(()) };
        writeln!(
            f,
            "sizes: {} with a rounded size: `{}` of {} may have {size} bytes; only a size in plain bytes is compared exactly",
            count(rounded.len() as u64, "asset"),
            asset.id,
            node.id
        )
    }
}

/// A rounded number with commas between thousands. Below ten it has one decimal, unless it is whole.
fn rounded(number: f64) -> String {
    if number < 10.0 && number.fract() != 0.0 {
        return format!("{number:.1}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, which is not negative")]
    grouped(number.round_ties_even() as u64)
}
