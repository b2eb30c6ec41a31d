//! README.md says what is: its snippets load, its commands exist, and nothing that the outside sees is missing in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    process::Command,
};

use bandprobe::{
    config::{
        Config,
        check::{Input, load},
    },
    model::{flag::Flag, outcome::Outcome},
    record::{histogram::Metric, schema},
};

const README: &str = include_str!("../../README.md");
const SAMPLE: &str = include_str!("../../deploy/bandprobe.toml");

/// Stands on the line before a block.
const WHOLE_CONFIG: &str = "<!-- a whole config -->";
const WHOLE_PROBE: &str = "<!-- a whole probe -->";

/// A fenced block, its indentation taken away.
struct Block {
    language: String,
    before: String,
    text: String,
}

#[test]
fn the_commands_to_start_with_are_blocks_of_their_own() {
    for command in ["cargo run --release -- demo", "cargo test"] {
        let first = blocks().into_iter().find(|block| block.text.contains(command));
        assert_eq!(first.map(|block| block.text).as_deref(), Some(&*format!("{command}\n")));
    }
}

#[test]
fn whole_configs_load() {
    let configs: Vec<_> = blocks().into_iter().filter(|block| block.before == WHOLE_CONFIG).collect();
    assert!(!configs.is_empty());
    for block in configs {
        let config = read(&block.text, "").unwrap_or_else(|problems| panic!("{problems}\n{}", block.text));
        assert_eq!(config.probes.len(), 2, "it shows images and videos");
    }
}

#[test]
fn whole_probes_load() {
    let probes: Vec<_> = blocks().into_iter().filter(|block| block.before == WHOLE_PROBE).collect();
    assert!(!probes.is_empty());
    let config = "vantage.id = 'here'\nschedule.probes = ['./mine.toml']\n[[source]]\nkind = 'static'\n\
        nodes = [{ id = 'n', endpoint = 'http://n.example/', assets = [{ kind = 'video', path = 'v', size = '1 GB' }] }]";
    for block in probes {
        let config = read(config, &block.text).unwrap_or_else(|problems| panic!("{problems}\n{}", block.text));
        assert_eq!(&*config.probes[0].name, "mine");
    }
}

#[test]
fn every_toml_block_is_marked() {
    let toml = blocks().into_iter().filter(|block| block.language == "toml");
    let unmarked: Vec<_> = toml.filter(|block| ![WHOLE_CONFIG, WHOLE_PROBE].contains(&&*block.before)).collect();
    assert!(unmarked.is_empty(), "say what it is: {}", unmarked[0].text);
}

/// The sample shows every key that is accepted, which a test beside the loader holds.
#[test]
fn every_key_is_in_the_reference() {
    let section = section("## Configuration");
    let mut keys = BTreeSet::new();
    for (name, value) in SAMPLE.parse::<toml::Table>().unwrap() {
        match value {
            // These stand once, and are listed with their paths.
            toml::Value::Table(table) => keys.extend(table.keys().map(|key| format!("{name}.{key}"))),
            other => names(&other, &mut keys),
        }
    }
    for probe in [
        include_str!("../../probes/image.toml"),
        include_str!("../../probes/video.toml"),
        include_str!("../../probes/status.toml"),
    ] {
        names(&toml::Value::Table(probe.parse().unwrap()), &mut keys);
    }
    let missing: Vec<_> = keys.iter().filter(|key| !has_word(section, key)).collect();
    assert!(keys.len() > 50 && missing.is_empty(), "{missing:?}");
}

#[test]
fn every_measurement_tag_and_field_is_in_the_schema_section() {
    for measurement in schema::ALL {
        let section = section(&format!("### `{}`", measurement.name));
        let fields = measurement.fields.iter().map(|field| field.name);
        let keys: Vec<_> = measurement.tags.iter().map(|tag| tag.0).chain(fields).collect();
        let missing: Vec<_> = keys.iter().filter(|key| !section.contains(&format!("`{key}`"))).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", measurement.name);
    }
    let section = section("### `bandprobe_window`");
    assert!(Metric::ALL.iter().all(|metric| section.contains(&format!("`{}`", metric.label()))));
}

#[test]
fn every_outcome_and_flag_is_explained() {
    let section_of_outcomes = section("### Outcomes");
    let missing: Vec<_> = Outcome::ALL
        .iter()
        .filter(|outcome| !section_of_outcomes.contains(&format!("`{}`", outcome.label())))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    for flag in Flag::ALL {
        let mark = if flag.invalidates() { "yes " } else { "" };
        let row = format!("| `{}` | {mark}| ", flag.label());
        assert!(section("### Flags").contains(&row), "no row {row}");
    }
}

/// Queries and the example of a result use names that exist.
#[test]
fn examples_use_names_of_the_schema() {
    let keys = |measurement: &schema::Measurement| -> Vec<&'static str> {
        measurement.tags.iter().map(|tag| tag.0).chain(measurement.fields.iter().map(|field| field.name)).collect()
    };
    let flags = Flag::ALL.iter().map(|flag| flag.label());
    let known: Vec<&str> = schema::ALL.iter().flat_map(|m| keys(m).into_iter().chain([m.name])).chain(flags).collect();
    let (mut queries, mut results) = (0, 0);
    for block in blocks() {
        match &*block.language {
            "sql" => {
                queries += 1;
                let words: Vec<_> = block
                    .text
                    .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .filter(|w| !w.is_empty())
                    .collect();
                let named = words.windows(2).filter(|pair| pair[0] != "AS").map(|pair| pair[1]);
                let unknown: Vec<_> = named.filter(|word| word.contains('_') && !known.contains(word)).collect();
                assert!(unknown.is_empty(), "{unknown:?} in {}", block.text);
            }
            "json" => {
                results += 1;
                let result: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&block.text).unwrap();
                let known = [keys(&schema::transfer::MEASUREMENT), vec!["measurement", "time"]].concat();
                let unknown: Vec<_> = result.keys().filter(|key| !known.contains(&key.as_str())).collect();
                assert!(unknown.is_empty(), "{unknown:?}");
            }
            _ => {}
        }
    }
    assert!(queries > 5 && results == 1, "{queries} queries, {results} results");
}

