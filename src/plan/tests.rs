//! All expected numbers are calculated by hand.

use std::{collections::BTreeMap, path::Path};

use super::*;
use crate::config::check::{Input, load};

/// An `http` node with an image of unknown size and a video, and an `argus` node with an image only.
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
fn costs_match_a_calculation_by_hand() {
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
    // Status rounds: 288, with one point per node.
    let points = 288.0 * 5.0 + 24.0 * 3.0 + 24.0 * (10.0 + 14.0 + 19.0) + 288.0 * 2.0 + 1_440.0;
    assert!((plan.points - points).abs() < 1e-9, "{}", plan.points);
    assert_eq!(plan.series, (2 + 10) + (3 + 14) + (3 + 19) + 2 + 1);
    assert_eq!((plan.assumed_images, plan.fits()), (1, true));
}

#[test]
fn a_window_without_a_run_writes_no_point() {
    let config = config("record.window = \"1m\"\n");
    let points = 288.0 * 5.0 + 24.0 * 3.0 + 288.0 * (10.0 + 14.0) + 24.0 * 19.0 + 288.0 * 2.0 + 1_440.0;
    assert!((Plan::of(&config).points - points).abs() < 1e-9);
}

#[test]
fn each_exceeded_limit_says_what_to_change() {
    let check = |more: &str, expected: &[&str]| {
        let messages: Vec<_> = Plan::of(&config(more)).exceeded_limits.iter().map(ToString::to_string).collect();
        assert_eq!(messages, expected, "{more}");
    };
    check("limits.bytes-per-day = \"213 MB\"", &[]);
    // Videos take 182.452 of 212.404 MB, so 60.048 MB are left for them.
    check(
        "limits.bytes-per-day = \"90 MB\"",
        &["212 MB a day exceed `limits.bytes-per-day`, 90.0 MB: later runs of each day will be skipped; \
           give probe `video` an `every` at least 3.1 times as long, or raise the limit"],
    );
    check(
        "limits.bytes-per-node-per-day = \"7 MB\"",
        &[
            "201 MB a day from `n1`, the most of 2 such nodes, exceed `limits.bytes-per-node-per-day`, 7.00 MB: later runs \
             of each day will be skipped; measure less often, or raise the limit",
            "one run of probe `video` may take 7.60 MB, more than `limits.bytes-per-node-per-day`, 7.00 MB: it will never run; \
             raise the limit, give the `size` of images, or use a probe of your own with fewer `bytes`",
        ],
    );
    // 3.04 s at 20 Mbit/s are 60.8 s at 1 Mbit/s, once an hour; at 10 kbit/s 101.4 minutes.
    check("vantage.uplink = \"1 Mbit/s\"", &[]);
    check(
        "vantage.uplink = \"10 kbit/s\"",
        &[
            "heavy transfers need 101 minutes per hour at 10.0 kbit/s: only 60 are available, so runs will be missed; give \
           heavy probes an `every` at least 1.7 times as long, or measure fewer nodes from here",
        ],
    );
}

#[test]
fn check_prints_the_plan() {
    let text = check_text(Path::new("etc/b.toml"), &config(""));
    let expected = "\
etc/b.toml is valid.

vantage here: results are written to bandprobe-data and stay there, because there is no [influxdb] section
probe image: every 5m, up to 1 check, 2 transfers and up to 64.0 kB per run; 576 runs and up to 30.0 MB a day on 2 nodes
probe video: every 1h, 3 transfers and up to 7.60 MB per run; 24 runs and up to 182 MB a day on 1 node
probe status: every 5m, one small request to each of 2 nodes; 576 requests a day
node n1: 312 runs and up to 201 MB a day; 60.3 GB a month from all 10 vantages
node n2: 288 runs and up to 11.5 MB a day; 3.46 GB a month from all 10 vantages
downloads: 600 runs and up to 212 MB of 5.00 GB a day
storage: if 3 runs in a row find nothing cached on a distributor, it is made to fetch its smallest image, at most once a day
uplink: heavy transfers take 0.1 of 60 minutes an hour at 20.0 Mbit/s
database: up to 4,560 points a day in 54 series, as long as nothing fails
archive: about 2.96 MB a day, kept for 30d after delivery; covers an InfluxDB outage of up to 674 days within 2.00 GB
assumed: 32.0 kB for images of unknown size (1 node)
sizes: 2 assets with a rounded size: `/1.mp4` of n1 may have 99500000 to 100500000 bytes; only a size in plain bytes is compared exactly

The plan fits its limits.
";
    assert_eq!(text, expected);
    let tight = check_text(Path::new("b.toml"), &config("limits.bytes-per-day = \"90 MB\""));
    assert!(tight.contains("\nThe plan exceeds its limits:\n- 212 MB a day exceed"), "{tight}");
}

