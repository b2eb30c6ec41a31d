//! `bandprobe targets`.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::bandprobe;

const CONFIG: &str = r#"
[vantage]
id = "here"
latitude = 50.11
longitude = 8.68

[[source]]
kind = "static"
exclude = [" LEFT-Out "]
nodes = [
    { id = "fra1", endpoint = "https://fra1.example.net/", region = "eu-west-1", country = "DE", latitude = 48.14, longitude = 11.58,
      assets = [{ kind = "image", path = "/img/1.webp", size = "21 kB" }, { kind = "video", path = "v.mp4" }, { kind = "video", path = "w.mp4" }] },
    { id = "far", endpoint = "http://far.example.net:8080/distributor", profile = "argus", assets = [{ kind = "image", id = "1343" }] },
    { id = "left-out", endpoint = "http://left-out.example.net/", assets = [{ kind = "image", path = "1" }] },
]
"#;

fn targets(more: &[&str]) -> super::Ended {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("here.toml");
    std::fs::write(&path, CONFIG).unwrap();
    bandprobe(&[&["targets", "-c", path.to_str().unwrap()], more].concat())
}

#[test]
fn targets_json_has_one_object_per_node() {
    let ended = targets(&["--json"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let found: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = [
        json!({
            "node": "fra1", "endpoint": "https://fra1.example.net/", "source": "static", "profile": "http",
            "region": "eu-west-1", "country": "DE", "latitude": 48.14, "longitude": 11.58, "distance_km": 304.1,
            "assets": [
                { "kind": "image", "path": "/img/1.webp", "size": 21_000 },
                { "kind": "video", "path": "v.mp4" },
                { "kind": "video", "path": "w.mp4" },
            ],
        }),
        json!({
            "node": "far", "endpoint": "http://far.example.net:8080/distributor/", "source": "static", "profile": "argus",
            "assets": [{ "kind": "image", "id": "1343" }],
        }),
    ];
    assert_eq!(found, expected);
}

#[test]
fn targets_prints_a_table() {
    let ended = targets(&[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let lines: Vec<Vec<&str>> = ended.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["node", "source", "profile", "region", "country", "km", "assets", "endpoint"]);
    assert_eq!(
        lines[1],
        ["fra1", "static", "http", "eu-west-1", "DE", "304", "1", "image,", "2", "videos", "https://fra1.example.net/"]
    );
    assert_eq!(lines[2][3..6], ["–", "–", "–"], "what is not known");
    assert!(ended.stdout.ends_with("\n2 nodes, seen from vantage here\n"), "{}", ended.stdout);
}
