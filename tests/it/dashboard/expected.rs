//! Panel by panel: which points are asked for, and which figures of them. Written from the report's rules, not from the
//! queries.

use super::{
    expectation::{
        Expectation,
        Figure::{Both, Count, Each, Last, Max, Mean, Percentile, Rise, Sum},
        Outer,
    },
    points::Point,
};

const BY_NODE: &[&str] = &["vantage", "node"];
const BY_OUTCOME: &[&str] = &["vantage", "node", "outcome"];
const WORKER: &[&str] = &["vantage", "worker"];

/// All of them: one for each query of a panel.
pub(super) fn expectations() -> Vec<Expectation> {
    let named = Some("node");
    let lowest = Outer { column: "share", pick: f64::min, by: &["vantage"], named };
    let longest = Outer { column: "max", pick: f64::max, by: &[], named: None };
    let nested = [
        Expectation { outer: Some(lowest), ..of("Lowest hit ratio/A", check, BY_NODE, &[("share", Mean("hit"))]) },
        Expectation { outer: Some(longest), ..worker("Waiting and lost/A", WORKER, &[("age", Last("spool_age_s"))]) },
        worker("Waiting and lost/B", &[], &[("lost", Both("points_dropped", "points_rejected"))]),
    ];
    nodes().into_iter().chain(reasons()).chain(nested).chain(workers()).collect()
}

fn nodes() -> Vec<Expectation> {
    vec![
        of("Success share/A", charged, &[], &[("share", Mean("ok"))]),
        of(
            "Best median TTFB/A",
            cold_image,
            BY_NODE,
            &[("median", Percentile("ttfb_us", 50.0)), ("n", Count("ttfb_us"))],
        ),
        of(
            "Best median goodput/A",
            video_start,
            BY_NODE,
            &[("median", Percentile("goodput_bps", 50.0)), ("n", Count("goodput_bps"))],
        ),
        of("Valid share/A", good, &[], &[("share", Mean("valid"))]),
        of("Nodes/A", charged, BY_NODE, &[("ok", Mean("ok")), ("attempts", Count("ok"))]),
        of(
            "Nodes/B",
            cold_image,
            BY_NODE,
            &[
                ("ttfb_p50", Percentile("ttfb_us", 50.0)),
                ("ttfb_p90", Percentile("ttfb_us", 90.0)),
                ("ttfb_n", Count("ttfb_us")),
            ],
        ),
        of(
            "Nodes/C",
            video_start,
            BY_NODE,
            &[
                ("goodput_p50", Percentile("goodput_bps", 50.0)),
                ("goodput_p10", Percentile("goodput_bps", 10.0)),
                ("goodput_n", Count("goodput_bps")),
            ],
        ),
        of("Nodes/D", check, BY_NODE, &[("hits", Mean("hit")), ("checks", Count("hit"))]),
        timed(of("TTFB p50/A", cold_image, BY_NODE, &[("percentile", Percentile("ttfb_us", 50.0))])),
        timed(of("TTFB p90/A", cold_image, BY_NODE, &[("percentile", Percentile("ttfb_us", 90.0))])),
        timed(of("Goodput p50/A", video_start, BY_NODE, &[("percentile", Percentile("goodput_bps", 50.0))])),
        timed(of("Goodput p10/A", video_start, BY_NODE, &[("p10", Percentile("goodput_bps", 10.0))])),
    ]
}

