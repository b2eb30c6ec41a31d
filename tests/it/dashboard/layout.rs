//! Checks of the file alone: it is complete and readable, and its targets are those of the report.

use std::collections::BTreeSet;

use bandprobe::report::standard::{GOODPUT_TARGET, HIT_TARGET_PERCENT, TTFB_TARGET};
use serde_json::Value;

use super::file::{dashboard, panels, text};

/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;

/// `(x, y, w, h)`
fn place(panel: &Value) -> [u64; 4] {
    ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap())
}

fn title(panel: &Value) -> &str {
    panel["title"].as_str().unwrap()
}

#[test]
fn it_is_a_classic_dashboard_that_grafana_10_reads() {
    let dashboard = dashboard();
    // 38 is that of Grafana 10.0; later ones migrate it, earlier ones do not know it.
    assert_eq!(dashboard["schemaVersion"], 38);
    assert!(dashboard["id"].is_null(), "an id belongs to one Grafana");
    assert!(dashboard.get("__inputs").is_none(), "provisioning does not fill inputs in");
    assert_eq!(dashboard["uid"], "bandprobe-overview");
    assert_eq!(dashboard["tags"], serde_json::json!(["bandprobe"]));
    let file = text("grafana/dashboards/overview.json");
    assert!(file == format!("{dashboard:#}\n"), "format it: jq --sort-keys . (2 spaces)");
}

#[test]
fn panels_fit_the_grid_and_do_not_overlap() {
    let dashboard = dashboard();
    let all = dashboard["panels"].as_array().unwrap();
    for (index, panel) in all.iter().enumerate() {
        let [x, y, w, h] = place(panel);
        assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{}", title(panel));
        for other in &all[index + 1..] {
            let [ox, oy, ow, oh] = place(other);
            let apart = x + w <= ox || ox + ow <= x || y + h <= oy || oy + oh <= y;
            assert!(apart, "{} and {}", title(panel), title(other));
        }
        assert!(all[..index].iter().all(|before| place(before)[1] <= y), "{}: the file reads top-down", title(panel));
    }
    let ids: BTreeSet<_> = all.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), all.len(), "ids are unique");
    let titles: BTreeSet<_> = all.iter().map(title).collect();
    assert_eq!(titles.len(), all.len(), "titles are unique");
    assert_eq!(all[0]["type"], "row", "each panel is under a question");
    for row in all.iter().filter(|panel| panel["type"] == "row") {
        assert!(title(row).ends_with('?'), "{}", title(row));
    }
}

#[test]
fn panels_say_how_a_number_is_made_and_in_which_unit() {
    let dashboard = dashboard();
    for panel in panels(&dashboard) {
        let title = title(panel);
        let description = panel["description"].as_str().unwrap();
        assert!(description.len() > 30 && description.ends_with('.'), "{title}: {description}");
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap();
        assert!(UNITS.contains(&unit), "{title}: {unit}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        for target in targets {
            assert_eq!(target["rawQuery"], true, "{title}");
            assert!(["table", "time_series"].contains(&target["resultFormat"].as_str().unwrap()), "{title}");
            assert_eq!(target["datasource"]["type"], "influxdb", "{title}");
            // Without an alias Grafana shows the measurement and all tags.
            assert_eq!(target["resultFormat"] == "time_series", target["alias"].is_string(), "{title}");
            let by_time = target["query"].as_str().unwrap().contains("GROUP BY time(");
            assert_eq!(by_time, panel["interval"].is_string(), "{title}: the smallest bucket is that of the schedule");
        }
    }
}

#[test]
fn every_data_source_is_the_one_chosen() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!((&variables[0]["name"], &variables[0]["type"]), (&"datasource".into(), &"datasource".into()));
    let (last, asking) = variables[1..].split_last().unwrap();
    assert_eq!((&last["name"], &last["type"], &last["query"]), (&"trace_url".into(), &"textbox".into(), &"#".into()));
    let asked = asking.iter().chain(panels(&dashboard));
    let targets = panels(&dashboard).into_iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    for asks in asked.chain(targets) {
        assert_eq!(asks["datasource"], serde_json::json!({"type": "influxdb", "uid": "${datasource}"}), "{asks}");
    }
    for variable in asking {
        assert_eq!((&variable["multi"], &variable["includeAll"]), (&true.into(), &true.into()), "{variable}");
        assert_eq!(variable["query"], variable["definition"], "{variable}");
    }
}