#[test]
fn a_run_checks_the_remembered_and_the_drawn_asset() {
    let config = |profile: &str, pick: &str, assets: usize| {
        let assets: String =
            (0..assets).map(|id| format!("{{ kind = \"image\", id = \"{id}\", size = \"20 kB\" }},")).collect();
        let text = format!(
            "vantage.id = \"here\"\nschedule.probes = [\"./mine.toml\"]\nsource = [{{ kind = \"static\", nodes = [{{ id = \"n\", \
             endpoint = \"http://n.example/\", profile = \"{profile}\", assets = [{assets}] }}] }}]"
        );
        let mine = format!(
            "kind = \"image\"\nevery = \"5m\"\nasset = {{ pick = \"{pick}\" }}\nparts = [{{ name = \"full\" }}]"
        );
        let read = |path: &Path| Ok(if path.ends_with("b.toml") { text.clone() } else { mine.clone() }.into_bytes());
        load(&Input { path: Path::new("b.toml"), environment: &BTreeMap::new(), read: &read }).unwrap()
    };
    for (profile, pick, assets, checks) in [
        ("argus", "sticky", 1, 1),
        ("argus", "sticky", 9, 2),
        ("argus", "fixed", 9, 2),
        ("argus", "rotate", 9, 1),
        ("argus", "random", 9, 1),
        ("colossus", "sticky", 9, 1),
    ] {
        let plan = Plan::of(&config(profile, pick, assets));
        assert_eq!(plan.probes[0].checks_per_run, checks, "{profile} {pick} {assets}");
        // Transfers: 288 × (checks + 1). Windows, 24 a day: 4 of checks, 5 of downloads. Worker: 1440.
        let points = 288.0 * (checks as f64 + 1.0) + 24.0 * 9.0 + 1_440.0;
        assert!((plan.points - points).abs() < 1e-9, "{} {points}", plan.points);
        assert_eq!(plan.series, 2 + 9 + 1, "both checks have the same tags");
    }
}

#[test]
fn cold_fetches_have_their_own_limit() {
    // Only n2 reports what it does not hold, and it has one image.
    let cold = |more: &str| config(&format!("schedule.probes = [\"image\", \"cold-cache\"]\n{more}"));
    let plan = Plan::of(&cold(""));
    let [_, probe] = plan.probes.as_slice() else { panic!("{:?}", plan.probes) };
    assert_eq!((probe.nodes, probe.checks_per_run, probe.transfers_per_run), (1, 1, 1));
    assert_eq!((probe.runs, probe.bytes, plan.cold_fetches_per_node), (4.0, Bytes(4 * 20_000), Some(4.0)));
    let text = check_text(Path::new("b.toml"), &cold(""));
    assert!(text.contains("\ncold fetches: up to 4 of 4 a day from one node; 40 from all 10 vantages\n"), "{text}");
    assert!(plan.fits() && !check_text(Path::new("b.toml"), &config("")).contains("cold"));

    let none = check_text(Path::new("b.toml"), &cold("limits.cold-fetches-per-node-per-day = 0"));
    assert!(
        none.contains("is 0, so probes with `cache = \"miss\"` never run: leave them out, or raise the limit"),
        "{none}"
    );
    let often = cold("limits = { cold-fetches-per-node-per-day = 3, vantages = 1 }");
    let plan = Plan::of(&often);
    assert_eq!((plan.probes[1].runs, plan.probes[1].bytes), (3.0, Bytes(3 * 20_000)), "as many as the limit allows");
    let text = check_text(Path::new("b.toml"), &often);
    assert!(text.contains("\ncold fetches: up to 3 of 3 a day from one node; 3 from this one vantage\n"), "{text}");
    let messages: Vec<_> = plan.exceeded_limits.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "4 cold fetches a day from one node exceed `limits.cold-fetches-per-node-per-day`, 3: later runs of each day will be \
          skipped; give probes with `cache = \"miss\"` an `every` at least 1.4 times as long, or raise the limit"
        ]
    );
}
