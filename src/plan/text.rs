//! The plan as text for people, as `bandprobe check` prints it.

use std::{
    fmt::{self, Write},
    path::Path,
    time::Duration,
};

use super::Plan;
use crate::{config::Config, schedule::budget::ASSUMED_IMAGE};

/// The most nodes that get their own line.
const MAX_NODES: usize = 20;

/// The text that `bandprobe check` prints on stdout for a valid configuration. Ends with a newline.
#[must_use]
pub fn check_text(path: &Path, config: &Config) -> String {
    let mut text = format!("{} has no problems.\n\n", path.display());
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
    pub const fn text<'a>(&'a self, config: &'a Config) -> Text<'a> {
        Text { plan: self, config }
    }
}

/// Displays a plan; made by [`Plan::text`].
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    plan: &'a Plan,
    config: &'a Config,
}

impl fmt::Display for Text<'_> {
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

impl Text<'_> {
    fn probes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for probe in &self.plan.probes {
            let (transfers, nodes) = (counted(probe.transfers_per_run, "transfer"), counted(probe.nodes, "node"));
            let every = spelled(probe.every);
            write!(f, "probe {}: every {every}, ", probe.name)?;
            if probe.checks_per_run > 0 {
                write!(f, "up to {}, ", counted(probe.checks_per_run, "check"))?;
            }
            write!(f, "{transfers} and up to {} per run; ", probe.bytes_per_run)?;
            writeln!(f, "{} runs and up to {} a day on {nodes}", grouped(probe.runs), probe.bytes)?;
        }
        if let (Some(status), Some(rounds)) = (&self.config.status, self.plan.rounds) {
            let (every, nodes) = (spelled(status.every), counted(self.plan.nodes.len(), "node"));
            let requests = grouped(rounds * self.plan.nodes.len() as f64);
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
            let (runs, month) = (grouped(node.runs), node.bytes_per_month);
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
            grouped(plan.runs),
            plan.bytes,
            limits.bytes_per_day
        )?;
        if let Some(fetches) = plan.cold_fetches_per_node {
            let limit = limits.cold_fetches_per_node_per_day;
            let fetches = fetches.min(limit as f64);
            let all = grouped(fetches * limits.vantages as f64);
            let vantages = self.vantages();
            writeln!(
                f,
                "cold fetches: up to {} of {limit} a day from one node; {all} from {vantages}",
                grouped(fetches)
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
        let points = grouped(plan.points);
        writeln!(
            f,
            "database: up to {points} points a day in {} series, as long as nothing fails",
            grouped(plan.series as f64)
        )?;
        let archive = &self.config.archive;
        let days = archive.max_size.0 / plan.archived.0.max(1);
        writeln!(
            f,
            "archive: about {} a day, kept for {} after delivery; bridges an outage of InfluxDB of up to {} in {}",
            plan.archived,
            spelled(archive.keep),
            counted(usize::try_from(days).unwrap_or(usize::MAX), "day"),
            archive.max_size
        )?;
        if plan.assumed_images > 0 {
            let nodes = counted(plan.assumed_images, "node");
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
            counted(rounded.len(), "asset"),
            asset.id,
            node.id
        )
    }
}

fn counted(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// A number without decimals and with commas between thousands. Below ten it has one decimal, unless it is whole.
fn grouped(number: f64) -> String {
    if number < 10.0 && number.fract() != 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration in the notation of the configuration.
fn spelled(duration: Duration) -> String {
    let parts = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut left = duration.as_secs();
    let mut text = Vec::new();
    for (seconds, unit) in parts {
        if left >= seconds {
            text.push(format!("{}{unit}", left / seconds));
            left %= seconds;
        }
    }
    if duration.subsec_millis() > 0 {
        text.push(format!("{}ms", duration.subsec_millis()));
    }
    text.join(" ")
}
