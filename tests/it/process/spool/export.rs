//! `bandprobe spool export`.

use std::fs;

use bandprobe::{
    archive::reader,
    demo::NodePlan,
    record::schema::{self, Measurement, transfer},
};
use serde_json::Value;

use super::{empty, seal, spool};
use crate::process::{World, bandprobe, sound};

#[test]
fn an_export_has_every_line_and_reports_damage() {
    let world = World::new(vec![sound("a")]);
    let config = world.config("here.toml", None, "");
    let config = config.to_str().unwrap();
    for _ in 0..2 {
        assert_eq!(bandprobe(&["once", "-c", config]).code, Some(0));
    }
    let kept: String = reader::lines(&world.archive(), None).unwrap().map(|line| line.unwrap() + "\n").collect();
    assert!(kept.lines().count() > 14, "two rounds of seven transfers, windows and workers: {kept}");
    let archive = world.archive();
    for source in [["-c", config], ["--archive", archive.to_str().unwrap()]] {
        let ended = bandprobe(&[&["spool", "export"][..], &source].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout == kept, "{}", ended.stdout);
        let all = bandprobe(&[&["spool", "export", "--since", "1h"][..], &source].concat());
        assert!(all.stdout == kept);
        let none = bandprobe(&[&["spool", "export", "--since", "1ms"][..], &source].concat());
        assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""));
    }

    let sealed = archive.join("spool/2026-11-21T100000.000000000Z-1.lp");
    fs::write(&sealed, "no header, no trailer\n").unwrap();
    let ended = bandprobe(&["spool", "export", "-c", config]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("2026-11-21T100000"), "{}", ended.stderr);
    assert!(kept.lines().all(|line| ended.stdout.contains(line)), "the rest is printed");
}

/// A cell matches the NDJSON of the same point: nothing, the same text, or the same number.
fn is_same(cell: &str, value: Option<&Value>) -> bool {
    match value {
        None => cell.is_empty(),
        Some(Value::String(text)) => cell == text,
        Some(number) => cell.parse::<f64>().ok() == number.as_f64() && !cell.is_empty(),
    }
}

#[test]
fn csv_matches_the_json_of_once_field_by_field() {
    let world = World::new(NodePlan::standard());
    let config = world.config("here.toml", None, "");
    let once = bandprobe(&["once", "-c", config.to_str().unwrap(), "--json"]);
    assert_eq!(once.code, Some(0), "{}", once.stderr);
    let mut objects: Vec<Value> = once.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ended = spool("export", &config, &["--format", "csv"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let mut reader = csv::Reader::from_reader(ended.stdout.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), objects.len());
    for row in &rows {
        let cell = |name: &str| &row[header.iter().position(|column| column == name).unwrap()];
        let tags = transfer::MEASUREMENT.tags.iter().map(|tag| tag.0);
        let same = |object: &Value| ["time"].into_iter().chain(tags.clone()).all(|name| object[name] == *cell(name));
        let at = objects.iter().position(same).unwrap_or_else(|| panic!("not printed: {row:?}"));
        let object = objects.swap_remove(at);
        let differing: Vec<_> = header.iter().filter(|column| !is_same(cell(column), object.get(*column))).collect();
        assert!(differing.is_empty(), "{differing:?} in {row:?} of {object}");
        let missing: Vec<_> =
            object.as_object().unwrap().keys().filter(|name| !header.iter().any(|column| column == *name)).collect();
        assert_eq!(missing, ["measurement"]);
    }
    assert!(rows.iter().any(|row| row.iter().any(str::is_empty)), "something was not measured");
}

#[test]
fn a_measurement_has_a_full_and_a_short_name() {
    let world = World::new(vec![sound("a")]);
    let config = world.config("here.toml", None, "");
    assert_eq!(bandprobe(&["once", "-c", config.to_str().unwrap()]).code, Some(0));
    let kept: Vec<String> = reader::lines(&world.archive(), None).unwrap().map(Result::unwrap).collect();
    let of = |measurement: &Measurement| -> String {
        let wanted = kept.iter().filter(|line| line.split([',', ' ']).next() == Some(measurement.name));
        wanted.map(|line| line.clone() + "\n").collect()
    };
    for measurement in schema::ALL {
        let lines = of(measurement);
        // This `once` runs no status probe.
        assert!(!lines.is_empty() || **measurement == schema::node::MEASUREMENT, "{}", measurement.name);
        for name in [measurement.name, measurement.name.strip_prefix("bandprobe_").unwrap()] {
            let ended = spool("export", &config, &["--measurement", name]);
            assert_eq!((ended.code, ended.stdout), (Some(0), lines.clone()), "{name}");
            let ended = spool("export", &config, &["--measurement", name, "--format", "csv"]);
            assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 1 + lines.lines().count()), "{name}");
        }
    }
    let young = spool("export", &config, &["--format", "csv", "--since", "1ms"]);
    assert_eq!((young.code, young.stdout.lines().count()), (Some(0), 1), "the header alone: {young:?}");
    let ended = spool("export", &config, &["--measurement", "playback"]);
    assert!(
        ended.code == Some(2) && ended.stderr.contains("choose one of transfer, window, node, worker"),
        "{ended:?}"
    );

    let all = spool("export", &config, &["--format", "csv"]).stdout;
    let file = world.path("out.csv");
    let ended = spool("export", &config, &["--format", "csv", "-o", file.to_str().unwrap()]);
    assert_eq!((ended.code, &*ended.stdout, fs::read_to_string(&file).unwrap()), (Some(0), "", all));
    let ended = spool("export", &config, &["-o", "/no/such/directory/out.lp"]);
    assert!(ended.code == Some(1) && ended.stderr.contains("cannot write /no/such/directory/out.lp"), "{ended:?}");
}

#[test]
fn columns_of_a_newer_version_are_left_out_and_counted() {
    let world = empty();
    let config = world.config("here.toml", None, "");
    let lines = "bandprobe_worker,vantage=a,worker=a,moon=full nodes=1i,tides=2i 1795341600000000000\n\
        bandprobe_worker,vantage=a,worker=a nodes=2i,tides=3i 1795341601000000000\n\
        bandprobe_tide,vantage=a height=2i 1795341601000000000\n";
    seal(&world.archive(), "2026-11-22T10:00:00Z", lines);
    let ended = spool("export", &config, &["--format", "csv", "--measurement", "worker"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let rows: Vec<&str> = ended.stdout.lines().skip(1).collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows[0].starts_with("2026-11-22T10:00:00.000000000Z,a,a,,"), "{rows:?}");
    let told: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(told, ["bandprobe: 3 values of a newer version left out: this version has no column for them"]);
    assert_eq!(spool("export", &config, &[]).stdout, lines, "line protocol keeps all of it");
}

#[test]
fn lines_that_are_not_points_have_no_csv_row() {
    let world = empty();
    let config = world.config("here.toml", None, "");
    let broken = "bandprobe_worker,vantage=a nodes= 1\n".repeat(30);
    let good = "bandprobe_worker,vantage=a,worker=a nodes=1i 1795341600000000000\n";
    seal(&world.archive(), "2026-11-22T10:00:00Z", &(broken + good));
    let ended = spool("export", &config, &["--format", "csv", "--measurement", "worker"]);
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(1), 2), "{ended:?}");
    assert_eq!(ended.stderr.matches("left out a line that is not a point").count(), 20);
    assert!(ended.stderr.ends_with("bandprobe: 10 problems more\n"), "{}", ended.stderr);
}
