//! Enforces the architecture: reads every source file, and names the file, line, rule and remedy for each violation.
//!
//! A rule is a pure function over the sources, so a test also shows that each rule rejects an offending snippet.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests themselves")]

use std::fs;

use source::{Source, files, has_word, imported, root, sources};

mod cycles;
mod source;

/// The top-level modules by layer, lowest first. A top-level module imports only from layers below its own.
const LAYERS: [(&str, &[&str]); 6] = [
    ("model", &["model"]),
    ("logic", &["schedule", "measure", "record", "config", "plan", "term"]),
    ("base", &["net", "archive"]),
    ("edges", &["discover", "probe", "deliver", "report", "demo"]),
    ("worker", &["worker"]),
    ("shell", &["main", "cli", "telemetry"]),
];

/// Imports between modules within one layer that are allowed: (from, to, why).
const EXCEPTIONS: [(&str, &str, &str); 6] = [
    ("main", "cli", "main is the table of contents of the shell"),
    ("main", "telemetry", "main is the table of contents of the shell"),
    ("cli", "telemetry", "the command line chooses the log level"),
    ("plan", "config", "a plan is what a config costs"),
    ("plan", "schedule", "a plan counts bytes as the budgets do"),
    ("plan", "term", "a plan is printed on a terminal"),
];

/// Words that only some modules or files may contain: (words, where, what to do instead).
const RESERVED: [(&[&str], &[&str], &str); 10] = [
    (
        &["TcpStream::connect", "TcpSocket", "UdpSocket", "TcpStream::from_std"],
        &["net"],
        "outgoing sockets are made in `net` alone: ask it for a connection",
    ),
    (&["socket2", "Socket::new"], &["net", "demo"], "socket options are set in `net`, or by `demo` for its own"),
    (
        &["TcpListener", "UnixListener", ".listen("],
        &["demo"],
        "only the demo listens: a test server belongs in `demo` or in tests/",
    ),
    (
        &["influxdb2", "reqwest"],
        &["deliver/influx"],
        "the influxdb2 crate and its HTTP client stay behind `deliver::influx`: extend that",
    ),
    (
        &["comfy_table", "textwrap", "unicode_width"],
        &["term"],
        "tables, line breaks and the width of text belong to `term`: extend it, so that all output lines up",
    ),
    (&["unsafe"], &["net/meter/socket", "net/tcp_info"], "unsafe code lives in these two files, with its reason"),
    (
        &["tokio::spawn", ".spawn(", ".spawn_on(", "spawn_local", "spawn_blocking", "thread::spawn", "thread::Builder"],
        &["worker", "demo", "telemetry/queue"],
        "only `worker` and `demo` own tasks and threads, and the log has one: return a future and let them run it",
    ),
    (
        &["std::fs", "fs::", "File::", "OpenOptions"],
        &[
            "archive",
            "cli",
            "worker/tally",
            "net/meter/thread",
            "worker/descriptors",
            "net/resolve/hosts",
            "net/resolve/uplink",
        ],
        "only `archive` touches the data directory, only `cli` reads files that users name, `worker/tally`, \
         `worker/descriptors` and `net/meter/thread` read in /proc what this process takes, and `net/resolve` reads the \
         system's hosts and name servers: take bytes as an argument",
    ),
    (
        &["process::exit", "process::abort"],
        &["main", "cli/signals"],
        "only `main` ends the process, and a second signal that nothing else can obey: return an error",
    ),
    (
        &["bandprobe_transfer", "bandprobe_window", "bandprobe_node", "bandprobe_worker", "bandprobe_playback"],
        &["record/schema"],
        "measurement names have one home: use the constant of `record::schema`",
    ),
];

/// What needs a clock, dice, a file, a socket or a runtime.
const IMPURE: [&str; 20] = [
    "async",
    ".await",
    "tokio",
    "std::fs",
    "fs::",
    "File::",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "rand::rng",
    "rand::random",
    "SysRng",
    "from_os_rng",
    "std::env",
    "std::process",
];

const BANNED_NAMES: [&str; 8] = ["mod", "utils", "util", "helpers", "manager", "common", "types", "misc"];
const SCHEMA: &str = "record/schema";
const MAX_CODE_LINES: usize = 300;

#[test]
fn imports_point_down() {
    hold(imports);
}

#[test]
fn model_and_logic_are_pure() {
    hold(purity);
}

#[test]
fn reserved_words_stay_in_their_modules() {
    hold(reserved);
}

