//! The binary as a process: its input, its output and how it ends.
//!
//! [`World`] is a directory with demo nodes and configurations for them. [`Child`] is a process that a test watches.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use bandprobe::{
    archive::reader,
    config::InfluxDb,
    demo::{Behaviour, DemoNodes, NodePlan},
    model::target::Node,
    record::schema,
};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

mod config;
mod demo;
mod fleet;
mod frozen;
mod manual;
mod memory;
mod orphans;
mod probe;
mod probe_ended;
pub(crate) mod request;
mod serve;
mod served_fleet;
pub(crate) mod spool;
mod stderr;
mod storage_faults;
mod targets;
mod too_slow;

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory and the nodes that its configurations name.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) demo: DemoNodes,
    _runtime: Runtime,
}

/// What a process said, and its exit code.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A process under way. Killed when dropped.
pub(crate) struct Child {
    process: process::Child,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
    said: String,
}

/// One transfer, wherever it was read: the values of its tags in the order of the schema, and its time in ns.
pub(crate) type Key = (Vec<String>, i64);

/// A node that does all it should, in the clear, as fast as it can.
pub(crate) fn sound(id: &'static str) -> NodePlan {
    NodePlan { id, behaviour: Behaviour::Sound, tls: false, link: None, ..NodePlan::standard().remove(0) }
}

