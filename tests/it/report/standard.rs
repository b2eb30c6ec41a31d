//! Exact texts for the day of fixtures.

use bandprobe::{
    model::{
        flag::Flag,
        outcome::Outcome,
        sample::{CacheState, Sample},
        units::Micros,
    },
    report::{
        Analysis, json,
        standard::{MAX_GROUPS, Standard},
        summary,
    },
    term::{Look, width::columns},
};

use super::{check, day, points, start};
use crate::record::samples::{failed, image};

#[test]
fn a_day_has_an_exact_table() {
    assert_eq!(summary(points(&day()), Look::default()), include_str!("../../data/report/table.txt"));
}

#[test]
fn a_terminal_gets_what_fits() {
    let mut long = day();
    long.push(image("distributor.a-long-name.example.org", 200, 90_000));
    for (samples, words) in [(day(), "54.0 Mbit/s"), (long, "distributor.a-long-name")] {
        for width in 40..=200 {
            let text = summary(points(&samples), Look { width: Some(width), colour: false });
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest > 30 && widest <= usize::from(width), "{width}: {widest}\n{text}");
            assert!(text.contains(words) && text.contains("missed (target"), "{width}: {text}");
        }
    }
    for (width, expected) in
        [(40, include_str!("../../data/report/table-40.txt")), (80, include_str!("../../data/report/table-80.txt"))]
    {
        let text = summary(points(&day()), Look { width: Some(width), colour: false });
        assert_eq!(text, expected, "{text}");
    }
}

#[test]
fn a_terminal_too_narrow_for_columns_gets_paragraphs() {
    let samples = [image("distributor.a-long-name.example.org", 200, 90_000)];
    let text = summary(points(&samples), Look { width: Some(40), colour: false });
    assert!(
        text.starts_with(
            "downloads, seen from eu-central\ndistributor.a-long-name.example.org\n  ok 100 % of 1 runs, 0 invalid\n  \
             TTFB p50 90.0 ms, p90 90.0 ms (n=1)\n  goodput p50 –, p10 – (n=0)\n  hits – (n=0)\n"
        ),
        "{text}"
    );
}

/// Points of other programs can have names that bandprobe's own config does not allow.
#[test]
fn wide_node_names_keep_the_columns_aligned() {
    let samples: Vec<_> = ["fra1", "東京", "서울-1"].map(|node| image(node, 1, 90_000)).into();
    let fits = |width| Look { width: Some(width), colour: false };
    for look in [Look::default(), fits(80)] {
        let text = summary(points(&samples), look);
        let rows: Vec<&str> = text.lines().skip(1).take(4).collect();
        let heads = rows.iter().zip(["TTFB p50", "90.0 ms", "90.0 ms", "90.0 ms"]);
        let ends: Vec<_> = heads.map(|(row, cell)| columns(&row[..row.find(cell).unwrap() + cell.len()])).collect();
        assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}\n{text}");
    }
}

#[test]
fn colour_is_only_where_it_is_wanted() {
    for (colour, escapes) in [(true, true), (false, false)] {
        let text = summary(points(&day()), Look { width: None, colour });
        assert_eq!(text.contains('\u{1b}'), escapes);
    }
}

#[test]
fn figures_outside_the_standard_are_marked() {
    let text = summary(points(&day()), Look { width: Some(200), colour: true });
    let painted = |code: &str, figure: &str| {
        let before = text.split(figure).next().unwrap();
        before.rsplit("\u{1b}[").next().unwrap().starts_with(code)
    };
    // 77 % of its runs were good, its median is 440 ms, and one check in five hit.
    let (red, yellow) = ("38;5;1m", "38;5;3m");
    for (code, figure) in [(red, "77 %"), (yellow, "440 ms"), (yellow, "20 %")] {
        assert!(painted(code, figure), "{figure}: {text:?}");
    }
    assert!(!painted(red, "84.0 ms") && !painted(yellow, "84.0 ms"), "{text:?}");
    assert!(text.contains("\u{1b}[32mmet") && text.contains("\u{1b}[31mmissed"), "{text:?}");
}

#[test]
fn an_empty_period_has_no_figures() {
    assert_eq!(summary([], Look::default()), "no transfers were recorded in this period\n");
    let text = summary(points(&[failed(image("n", 0, 1), Outcome::LocalFailed)]), Look::default());
    assert!(text.contains("\n n        0   –         –") && text.contains("not measured"), "{text}");
}

#[test]
fn json_has_the_same_figures() {
    let mut analysis = Analysis::default();
    points(&day()).iter().for_each(|point| analysis.add(point));
    let object: serde_json::Value = serde_json::from_str(&json::render(&analysis, None)).unwrap();
    let node = &object["nodes"][1];
    assert_eq!((&node["vantage"], &node["node"]), (&"eu-central".into(), &"fra1".into()));
    assert_eq!(node["ttfb"]["count"], 10);
    assert_eq!(node["invalid_for"], serde_json::json!({"cpu_bound": 1, "concurrent": 1}));
    assert_eq!(object["nodes"][2]["hit_ratio"], 0.2);
    assert!(object["nodes"][2]["goodput"].get("p50_bps").is_none(), "what was not measured is absent");
}

