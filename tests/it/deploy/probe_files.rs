//! The documentation of probe files: its example loads, its reference has every key, and the table in
//! `probes/README.md` agrees with the shipped files.

use std::{collections::BTreeSet, fs, io, path::Path};

use bandprobe::{
    config::check::{Input, load, shipped, shipped_status},
    model::probe::{Deadlines, Probe},
};

use crate::docs;

const README: &str = include_str!("../../../probes/README.md");

#[test]
fn the_examples_load_and_say_something() {
    let (example, schedule) = (block(0), block(1));
    let probes = read(&schedule, &example);
    assert_eq!(probes.iter().map(|probe| &*probe.name).collect::<Vec<_>>(), ["image", "video", "4k"]);
    assert!(probes[1].every != shipped("video").unwrap().every);
    let mine = &probes[2];
    let bytes: u64 = mine.parts.iter().filter_map(|part| part.extent.bytes()).map(|bytes| bytes.0).sum();
    let cost = format!("Costs {} MiB a run, {} runs a day.", bytes >> 20, 86_400 / mine.every.as_secs());
    assert!(example.contains(&cost), "{cost}");
    // What it shows is not what would hold anyway.
    let plain = "kind = 'video'\nparts = [{ name = 'start', bytes = '24 MiB' }, { name = 'tail', bytes = '1 MiB' }]";
    let plain = &read("schedule.probes = ['./4k.toml']", plain)[0];
    assert!(mine.every != plain.every && mine.spacing != plain.spacing && mine.pick != plain.pick);
    assert!(mine.deadlines != Deadlines::default() && plain.deadlines == Deadlines::default());
}

/// Question and cost stand in the first line of a file.
#[test]
fn every_shipped_probe_has_its_row() {
    for file in fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()) {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if file.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let is_status = || shipped_status().is_some_and(|probe| *probe.name == name);
        assert!(shipped(&name).is_some() || is_status(), "{name} is not in the binary");
        let text = fs::read_to_string(&file).unwrap();
        let (question, cost) = text.lines().next().unwrap().split_once("? Costs ").unwrap();
        let (question, cost) = (question.trim_start_matches("# "), cost.trim_end_matches('.'));
        let row = format!("| [{name}]({name}.toml) | {question}? | {cost} |");
        assert!(README.contains(&row), "no row:\n{row}");
    }
}

/// The keys of the shipped files and of the example, at any depth, and those of the deadlines.
#[test]
fn every_key_is_in_the_reference() {
    let page = docs::page("docs/src/configuration.md");
    let reference = page.section("## Probe files");
    let mut keys = BTreeSet::from(["dns", "connect", "tls", "headers", "body", "stall"].map(str::to_owned));
    for text in [
        &block(0),
        include_str!("../../../probes/image.toml"),
        include_str!("../../../probes/video.toml"),
        include_str!("../../../probes/status.toml"),
    ] {
        collect(&toml::Value::Table(text.parse().unwrap()), &mut keys);
    }
    let codes: BTreeSet<_> = reference.split('`').skip(1).step_by(2).collect();
    let names = |key: &String| codes.iter().any(|code| code.split('.').any(|part| part == key));
    let missing: Vec<_> = keys.iter().filter(|key| !names(key)).collect();
    assert!(keys.len() > 15 && missing.is_empty(), "{missing:?}");
}

/// The probes of a schedule, with `./4k.toml` next to its config.
fn read(schedule: &str, mine: &str) -> Vec<Probe> {
    let config = format!("vantage.id = 'here'\n{schedule}\n{SOURCE}");
    let read = |path: &Path| match path.file_name().and_then(|name| name.to_str()) {
        Some("bandprobe.toml") => Ok(config.as_bytes().to_vec()),
        Some("4k.toml") => Ok(mine.as_bytes().to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let input = Input { path: Path::new("bandprobe.toml"), environment: &[].into(), read: &read };
    load(&input).unwrap_or_else(|problems| panic!("{problems}")).probes
}

/// A block of TOML of the section about probe files.
fn block(index: usize) -> String {
    let page = docs::page("docs/src/configuration.md");
    let after = page.section("## Probe files").split("```toml\n").nth(index + 1).unwrap();
    after.split("```").next().unwrap().to_owned()
}

fn collect(value: &toml::Value, keys: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => table.iter().for_each(|(key, value)| {
            keys.insert(key.clone());
            collect(value, keys);
        }),
        toml::Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
        _ => {}
    }
}

fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/probes"))
}

const SOURCE: &str = "[[source]]\nkind = 'static'\nnodes = [{ id = 'n', endpoint = 'http://n.example/', \
    assets = [{ kind = 'image', path = 'i' }, { kind = 'video', path = 'v', size = '1 GB' }] }]";
