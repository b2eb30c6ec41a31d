//! `bandprobe spool import`, and reports of plain line protocol.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use bandprobe::{
    archive::{reader, status::status},
    record::schema,
};
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use crate::{
    influxd,
    process::{World, bandprobe, command, sound},
};

/// The lines of a data directory, in their order.
fn lines(dir: &Path) -> Vec<String> {
    let mut lines: Vec<_> = reader::lines(dir, None).unwrap().map(Result::unwrap).collect();
    lines.sort_unstable();
    lines
}

/// A world in which one round was made, and its export.
fn exported() -> (World, String) {
    let world = World::new(vec![sound("a")]);
    let config = world.config("here.toml", None, "");
    assert_eq!(bandprobe(&["once", "-c", config.to_str().unwrap()]).code, Some(0));
    let export = bandprobe(&["spool", "export", "-c", config.to_str().unwrap()]);
    assert_eq!(export.code, Some(0));
    (world, export.stdout)
}

fn with_input(command: &mut Command, input: &[u8]) -> (Option<i32>, String, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A reader that has enough stops reading.
    let _ = child.stdin.take().unwrap().write_all(input);
    let ended = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code(), text(ended.stdout), text(ended.stderr))
}

#[test]
fn an_export_imports_back_whole() {
    let (world, export) = exported();
    let original = lines(&world.archive());
    let file = world.write("export.lp", &export);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(export.as_bytes()).unwrap();
    let zipped = world.path("export.lp.gz");
    fs::write(&zipped, gzip.finish().unwrap()).unwrap();

    let into = |name: &str| world.path(name).to_str().unwrap().to_owned();
    let plain = bandprobe(&["spool", "import", "--archive", &into("1"), file.to_str().unwrap()]);
    let compressed = bandprobe(&["spool", "import", "--archive", &into("2"), zipped.to_str().unwrap()]);
    let piped = with_input(&mut command(&["spool", "import", "--archive", &into("3")]), export.as_bytes());
    for (name, code, stdout) in
        [("1", plain.code, &plain.stdout), ("2", compressed.code, &compressed.stdout), ("3", piped.0, &piped.1)]
    {
        assert_eq!(code, Some(0), "{name}");
        assert!(stdout.starts_with(&format!("{} points imported", original.len())), "{name}: {stdout}");
        assert_eq!(lines(&world.path(name)), original, "{name}");
        let found = status(&world.path(name)).unwrap();
        assert_eq!(
            (found.spool.points, found.open.files),
            (original.len() as u64, 0),
            "{name}: sealed, to be delivered"
        );
    }
    // The second import has the same points, and the database keeps each once.
    assert_eq!(bandprobe(&["spool", "import", "--archive", &into("1"), file.to_str().unwrap()]).code, Some(0));
    let mut twice = lines(&world.path("1"));
    assert_eq!(twice.len(), 2 * original.len());
    twice.dedup();
    assert_eq!(twice, original);
}

