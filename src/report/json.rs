//! The analysis as JSON: the content of the text, in the units of the schema. Values that were not measured are
//! absent.

use serde_json::{Map, Value, json};

use super::{
    Analysis,
    best::{Best, Measure},
    standard::NodeFigures,
};
use crate::{config::trace_url::TraceUrl, record::schema::transfer as schema};

/// One object with a final newline: `{"nodes": […], "best": […], "dropped": 0, "left_out": {…}, "slowest": […],
/// "states": […]}`.
#[must_use]
pub fn render(analysis: &Analysis, trace_url: Option<&TraceUrl>) -> String {
    let summary = analysis.summary();
    let nodes: Vec<Value> = summary.rows.iter().map(node).collect();
    let object = json!({
        "nodes": nodes,
        "best": summary.rows.chunk_by(|a, b| a.vantage == b.vantage).map(best).collect::<Vec<_>>(),
        "dropped": summary.dropped,
        "left_out": counts(analysis.left_out.iter()),
        "slowest": analysis.slowest.json(trace_url),
        "states": analysis.health.json(),
    });
    format!("{object:#}\n")
}

/// The best nodes from one vantage. A figure without enough recent values is absent.
fn best(rows: &[NodeFigures]) -> Value {
    let mut object = json!({ schema::VANTAGE.0: &*rows[0].vantage });
    for (name, measure) in [("ttfb", Measure::Ttfb), ("goodput", Measure::Goodput), ("lowest_hit_ratio", Measure::Hits)]
    {
        let Best::Node { row, met } = measure.best(rows) else { continue };
        object[name] = json!({ schema::NODE.0: &*row.node, "count": measure.count(row), "met": met });
    }
    object
}

fn node(row: &NodeFigures) -> Value {
    let ttfb = [("p50_us", row.ttfb.p50), ("p90_us", row.ttfb.bad_end)];
    let goodput = [("p50_bps", row.goodput.p50), ("p10_bps", row.goodput.bad_end)];
    let mut object = json!({
        schema::VANTAGE.0: &*row.vantage,
        schema::NODE.0: &*row.node,
        "runs": row.runs,
        "runs_ok": row.runs_ok,
        "downloads": row.downloads,
        "downloads_ok": row.ok,
        "ttfb": figures(row.ttfb.count, ttfb.map(|(name, time)| (name, time.map(|time| time.0)))),
        "goodput": figures(row.goodput.count, goodput.map(|(name, rate)| (name, rate.map(|rate| rate.0)))),
        "checks": row.checks,
        "hits": row.hits,
        "invalid": row.invalid,
        "invalid_for": counts(row.invalid_for.iter().map(|(flag, count)| (flag.label(), *count))),
        "stalled": row.stalled,
        "too_slow": row.too_slow,
        "lower_bounds": counts(row.lower_bounds.iter().map(|(flag, count)| (flag.label(), *count))),
        "failed": counts(row.failed.iter().map(|(outcome, count)| (outcome.label(), *count))),
        "not_charged": counts(row.not_charged.iter().copied()),
    });
    for (name, share) in [("success_share", row.success_share()), ("hit_ratio", row.hit_ratio())] {
        if let Some(share) = share {
            object[name] = share.into();
        }
    }
    object
}

fn figures(count: u64, percentiles: [(&str, Option<u64>); 2]) -> Value {
    let present = percentiles.into_iter().filter_map(|(name, value)| Some((name, value?)));
    counts([("count", count)].into_iter().chain(present))
}

fn counts<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> Value {
    Value::Object(counts.map(|(label, count)| (label.to_owned(), count.into())).collect::<Map<_, _>>())
}
