//! `bandprobe demo`: the main job on embedded nodes, without config or network.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use jiff::Timestamp;

use crate::{
    demo::{Fleet, NodePlan},
    report::table,
    worker::{pipeline::Pipeline, rounds},
};

use super::{
    Exit, args::Demo, complain, print, progress::Progress, report::from_archive, screen, signals::Signals, tell,
};

use self::config::Habits;

mod config;
mod serve;

pub(super) async fn demo(args: &Demo) -> anyhow::Result<Exit> {
    if args.serve {
        return serve::serve(args).await;
    }
    let duration = args.duration.unwrap_or(DURATION);
    let mut signals = Signals::listen()?;
    let fleet = Fleet::start(NodePlan::standard()).await?;
    let dir = match &args.archive {
        Some(dir) => dir.clone(),
        None => new_dir()?,
    };
    let habits = Habits { archive: dir.to_str().context("--archive DIR has to be UTF-8")?, ..HURRY };
    let config = config::read(&config::text(&fleet, &habits))?;
    tell(&introduction(&fleet, duration))?;

    let started = Timestamp::now();
    let progress = Progress::over_time(&config.nodes);
    let pipeline = Pipeline::start(&config, progress.on_recorded())?;
    let stop = async {
        tokio::select! {
            () = progress.tick(duration) => {}
            () = signals.next() => {}
        }
    };
    rounds::run(&pipeline, &config, stop).await;
    let stopped = pipeline.stop(Duration::ZERO, std::future::pending()).await;
    progress.end();
    fleet.shutdown().await;

    print(&table::render(&from_archive(&dir, started)?, screen::look()))?;
    let (shown, us) = (dir.display(), invoked_as());
    print(&format!(
        "{} points are in {shown}; look again with\n  {us} report --archive {shown}\n  \
         {us} spool status --archive {shown}\ntry the other commands on these nodes with\n  {us} demo --serve\n",
        stopped.waiting
    ))?;
    if stopped.lost > 0 {
        complain(&format!("{} points could not be written to {shown}", stopped.lost));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

fn introduction(fleet: &Fleet, duration: Duration) -> String {
    let nodes = fleet.nodes();
    let mut text = format!("{} nodes on loopback, probed for {} s:\n", nodes.len(), duration.as_secs());
    for (node, description) in nodes.iter().zip(fleet.descriptions()) {
        text += &format!("  {:<14}{description}\n", node.id);
    }
    text.push('\n');
    text
}

/// How whoever reads this calls us: `cargo run` leaves nobody with a `bandprobe` on their path.
fn invoked_as() -> String {
    let name = std::env::args().next();
    name.filter(|name| name.contains(std::path::MAIN_SEPARATOR)).unwrap_or_else(|| "bandprobe".to_owned())
}

/// A directory that no other demo uses: `bandprobe-demo-20261122-104500`, with a number when that is taken.
fn new_dir() -> anyhow::Result<PathBuf> {
    let name = format!("bandprobe-demo-{}", Timestamp::now().strftime("%Y%m%d-%H%M%S"));
    for attempt in 0..100 {
        let dir = PathBuf::from(if attempt == 0 { name.clone() } else { format!("{name}-{attempt}") });
        match std::fs::create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot make {} here; name a place with `--archive DIR`", dir.display()));
            }
        }
    }
    anyhow::bail!("{name} and its like are all taken; name a place with `--archive DIR`")
}

/// How long a demo takes that was not told.
const DURATION: Duration = Duration::from_secs(15);

/// Fixed spacing gives every node its turn in some seconds.
const HURRY: Habits<'_> = Habits { image_every: "1500ms", video_every: "7s", spacing: "fixed", archive: "" };
