//! README.md and the pages in docs/src are correct: their examples load, their commands and links exist, and no key,
//! field, flag, outcome or exit code is missing.

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

use page::{blocks, book, pages, root};
pub(crate) use page::{page, queries};

mod page;

const SAMPLE: &str = include_str!("../../deploy/bandprobe.toml");

/// On the line before a block.
const WHOLE_CONFIG: &str = "<!-- a whole config -->";
const WHOLE_PROBE: &str = "<!-- a whole probe -->";
/// `tests/it/deploy/probe_files.rs` loads such a block.
const PART_OF_A_CONFIG: &str = "<!-- part of a config -->";

#[test]
fn the_commands_to_start_with_are_blocks_of_their_own() {
    let readme = page("README.md");
    for command in ["cargo run -- demo", "cargo test"] {
        let first = readme.blocks().into_iter().find(|block| block.text.contains(command));
        assert_eq!(first.map(|block| block.text).as_deref(), Some(&*format!("{command}\n")));
    }
}

#[test]
fn the_readme_is_short() {
    let lines = page("README.md").text.lines().count();
    assert!(lines <= 200, "{lines} lines: move details to a page in docs/src");
}

#[test]
fn whole_configs_load() {
    let configs: Vec<_> = blocks().into_iter().filter(|block| block.before == WHOLE_CONFIG).collect();
    assert!(configs.len() > 2);
    for block in configs {
        read(&block.text, "").unwrap_or_else(|problems| panic!("{problems}\n{}", block.text));
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
    let unmarked: Vec<_> =
        toml.filter(|block| ![WHOLE_CONFIG, WHOLE_PROBE, PART_OF_A_CONFIG].contains(&&*block.before)).collect();
    assert!(unmarked.is_empty(), "mark it as a whole config or a whole probe: {}", unmarked[0].text);
}

/// The sample shows every key that is accepted, as a test next to the loader checks.
#[test]
fn every_key_is_in_the_reference() {
    let reference = page("docs/src/configuration.md").text;
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
    let missing: Vec<_> = keys.iter().filter(|key| !has_word(&reference, key)).collect();
    assert!(keys.len() > 50 && missing.is_empty(), "{missing:?}");
}

#[test]
fn every_measurement_tag_and_field_is_in_the_schema_section() {
    let schema_page = page("docs/src/schema.md");
    for measurement in schema::ALL {
        let section = schema_page.section(&format!("## `{}`", measurement.name));
        let fields = measurement.fields.iter().map(|field| field.name);
        let keys: Vec<_> = measurement.tags.iter().map(|tag| tag.0).chain(fields).collect();
        let missing: Vec<_> = keys.iter().filter(|key| !section.contains(&format!("`{key}`"))).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", measurement.name);
    }
    let section = schema_page.section("## `bandprobe_window`");
    assert!(Metric::ALL.iter().all(|metric| section.contains(&format!("`{}`", metric.label()))));
}

#[test]
fn every_outcome_and_flag_is_explained() {
    let methodology = page("docs/src/methodology.md");
    let outcomes = methodology.section("## Outcomes");
    let missing: Vec<_> =
        Outcome::ALL.iter().filter(|outcome| !outcomes.contains(&format!("`{}`", outcome.label()))).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for flag in Flag::ALL {
        let mark = if flag.invalidates() { "yes " } else { "" };
        let row = format!("| `{}` | {mark}| ", flag.label());
        assert!(methodology.section("## Flags").contains(&row), "no row {row}");
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
    let commands_page = page("docs/src/commands.md").text;
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
        let row = commands_page.lines().find(|line| line.starts_with(&format!("| `bandprobe {command}")));
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
}

/// In code, that is: after "`bandprobe " and at the start of a line of a block.
#[test]
fn every_command_that_is_shown_exists() {
    let (_, all) = bandprobe(&["--help"]);
    let is_known = |word: &str| word.starts_with('-') || all.contains(&format!("\n  {word} "));
    for page in pages() {
        let inline = page.text.split("`bandprobe ").skip(1);
        let blocks = page.blocks();
        let lines = blocks.iter().flat_map(|block| block.text.lines());
        let in_blocks = lines.filter_map(|line| line.trim_start_matches("$ ").strip_prefix("bandprobe "));
        for words in inline.chain(in_blocks) {
            let word = words.split([' ', '`', '\n']).next().unwrap_or_default();
            assert!(is_known(word), "no command `{word}` ({})", page.path.display());
        }
    }
}

#[test]
fn every_exit_code_is_listed() {
    let commands = page("docs/src/commands.md").text;
    let listed: Vec<i32> = commands.lines().filter_map(|row| row.split('|').nth(1)?.trim().parse().ok()).collect();
    let ends = [
        &["--version"][..],
        &["report", "--archive", "/no/such/directory"],
        &["no-such-command"],
        &["probe", "http://127.0.0.1:1/"],
        &["check", "-c", "/no/such/file"],
    ];
    assert_eq!(ends.map(|words| bandprobe(words).0).as_slice(), listed);
}

/// Headings within pages are checked by `.ci/book`.
#[test]
fn linked_files_exist() {
    for page in pages() {
        let directory = root().join(&page.path).parent().expect("it lies in a directory").to_owned();
        let links = page.text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let missing: Vec<_> = links
            .filter(|link| !link.is_empty() && !link.contains("://") && !link.starts_with("mailto:"))
            .filter(|link| !directory.join(link).exists())
            .collect();
        assert!(missing.is_empty(), "{}: {missing:?}", page.path.display());
    }
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let contents = page("docs/src/SUMMARY.md").text;
    let listed: BTreeSet<_> = contents.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    let names: Vec<_> = book().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    let pages: BTreeSet<_> = names.iter().map(String::as_str).filter(|name| *name != "SUMMARY.md").collect();
    assert_eq!(listed, pages);
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
