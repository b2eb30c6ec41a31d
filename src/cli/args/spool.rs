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
    /// Show what is waiting for delivery, since when and why, and the last error of the database
    #[command(after_help = "Examples:\n  bandprobe spool status -c bandprobe.toml\n  \
        bandprobe spool status --archive bandprobe-data --json | jq .waiting.points")]
    Status(Inspect),
    /// List the waiting files, the lines that InfluxDB refused, and damaged files
    #[command(after_help = "Examples:\n  bandprobe spool list -c bandprobe.toml\n  \
        bandprobe spool list --archive bandprobe-data --json | jq 'select(.kind == \"rejected\") | .message'")]
    List(Inspect),
    /// Deliver the waiting results now
    #[command(after_help = "Examples:\n  bandprobe spool flush -c bandprobe.toml\n  \
        bandprobe spool flush -c bandprobe.toml --patience 10m\n\
        A signal stops it at once. What it has not delivered stays in the data directory.")]
    Flush(Flush),
    /// Export all points, delivered or not, as line protocol, or one measurement as CSV
    #[command(
        after_help = "Examples:\n  bandprobe spool export --archive bandprobe-data --since 1d > yesterday.lp\n  \
        bandprobe spool export -c bandprobe.toml --format csv -o transfers.csv\n  \
        bandprobe spool export -c bandprobe.toml --format csv --measurement window\n  \
        bandprobe spool export -c bandprobe.toml --format csv --measurement node -o states.csv"
    )]
    Export(Export),
    /// Read points from line protocol, such as exported ones, into the data directory for delivery
    #[command(after_help = "Examples:\n  bandprobe spool import -c bandprobe.toml yesterday.lp\n  \
        bandprobe spool export --archive old-data | bandprobe spool import --archive bandprobe-data\n\
        Points keep their tags and times, so the database holds each point once, however often you import it. Lines that \
        are not points of this version's schema are left out and counted by reason, and the exit code is 1.")]
    Import(Import),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Inspect {
    #[command(flatten)]
    pub(in crate::cli) data_dir: DataDir,
    /// Print JSON, one object per line
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Flush {
    /// The configuration file, which names the data directory and the database
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) config: PathBuf,
    /// How long to keep trying while the database is unavailable [default: three attempts]
    #[arg(long, default_value = "0s", hide_default_value = true, value_name = "TIME", value_parser = parse_duration)]
    pub(in crate::cli) patience: Duration,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    pub(in crate::cli) data_dir: DataDir,
    /// The output format
    #[arg(long, default_value = "line-protocol")]
    pub(in crate::cli) format: ExportFormat,
    /// Only this measurement: transfer, window, node or worker [default with csv: transfer]
    #[arg(long, value_name = "NAME", value_parser = parse_measurement)]
    pub(in crate::cli) measurement: Option<&'static Measurement>,
    /// Only points newer than this, such as 90m, 7d, 2w or 1y
    #[arg(long, value_name = "TIME", value_parser = super::parse_since)]
    pub(in crate::cli) since: Option<Duration>,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Import {
    #[command(flatten)]
    pub(in crate::cli) data_dir: DataDir,
    /// Files of line protocol, plain or compressed with gzip; `-` or nothing reads standard input
    #[arg(value_name = "FILE")]
    pub(in crate::cli) files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ExportFormat {
    LineProtocol,
    Csv,
}

/// The data directory, by its path or by the config that names it.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("source").required(true).args(["config", "archive"]))]
pub(in crate::cli) struct DataDir {
    /// The configuration file, which names the data directory
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) archive: Option<PathBuf>,
}

/// Accepts the whole name, or the name without the common prefix.
fn parse_measurement(text: &str) -> Result<&'static Measurement, String> {
    let is_it = |known: &&&Measurement| known.name == text || short(known) == text;
    schema::ALL.iter().find(is_it).copied().ok_or_else(|| {
        let names: Vec<_> = schema::ALL.iter().map(|known| short(known)).collect();
        format!("choose one of {}", names.join(", "))
    })
}

fn short(measurement: &Measurement) -> &'static str {
    measurement.name.strip_prefix(PREFIX).unwrap_or(measurement.name)
}

const PREFIX: &str = "bandprobe_";
