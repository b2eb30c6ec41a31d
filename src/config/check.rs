//! Converts what the user wrote into checked types. Applies every rule and every default, and reports all problems at
//! once.

use std::{
    collections::BTreeMap,
    io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Config,
    file::{self, Document, Environment, Section},
    problem::{Problem, Problems, SourceLocation},
};
use crate::model::probe::Deadlines;

pub use self::probe::{shipped, shipped_status};

mod compatibility;
mod database;
mod probe;
mod schedule;
mod settings;
mod source;
mod status;
mod word;

/// Default mean time between two runs of a probe.
const EVERY: Duration = Duration::from_secs(300);
/// Default width of the draw with fixed spacing, or a third of `every` if that is less.
const JITTER: Duration = Duration::from_secs(100);
/// The values of `spacing`, and whether each is memoryless.
const SPACINGS: [(&str, bool); 2] = [("memoryless", true), ("fixed", false)];

/// The input of a configuration. The check itself reads no file and no environment variable.
pub struct Input<'a> {
    /// Path of the configuration file. Paths in the file are relative to its directory.
    pub path: &'a Path,
    /// The environment. Variables that do not start with `BANDPROBE_` are ignored.
    pub environment: &'a BTreeMap<String, String>,
    /// Reads a file: the configuration itself, or a file that it names.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

/// Allowed ranges of durations.
struct Bounds;

impl Bounds {
    /// A node is asked at most once per second.
    const EVERY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 86_400);
    const JITTER: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(30 * 86_400);
    const WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
    const KEEP: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(3_660 * 86_400);
    const SYNC: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3_600);
    /// The histograms of times end at 120 s.
    const DEADLINE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(120);
}

/// Reads and checks a configuration.
///
/// # Errors
/// All problems of the configuration and of the files that it names.
pub fn load(input: &Input<'_>) -> Result<Config, Problems> {
    inspect(input).0
}

/// The configuration, and every key that was asked for.
fn inspect(input: &Input<'_>) -> (Result<Config, Problems>, Vec<String>) {
    let name = display_name(input.path);
    let refuse = |problems| (Err(Problems(problems)), Vec::new());
    let bytes = match (input.read)(input.path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let place = SourceLocation { origin: name, line: None, key: String::new() };
            let hint = Some("check the path given with `-c`".to_owned());
            return refuse(vec![Problem { place, message: format!("cannot read it: {error}"), hint }]);
        }
    };
    let advice = format!(
        "is this the right file? The limit has room for {} nodes, the most that one worker probes; split more among several workers",
        file::MAX_NODES
    );
    let text = match file::utf8(&name, &bytes, file::MAX_CONFIG_BYTES, &advice) {
        Ok(text) => text,
        Err(problem) => return refuse(vec![problem]),
    };
    let document = match Document::parse(&name, text, Environment::new(input.environment)) {
        Ok(document) => document,
        Err(problems) => return refuse(problems),
    };
    let config = config(&document, input);
    let (problems, accepted) = document.finish();
    let config = config.filter(|_| problems.is_empty()).ok_or(Problems(problems));
    (config, accepted)
}

/// Reads everything before it gives up, so that no problem hides another.
fn config(document: &Document<'_>, input: &Input<'_>) -> Option<Config> {
    let root = document.root();
    let vantage = settings::vantage(root.section("vantage"));
    let limits = settings::limits(root.section("limits"));
    let network = settings::network(root.section("network"), input);
    let sources = source::sources(&root);
    let deadlines = deadlines(&root, Deadlines::default());
    let (probes, status) = schedule::probes(document, root.section("schedule"), input, deadlines, &sources);
    let influxdb = database::influxdb(&root, input);
    let window = settings::window(root.section("record"));
    let archive = settings::archive(root.section("archive"), input);
    let trace_url = settings::report(root.section("report"));
    compatibility::check(document, &probes, &sources, network.http);
    compatibility::check_status(document, status.as_ref(), &sources);
    root.done();
    let registries = sources.registries;
    let nodes = sources.nodes.into_iter().map(|located| located.node).collect();
    Some(Config {
        vantage: vantage?,
        probes,
        status,
        limits,
        network,
        nodes,
        registries,
        influxdb,
        window,
        archive,
        trace_url,
    })
}

/// The `deadline` table of a configuration or a probe, on top of the inherited values.
fn deadlines(parent: &Section<'_>, inherited: Deadlines) -> Deadlines {
    let section = parent.section("deadline");
    let read = |key, inherited| section.duration(key, Bounds::DEADLINE).unwrap_or(inherited);
    let deadlines = Deadlines {
        dns: read("dns", inherited.dns),
        connect: read("connect", inherited.connect),
        tls: read("tls", inherited.tls),
        headers: read("headers", inherited.headers),
        body: read("body", inherited.body),
        stall: read("stall", inherited.stall),
    };
    section.done();
    deadlines
}

/// A path in the configuration, relative to the directory of its file.
fn resolve(config: &Path, path: &str) -> PathBuf {
    config.parent().unwrap_or_else(|| Path::new("")).join(path)
}

fn display_name(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Secrets do not belong in the file, so the sample cannot show this key.
    const BY_ENVIRONMENT_ALONE: &str = "influxdb.token";

    #[test]
    fn the_shipped_sample_shows_every_key() {
        let sample = include_bytes!("../../deploy/bandprobe.toml");
        let read = |path: &Path| {
            let is_sample = path == Path::new("bandprobe.toml");
            Ok(if is_sample { sample.to_vec() } else { b"-----BEGIN CERTIFICATE-----".to_vec() })
        };
        let environment = BTreeMap::from([("BANDPROBE_INFLUXDB_TOKEN".to_owned(), "t".to_owned())]);
        let input = Input { path: Path::new("bandprobe.toml"), environment: &environment, read: &read };
        let (config, accepted) = inspect(&input);
        config.unwrap();
        let mut shown = Vec::new();
        let table = std::str::from_utf8(sample).unwrap().parse().unwrap();
        keys(&toml::Value::Table(table), "", &mut shown);
        let hidden: Vec<_> =
            accepted.iter().filter(|key| !shown.contains(key) && *key != BY_ENVIRONMENT_ALONE).collect();
        assert!(accepted.len() > 50 && hidden.is_empty(), "not in the sample: {hidden:?}");
    }

    fn keys(value: &toml::Value, path: &str, into: &mut Vec<String>) {
        match value {
            toml::Value::Table(table) => table.iter().for_each(|(key, value)| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                keys(value, &path, into);
                into.push(path);
            }),
            toml::Value::Array(items) => items.iter().for_each(|item| keys(item, path, into)),
            _ => {}
        }
    }
}
