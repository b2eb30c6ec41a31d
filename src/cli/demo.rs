//! `bandprobe demo`: probes embedded nodes, without a config or a network.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use jiff::Timestamp;

use crate::{
    model::units::Micros,
    telemetry,
    term::figure::{count, trimmed},
    worker::{discovery::Discovery, pipeline::Pipeline, runs, start_error::StartError},
};

use super::{
    Exit, args::Demo, eprint, print, print_wrapped, progress::Progress, registries, report::from_archive,
    signals::Signals, terminal,
};

use self::{config::DemoSettings, servers::DemoServers};

mod config;
#[cfg(feature = "fleet")]
mod fleet;
mod serve;
mod servers;

pub(super) async fn demo(args: &Demo) -> anyhow::Result<Exit> {
    #[cfg(not(feature = "fleet"))]
    if args.fleet {
        eprint(&needs_fleet(std::env::args().skip(1)));
        return Ok(Exit::Usage);
    }
    if args.serve {
        return serve::serve(args).await;
    }
    let duration = args.duration.unwrap_or(DURATION);
    let mut signals = Signals::listen()?;
    let servers = DemoServers::start(args, None).await?;
    let dir = match &args.archive {
        Some(dir) => dir.clone(),
        None => new_dir()?,
    };
    let refused = |error: StartError| match error {
        StartError::Archive(source) => anyhow::Error::new(source)
            .context("the results cannot be written; choose another directory with `--archive DIR`"),
        other => other.into(),
    };
    let settings =
        DemoSettings { archive: dir.to_str().context("--archive DIR must be valid UTF-8")?, ..FAST_SETTINGS };
    let config = config::read(&servers.config(&settings))?;

    let started = Timestamp::now();
    let mut discovery = Discovery::load(&config)?;
    registries::ask(&mut discovery).await;
    let progress = Progress::over_time(&config.with_nodes(&discovery.targets()).nodes);
    let pipeline =
        Pipeline::start(&config, discovery, progress.on_recorded(), Box::new(|| Ok(None))).map_err(refused)?;
    pipeline.tally().watch_log(telemetry::dropped);
    progress.aside(|| print_wrapped(&introduction(&servers, duration)))?;
    let stop = async {
        tokio::select! {
            () = progress.tick(duration) => {}
            () = signals.next() => {}
        }
    };
    runs::run(&pipeline, &config, stop).await;
    let stopped = pipeline.stop(Duration::ZERO, std::future::pending()).await;
    progress.end();
    servers.shutdown().await;

    print(&from_archive(&dir, started)?.render(terminal::look(), None))?;
    print(&next_steps(&dir, stopped.waiting, args.fleet))?;
    if stopped.lost > 0 {
        eprint(&format!("{} could not be written to {}", count(stopped.lost, "point"), dir.display()));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// Why this build cannot run these arguments, and the command that can.
#[cfg(any(test, not(feature = "fleet")))]
fn needs_fleet(args: impl Iterator<Item = String>) -> String {
    let args: Vec<_> = args.map(|arg| quoted(&arg)).collect();
    format!(
        "this build does not contain the simulated fleet. From a clone of the repository, run\n  \
         cargo run --features fleet -- {}",
        args.join(" ")
    )
}

/// Where the results are, and what to do next.
fn next_steps(dir: &Path, waiting: u64, of_fleet: bool) -> String {
    let us = program_name();
    let mut text =
        format!("{} {} in {}", count(waiting, "point"), if waiting == 1 { "is" } else { "are" }, dir.display());
    if waiting > 0 {
        let quoted = quoted(&dir.to_string_lossy());
        text += &format!(
            "; to see them again, run\n  {us} report --archive {quoted}\n  {us} spool status --archive {quoted}"
        );
    }
    let fleet = if of_fleet { " --fleet" } else { "" };
    text + &format!("\nto try the other commands on these nodes, run\n  {us} demo{fleet} --serve\n")
}

fn introduction(servers: &DemoServers, duration: Duration) -> String {
    format!("{}, probed for {}:\n{}\n", servers.summary(), format_time(duration), servers.lines(false))
}

/// A duration for people: `15 s`, `1.5 s`, `300 ms`.
fn format_time(duration: Duration) -> String {
    trimmed(&Micros::from(duration).to_string())
}

/// The command that started this process. After `cargo run`, `bandprobe` is not in the user's path.
fn program_name() -> String {
    let name = std::env::args().next();
    let name = name.filter(|name| name.contains(std::path::MAIN_SEPARATOR));
    name.map_or_else(|| "bandprobe".to_owned(), |name| quoted(&name))
}

/// A word quoted for a shell (POSIX, shell command language, §2.2.2).
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Creates a directory that no other demo uses: `bandprobe-demo-20261122-104500`, with a number if that name is taken.
fn new_dir() -> anyhow::Result<PathBuf> {
    let name = format!("bandprobe-demo-{}", Timestamp::now().strftime("%Y%m%d-%H%M%S"));
    for attempt in 0..100 {
        let dir = PathBuf::from(if attempt == 0 { name.clone() } else { format!("{name}-{attempt}") });
        match DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("cannot create {} here; choose a directory with `--archive DIR`", dir.display())
                });
            }
        }
    }
    anyhow::bail!("{name} and similar names are taken; choose a directory with `--archive DIR`")
}

/// The default duration of a demo: enough for three video starts from the fast nodes.
const DURATION: Duration = Duration::from_secs(25);

/// Short intervals with fixed spacing, so that every node is probed within seconds.
const FAST_SETTINGS: DemoSettings<'_> = DemoSettings {
    image_every: "1500ms",
    video_every: "5s",
    status_every: "5s",
    cold_every: "10s",
    spacing: "fixed",
    archive: "",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_to_copy_are_quoted_for_a_shell() {
        for (word, expected) in
            [("data/x-1.toml", "data/x-1.toml"), ("with space", "'with space'"), ("it's", r"'it'\''s'"), ("", "''")]
        {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn a_build_without_the_fleet_prints_the_command_that_has_it() {
        let args = ["demo", "--fleet", "--serve", "-o", "my fleet.toml"].map(str::to_owned);
        let last = "  cargo run --features fleet -- demo --fleet --serve -o 'my fleet.toml'";
        assert_eq!(needs_fleet(args.into_iter()).lines().last(), Some(last));
    }

    #[test]
    fn next_steps_need_results() {
        assert!(next_steps(Path::new("a b"), 2, false).starts_with("2 points are in a b; to see them again, run\n  "));
        assert!(next_steps(Path::new("a b"), 1, false).contains("report --archive 'a b'\n"));
        assert!(next_steps(Path::new("x"), 0, false).starts_with("0 points are in x\nto try"));
        assert!(next_steps(Path::new("x"), 0, true).ends_with(" demo --fleet --serve\n"));
        assert_eq!(
            (format_time(Duration::from_millis(1)), format_time(Duration::from_secs(90))),
            ("1 ms".into(), "90 s".into())
        );
    }
}
