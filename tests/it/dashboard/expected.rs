//! Panel by panel: which points are asked for, and which figures of them. Written from the report's rules, not from the
//! queries.

use super::{
    expectation::{
        Chosen, Expectation,
        Figure::{self, At, Before, Both, Change, Count, Difference, Each, Last, Max, Mean, Percentile, Silent},
        Outer, Time,
    },
    points::Point,
    states, trust,
};

pub(super) const BY_NODE: &[&str] = &["vantage", "node"];
const BY_OUTCOME: &[&str] = &["vantage", "node", "outcome"];
pub(super) const WORKER: &[&str] = &["vantage", "worker"];
const TTFB: Figure = Percentile("ttfb_us", 50.0);
const GOODPUT: Figure = Percentile("goodput_bps", 50.0);
/// 30 days in minutes.
pub(super) const MONTH: i64 = 30 * 24 * 60;

/// All of them: one for each query of a panel.
pub(super) fn expectations() -> Vec<Expectation> {
    let rows = [targets(), states::expectations(), nodes(), worse(), reasons(), singles(), trust::expectations()];
    rows.into_iter().flatten().collect()
}

/// The panels at the top.
fn targets() -> Vec<Expectation> {
    let one = |column, pick| Outer { column, pick, by: &[], named: None };
    let silent = since(MONTH, worker("Silent workers/A", WORKER, &[("silent", Silent(5))]));
    let waiting = worker("Waiting and lost/A", WORKER, &[("age", Last("spool_age_s"))]);
    vec![
        of("Success share/A", any, &[], &[("share", Mean("run_ok"))]),
        of("Valid share/A", good, &[], &[("share", Mean("valid"))]),
        of("Best node by TTFB/A", cold_image, BY_NODE, &[("median", TTFB), ("n", Count("ttfb_us"))]),
        of("Best node by goodput/A", video_start, BY_NODE, &[("median", GOODPUT), ("n", Count("goodput_bps"))]),
        of("Node with the lowest hit ratio/A", drawn, BY_NODE, &[("share", Mean("hit")), ("n", Count("hit"))]),
        recent(of("Best node by TTFB/B", cold_image, BY_NODE, &[("recent", Count("ttfb_us"))])),
        recent(of("Best node by goodput/B", video_start, BY_NODE, &[("recent", Count("goodput_bps"))])),
        recent(of("Node with the lowest hit ratio/B", drawn, BY_NODE, &[("recent", Count("hit"))])),
        recent(states::now("Best node by TTFB/C")),
        recent(states::now("Best node by goodput/C")),
        recent(states::now("Node with the lowest hit ratio/C")),
        Expectation { outer: Some(one("silent", |a, b| a + b)), ..silent },
        Expectation { outer: Some(one("max", f64::max)), ..waiting },
        worker("Waiting and lost/B", &[], &[("lost", Both("points_dropped", "points_rejected"))]),
    ]
}

fn nodes() -> Vec<Expectation> {
    vec![
        of("TTFB p50 by node and vantage/A", cold_image, BY_NODE, &[("median", TTFB)]),
        of("Goodput p50 by node and vantage/A", video_start, BY_NODE, &[("median", GOODPUT)]),
        of("Nodes/A", any, BY_NODE, &[("ok", Mean("run_ok")), ("runs", Count("run_ok"))]),
        of(
            "Nodes/B",
            cold_image,
            BY_NODE,
            &[("ttfb_p50", TTFB), ("ttfb_p90", Percentile("ttfb_us", 90.0)), ("ttfb_n", Count("ttfb_us"))],
        ),
        of(
            "Nodes/C",
            video_start,
            BY_NODE,
            &[
                ("goodput_p50", GOODPUT),
                ("goodput_p10", Percentile("goodput_bps", 10.0)),
                ("goodput_n", Count("goodput_bps")),
            ],
        ),
        of("Nodes/D", drawn, BY_NODE, &[("hits", Mean("hit")), ("checks", Count("hit"))]),
    ]
}

fn worse() -> Vec<Expectation> {
    const OK: Figure = Mean("run_ok");
    vec![
        of(
            "This period and the one before/A",
            cold_image,
            BY_NODE,
            &[
                ("ttfb", TTFB),
                ("ttfb_before", Before(&TTFB)),
                ("ttfb_change", Change(&TTFB)),
                ("ttfb_n", Count("ttfb_us")),
            ],
        ),
        of(
            "This period and the one before/B",
            video_start,
            BY_NODE,
            &[
                ("goodput", GOODPUT),
                ("goodput_before", Before(&GOODPUT)),
                ("goodput_change", Change(&GOODPUT)),
                ("goodput_n", Count("goodput_bps")),
            ],
        ),
        of(
            "This period and the one before/C",
            any,
            BY_NODE,
            &[("ok", OK), ("ok_before", Before(&OK)), ("ok_change", Difference(&OK)), ("ok_n", Count("run_ok"))],
        ),
        timed(of("TTFB p50/A", cold_image, BY_NODE, &[("percentile", TTFB)])),
        timed(of("Goodput p50/A", video_start, BY_NODE, &[("percentile", GOODPUT)])),
    ]
}