impl World {
    pub(crate) fn new(plans: Vec<NodePlan>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let demo = runtime.block_on(DemoNodes::start(plans)).unwrap();
        let world = Self { dir: TempDir::new().unwrap(), demo, _runtime: runtime };
        world.write("ca.pem", world.demo.ca_pem());
        world.write("image.toml", IMAGE);
        world.write("video.toml", VIDEO);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// The archive of every configuration here.
    pub(crate) fn archive(&self) -> PathBuf {
        self.path("archive")
    }

    /// Writes a configuration over all nodes, with the database if there is one, and `more` sections.
    pub(crate) fn config(&self, name: &str, database: Option<&InfluxDb>, more: &str) -> PathBuf {
        let mut text = "[vantage]\nid = \"here\"\nlatitude = 50.1\nlongitude = 8.6\n\n\
             [schedule]\nprobes = [\"./image.toml\", \"./video.toml\"]\n\n\
             [network]\nca-file = \"ca.pem\"\n\n[archive]\ndir = \"archive\"\n\n[[source]]\nkind = \"static\"\n"
            .to_owned();
        self.demo.nodes().iter().for_each(|node| text += &node_section(node));
        if let Some(InfluxDb { url, org, bucket, token, .. }) = database {
            let file = format!("{name}.token");
            self.write(&file, token.reveal());
            let _ = write!(
                text,
                "\n[influxdb]\nurl = \"{url}\"\norg = \"{org}\"\nbucket = \"{bucket}\"\ntoken-file = \"{file}\"\n"
            );
        }
        self.write(name, &format!("{text}\n{more}"))
    }

    /// Every transfer in the archive, on whatever stretch of its road, sorted.
    pub(crate) fn archived(&self) -> Vec<Key> {
        archived(&self.archive())
    }
}

/// Every transfer in a data directory, sorted; none where there is no such directory. Damage fails the test.
pub(crate) fn archived(dir: &Path) -> Vec<Key> {
    let transfers =
        points(dir).into_iter().filter(|(measurement, ..)| measurement == schema::transfer::MEASUREMENT.name);
    let mut keys: Vec<Key> =
        transfers.map(|(_, tags, _, time)| (ordered(|tag| tags.get(tag).cloned()), time)).collect();
    keys.sort_unstable();
    keys
}

/// A line of the archive: measurement, tags, fields as they are written, time in ns.
pub(crate) type Line = (String, BTreeMap<String, String>, BTreeMap<String, String>, i64);

/// Every point in a data directory. No value that these tests write holds a space, comma or equals sign in a tag.
pub(crate) fn points(dir: &Path) -> Vec<Line> {
    let pairs = |text: &str| -> BTreeMap<String, String> {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let point = |line: String| {
        let (head, rest) = line.split_once(' ').unwrap();
        let (fields, time) = rest.rsplit_once(' ').unwrap();
        let (measurement, tags) = head.split_once(',').unwrap();
        (measurement.to_owned(), pairs(tags), pairs(fields), time.parse().unwrap())
    };
    if !dir.is_dir() {
        return Vec::new();
    }
    reader::lines(dir, None).unwrap().map(|line| point(line.unwrap())).collect()
}

/// The transfers that a process printed as NDJSON, sorted. The last line may be torn by a kill.
pub(crate) fn printed(stdout: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = objects(stdout).iter().map(key).collect();
    keys.sort_unstable();
    keys
}

/// The objects of NDJSON, with `time` in ns as a database has it.
pub(crate) fn objects(stdout: &str) -> Vec<Map<String, Value>> {
    let whole = stdout.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let object = |line: &str| {
        let Value::Object(mut object) = serde_json::from_str(line).unwrap() else { panic!("no object: {line}") };
        let time: jiff::Timestamp = object["time"].as_str().unwrap().parse().unwrap();
        object.insert("time".to_owned(), i64::try_from(time.as_nanosecond()).unwrap().into());
        object
    };
    whole.map(object).collect()
}

/// What distinguishes a transfer from all others.
pub(crate) fn key(object: &Map<String, Value>) -> Key {
    let tags = ordered(|tag| Some(object.get(tag)?.as_str()?.to_owned()));
    (tags, object["time"].as_i64().unwrap())
}

fn ordered(tag: impl Fn(&str) -> Option<String>) -> Vec<String> {
    schema::transfer::MEASUREMENT.tags.iter().map(|known| tag(known.0).unwrap_or_default()).collect()
}

fn node_section(node: &Node) -> String {
    let assets: Vec<String> = node
        .assets
        .iter()
        .map(|asset| format!("{{ kind = \"{}\", id = \"{}\" }}", asset.kind.label(), asset.id))
        .collect();
    format!(
        "\n[[source.nodes]]\nid = \"{}\"\nendpoint = \"{}\"\nprofile = \"argus\"\nregion = \"{}\"\n\
         latitude = 39.04\nlongitude = -77.49\nassets = [{}]\n",
        node.id,
        node.endpoint,
        node.listing.region.as_deref().unwrap_or("none"),
        assets.join(", ")
    )
}

/// The binary, without what the environment would tell it.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bandprobe"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BANDPROBE_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the binary to its end.
pub(crate) fn bandprobe(args: &[&str]) -> Ended {
    Child::spawn(&mut command(args)).end()
}

impl Child {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut process = command.spawn().unwrap();
        orphans::watch(process.id());
        let (stdout, stderr) = (listen(process.stdout.take().unwrap()), listen(process.stderr.take().unwrap()));
        Self { process, stdout, stderr, said: String::new() }
    }

    /// The next line on stdout, newline included; nothing at its end.
    pub(crate) fn line(&mut self) -> Option<String> {
        let line = next(&self.stdout)?;
        self.said.push_str(&line);
        Some(line)
    }

    /// Waits for a line on stderr that holds `text`, and returns it.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let mut seen = String::new();
        while let Some(line) = next(&self.stderr) {
            if line.contains(text) {
                return line;
            }
            seen += &line;
        }
        panic!("never said `{text}`, but:\n{seen}");
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal by its name in kill(1).
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Does it handle SIGINT and SIGTERM by now (proc(5), `SigCgt`)? A shell that is to become it handles SIGINT alone.
    pub(crate) fn catches_signals(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        caught
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .is_some_and(|mask| mask & INT_AND_TERM == INT_AND_TERM)
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        while self.line().is_some() {}
        let stderr = std::iter::from_fn(|| next(&self.stderr)).collect();
        orphans::forget(self.process.id());
        let code = self.process.wait().unwrap().code();
        Ended { code, stdout: std::mem::take(&mut self.said), stderr }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        orphans::forget(self.process.id());
        let _ = self.process.wait();
    }
}

/// Waits until something holds that no process can tell us of.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let tries = PATIENCE.as_millis() / 20;
    for _ in 0..tries {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("never: {what}");
}

fn listen(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (lines, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
            if lines.send(text).is_err() {
                return;
            }
        }
    });
    receiver
}

fn next(lines: &mpsc::Receiver<String>) -> Option<String> {
    match lines.recv_timeout(PATIENCE) {
        Ok(line) => Some(line),
        Err(mpsc::RecvTimeoutError::Disconnected) => None,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("neither a line nor an end for {PATIENCE:?}"),
    }
}

/// The bits of signals 2 and 15 in a mask of proc(5).
const INT_AND_TERM: u64 = 1 << 1 | 1 << 14;

const IMAGE: &str = r#"# How soon does a thumbnail come?
kind = "image"
every = "1s"
parts = [{ name = "full" }, { name = "full" }]
"#;

/// Small, and yet with a rate.
const VIDEO: &str = r#"# How fast does a video start?
kind = "video"
every = "2s"
parts = [
    { name = "start", bytes = "1 MiB" },
    { name = "tail", bytes = "64 KiB" },
    { name = "seek", at = 0.5, bytes = "64 KiB" },
]
deadline = { stall = "1s" }
"#;