#[test]
fn field_names_are_spelled_in_the_schema_alone() {
    let sources = sources("src");
    let schema = sources.iter().find(|source| source.module() == SCHEMA).unwrap();
    let names = field_names(schema);
    assert!(names.len() > 10, "the fields of {SCHEMA} were not found: {names:?}");
    let broken: Vec<_> = sources.iter().flat_map(|source| respelled(source, &names)).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn files_are_small() {
    hold(size);
    let tests: Vec<_> = sources("tests").iter().flat_map(size).collect();
    assert!(tests.is_empty(), "\n{}\n", tests.join("\n"));
}

#[test]
fn file_names_say_what_is_inside() {
    hold(name);
}

#[test]
fn probes_begin_with_their_question() {
    let folder = root().join("probes");
    let mut broken = Vec::new();
    for path in files(&folder, "toml") {
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        broken.extend(question(&Source { path: shown, text: fs::read_to_string(&path).unwrap() }));
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn every_top_module_has_a_layer() {
    let unknown: Vec<_> =
        sources("src").into_iter().map(|source| source.top_module()).filter(|top| layer(top).is_none()).collect();
    let unknown: Vec<_> = unknown.iter().filter(|top| *top != "lib").collect();
    assert!(unknown.is_empty(), "modules without a layer: {unknown:?}; give each one in LAYERS and in src/lib.rs");
}

/// Each rule, on text that breaks it and on text that does not.
#[test]
fn every_rule_can_fail() {
    type Rule = fn(&Source) -> Vec<String>;
    let spelling: Rule = |source| respelled(source, &["goodput_bps"]);
    let long = "let a = 1;\n".repeat(301);
    let tested = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "a();\n".repeat(300), "b();\n".repeat(99));
    let cases: &[(Rule, &str, &str, usize)] = &[
        (imports, "src/model/units.rs", "use crate::config::Config;", 1),
        (imports, "src/measure/ramp.rs", "use crate::{model::units, record::{line, schema}};", 1),
        (imports, "src/measure/ramp.rs", "use crate::{\n    model::units,\n    net::http,\n    probe,\n};", 2),
        (imports, "src/measure.rs", "use super::schedule::queue;", 1),
        (imports, "src/measure/ramp.rs", "use super::super::net::http;", 1),
        (imports, "src/measure/ramp.rs", "use super::timeline::Timeline;\nuse super::super::measure::gaps;", 0),
        (imports, "src/net/tls.rs", "fn f() { crate::archive::log::append() }", 1),
        (imports, "src/probe/run.rs", "use bandprobe::report::table;", 1),
        (imports, "src/demo/node.rs", "use crate::{model::units, net, record};", 0),
        (imports, "src/main.rs", "use bandprobe::cli;", 0),
        (imports, "src/measure/ramp.rs", "/// See [`crate::net`].\n#[cfg(test)]\nmod tests { use crate::net; }", 0),
        (purity, "src/model/units.rs", "use std::time::SystemTime;", 1),
        (purity, "src/schedule.rs", "async fn f() {}", 1),
        (purity, "src/record/line.rs", "use std::{fs, io};", 1),
        (purity, "src/record/line.rs", "let now = Timestamp::now();", 1),
        (purity, "src/schedule/spacing.rs", "let mut rng = rand::rng();", 1),
        (purity, "src/schedule/spacing.rs", "let asynchronous = 1; // async", 0),
        (purity, "src/net/tls.rs", "async fn f() {}", 0),
        (reserved, "src/probe/run.rs", "TcpStream::connect(a).await", 1),
        (reserved, "src/probe/run.rs", "let l = TcpListener::bind(a);", 1),
        (reserved, "src/demo/node.rs", "let l = TcpListener::bind(a);", 0),
        (reserved, "src/report/query.rs", "use influxdb2::Client;", 1),
        (reserved, "src/deliver/drain.rs", "use reqwest::Url;", 1),
        (reserved, "src/deliver/influx.rs", "use influxdb2::Client;", 0),
        (reserved, "src/cli/probe.rs", "use unicode_width::UnicodeWidthStr;", 1),
        (reserved, "src/term/width.rs", "use unicode_width::UnicodeWidthStr;", 0),
        (reserved, "src/archive/log.rs", "unsafe { f() }", 1),
        (reserved, "src/archive/log.rs", "#![deny(unsafe_code)]", 0),
        (reserved, "src/net/connect.rs", "handle.spawn(f);", 1),
        (reserved, "src/cli.rs", "std::process::exit(1)", 1),
        (reserved, "src/deliver/drain.rs", "let text = fs::read_to_string(path);", 1),
        (reserved, "src/net/tls.rs", "let file = File::open(path);", 1),
        (reserved, "src/worker/recorder.rs", "let lines = LineFile::open(path);", 0),
        (reserved, "src/worker/tally.rs", "fs::read_to_string(stat)", 0),
        (reserved, "src/archive/log.rs", "File::open(path)", 0),
        (reserved, "src/record/scan.rs", "if name == \"bandprobe_transfer\" {}", 1),
        (reserved, "src/record/schema.rs", "transfer \"bandprobe_transfer\"", 0),
        (spelling, "src/record/scan.rs", "row.get(\"goodput_bps\")", 1),
        (spelling, "src/record/scan.rs", "row.get(\"p50_bps\")", 0),
        (spelling, "src/record/schema.rs", "GOODPUT \"goodput_bps\" Integer", 0),
        (size, "src/cli.rs", &long, 1),
        (size, "src/cli.rs", &tested, 0),
        (size, "src/net/meter/tests.rs", &long, 0),
        (reserved, "src/probe.rs", "#[cfg(test)]\nfn f() { unsafe { g() } }", 1),
        (reserved, "src/probe.rs", "#[cfg(all(test, unix))]\nmod tests { fn f() { unsafe { g() } } }", 0),
        (name, "src/net/mod.rs", "", 1),
        (name, "src/net/helpers.rs", "", 1),
        (name, "src/net/tls.rs", "", 0),
        (question, "probes/image.toml", "kind = \"image\"\n", 1),
        (question, "probes/image.toml", "# How fast?\nkind = \"image\"\n", 0),
    ];
    for (rule, path, text, broken) in cases {
        let found = rule(&Source { path: (*path).to_owned(), text: (*text).to_owned() });
        assert_eq!(found.len(), *broken, "{path}: {text}: {found:?}");
    }
}

#[test]
fn field_names_are_those_that_end_in_a_unit() {
    let schema = Source { path: String::new(), text: "A \"a_us\" B \"b\" C \"c_bps\"".into() };
    assert_eq!(field_names(&schema), ["a_us", "c_bps"]);
}

fn imports(source: &Source) -> Vec<String> {
    let top = source.top_module();
    let Some(own) = layer(&top) else { return Vec::new() };
    let mut broken = Vec::new();
    for (line, other) in imported(source) {
        let Some(theirs) = layer(&other) else { continue };
        let excepted = EXCEPTIONS.iter().any(|(from, to, _)| (*from, *to) == (top.as_str(), other.as_str()));
        if other == top || theirs < own || excepted {
            continue;
        }
        let (ours, higher) = (LAYERS[own].0, LAYERS[theirs].0);
        broken.push(format!(
            "{}:{line}: `{top}` ({ours}) imports `{other}` ({higher}): imports point down only; move what both need into \
             a layer below, or hand it in as an argument",
            source.path
        ));
    }
    broken
}

fn purity(source: &Source) -> Vec<String> {
    if layer(&source.top_module()).is_none_or(|layer| layer > 1) {
        return Vec::new();
    }
    let grouped = |line: &str| line.contains("std::{") && has_word(line, "fs");
    let impure =
        |line: &str| IMPURE.iter().find(|word| has_word(line, word)).copied().or(grouped(line).then_some("fs"));
    source
        .code()
        .filter_map(|(number, line)| {
            let word = impure(line)?;
            Some(format!(
                "{}:{number}: `{word}` in a pure module: take now, dice or bytes as an argument, or move it to `base` or above",
                source.path
            ))
        })
        .collect()
}

fn reserved(source: &Source) -> Vec<String> {
    let module = source.module();
    let mut broken = Vec::new();
    for (words, owners, remedy) in RESERVED {
        let owned = owners.iter().any(|owner| module == *owner || module.starts_with(&format!("{owner}/")));
        if owned {
            continue;
        }
        for (number, line) in source.code() {
            if let Some(word) = words.iter().find(|word| has_word(line, word)) {
                broken.push(format!("{}:{number}: `{word}` is reserved to {owners:?}: {remedy}", source.path));
            }
        }
    }
    broken
}

/// The names in the schema that cannot be mistaken for another word: those that end in a unit.
fn field_names(schema: &Source) -> Vec<&str> {
    let quoted = schema.code().flat_map(|(_, line)| line.split('"').skip(1).step_by(2));
    quoted.filter(|name| name.ends_with("_us") || name.ends_with("_bps")).collect()
}

fn respelled(source: &Source, names: &[&str]) -> Vec<String> {
    if source.module() == SCHEMA {
        return Vec::new();
    }
    let spelled = source.code().filter_map(|(number, line)| {
        let name = names.iter().find(|name| line.contains(&format!("\"{name}\"")))?;
        Some(format!("{}:{number}: \"{name}\" has its one home in {SCHEMA}: use the constant from there", source.path))
    });
    spelled.collect()
}

fn size(source: &Source) -> Vec<String> {
    let lines = source.code().count();
    let message = || format!("{}:1: {lines} code lines, {MAX_CODE_LINES} at most: split it by ideas", source.path);
    (lines > MAX_CODE_LINES).then(message).into_iter().collect()
}

fn name(source: &Source) -> Vec<String> {
    let stem = source.module().rsplit('/').next().unwrap();
    let message = || format!("{}:1: a file named `{stem}`: say what is inside (`foo.rs` next to `foo/`)", source.path);
    BANNED_NAMES.contains(&stem).then(message).into_iter().collect()
}

fn question(source: &Source) -> Vec<String> {
    let asked = source.text.lines().next().is_some_and(|line| line.starts_with("# ") && line.len() > 2);
    let message = || format!("{}:1: a probe begins with a comment line: the question that it answers", source.path);
    (!asked).then(message).into_iter().collect()
}

fn layer(top: &str) -> Option<usize> {
    LAYERS.iter().position(|(_, tops)| tops.contains(&top))
}

fn hold(rule: fn(&Source) -> Vec<String>) {
    let sources = sources("src");
    assert!(sources.len() > 10, "the sources were not found");
    let broken: Vec<_> = sources.iter().flat_map(rule).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}
