//! `bandprobe demo`: the main job on embedded nodes, without config or network.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use jiff::Timestamp;

use crate::{
    config::{Archive, Config, FamilyChoice, HttpChoice, Limits, Network, Resolver, check::shipped},
    demo::{Fleet, NodePlan},
    model::{
        probe::{Deadlines, Probe},
        target::{Coordinates, Vantage},
        units::Bytes,
    },
    report::table,
    worker::{pipeline::Pipeline, rounds},
};

use super::{
    Exit, args::Demo, complain, print, progress::Progress, report::from_archive, screen, signals::Signals, tell,
};

pub(super) async fn demo(args: &Demo) -> anyhow::Result<Exit> {
    let mut signals = Signals::listen()?;
    let fleet = Fleet::start(NodePlan::standard()).await?;
    let dir = match &args.archive {
        Some(dir) => dir.clone(),
        None => new_dir()?,
    };
    let config = config(&fleet, dir.clone())?;
    tell(&introduction(&fleet, args.duration))?;

    let started = Timestamp::now();
    let progress = Progress::over_time(&config.nodes);
    let pipeline = Pipeline::start(&config, progress.on_recorded())?;
    let stop = async {
        tokio::select! {
            () = progress.tick(args.duration) => {}
            () = signals.next() => {}
        }
    };
    rounds::run(&pipeline, &config, stop).await;
    let stopped = pipeline.stop(Duration::ZERO, std::future::pending()).await;
    progress.end();
    fleet.shutdown().await;

    print(&table::render(&from_archive(&dir, started)?, screen::look()))?;
    let shown = dir.display();
    print(&format!(
        "{} points are in {shown}; look again with\n  bandprobe report --archive {shown}\n  bandprobe spool status --archive {shown}\n",
        stopped.waiting
    ))?;
    if stopped.lost > 0 {
        complain(&format!("{} points could not be written to {shown}", stopped.lost));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// A config as a user would write it for these nodes, only with less patience.
fn config(fleet: &Fleet, dir: PathBuf) -> anyhow::Result<Config> {
    let vantage = Vantage {
        id: "demo".into(),
        worker: "demo".into(),
        uplink: None,
        country: Some("DE".to_owned()),
        location: Some(Coordinates::new(50.11, 8.68)?),
    };
    Ok(Config {
        vantage,
        probes: vec![hurried("image", IMAGE_EVERY), hurried("video", VIDEO_EVERY)],
        limits: Limits {
            vantages: 1,
            bytes_per_day: Bytes(u64::MAX),
            bytes_per_node_per_day: Bytes(u64::MAX),
            heavy_transfers: 1,
            light_transfers: 8,
            transfers_per_node: 1,
        },
        network: Network {
            allow_private: true,
            resolver: Resolver::System,
            http: HttpChoice::Auto,
            family: FamilyChoice::Any,
            extra_ca: Some(fleet.ca_pem().into()),
            contact: None,
        },
        nodes: fleet.nodes(),
        influxdb: None,
        window: Duration::from_secs(3_600),
        archive: Archive {
            dir,
            max_size: Bytes(2_000_000_000),
            keep: Duration::from_secs(30 * 86_400),
            sync: Duration::from_secs(10),
        },
    })
}

/// A shipped probe that asks more often and gives up sooner, so that some seconds show something.
fn hurried(name: &str, every: Duration) -> Probe {
    let probe = shipped(name).expect("invariant: the probe is shipped");
    let deadlines = Deadlines { stall: Duration::from_secs(2), ..probe.deadlines };
    Probe { every, deadlines, ..probe }
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

const IMAGE_EVERY: Duration = Duration::from_millis(1_500);
const VIDEO_EVERY: Duration = Duration::from_secs(4);
