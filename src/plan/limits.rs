//! Compares a plan with its own limits.

use std::fmt;

use super::Plan;
use crate::{
    config::Config,
    model::{probe::Probe, units::Bytes},
    schedule::budget::max_bytes,
};

/// The minutes of an hour in which heavy transfers can use one permit.
const MINUTES: f64 = 60.0;

/// One limit that the plan exceeds.
#[derive(Clone, Debug, PartialEq)]
pub struct ExceededLimit {
    /// What is too much, with the limit.
    pub what: String,
    /// What to change, as a sentence fragment.
    pub change: String,
}

impl fmt::Display for ExceededLimit {
    /// Writes what is too much and what to change, as one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.change)
    }
}

/// Returns everything that exceeds a limit; empty if the plan fits.
pub(super) fn exceeded(plan: &Plan, config: &Config) -> Vec<ExceededLimit> {
    let mut exceeded = Vec::new();
    exceeded.extend(day(plan, config));
    exceeded.extend(node(plan, config));
    exceeded.extend(config.probes.iter().filter_map(|probe| run(probe, config)));
    exceeded.extend(cold(plan, config));
    exceeded.extend(heavy(plan, config));
    exceeded
}

fn day(plan: &Plan, config: &Config) -> Option<ExceededLimit> {
    let limit = config.limits.bytes_per_day;
    (plan.bytes > limit).then(|| ExceededLimit {
        what: format!("{} a day exceed `limits.bytes-per-day`, {limit}", plan.bytes),
        change: format!(
            "later runs of each day will be skipped; {}, or raise the limit",
            slower(plan, plan.bytes, limit)
        ),
    })
}

fn node(plan: &Plan, config: &Config) -> Option<ExceededLimit> {
    let limit = config.limits.bytes_per_node_per_day;
    let over = plan.nodes.iter().filter(|node| node.bytes > limit).count();
    let most = plan.nodes.iter().max_by_key(|node| node.bytes).filter(|_| over > 0)?;
    let whom = if over == 1 { String::new() } else { format!(", the most of {over} such nodes,") };
    Some(ExceededLimit {
        what: format!("{} a day from `{}`{whom} exceed `limits.bytes-per-node-per-day`, {limit}", most.bytes, most.id),
        change: format!(
            "later runs of each day will be skipped; {}, or raise the limit",
            slower(plan, most.bytes, limit)
        ),
    })
}

/// A run that exceeds a limit on its own would never be admitted.
fn run(probe: &Probe, config: &Config) -> Option<ExceededLimit> {
    let limits = &config.limits;
    let (limit, key) =
        (limits.bytes_per_day, "bytes-per-day").min((limits.bytes_per_node_per_day, "bytes-per-node-per-day"));
    let assets = config.nodes.iter().flat_map(|node| probe.candidates(node));
    let most = assets.map(|asset| max_bytes(probe, asset)).max()?;
    (most > limit).then(|| ExceededLimit {
        what: format!("one run of probe `{}` may take {most}, more than `limits.{key}`, {limit}", probe.name),
        change: "it will never run; raise the limit, give the `size` of images, or use a probe of your own with fewer \
                 `bytes`"
            .to_owned(),
    })
}

fn cold(plan: &Plan, config: &Config) -> Option<ExceededLimit> {
    let limit = config.limits.cold_fetches_per_node_per_day;
    let fetches = plan.cold_fetches_per_node.filter(|fetches| *fetches > limit as f64)?;
    if limit == 0 {
        return Some(ExceededLimit {
            what: "`limits.cold-fetches-per-node-per-day` is 0, so probes with `cache = \"miss\"` never run".to_owned(),
            change: "leave them out, or raise the limit".to_owned(),
        });
    }
    Some(ExceededLimit {
        what: format!(
            "{fetches:.0} cold fetches a day from one node exceed `limits.cold-fetches-per-node-per-day`, {limit}"
        ),
        change: format!(
            "later runs of each day will be skipped; give probes with `cache = \"miss\"` an `every` at least {:.1} times \
             as long, or raise the limit",
            (fetches / limit as f64 * 10.0).ceil() / 10.0
        ),
    })
}

fn heavy(plan: &Plan, config: &Config) -> Option<ExceededLimit> {
    let most = MINUTES * config.limits.heavy_transfers as f64;
    (plan.heavy_minutes_per_hour > most).then(|| ExceededLimit {
        what: format!("heavy transfers need {:.0} minutes per hour at {}", plan.heavy_minutes_per_hour, plan.rate),
        change: format!(
            "only {most:.0} are available, so runs will be missed; give heavy probes an `every` at least {:.1} times as long, \
             or measure fewer nodes from here",
            (plan.heavy_minutes_per_hour / most * 10.0).ceil() / 10.0
        ),
    })
}

/// Advice for the probe that downloads most: how much longer its `every` must be, if that alone is enough.
fn slower(plan: &Plan, taken: Bytes, limit: Bytes) -> String {
    let Some(most) = plan.probes.iter().max_by_key(|probe| probe.bytes) else { return String::new() };
    let share = most.bytes.0 as f64 / (plan.bytes.0.max(1)) as f64;
    let of_most = taken.0 as f64 * share;
    let left = limit.0 as f64 - (taken.0 as f64 - of_most);
    if left <= 0.0 {
        return "measure less often".to_owned();
    }
    format!("give probe `{}` an `every` at least {:.1} times as long", most.name, (of_most / left * 10.0).ceil() / 10.0)
}