#[test]
fn repeated_imports_are_delivered_once() {
    let Some(server) = influxd::own() else { return };
    let (world, export) = exported();
    let database = server.bucket();
    let config = world.config("there.toml", Some(&database), "");
    // The data directory of another machine: only imported points wait there.
    fs::remove_dir_all(world.archive()).unwrap();
    let file = world.write("export.lp", &export);
    let original = export.lines().filter(|line| !line.starts_with('#')).count();
    for times in 1..=2 {
        let imported = bandprobe(&["spool", "import", "-c", config.to_str().unwrap(), file.to_str().unwrap()]);
        assert_eq!(imported.code, Some(0), "{imported:?}");
        let flushed = bandprobe(&["spool", "flush", "-c", config.to_str().unwrap()]);
        assert_eq!((flushed.code, &*flushed.stderr), (Some(0), ""), "{times}: {flushed:?}");
        let delivered = format!("{original} points in 1 file delivered to {}", database.url);
        assert!(flushed.stdout.starts_with(&delivered), "{times}: {}", flushed.stdout);
        for measurement in schema::ALL {
            let name = measurement.name;
            let wanted = export.lines().filter(|line| line.starts_with(&format!("{name},"))).count();
            assert_eq!(server.points(&database.bucket, name).len(), wanted, "{name}, {times}");
        }
    }
    // The figures of a report are the same from both places.
    let report = |args: &[&str]| -> Value {
        let ended = bandprobe(&[&["report", "--format", "json"], args].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        serde_json::from_str::<Value>(&ended.stdout).unwrap()["nodes"].clone()
    };
    let nodes = report(&["-c", config.to_str().unwrap()]);
    assert!(nodes[0]["runs"].as_u64() > Some(0), "{nodes}");
    assert_eq!(nodes, report(&["--archive", file.to_str().unwrap()]));
}

#[test]
fn a_report_of_plain_files_matches_the_archive() {
    let (world, export) = exported();
    let report = |path: &Path| -> Value {
        let ended = bandprobe(&["report", "--archive", path.to_str().unwrap(), "--format", "json"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        serde_json::from_str(&ended.stdout).unwrap()
    };
    let expected = report(&world.archive());
    assert_eq!(expected["left_out"], serde_json::json!({}));
    let file = world.write("all.lp", &export);
    assert_eq!(report(&file), expected);
    // Written as editors and Windows do, and read from a pipe.
    let spaced: String = export.lines().map(|line| format!(" {line} \t\r\n")).collect();
    assert_eq!(report(&world.write("spaced.lp", &format!("\u{feff}{spaced}"))), expected);
    let piped = ["report", "--archive", "/dev/stdin", "--format", "json"];
    let (code, stdout, stderr) = with_input(&mut command(&piped), export.as_bytes());
    assert_eq!((code, serde_json::from_str::<Value>(&stdout).ok()), (Some(0), Some(expected.clone())), "{stderr}");
    // A directory of plain files, in any order.
    let (first, second) = export.split_at(export.match_indices('\n').nth(7).unwrap().0 + 1);
    fs::create_dir(world.path("files")).unwrap();
    world.write("files/b.txt", first);
    world.write("files/a.txt", second);
    assert_eq!(report(&world.path("files")), expected);
    fs::create_dir(world.path("empty")).unwrap();
    let ended = bandprobe(&["report", "--archive", world.path("empty").to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("neither a data directory nor"), "{}", ended.stderr);
}

#[test]
fn a_broken_file_does_not_affect_the_others() {
    let (world, export) = exported();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(export.as_bytes()).unwrap();
    let whole = gzip.finish().unwrap();
    fs::create_dir(world.path("files")).unwrap();
    let file = world.write("files/all.lp", &export);
    fs::write(world.path("files/0.gz"), &whole[..12]).unwrap();
    let report = |path: &Path| bandprobe(&["report", "--archive", path.to_str().unwrap(), "--format", "json"]);
    let (all, alone) = (report(&world.path("files")), report(&world.path("files/0.gz")));
    assert_eq!((all.code, all.stdout), (Some(0), report(&file).stdout));
    assert!(all.stderr.contains("cannot read the rest of "), "{}", all.stderr);
    assert_eq!((alone.code, alone.stdout.as_str()), (Some(1), ""), "nothing is left to report on");
    // Everything before the damage is imported.
    fs::write(world.path("half.gz"), &whole[..whole.len() * 2 / 3]).unwrap();
    let into = world.path("half");
    let half = world.path("half.gz");
    let ended = bandprobe(&["spool", "import", "--archive", into.to_str().unwrap(), half.to_str().unwrap()]);
    assert!(ended.code == Some(1) && ended.stderr.contains("cannot read the rest of "), "{ended:?}");
    assert!(!lines(&into).is_empty(), "{}", ended.stdout);
}

#[test]
fn lines_that_are_not_understood_are_counted_by_reason() {
    let (world, export) = exported();
    let good = export.lines().find(|line| line.starts_with("bandprobe_transfer")).unwrap();
    let mut bytes = Vec::new();
    for line in [
        &format!("\u{feff} {good} \r"),
        "",
        "  ",
        "# a comment",
        "gibberish",
        "more gibberish",
        good.rsplit_once(' ').unwrap().0,
        &good.replace("ok=1i", "ok=1"),
        &good.replace("ok=1i", "ok=1i,colour=\"red\""),
        &good.replace(",node=a", ""),
        "cpu,host=x usage=1 1",
        &"x".repeat(1_100_000),
    ] {
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(b"m,a=\xff v=1i 1\n");
    let file = world.path("mixed.lp");
    fs::write(&file, &bytes).unwrap();
    let dir = world.path("imported");
    let ended = bandprobe(&["spool", "import", "--archive", dir.to_str().unwrap(), file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.starts_with("1 point imported"), "{}", ended.stdout);
    for reason in [
        "9 lines refused",
        "2 not line protocol",
        "1 no time at its end",
        "1 where `ok` is not of type integer",
        "1 with a field that is not in the schema",
        "1 without the tag `node`",
        "1 of a measurement that is not bandprobe's",
        "1 longer than 1 MiB",
        "1 not UTF-8",
    ] {
        assert!(ended.stderr.contains(reason), "{reason}: {}", ended.stderr);
    }
    assert_eq!(lines(&dir), [good]);

    let ended = bandprobe(&["report", "--archive", file.to_str().unwrap(), "--format", "json"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let left_out = &report["left_out"];
    assert_eq!((&left_out["not line protocol"], &left_out["no time at its end"]), (&2.into(), &1.into()), "{left_out}");
    assert_eq!((&left_out["not UTF-8"], &left_out["`node` is missing"]), (&1.into(), &1.into()), "{left_out}");
    assert_eq!(left_out["of a measurement that is not bandprobe's"], 1, "{left_out}");
    let ended = bandprobe(&["report", "--archive", file.to_str().unwrap()]);
    assert!(ended.stdout.contains(" lines or rows left out: ") && ended.stdout.contains("2 not line protocol"));
}

#[test]
fn points_beyond_max_size_are_not_imported() {
    let (world, export) = exported();
    let config = world.config("small.toml", None, "");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("dir = \"archive\"", "dir = \"small\"\nmax-size = \"10 MB\"")).unwrap();
    let good = export.lines().find(|line| line.starts_with("bandprobe_transfer")).unwrap();
    let (body, at) = good.rsplit_once(' ').unwrap();
    let at: i64 = at.parse().unwrap();
    let many: String = (0..30_000).map(|n| format!("{body} {}\n", at + n)).collect();
    assert!(many.len() > 10_000_000);
    let (code, stdout, stderr) =
        with_input(&mut command(&["spool", "import", "-c", config.to_str().unwrap(), "-"]), many.as_bytes());
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("archive.max-size") && stdout.contains(" points imported"), "{stdout}{stderr}");
    let waiting = status(&world.path("small")).unwrap().spool;
    assert!(waiting.bytes <= 10_000_000 && waiting.points > 0, "{waiting:?}");
}

#[test]
fn a_missing_file_is_named() {
    let (world, _) = exported();
    let ended = bandprobe(&["spool", "import", "--archive", world.archive().to_str().unwrap(), "no-such-file.lp"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("cannot read no-such-file.lp"), "{}", ended.stderr);
}

#[test]
fn since_takes_weeks_and_years() {
    let (world, _) = exported();
    let archive = world.archive();
    let report = |since: &str| bandprobe(&["report", "--archive", archive.to_str().unwrap(), "--since", since]);
    for since in ["90m", "1d 12h", "2w", "1y"] {
        let ended = report(since);
        assert!(ended.code == Some(0) && ended.stdout.contains("\n a "), "{since}: {ended:?}");
    }
    for (since, why) in [
        ("soon", "`soon` is not a duration such as `100s`, `90m`, `12h`, `7d`, `2w` or `1y`"),
        ("200y", "`200y` is not a duration of at most 100 years"),
        ("99999999999999999999d", "is not a duration of at most 100 years"),
        ("60y", "`60y` goes too far back: at most 50 years, as there is nothing from before 1970"),
    ] {
        let refused = report(since);
        assert_eq!(refused.code, Some(2), "{since}");
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
        let refused = bandprobe(&["spool", "export", "--archive", archive.to_str().unwrap(), "--since", since]);
        assert!(refused.code == Some(2) && refused.stderr.contains(why), "{}", refused.stderr);
    }
}