/// Node or path, and how it fails.
fn reasons() -> Vec<Expectation> {
    vec![
        of(
            "Where a cold image's time goes/A",
            cold_image,
            BY_NODE,
            &[
                ("dns", Each("dns_us", "total_us")),
                ("connect", Each("connect_us", "total_us")),
                ("tls", Each("tls_us", "total_us")),
                ("send", Each("send_us", "total_us")),
                ("wait", Each("wait_us", "total_us")),
                ("receive", Each("receive_us", "total_us")),
            ],
        ),
        of(
            "Server time and path/A",
            warm_image,
            BY_NODE,
            &[("server", Percentile("server_us", 50.0)), ("path", Percentile("rtt_us", 50.0))],
        ),
        timed(of("Server time p50/A", warm_image, BY_NODE, &[("percentile", Percentile("server_us", 50.0))])),
        timed(of("Path round trip p50/A", warm_image, BY_NODE, &[("percentile", Percentile("rtt_us", 50.0))])),
        timed(of("Failures by outcome/A", failure, &["outcome"], &[("count", Count("ok"))])),
        of("Failures by node/A", failure, BY_OUTCOME, &[("failures", Count("ok"))]),
        timed(of("Hit ratio of checks/A", check, BY_NODE, &[("mean", Mean("hit"))])),
        of("Not charged to the nodes/A", ours, BY_OUTCOME, &[("by_outcome", Count("ok"))]),
        of(
            "Not charged to the nodes/B",
            |p| failed(p) && suspect(p) && !ours(p),
            BY_OUTCOME,
            &[("suspect", Count("ok"))],
        ),
        timed(of("Valid share by node/A", good, BY_NODE, &[("mean", Mean("valid"))])),
    ]
}

fn workers() -> Vec<Expectation> {
    let each = |name, columns| timed(worker(name, WORKER, columns));
    vec![
        each("Lateness p99/A", &[("max", Max("lateness_p99_us"))]),
        each("Runs that were not made/A", &[("sum", Sum("runs_missed"))]),
        each("Runs that were not made/B", &[("sum", Sum("runs_skipped_budget"))]),
        each("Results that were lost/A", &[("sum", Sum("points_dropped"))]),
        each("Results that were lost/B", &[("sum", Sum("points_rejected"))]),
        each("Deliveries that did not go through/A", &[("sum", Sum("retries"))]),
        each("Age of the oldest waiting result/A", &[("max", Max("spool_age_s"))]),
        each("Waiting results/A", &[("max", Max("spool_bytes"))]),
        each("Downloaded/A", &[("sum", Sum("bytes_downloaded"))]),
        each("CPU share/A", &[("non_negative_derivative", Rise("cpu_us"))]),
        each("Memory/A", &[("max", Max("rss_bytes"))]),
        each("Nodes on the schedule/A", &[("last", Last("nodes"))]),
    ]
}

fn of(
    of: &'static str,
    keep: fn(&Point) -> bool,
    by: &'static [&'static str],
    columns: &'static [(&'static str, super::expectation::Figure)],
) -> Expectation {
    Expectation { of, measurement: "bandprobe_transfer", keep, by, timed: false, columns, outer: None }
}

fn worker(
    name: &'static str,
    by: &'static [&'static str],
    columns: &'static [(&'static str, super::expectation::Figure)],
) -> Expectation {
    Expectation { measurement: "bandprobe_worker", ..of(name, |_| true, by, columns) }
}

fn timed(expectation: Expectation) -> Expectation {
    Expectation { timed: true, ..expectation }
}

fn failed(point: &Point) -> bool {
    point.tag("outcome") != "ok"
}

fn suspect(point: &Point) -> bool {
    point.has("vantage_suspect")
}

/// Outcomes that are our doing, or nobody's.
fn ours(point: &Point) -> bool {
    ["blocked", "not_cached", "local_failed", "cancelled"].contains(&point.tag("outcome"))
}

/// The node's failures.
fn failure(point: &Point) -> bool {
    failed(point) && !ours(point) && !suspect(point)
}

/// Good downloads.
fn good(point: &Point) -> bool {
    !failed(point) && point.tag("part") != "check"
}

fn charged(point: &Point) -> bool {
    good(point) || failure(point)
}

fn check(point: &Point) -> bool {
    !failed(point) && point.tag("part") == "check"
}

fn held(point: &Point) -> bool {
    ["hit", "unknown"].contains(&point.tag("cache"))
}

fn whole_image(point: &Point) -> bool {
    good(point) && held(point) && point.tag("kind") == "image" && point.tag("part") == "full"
}

fn cold_image(point: &Point) -> bool {
    whole_image(point) && point.tag("conn") == "cold"
}

fn warm_image(point: &Point) -> bool {
    whole_image(point) && point.tag("conn") == "warm"
}

fn video_start(point: &Point) -> bool {
    good(point)
        && held(point)
        && point.number("valid") == 1.0
        && point.tag("kind") == "video"
        && point.tag("part") == "start"
}
