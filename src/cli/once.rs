//! `bandprobe once`: runs every probe once, now.

use std::{
    collections::{BTreeSet, HashSet},
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    config::Config,
    model::{
        health::HealthState,
        probe::{Probe, StatusProbe},
        sample::Sample,
        target::{Listing, Node, Targets},
    },
    record::{
        json, node::node_point, node_point::NodePoint, point::Point, transfer::transfer, transfer_point::TransferPoint,
    },
    report::Analysis,
    telemetry,
    worker::{
        OnRecorded,
        discovery::Discovery,
        pipeline::{Pipeline, Stopped},
        runs::{self, RoundCounts},
        service,
        status_rounds::{self, RoundAnswers},
    },
};

use super::{
    Exit, args::Once, config_error, eprint, input, print, print_data, progress::Progress, registries, run::summary,
    signals::Signals, stdout, terminal,
};

/// The results of the round so far.
#[derive(Default)]
struct RoundResults {
    analysis: Analysis,
    failed: u64,
    /// Number of nodes whose state was judged, and how many of them are dead.
    states: usize,
    dead: u64,
    /// Ids of nodes that were never contacted.
    blocked: BTreeSet<Arc<str>>,
    /// The error of stdout. After it, nothing more is printed.
    broken: Option<anyhow::Error>,
}

pub(super) async fn once(args: &Once) -> anyhow::Result<Exit> {
    let config = match input::config(&args.config) {
        Ok(config) => config,
        Err(problems) => return Ok(config_error(&problems)),
    };
    let mut signals = Signals::listen()?;
    let _noticed = service::begin(stdout::give_up_after(Signals::listen()?));
    let (discovery, targets) = match find(args, &config, &mut signals).await? {
        ControlFlow::Continue(found) => found,
        ControlFlow::Break(exit) => return Ok(exit),
    };
    let results = Arc::new(Mutex::new(RoundResults::default()));
    let is_wanted =
        |node: &Node, probe: &Probe| is_selected(args, &node.id, &node.listing) && listed(&args.probe, &probe.name);
    let nodes = targets.nodes.iter().map(|node| &**node);
    let probed = nodes.filter(|node| config.probes.iter().any(|probe| is_wanted(node, probe)));
    let progress = Progress::over_runs(probed);
    let on_recorded = on_recorded(args.json, results.clone(), progress.clone());
    let Some(pipeline) = start(args, &config, discovery, on_recorded, &mut signals).await? else {
        return Ok(Exit::Failed);
    };
    pipeline.tally().watch_log(telemetry::dropped);
    let mut interrupted = false;
    // Status is first, because failed downloads are judged by it.
    let asked = tokio::select! {
        asked = ask(&pipeline, &config, &targets, args) => asked,
        never = progress.follow(pipeline.checked().subscribe()) => match never {},
        () = signals.next() => {
            interrupted = true;
            None
        }
    };
    let mut round = RoundCounts::default();
    if !interrupted {
        let show_runs = |node: &str, done: usize, all: usize| progress.runs(node, done, all);
        let interrupt = async {
            signals.next().await;
            interrupted = true;
        };
        round = runs::once(&pipeline, &config, &targets, args.splay, is_wanted, show_runs, interrupt).await;
    }
    // Verdicts are last, because they use the results of the downloads.
    let states = asked.map_or_else(Vec::new, |(asked, probe)| states(&pipeline, &config, asked, probe));
    let hurry = async {
        match interrupted {
            true => signals.again().await,
            false => signals.next().await,
        }
    };
    if config.influxdb.is_some() {
        progress.delivering();
    }
    let stopped = pipeline.stop(DELIVERY_TIMEOUT, hurry).await;
    progress.end();

    let mut results = std::mem::take(&mut *results.lock().unwrap_or_else(PoisonError::into_inner));
    results.add_states(&states, args.json);
    let blocked = targets.blocked.iter().filter(|blocked| is_selected(args, &blocked.id, &blocked.listing));
    results.blocked.extend(blocked.map(|blocked| blocked.id.clone()));
    end(args, &config, results, round, &stopped, interrupted)
}

