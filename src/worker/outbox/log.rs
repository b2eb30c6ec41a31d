//! Logs what happens in delivery. A repeated event is logged only once.

use std::{collections::HashSet, fmt, path::PathBuf};

use crate::{
    archive::{self, damage::Damage, rejected::cause},
    deliver::event::Event,
    term::causes::with_causes,
};

/// What was logged last.
#[derive(Debug, Default)]
pub(super) struct DeliveryLog {
    /// Why points were rejected.
    refused: Option<String>,
    /// The last error of the disk.
    disk: Option<String>,
    /// The problem of the config that was read again.
    config: Option<String>,
    /// Files that were logged as ignored.
    passed: HashSet<PathBuf>,
    /// Is delivery stopped or waiting?
    stuck: bool,
}

impl DeliveryLog {
    /// Logs the result of a step, unless it was logged before.
    pub(super) fn note(&mut self, step: &Result<Event, archive::Error>) {
        let event = match step {
            Ok(event) => event,
            Err(error) => return self.refused_by_disk(error),
        };
        match event {
            Event::Idle => {}
            Event::Sent { points } => {
                self.disk = None;
                if std::mem::take(&mut self.stuck) {
                    tracing::info!("the database accepts points again: delivering the waiting results");
                }
                tracing::debug!(points, "delivered");
            }
            Event::Divided { message } => tracing::debug!("InfluxDB refused a batch, sending it in parts: {message}"),
            Event::Finished { name, points, rejected, message } => {
                tracing::debug!(name, points, rejected, "file delivered");
                if let Some(message) = message {
                    self.refused(*rejected, name, message);
                }
            }
            Event::SetAside { name, damage, points: 0, .. } => {
                tracing::warn!(name, "damaged file, all remaining lines are good: {damage}");
            }
            Event::SetAside { name, damage, points, kept } => {
                tracing::error!(
                    name,
                    points,
                    kept,
                    "damaged file, its unreliable lines were moved to rejected/: {damage}"
                );
            }
            Event::BucketCreated => tracing::info!("created the missing bucket"),
            Event::Holding { reason, is_new, .. } => {
                self.stuck = true;
                if *is_new {
                    tracing::error!("delivery is stopped, results are kept: {reason}");
                }
            }
            Event::BackingOff { reason, is_new, .. } => {
                self.stuck = true;
                if *is_new {
                    tracing::warn!("delivery is waiting, results are kept: {reason}");
                }
            }
        }
    }

    /// Logs why nothing can be delivered from the data directory.
    pub(super) fn refused_by_disk(&mut self, error: &dyn std::error::Error) {
        let text = with_causes(error);
        if self.disk.as_ref() != Some(&text) {
            tracing::error!("delivery is stopped: {text}");
        }
        self.disk = Some(text);
    }

    /// Logs why the config that was read again cannot be used.
    pub(super) fn unreadable(&mut self, problem: &dyn fmt::Display) {
        let text = problem.to_string();
        if self.config.as_ref() != Some(&text) {
            tracing::error!("the config was read again for [influxdb], but is invalid: {text}");
        }
        self.config = Some(text);
    }

    /// Logs ignored files: those of a newer version, and entries that are not files.
    pub(super) fn passed_over(&mut self, passed: &[Damage]) {
        for damage in passed {
            if self.passed.len() < MAX_PASSED_OVER && self.passed.insert(damage.file.clone()) {
                tracing::warn!("ignored, not delivered: {damage}");
            }
        }
    }

    /// Logs rejected points once per cause. A source with lasting problems would fill the log, and the worker's points
    /// have the count anyway.
    fn refused(&mut self, points: u64, name: &str, message: &str) {
        let cause = cause(message);
        if self.refused.as_deref() != Some(&cause) {
            tracing::warn!(
                points,
                "InfluxDB refused points, which are kept in rejected/{name}: {message}; see `bandprobe spool list`"
            );
            self.refused = Some(cause);
        }
    }
}

/// The most ignored files that are logged, one by one.
const MAX_PASSED_OVER: usize = 100;