#[test]
fn percentiles_use_the_nearest_rank() {
    let mut standard = Standard::default();
    let samples: Vec<_> = (1..=1_000).map(|n| image("n", n, 1_000 * n.unsigned_abs())).collect();
    points(&samples).iter().for_each(|point| standard.add(point));
    let ttfb = standard.summary().rows[0].ttfb;
    let near = |value: Option<Micros>, exact: u64| value.unwrap().0.abs_diff(exact) * 1_000 <= exact;
    assert!(near(ttfb.p50, 500_000) && near(ttfb.bad_end, 900_000), "{ttfb:?}");
}

#[test]
fn nodes_beyond_the_limit_are_counted() {
    let mut standard = Standard::default();
    let mut point = points(&[image("n", 0, 80_000)]).remove(0);
    for n in 0..=MAX_GROUPS {
        point.node = n.to_string().into();
        standard.add(&point);
    }
    let summary = standard.summary();
    assert_eq!((summary.rows.len(), summary.dropped), (MAX_GROUPS, 1));
}

#[test]
fn our_own_failures_are_not_charged() {
    let ours: Vec<_> = Outcome::ALL.iter().filter(|outcome| !outcome.is_charged()).map(|o| o.label()).collect();
    assert_eq!(ours, ["blocked", "not_cached", "local_failed", "cancelled", "tls_unsupported"]);
}

#[test]
fn one_good_answer_makes_no_best_node() {
    let mut samples = vec![image("once", 0, 1_000), start("once", 1, 900_000_000)];
    for n in 0..3 {
        samples.push(image("often", 10 + n, 80_000));
        samples.push(start("often", 20 + n, 50_000_000));
    }
    let text = summary(points(&samples), Look::default());
    assert!(text.contains("best median TTFB: 80.0 ms (often, n=3)"), "{text}");
    assert!(text.contains("best median goodput: 50.0 Mbit/s (often, n=3)"), "{text}");
    let text = summary(points(&samples[..2]), Look::default());
    assert!(text.contains("best median TTFB: not enough data (target < 350 ms)\n"), "{text}");
    assert!(text.contains("best median goodput: not enough data (target > 20.0 Mbit/s)\n"), "{text}");
}

#[test]
fn a_stalled_good_download_is_reported_and_stays_valid() {
    let mut stalled = start("fra1", 1, 30_000_000);
    stalled.flags.raise(Flag::StalledSome);
    let mut gone = failed(start("fra1", 2, 1), Outcome::Reset);
    gone.flags.raise(Flag::StalledSome);
    let all = points(&[stalled, start("fra1", 3, 50_000_000), gone]);
    let text = summary(all.clone(), Look::default());
    assert!(
        text.contains("\n  fra1: stalled, then continued: 1 of 2 good\n") && text.contains("30.0 Mbit/s"),
        "{text}"
    );
    let mut standard = Standard::default();
    all.iter().for_each(|point| standard.add(point));
    let row = &standard.summary().rows[0];
    assert_eq!((row.stalled, row.goodput.count), (1, 2));
}

#[test]
fn a_lower_bound_counts_and_is_reported() {
    let (mut limited, mut busy) = (start("fra1", 1, 30_000_000), start("fra1", 2, 20_000_000));
    limited.flags.raise(Flag::ReceiverLimited);
    busy.flags.raise(Flag::UplinkLimited);
    busy.flags.raise(Flag::CpuBound);
    let all = points(&[limited, busy, start("fra1", 3, 50_000_000)]);
    let text = summary(all.clone(), Look::default());
    assert!(text.contains("\n  fra1: rates that are lower bounds: 1 receiver_limited\n"), "{text}");
    assert!(text.contains("\nreceiver_limited: ") && text.contains("tcp_rmem"), "{text}");
    let mut standard = Standard::default();
    all.iter().for_each(|point| standard.add(point));
    let row = &standard.summary().rows[0];
    assert_eq!(
        (&*row.lower_bounds, row.goodput.count),
        (&[(Flag::ReceiverLimited, 1)][..], 2),
        "what is left out is no bound"
    );
}

#[test]
fn the_success_share_counts_runs_and_not_transfers() {
    // Four good runs and four failed ones, whose checks were refused one to five times each.
    for checks in 1..=5 {
        for downloads in 1..=3 {
            let mut samples = vec![];
            for n in 0..4 {
                samples.extend(
                    (1..=downloads)
                        .map(|part| Sample { run_ok: (part == downloads).then_some(true), ..image("fra1", n, 80_000) }),
                );
                samples.extend((1..=checks).map(|check_of_run| Sample {
                    run_ok: (check_of_run == checks).then_some(false),
                    ..failed(check("fra1", 100 + n, CacheState::Unknown), Outcome::Http5xx)
                }));
            }
            let mut standard = Standard::default();
            points(&samples).iter().for_each(|point| standard.add(point));
            let row = &standard.summary().rows[0];
            assert_eq!((row.runs, row.runs_ok, row.success_share()), (8, 4, Some(0.5)), "{checks} {downloads}");
            let text = summary(points(&samples), Look::default());
            assert!(text.contains("\n fra1     8  50 %"), "{text}");
        }
    }
}

#[test]
fn a_too_slow_download_fails_its_run_and_is_reported() {
    let mut crawling = image("fra1", 0, 80_000);
    crawling.flags.raise(Flag::TooSlow);
    crawling.run_ok = Some(false);
    let all = points(&[crawling, image("fra1", 1, 90_000)]);
    let text = summary(all, Look::default());
    assert!(
        text.contains("\n fra1     2  50 %") && text.contains("fra1: too slow for a viewer: 1 of 2 good\n"),
        "{text}"
    );
}
