//! The arguments of `bandprobe spool`.

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Subcommand, ValueEnum};

use crate::{
    model::units::parse_duration,
    record::schema::{self, Measurement},
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Spool {
    #[command(subcommand)]
    pub(in crate::cli) command: SpoolCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SpoolCommand {
    /// What waits, since when, and why; who delivers it, and what was refused last
    #[command(after_help = "Examples:\n  bandprobe spool status -c bandprobe.toml\n  \
        bandprobe spool status --archive bandprobe-data --json | jq .waiting.points")]
    Status(Inspect),
    /// The files that wait, oldest first; the lines that InfluxDB refused, by what it said; damaged files
    #[command(after_help = "Examples:\n  bandprobe spool list -c bandprobe.toml\n  \
        bandprobe spool list --archive bandprobe-data --json | jq 'select(.kind == \"rejected\") | .message'")]
    List(Inspect),
    /// Deliver what waits, now, and say what became of it
    #[command(after_help = "Examples:\n  bandprobe spool flush -c bandprobe.toml\n  \
        bandprobe spool flush -c bandprobe.toml --patience 10m\n\
        A signal ends it at once; what was not delivered by then waits on.")]
    Flush(Flush),
    /// Print every point of the data directory, delivered or not, as plain line protocol; or one measurement as CSV
    #[command(
        after_help = "Examples:\n  bandprobe spool export --archive bandprobe-data --since 1d > yesterday.lp\n  \
        bandprobe spool export -c bandprobe.toml --format csv -o transfers.csv\n  \
        bandprobe spool export -c bandprobe.toml --format csv --measurement window"
    )]
    Export(Export),
    /// Take points out of plain line protocol, as export writes it, into the spool, to be delivered
    #[command(after_help = "Examples:\n  bandprobe spool import -c bandprobe.toml yesterday.lp\n  \
        bandprobe spool export --archive old-data | bandprobe spool import --archive bandprobe-data\n\
        Every point keeps its tags and time, so the database holds it once, however often it is imported. Lines that are not points of this \
        version's schema are left out, counted by reason, and make it exit with 1.")]
    Import(Import),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Inspect {
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    /// Print JSON, one object a line
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Flush {
    /// The configuration file that names the archive and the database
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) config: PathBuf,
    /// How long to go on trying while the database is away; by default it is tried three times
    #[arg(long, default_value = "0s", hide_default_value = true, value_name = "TIME", value_parser = parse_duration)]
    pub(in crate::cli) patience: Duration,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    /// How to print it
    #[arg(long, default_value = "line-protocol")]
    pub(in crate::cli) format: Lines,
    /// Only points of this measurement: transfer, window or worker; with csv that of the transfers by default
    #[arg(long, value_name = "NAME", value_parser = parse_measurement)]
    pub(in crate::cli) measurement: Option<&'static Measurement>,
    /// Only points from the last TIME, such as 90m, 7d, 2w or 1y
    #[arg(long, value_name = "TIME", value_parser = super::parse_since)]
    pub(in crate::cli) since: Option<Duration>,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Import {
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    /// Files of line protocol, compressed with gzip or not; standard input by default, or as `-`
    #[arg(value_name = "FILE")]
    pub(in crate::cli) files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Lines {
    LineProtocol,
    Csv,
}

/// Which data directory.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("source").required(true).args(["config", "archive"]))]
pub(in crate::cli) struct Which {
    /// The configuration file that names the archive
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) archive: Option<PathBuf>,
}

/// By its whole name, or without what all of them begin with.
fn parse_measurement(text: &str) -> Result<&'static Measurement, String> {
    let is_it = |known: &&&Measurement| known.name == text || short(known) == text;
    schema::ALL.iter().find(is_it).copied().ok_or_else(|| {
        let names: Vec<_> = schema::ALL.iter().map(|known| short(known)).collect();
        format!("there are {}", names.join(", "))
    })
}

fn short(measurement: &Measurement) -> &'static str {
    measurement.name.strip_prefix(PREFIX).unwrap_or(measurement.name)
}

const PREFIX: &str = "bandprobe_";