/// The targets that the sources yield, or the exit code when there is nothing to probe.
async fn find(
    args: &Once,
    config: &Config,
    signals: &mut Signals,
) -> anyhow::Result<ControlFlow<Exit, (Discovery, Targets)>> {
    let mut discovery = Discovery::load(config)?;
    let failures = tokio::select! {
        failures = registries::ask(&mut discovery) => failures,
        () = signals.next() => {
            eprint("stopped before the registry answered: nothing was probed");
            return Ok(ControlFlow::Break(Exit::Failed));
        }
    };
    let targets = discovery.targets();
    if targets.nodes.is_empty() && failures > 0 {
        eprint("nothing to probe: no registry answered, and no node is known from before");
        return Ok(ControlFlow::Break(Exit::Failed));
    }
    if let Some(unknown) = unknown(args, config, &targets) {
        eprint(&unknown);
        return Ok(ControlFlow::Break(Exit::Usage));
    }
    Ok(ControlFlow::Continue((discovery, targets)))
}

/// Starts the pipeline; `None` when a signal arrives before the disk lets it start.
async fn start(
    args: &Once,
    config: &Config,
    discovery: Discovery,
    on_recorded: OnRecorded,
    signals: &mut Signals,
) -> anyhow::Result<Option<Pipeline>> {
    tokio::select! {
        started = Pipeline::start_aside(config, discovery, on_recorded, input::reread(&args.config)) => Ok(Some(started?)),
        () = signals.next() => {
            eprint("stopped before the data directory could be used: nothing was probed");
            Ok(None)
        }
    }
}

/// Asks the selected nodes for their status, if the status probe is selected.
async fn ask<'c>(
    pipeline: &Pipeline,
    config: &'c Config,
    targets: &Targets,
    args: &Once,
) -> Option<(RoundAnswers, &'c StatusProbe)> {
    let probe = config.status.as_ref().filter(|probe| listed(&args.probe, &probe.name))?;
    let mut targets = targets.clone();
    targets.nodes.retain(|node| is_selected(args, &node.id, &node.listing));
    targets.blocked.retain(|blocked| is_selected(args, &blocked.id, &blocked.listing));
    Some((status_rounds::ask(pipeline, &targets, probe).await, probe))
}

/// Judges the answers of the nodes. One failed download is enough, because there is only one round.
fn states(pipeline: &Pipeline, config: &Config, asked: RoundAnswers, probe: &StatusProbe) -> Vec<Point> {
    let checked = status_rounds::judge(pipeline, asked, probe, 1).checked;
    checked.iter().map(|checked| node_point(&config.vantage, checked)).collect()
}

/// Whether the node is selected: by its id, by an operator's id, or because no node was named.
fn is_selected(args: &Once, id: &str, listing: &Listing) -> bool {
    listed(&args.node, id)
        || listing.operators.iter().any(|operator| args.node.iter().any(|named| **named == **operator))
}

fn listed(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|listed| listed == name)
}

impl RoundResults {
    /// Adds the states of the nodes, which are in the archive already.
    fn add_states(&mut self, states: &[Point], json: bool) {
        for point in states {
            if let Some(point) = NodePoint::from_point(point) {
                self.dead += u64::from(point.state == HealthState::Dead);
                if point.state == HealthState::Blocked {
                    self.blocked.insert(point.node.clone());
                }
                self.analysis.add_node(&point);
            }
            if json && self.broken.is_none() {
                let mut line = String::new();
                json::encode(point, &mut line);
                self.broken = print_data(line.as_bytes()).err();
            }
        }
        self.states = states.len();
    }
}