/// Node or path, and how it fails.
fn reasons() -> Vec<Expectation> {
    vec![
        of(
            "Server time and path/A",
            warm_image,
            BY_NODE,
            &[
                ("server", Percentile("server_us", 50.0)),
                ("path", Percentile("rtt_us", 50.0)),
                ("n_kept", Count("server_us")),
            ],
        ),
        of(
            "Server time and path/B",
            cold_image,
            BY_NODE,
            &[
                ("connect", Each("connect_us", "total_us")),
                ("tls", Each("tls_us", "total_us")),
                ("wait", Each("wait_us", "total_us")),
                ("receive", Each("receive_us", "total_us")),
                ("n_new", Count("total_us")),
            ],
        ),
        of(
            "Where a cold image's time goes/A",
            cold_image,
            &["node"],
            &[
                ("dns", Each("dns_us", "total_us")),
                ("connect", Each("connect_us", "total_us")),
                ("tls", Each("tls_us", "total_us")),
                ("send", Each("send_us", "total_us")),
                ("wait", Each("wait_us", "total_us")),
                ("receive", Each("receive_us", "total_us")),
            ],
        ),
        timed(of("Server time p50/A", warm_image, BY_NODE, &[("percentile", Percentile("server_us", 50.0))])),
        timed(of("Path round trip p50/A", warm_image, BY_NODE, &[("percentile", Percentile("rtt_us", 50.0))])),
        timed(of("Failures by outcome/A", failure, &["outcome"], &[("count", Count("ok"))])),
        of("Failures by node/A", failure, BY_OUTCOME, &[("failures", Count("ok"))]),
        timed(of("Hit ratio of checks/A", drawn, BY_NODE, &[("mean", Mean("hit"))])),
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

/// Transfers that are shown one by one.
fn singles() -> Vec<Expectation> {
    const IDS: [(&str, Figure); 2] = [("trace_id", At("trace_id")), ("request_id", At("request_id"))];
    const ASKED: [(&str, Figure); 2] = [("probe", At("probe")), ("part", At("part"))];
    let new = |point: &Point| good(point) && held(point) && point.tag("conn") == "cold";
    const SLOW: &[(&str, Figure)] = &[("ttfb", Max("ttfb_us")), ASKED[0], ASKED[1], IDS[0], IDS[1]];
    const FAILED: &[(&str, Figure)] =
        &[("done", Last("ok")), ("outcome", At("outcome")), ASKED[0], ASKED[1], ("error", At("error")), IDS[0], IDS[1]];
    vec![
        Expectation { chosen: Chosen::Largest("ttfb_us"), ..of("Slowest new connections/A", new, BY_NODE, SLOW) },
        Expectation { time: Time::Last, ..of("Last failures/A", failure, BY_NODE, FAILED) },
    ]
}

pub(super) fn of(
    of: &'static str,
    keep: fn(&Point) -> bool,
    by: &'static [&'static str],
    columns: &'static [(&'static str, Figure)],
) -> Expectation {
    let measurement = "bandprobe_transfer";
    Expectation {
        of,
        measurement,
        keep,
        by,
        time: Time::Nothing,
        since: None,
        is_open: true,
        columns,
        outer: None,
        chosen: Chosen::Last,
    }
}

pub(super) fn worker(
    name: &'static str,
    by: &'static [&'static str],
    columns: &'static [(&'static str, Figure)],
) -> Expectation {
    Expectation { measurement: "bandprobe_worker", ..of(name, |_| true, by, columns) }
}

pub(super) fn timed(expectation: Expectation) -> Expectation {
    Expectation { time: Time::Interval, ..expectation }
}

pub(super) fn since(minutes: i64, expectation: Expectation) -> Expectation {
    Expectation { since: Some(minutes), ..expectation }
}

/// In the day before the end of the time chosen.
fn recent(expectation: Expectation) -> Expectation {
    Expectation { is_open: false, ..since(24 * 60, expectation) }
}

fn any(_: &Point) -> bool {
    true
}

fn failed(point: &Point) -> bool {
    point.tag("outcome") != "ok"
}

fn suspect(point: &Point) -> bool {
    point.has("vantage_suspect") || point.has("frozen")
}

/// Outcomes that are our doing, or nobody's.
fn ours(point: &Point) -> bool {
    ["blocked", "not_cached", "local_failed", "cancelled", "tls_unsupported"].contains(&point.tag("outcome"))
}

/// The node's failures.
fn failure(point: &Point) -> bool {
    failed(point) && !ours(point) && !suspect(point)
}

/// Good downloads.
pub(super) fn good(point: &Point) -> bool {
    !failed(point) && point.tag("part") != "check"
}

fn drawn(point: &Point) -> bool {
    !failed(point) && point.field("hit").is_some()
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