/// The values at which colours change, without the base.
fn steps(config: &Value) -> Vec<f64> {
    let steps = config["steps"].as_array().unwrap();
    steps.iter().filter_map(|step| step["value"].as_f64()).collect()
}

#[test]
fn targets_are_those_of_the_report() {
    let dashboard = dashboard();
    let panels = panels(&dashboard);
    let find = |wanted: &str| *panels.iter().find(|panel| title(panel) == wanted).unwrap();
    let column = |name: &str| {
        let overrides = find("Nodes")["fieldConfig"]["overrides"].as_array().unwrap();
        let column = overrides.iter().find(|one| one["matcher"]["options"] == name).unwrap();
        let properties = column["properties"].as_array().unwrap();
        steps(&properties.iter().find(|property| property["id"] == "thresholds").unwrap()["value"])
    };
    let ttfb = vec![TTFB_TARGET.0 as f64];
    let goodput = vec![GOODPUT_TARGET.0 as f64];
    let hits = vec![HIT_TARGET_PERCENT as f64 / 100.0];
    for (target, shown, each) in [
        (&ttfb, ["Best node by TTFB", "TTFB p50 by node and vantage", "TTFB p50"], "ttfb_p50"),
        (&goodput, ["Best node by goodput", "Goodput p50 by node and vantage", "Goodput p50"], "goodput_p50"),
        (&hits, ["Node with the lowest hit ratio", "Hit ratio of checks", "Hit ratio of checks"], "hits"),
    ] {
        for panel in shown.map(find) {
            assert_eq!(&steps(&panel["fieldConfig"]["defaults"]["thresholds"]), target, "{}", title(panel));
        }
        assert_eq!(&column(each), target, "{each}");
    }
    for (panel, words) in [
        ("Best node by TTFB", TTFB_TARGET.to_string()),
        ("Best node by goodput", "20 Mbit/s".to_owned()),
        ("Node with the lowest hit ratio", format!("{HIT_TARGET_PERCENT} %")),
    ] {
        let description = find(panel)["description"].as_str().unwrap();
        assert!(description.contains(&words), "{panel}: {words}: {description}");
    }
}

/// A line goes over a hole of a bucket or two, which the times of the runs make, and not over an outage. That takes nulls:
/// without them Grafana joins what is left.
#[test]
fn an_outage_is_a_gap_in_each_line() {
    let dashboard = dashboard();
    for panel in panels(&dashboard).into_iter().filter(|panel| panel["type"] == "timeseries") {
        let custom = &panel["fieldConfig"]["defaults"]["custom"];
        let (fill, span) = match custom["drawStyle"].as_str().unwrap() {
            "line" => ("fill(null)", true),
            "bars" => ("fill(none)", false),
            other => panic!("{}: {other}", title(panel)),
        };
        for target in panel["targets"].as_array().unwrap() {
            assert!(target["query"].as_str().unwrap().ends_with(fill), "{}: {fill}", title(panel));
        }
        if span {
            let buckets = custom["spanNulls"].as_f64().unwrap() / milliseconds(panel["interval"].as_str().unwrap());
            assert!((2.0..4.0).contains(&buckets), "{}: {buckets}", title(panel));
        }
    }
}

fn milliseconds(interval: &str) -> f64 {
    let (number, unit) = interval.split_at(interval.len() - 1);
    let minutes = if unit == "h" { 60.0 } else { 1.0 };
    number.parse::<f64>().unwrap() * minutes * 60_000.0
}

/// Ids of Grafana's units that fit the schema's: shares, µs, bit/s, bytes, s, counts.
const UNITS: [&str; 7] = ["percentunit", "µs", "bps", "decbytes", "bytes", "s", "short"];
