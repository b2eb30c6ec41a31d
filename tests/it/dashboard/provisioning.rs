//! Grafana's provisioning files fit the dashboard.

use serde_json::Value;

use super::file::{dashboard, text};

fn yaml(path: &str) -> Value {
    serde_yaml_ng::from_str(&text(path)).unwrap()
}

#[test]
fn the_data_source_is_the_one_that_the_dashboard_takes_first() {
    let file = yaml("grafana/provisioning/datasources/influxdb.yaml");
    assert_eq!(file["apiVersion"], 1);
    let [source] = &file["datasources"].as_array().unwrap()[..] else { panic!("{file}") };
    let dashboard = dashboard();
    let variable = &dashboard["templating"]["list"][0];
    assert_eq!(source["type"], variable["query"]);
    assert_eq!(source["uid"], variable["current"]["value"]);
    assert_eq!(source["name"], variable["current"]["text"]);
    assert_eq!(source["access"], "proxy", "Grafana asks, not the reader's browser");
    assert_eq!(source["url"], "${BANDPROBE_INFLUXDB_URL}");
    assert_eq!(source["jsonData"]["dbName"], "${BANDPROBE_INFLUXDB_BUCKET}");
    assert_eq!(source["jsonData"]["version"], "InfluxQL");
    assert_eq!(source["jsonData"]["httpHeaderName1"], "Authorization");
    // InfluxDB's word before a token; the file's content comes without white space around it (pkg/setting/expanders.go).
    assert_eq!(source["secureJsonData"]["httpHeaderValue1"], "Token $__file{/run/secrets/influxdb-token}");
    assert_eq!(source["secureJsonData"].as_object().unwrap().len(), 1);
}

#[test]
fn the_provider_reads_the_folder_that_is_mounted() {
    let file = yaml("grafana/provisioning/dashboards/bandprobe.yaml");
    assert_eq!(file["apiVersion"], 1);
    let [provider] = &file["providers"].as_array().unwrap()[..] else { panic!("{file}") };
    assert_eq!(provider["type"], "file");
    assert_eq!(provider["options"]["path"], "/etc/grafana/dashboards");
}
