//! `bandprobe run`: runs the worker until a signal.

use std::time::Duration;

use crate::{
    config::Config,
    model::sample::Sample,
    plan::Plan,
    telemetry,
    worker::{
        discovery::Discovery,
        pipeline::{Pipeline, Stopped},
        runs,
    },
};

use super::{Exit, args::WithConfig, config_error, input, signals::Signals};

pub(super) async fn run(args: &WithConfig) -> anyhow::Result<Exit> {
    let config = match input::config(&args.config) {
        Ok(config) => config,
        Err(problems) => return Ok(config_error(&problems)),
    };
    let discovery = Discovery::load(&config)?;
    if !Plan::of(&config.with_nodes(&discovery.targets())).fits() {
        tracing::warn!("the plan exceeds its limits, so runs will be skipped: see `bandprobe check`");
    }
    let mut signals = Signals::listen()?;
    let on_recorded = Box::new(|sample: &Sample| log_recorded(sample));
    let pipeline = tokio::select! {
        started = Pipeline::start_aside(&config, discovery, on_recorded, input::reread(&args.config)) => started?,
        () = signals.next() => {
            tracing::info!("stopped before the data directory could be used: nothing was probed");
            return Ok(Exit::Done);
        }
    };
    pipeline.tally().watch_log(telemetry::dropped);
    tracing::info!(
        vantage = %config.vantage.id,
        nodes = pipeline.targets().borrow().nodes.len(),
        registries = config.registries.len(),
        probes = config.probes.len() + usize::from(config.status.is_some()),
        archive = %config.archive.dir.display(),
        "probing"
    );
    runs::run(&pipeline, &config, signals.next()).await;
    tracing::info!("stopping: writing and delivering the remaining results; a second signal ends the delivery");
    let stopped = pipeline.stop(DELIVERY_TIMEOUT, signals.again()).await;
    let summary = summary(&config, &stopped);
    if stopped.lost > 0 {
        tracing::error!("{summary}");
        return Ok(Exit::Failed);
    }
    tracing::info!("{summary}");
    Ok(Exit::Done)
}

/// Logs each sample that is in the archive, for users who want to follow.
fn log_recorded(sample: &Sample) {
    let labels = &sample.labels;
    tracing::debug!(
        node = %labels.node,
        probe = %labels.probe,
        outcome = sample.outcome.label(),
        trace_id = sample.trail.trace_id.as_deref(),
        "recorded"
    );
}

/// Where the results are after the worker has stopped.
pub(super) fn summary(config: &Config, stopped: &Stopped) -> String {
    let dir = config.archive.dir.display();
    let mut text = match &config.influxdb {
        None => format!("results are in {dir}"),
        Some(database) => {
            format!("{} points delivered to {} (bucket {})", stopped.drained.delivered, database.url, database.bucket)
        }
    };
    if config.influxdb.is_some() && stopped.is_cut_short {
        text += &format!("; the disk is too slow: undelivered results are kept in {dir}");
    } else if config.influxdb.is_some() && stopped.waiting > 0 {
        let reason = stopped.drained.reason.as_deref().unwrap_or("out of time");
        text += &format!("; {} points are waiting in {dir}: {reason}", stopped.waiting);
    }
    if stopped.drained.rejected > 0 {
        text += &format!("; {} points were refused and moved to {dir}/rejected", stopped.drained.rejected);
    }
    if stopped.lost > 0 {
        text += &format!("; {} points were lost: the archive could not be written", stopped.lost);
    }
    text
}

/// How long delivery may continue after the worker is asked to stop.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
