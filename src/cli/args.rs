//! Every command and option, with an example each.

use std::{path::PathBuf, time::Duration};

use clap::{
    ArgGroup, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use url::Url;

use crate::{
    config::{Dialect, FamilyChoice, HttpChoice},
    model::{probe::Extent, target::AssetKind, units::parse_duration},
};

mod spool;

pub(super) use self::spool::{Export, Flush, Import, Lines, Spool, SpoolCommand, Which};

/// How fast are our nodes for viewers here? Downloads samples, measures by phase and over time, delivers to InfluxDB.
#[derive(Debug, Parser)]
#[command(name = "bandprobe", version, about, propagate_version = true)]
#[command(after_help = "Start with `bandprobe demo`: it needs no config and no network.\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 what was probed or checked is not good (probe, once and check \
    with --strict), 78 bad config.")]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Probe embedded sample nodes on loopback for some seconds and print the report
    #[command(after_help = "Examples:\n  bandprobe demo --duration 60s\n  \
        bandprobe demo --fleet --dialect hydra\n  \
        bandprobe demo --serve -o demo.toml   # then, elsewhere: bandprobe once -c demo.toml")]
    Demo(Demo),
    /// Run the worker: schedule, probe, record, deliver, until SIGTERM, SIGINT or SIGHUP
    #[command(after_help = "Example:\n  bandprobe run -c bandprobe.toml")]
    Run(WithConfig),
    /// Make one full round now, print its results, deliver them
    #[command(after_help = "Examples:\n  bandprobe once -c bandprobe.toml --json | jq .ttfb_us\n  \
        bandprobe once -c bandprobe.toml --node fra1 --probe image --strict")]
    Once(Once),
    /// Probe one URL and draw where the time went
    #[command(
        after_help = "Examples:\n  bandprobe probe https://node.example.net/video.mp4 --range 0-6291455 --warm 2\n  \
        bandprobe probe https://node.example.net/image.webp --repeat 20   # lines, and percentiles\n  \
        bandprobe probe http://127.0.0.1:8080/img.webp --expect image --json"
    )]
    Probe(Probe),
    /// List the nodes and assets that the sources of a config yield
    #[command(after_help = "Examples:\n  bandprobe targets -c bandprobe.toml\n  \
        bandprobe targets -c bandprobe.toml --json | jq -r .endpoint")]
    Targets(Targets),
    /// Show every problem of a config at once, or what it costs nodes and database
    #[command(after_help = "Examples:\n  bandprobe check -c bandprobe.toml\n  \
        bandprobe check -c bandprobe.toml --strict && systemctl restart bandprobe")]
    Check(Check),
    /// Print latency, goodput and success by vantage and node
    #[command(after_help = "Examples:\n  bandprobe report -c bandprobe.toml --since 7d\n  \
        bandprobe report --archive bandprobe-data --format json")]
    Report(Report),
    /// Show what waits for delivery and why, deliver it now, export and import results
    #[command(after_help = "Examples:\n  bandprobe spool status -c bandprobe.toml\n  \
        bandprobe spool flush -c bandprobe.toml\n  \
        bandprobe spool export --archive bandprobe-data --since 1d > yesterday.lp")]
    Spool(Spool),
    /// Print the completions for a shell
    #[command(after_help = "Examples:\n  source <(bandprobe completions bash)\n  \
        bandprobe completions fish > ~/.config/fish/completions/bandprobe.fish")]
    Completions(Completions),
    /// Print the manual page of bandprobe, or of one of its commands, in roff
    #[command(after_help = "Examples:\n  bandprobe man | man -l -\n  bandprobe man once > bandprobe-once.1")]
    Man(Man),
}

