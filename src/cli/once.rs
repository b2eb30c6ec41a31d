//! `bandprobe once`: one full round now.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    config::Config,
    model::{probe::Probe, sample::Sample, target::Node},
    record::{json, point::Point},
    report::{standard::Standard, table, transfer_point::TransferPoint},
    worker::{
        OnRecorded,
        pipeline::{Pipeline, Stopped},
        rounds::{self, Round},
    },
};

use super::{
    Exit, args::Once, complain, input, print, print_data, progress::Progress, refuse, run::farewell, screen,
    signals::Signals,
};

/// What a round has yielded so far.
#[derive(Default)]
struct Yield {
    standard: Standard,
    failed: u64,
    /// stdout is gone.
    broken: Option<anyhow::Error>,
}

pub(super) async fn once(args: &Once) -> anyhow::Result<Exit> {
    let config = match input::config(&args.config) {
        Ok(config) => config,
        Err(problems) => return Ok(refuse(&problems)),
    };
    if let Some(unknown) = unknown(args, &config) {
        complain(&unknown);
        return Ok(Exit::Usage);
    }
    let mut signals = Signals::listen()?;
    let results = Arc::new(Mutex::new(Yield::default()));
    let listed = |names: &[String], name: &str| names.is_empty() || names.iter().any(|listed| listed == name);
    let wanted = |node: &Node, probe: &Probe| listed(&args.node, &node.id) && listed(&args.probe, &probe.name);
    let probed = config.nodes.iter().filter(|node| config.probes.iter().any(|probe| wanted(node, probe)));
    let progress = Progress::over_runs(probed);
    let pipeline = Pipeline::start(
        &config,
        on_recorded(args.json, results.clone(), progress.clone()),
        input::reread(&args.config),
    )?;
    let tell = |node: &str, done: usize, all: usize| progress.runs(node, done, all);
    let mut interrupted = false;
    let interrupt = async {
        signals.next().await;
        interrupted = true;
    };
    let round = rounds::once(&pipeline, &config, args.splay, wanted, tell, interrupt).await;
    let hurry = async {
        match interrupted {
            true => signals.again().await,
            false => signals.next().await,
        }
    };
    if config.influxdb.is_some() {
        progress.delivering();
    }
    let stopped = pipeline.stop(PATIENCE, hurry).await;
    progress.end();

    let results = std::mem::take(&mut *results.lock().unwrap_or_else(PoisonError::into_inner));
    end(args, &config, results, round, &stopped, interrupted)
}

/// Tells what came of the round, and how that exits.
fn end(
    args: &Once,
    config: &Config,
    results: Yield,
    round: Round,
    stopped: &Stopped,
    interrupted: bool,
) -> anyhow::Result<Exit> {
    if let Some(error) = results.broken {
        return Err(error);
    }
    if !args.json {
        print(&table::render(&results.standard.summary(), screen::look()))?;
    }
    if round.skipped > 0 {
        let skipped = round.skipped;
        complain(&format!(
            "{skipped} runs skipped: the day's budgets ([limits]) are spent, or the node limits us"
        ));
    }
    complain(&farewell(config, stopped));
    if round == Round::default() {
        complain("nothing to probe: none of these nodes has an asset for these probes");
        return Ok(Exit::Usage);
    }
    let incomplete = results.failed > 0 || round.skipped > 0 || interrupted;
    Ok(match (stopped.lost, args.strict && incomplete) {
        (1.., _) => Exit::Failed,
        (0, true) => Exit::ProbeFailed,
        (0, false) => Exit::Done,
    })
}

/// Each result is told only when it is in the archive: what was printed is never lost.
fn on_recorded(json: bool, results: Arc<Mutex<Yield>>, progress: Progress) -> OnRecorded {
    Box::new(move |sample: &Sample, point: &Point| {
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        results.failed += u64::from(!sample.outcome.is_ok());
        progress.result(sample);
        if let Some(point) = TransferPoint::from_point(point) {
            results.standard.add(&point);
        }
        if json && results.broken.is_none() {
            let mut line = String::new();
            json::encode(point, &mut line);
            results.broken = progress.aside(|| print_data(line.as_bytes())).err();
        }
    })
}

/// A node or probe that is named but not configured.
fn unknown(args: &Once, config: &Config) -> Option<String> {
    let nodes: Vec<&str> = config.nodes.iter().map(|node| &*node.id).collect();
    let probes: Vec<&str> = config.probes.iter().map(|probe| &*probe.name).collect();
    let find = |what: &str, given: &[String], known: &[&str]| {
        let name = given.iter().find(|name| !known.contains(&name.as_str()))?;
        Some(format!("no {what} `{name}` in {}: there are {}", args.config.display(), known.join(", ")))
    };
    find("node", &args.node, &nodes).or_else(|| find("probe", &args.probe, &probes))
}

/// How long a round goes on delivering.
const PATIENCE: Duration = Duration::from_secs(30);
