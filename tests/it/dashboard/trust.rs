//! What the panels say of the worker itself, and of numbers that are not to be believed.

use super::{
    expectation::{
        Expectation,
        Figure::{Count, Last, Max, Rise, Silent, Sum},
        Time,
    },
    expected::{BY_NODE, MONTH, WORKER, good, of, since, timed, worker},
};

/// One for each query of the row but that of the valid share.
pub(super) fn expectations() -> Vec<Expectation> {
    workers().into_iter().chain(doubts()).collect()
}

/// Good downloads by flag.
fn doubts() -> Vec<Expectation> {
    vec![
        of("Rate flags/A", good, BY_NODE, &[("downloads", Count("ok"))]),
        of("Rate flags/B", |p| good(p) && p.has("cpu_bound"), BY_NODE, &[("cpu_bound", Count("ok"))]),
        of("Rate flags/C", |p| good(p) && p.has("concurrent"), BY_NODE, &[("concurrent", Count("ok"))]),
        of("Rate flags/D", |p| good(p) && p.has("clock_step"), BY_NODE, &[("clock_step", Count("ok"))]),
        of("Rate flags/G", |p| good(p) && p.has("frozen"), BY_NODE, &[("frozen", Count("ok"))]),
        of("Rate flags/E", |p| good(p) && p.has("receiver_limited"), BY_NODE, &[("receiver_limited", Count("ok"))]),
        of("Rate flags/F", |p| good(p) && p.has("uplink_limited"), BY_NODE, &[("uplink_limited", Count("ok"))]),
    ]
}

fn workers() -> Vec<Expectation> {
    let each = |name, columns| timed(worker(name, WORKER, columns));
    let last = |expectation| Expectation { time: Time::Last, ..expectation };
    vec![
        last(since(
            MONTH,
            worker(
                "Workers/A",
                WORKER,
                &[("nodes", Last("nodes")), ("waiting", Last("spool_age_s")), ("waiting_bytes", Last("spool_bytes"))],
            ),
        )),
        since(MONTH, worker("Workers/B", WORKER, &[("silent", Silent(5))])),
        worker(
            "Worker problems/A",
            WORKER,
            &[
                ("late", Sum("runs_late")),
                ("rounds", Sum("rounds_missed")),
                ("delay", Max("schedule_delay_us")),
                ("frozen", Sum("frozen_us")),
                ("lookups", Max("lookups_abandoned")),
                ("log_lines", Sum("log_lines_dropped")),
            ],
        ),
        each("Lateness p99/A", &[("max", Max("lateness_p99_us"))]),
        each("Missed and skipped runs/A", &[("sum", Sum("runs_missed"))]),
        each("Missed and skipped runs/B", &[("sum", Sum("runs_skipped_budget"))]),
        each("Lost and retried results/A", &[("sum", Sum("points_dropped"))]),
        each("Lost and retried results/B", &[("sum", Sum("points_rejected"))]),
        each("Lost and retried results/C", &[("sum", Sum("retries"))]),
        each("Age of the oldest waiting result/A", &[("max", Max("spool_age_s"))]),
        each("CPU share/A", &[("share", Rise("cpu_us"))]),
        each("Memory/A", &[("max", Max("rss_bytes"))]),
        each("Downloaded/A", &[("sum", Sum("bytes_downloaded"))]),
    ]
}