/// Prints the summary of the round, and returns the exit code.
fn end(
    args: &Once,
    config: &Config,
    results: RoundResults,
    round: RoundCounts,
    stopped: &Stopped,
    interrupted: bool,
) -> anyhow::Result<Exit> {
    if let Some(error) = results.broken {
        return Err(error);
    }
    if !args.json {
        print(&results.analysis.render(terminal::look(), config.trace_url.as_ref()))?;
    }
    if round.skipped > 0 {
        let skipped = round.skipped;
        eprint(&format!(
            "{skipped} runs skipped: the daily budgets ([limits]) are used up, or a node limits its requests"
        ));
    }
    if !results.blocked.is_empty() {
        eprint(&not_contacted(&results.blocked));
    }
    eprint(&summary(config, stopped));
    if round == RoundCounts::default() && results.states == 0 && !interrupted {
        eprint("nothing to probe: none of these nodes has an asset for these probes");
        return Ok(Exit::Usage);
    }
    let incomplete = results.failed > 0 || results.dead > 0 || !results.blocked.is_empty();
    let incomplete = incomplete || round.skipped > 0 || interrupted;
    Ok(match (stopped.lost, args.strict && incomplete) {
        (1.., _) => Exit::Failed,
        (0, true) => Exit::ProbeFailed,
        (0, false) => Exit::Done,
    })
}

/// `2 nodes were not contacted, because they have no permitted endpoint: a.example, 5:2-14`
fn not_contacted(blocked: &BTreeSet<Arc<str>>) -> String {
    let (nodes, they) = match blocked.len() {
        1 => ("1 node was".to_owned(), "it has"),
        more => (format!("{more} nodes were"), "they have"),
    };
    let mut named: Vec<&str> = blocked.iter().take(MAX_NAMED).map(|id| &**id).collect();
    if blocked.len() > MAX_NAMED {
        named.push("…");
    }
    format!("{nodes} not contacted, because {they} no permitted endpoint: {}", named.join(", "))
}

/// Prints each result only after it is in the archive, so that no printed result is lost.
fn on_recorded(json: bool, results: Arc<Mutex<RoundResults>>, progress: Progress) -> OnRecorded {
    Box::new(move |sample: &Sample| {
        let point = transfer(sample);
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        results.failed += u64::from(!sample.is_good());
        progress.result(sample);
        if let Some(point) = TransferPoint::from_point(&point) {
            results.analysis.add(&point);
        }
        if json && results.broken.is_none() {
            let mut line = String::new();
            json::encode(&point, &mut line);
            results.broken = progress.aside(|| print_data(line.as_bytes())).err();
        }
    })
}

/// The message about a node or probe that is named but not configured.
fn unknown(args: &Once, config: &Config, targets: &Targets) -> Option<String> {
    let blocked = targets.blocked.iter().map(|blocked| &*blocked.id);
    let nodes: Vec<&str> = targets.nodes.iter().map(|node| &*node.id).chain(blocked).collect();
    let listings = targets.nodes.iter().map(|node| &node.listing).chain(targets.blocked.iter().map(|one| &one.listing));
    let operators: HashSet<&str> = listings.flat_map(|listing| &listing.operators).map(|id| &**id).collect();
    let given: Vec<_> = args.node.iter().filter(|name| !operators.contains(name.as_str())).cloned().collect();
    let probes = config.probes.iter().map(|probe| &*probe.name);
    let probes: Vec<&str> = probes.chain(config.status.as_ref().map(|probe| &*probe.name)).collect();
    let find = |what: &str, given: &[String], known: &[&str]| {
        let name = given.iter().find(|name| !known.contains(&name.as_str()))?;
        Some(format!("no {what} `{name}` in {}; the known ones are {}", args.config.display(), known.join(", ")))
    };
    find("node", &given, &nodes).or_else(|| find("probe", &args.probe, &probes))
}

/// How long delivery may continue after a round.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// The most nodes that one message names.
const MAX_NAMED: usize = 10;