#[test]
fn every_command_and_option_exists_and_is_named() {
    let section = section("## Commands and exit codes");
    let (_, all) = bandprobe(&["--help"]);
    let listed = all.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<_> =
        listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    assert!(commands.len() > 5, "{all}");
    let each = commands.into_iter().flat_map(|command| match command {
        "spool" => vec!["spool status", "spool list", "spool flush", "spool export", "spool import"],
        command => vec![command],
    });
    for command in each {
        let row = section.lines().find(|line| line.starts_with(&format!("| `bandprobe {command}")));
        let row = row.unwrap_or_else(|| panic!("no row for {command}"));
        let words: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let (code, help) = bandprobe(&words);
        assert_eq!(code, 0);
        // These two are written in their short forms.
        let offered = options(&help);
        let shown: BTreeSet<_> =
            options(row).into_iter().chain(["--config", "--output", "--help", "--version"]).collect();
        let unnamed: Vec<_> = offered.difference(&shown).collect();
        let unknown: Vec<_> = options(row).into_iter().filter(|option| !offered.contains(option)).collect();
        assert!(unnamed.is_empty() && unknown.is_empty(), "{command}: {unnamed:?} not named, {unknown:?} not there");
    }
    for word in README.split("bandprobe ").skip(1).filter_map(|rest| rest.split([' ', '`', '\n']).next()) {
        let is_command = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let in_a_sentence = ["answers", "has", "itself", "worker"].contains(&word);
        assert!(!is_command || in_a_sentence || all.contains(&format!("\n  {word} ")), "no command {word}");
    }
}

#[test]
fn every_exit_code_is_listed() {
    let rows = section("## Commands and exit codes").lines();
    let listed: Vec<i32> = rows.filter_map(|row| row.split('|').nth(1)?.trim().parse().ok()).collect();
    let ends = [
        &["--version"][..],
        &["report", "--archive", "/no/such/directory"],
        &["no-such-command"],
        &["probe", "http://127.0.0.1:1/"],
        &["check", "-c", "/no/such/file"],
    ];
    assert_eq!(ends.map(|words| bandprobe(words).0).as_slice(), listed);
}

#[test]
fn linked_files_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let links: Vec<_> = README.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    let missing: Vec<_> = links.iter().filter(|link| !root.join(link).exists()).collect();
    assert!(links.len() > 3 && missing.is_empty(), "{missing:?}");
}

fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut open, mut before) = (None, "");
    for line in README.lines() {
        let bare = line.trim_start();
        match (bare.strip_prefix("```"), open) {
            (Some(language), None) => {
                open = Some(line.len() - bare.len());
                blocks.push(Block { language: language.into(), before: before.into(), text: String::new() });
            }
            (Some(_), Some(_)) => open = None,
            (None, Some(indent)) => {
                let block = blocks.last_mut().expect("one is open");
                block.text.push_str(line.get(indent..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => {}
        }
        before = bare;
    }
    blocks
}

/// From a heading to the next one of its level or above.
fn section(heading: &str) -> &'static str {
    let start = README.find(&format!("\n{heading}")).unwrap_or_else(|| panic!("no heading {heading}")) + 1;
    let rest = &README[start..];
    let level = heading.bytes().take_while(|byte| *byte == b'#').count();
    let ends = (2..=level).filter_map(|level| rest.find(&format!("\n{} ", "#".repeat(level))));
    &rest[..ends.min().unwrap_or(rest.len())]
}

fn read(config: &str, probe: &str) -> Result<Config, bandprobe::config::problem::Problems> {
    let read = |path: &Path| match path.file_name().and_then(|name| name.to_str()) {
        Some("bandprobe.toml") => Ok(config.as_bytes().to_vec()),
        Some("influxdb-token") => Ok(b"token\n".to_vec()),
        Some("mine.toml") => Ok(probe.as_bytes().to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    load(&Input { path: Path::new("bandprobe.toml"), environment: &BTreeMap::new(), read: &read })
}

/// The names of all keys that are no tables.
fn names(value: &toml::Value, into: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => table.iter().for_each(|(key, value)| {
            let is_of_tables = value.as_array().is_some_and(|items| items.iter().all(toml::Value::is_table));
            if !value.is_table() && !is_of_tables {
                into.insert(key.clone());
            }
            names(value, into);
        }),
        toml::Value::Array(items) => items.iter().for_each(|item| names(item, into)),
        _ => {}
    }
}

/// Is the key in backticks, alone or at the end of a path?
fn has_word(text: &str, key: &str) -> bool {
    let ends = |code: &str| code.strip_suffix(key).is_some_and(|path| path.is_empty() || path.ends_with('.'));
    text.split('`').skip(1).step_by(2).any(ends)
}

/// The long options in a text.
fn options(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| word.starts_with("--") && word.len() > 2).collect()
}

fn bandprobe(words: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bandprobe")).args(words).output().expect("the binary of this test");
    let code = output.status.code().expect("no signal");
    (code, String::from_utf8_lossy(&output.stdout).into_owned())
}