#[derive(Debug, clap::Args)]
pub(super) struct WithConfig {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Exit with 3 when the plan does not fit its limits, or when anything else needs fixing
    #[arg(long)]
    pub(super) strict: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Targets {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Print every node as one line of JSON, instead of the table
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// Which shell
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// The page of this command, as in `once` or `spool status`
    pub(super) command: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// How long: 15s by default, with --serve until a signal
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(super) duration: Option<Duration>,
    /// Where the results go; by default a new directory below the current one
    #[arg(long, value_name = "DIR", conflicts_with = "serve")]
    pub(super) archive: Option<PathBuf>,
    /// A whole fleet of Joystream's instead, found through its registry: storage nodes, distributors, and faults planted
    #[arg(long)]
    pub(super) fleet: bool,
    /// With --fleet: the registry's schema, hydra, orion or storage-squid; orion by default
    #[arg(long, value_name = "NAME", requires = "fleet", value_parser = dialects(), hide_possible_values = true)]
    pub(super) dialect: Option<Dialect>,
    /// Only keep the nodes up, and print a config for them: to try the other commands by hand
    #[arg(long)]
    pub(super) serve: bool,
    /// With --serve: the nodes listen on this port of 127.0.0.1 and on those after it; by default on free ones
    #[arg(long, value_name = "N", requires = "serve", value_parser = clap::value_parser!(u16).range(1..=MAX_FIRST_PORT))]
    pub(super) port: Option<u16>,
    /// With --serve: write the config to this file instead of stdout
    #[arg(short, long, value_name = "FILE", requires = "serve")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Once {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Only this node, by its id or an operator's; may be given several times
    #[arg(long, value_name = "ID")]
    pub(super) node: Vec<String>,
    /// Only this probe; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(super) probe: Vec<String>,
    /// Spread the runs at random over this time
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    pub(super) splay: Duration,
    /// Print every result as one line of JSON, instead of the table
    #[arg(long)]
    pub(super) json: bool,
    /// Exit with 3 when a transfer failed or was too slow, a node is dead or blocked, or not every run was made
    #[arg(long)]
    pub(super) strict: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Probe {
    /// http or https
    #[arg(value_parser = parse_url)]
    pub(super) url: Url,
    /// Only these bytes, both ends inclusive
    #[arg(long, value_name = "A-B", value_parser = parse_range)]
    pub(super) range: Option<Extent>,
    /// Which HTTP version
    #[arg(long, default_value = "auto")]
    pub(super) http: Http,
    /// Which addresses of the name: nothing falls back to the other family
    #[arg(long, default_value = "any")]
    pub(super) family: Family,
    /// Do it all so many times, each time over a new connection
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) repeat: u32,
    /// So many further transfers on the same connection
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1000))]
    pub(super) warm: u32,
    /// Trust these certificates too (PEM)
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Fail when the content is of another kind
    #[arg(long)]
    pub(super) expect: Option<Expect>,
    /// Give the body up after this time
    #[arg(long, default_value = "20s", value_name = "TIME", value_parser = parse_duration)]
    pub(super) deadline: Duration,
    /// Show what figures and flags rest on, each beside its limit
    #[arg(short, long, conflicts_with = "json")]
    pub(super) verbose: bool,
    /// Print one line of JSON a transfer
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Http {
    Auto,
    #[value(name = "1.1")]
    Http1,
    #[value(name = "2")]
    Http2,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Family {
    Any,
    #[value(name = "4")]
    V4,
    #[value(name = "6")]
    V6,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Expect {
    Image,
    Video,
}

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("source").required(true).multiple(true).args(["config", "archive"]))]
pub(super) struct Report {
    /// The configuration file: results come from the database that it names, else from its archive
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Read this data directory instead, or plain line protocol: a file of it, or a directory of such files
    #[arg(long, value_name = "PATH")]
    pub(super) archive: Option<PathBuf>,
    /// How far to look back, such as 90m, 7d, 2w or 1y
    #[arg(long, default_value = "15d", value_name = "TIME", value_parser = parse_since)]
    pub(super) since: Duration,
    /// How to print it
    #[arg(long, default_value = "table")]
    pub(super) format: Format,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

impl Command {
    /// The worker tells what it does; the others only what goes wrong.
    pub(super) const fn log_level(&self) -> &'static str {
        match self {
            Self::Run(_) => "info",
            _ => "warn",
        }
    }
}

impl From<Http> for HttpChoice {
    fn from(http: Http) -> Self {
        match http {
            Http::Auto => Self::Auto,
            Http::Http1 => Self::Http1,
            Http::Http2 => Self::Http2,
        }
    }
}

impl From<Family> for FamilyChoice {
    fn from(family: Family) -> Self {
        match family {
            Family::Any => Self::Any,
            Family::V4 => Self::V4,
            Family::V6 => Self::V6,
        }
    }
}

impl From<Expect> for AssetKind {
    fn from(expect: Expect) -> Self {
        match expect {
            Expect::Image => Self::Image,
            Expect::Video => Self::Video,
        }
    }
}

/// How far to look back; the limit keeps that after 1970.
fn parse_since(text: &str) -> Result<Duration, String> {
    let since = parse_duration(text).map_err(|error| error.to_string())?;
    if since > MOST_SINCE {
        return Err(format!("`{text}` goes too far back: at most 50 years, as there is nothing from before 1970"));
    }
    Ok(since)
}

fn parse_url(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text)
        .map_err(|error| format!("{error}: write it with its scheme, as in https://node.example.net/video.mp4"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("only http and https URLs with a host can be probed".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user or password in the URL is not supported".to_owned());
    }
    url.set_fragment(None);
    if url.as_str().len() > MAX_URL {
        return Err(format!("it is longer than {MAX_URL} characters"));
    }
    Ok(url)
}

fn parse_range(text: &str) -> Result<Extent, String> {
    let wrong = || "write it as FIRST-LAST, as in 0-1023".to_owned();
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    let (first, last) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    if first > last || last == u64::MAX {
        return Err("the first byte lies behind the last one".to_owned());
    }
    Ok(Extent::Exactly { first, last })
}

fn dialects() -> impl TypedValueParser<Value = Dialect> {
    PossibleValuesParser::new(Dialect::ALL.map(Dialect::label)).map(|label| {
        let named = Dialect::ALL.into_iter().find(|dialect| dialect.label() == label);
        named.expect("invariant: the parser takes their labels alone")
    })
}

/// There is room for many nodes' ports after it.
const MAX_FIRST_PORT: i64 = 65_000;
/// Longer URLs are refused by most servers anyway.
const MAX_URL: usize = 8_000;
const MOST_SINCE: Duration = Duration::from_secs(50 * 365 * 86_400);
