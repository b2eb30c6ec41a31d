//! The news of delivery in the log: each once, however often it happens.

use std::{collections::HashSet, fmt, path::PathBuf};

use crate::{
    archive::{self, damage::Damage, rejected::cause},
    deliver::event::Event,
};

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Why points were refused.
    refused: Option<String>,
    /// What the disk said.
    disk: Option<String>,
    /// What is wrong with the config that was read anew.
    config: Option<String>,
    /// Files that are left alone.
    passed: HashSet<PathBuf>,
    /// Does nothing go through?
    stuck: bool,
}

impl News {
    /// Tells what a step did, unless it was told before.
    pub(super) fn tell(&mut self, step: &Result<Event, archive::Error>) {
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
            Event::Holding { reason, news, .. } => {
                self.stuck = true;
                if *news {
                    tracing::error!("delivery is stopped, results are kept: {reason}");
                }
            }
            Event::BackingOff { reason, news, .. } => {
                self.stuck = true;
                if *news {
                    tracing::warn!("delivery waits, results are kept: {reason}");
                }
            }
        }
    }

    /// Tells why nothing can be delivered from the data directory.
    pub(super) fn refused_by_disk(&mut self, error: &dyn std::error::Error) {
        let mut said = error.to_string();
        if let Some(cause) = error.source().map(ToString::to_string).filter(|cause| !said.contains(cause)) {
            said += &format!(": {cause}");
        }
        if self.disk.as_ref() != Some(&said) {
            tracing::error!("delivery is stopped: {said}");
        }
        self.disk = Some(said);
    }

    /// Tells why a config that was read anew cannot be used.
    pub(super) fn unreadable(&mut self, problem: &dyn fmt::Display) {
        let said = problem.to_string();
        if self.config.as_ref() != Some(&said) {
            tracing::error!("the config was read again for [influxdb], but is invalid: {said}");
        }
        self.config = Some(said);
    }

    /// Tells of files that are left alone: those of a newer version, and what is no file.
    pub(super) fn passed_over(&mut self, passed: &[Damage]) {
        for damage in passed {
            if self.passed.len() < MOST_PASSED && self.passed.insert(damage.file.clone()) {
                tracing::warn!("ignored, not delivered: {damage}");
            }
        }
    }

    /// A source that is bad for long would fill the log; the worker's own points have the count.
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

/// So many files are named one by one.
const MOST_PASSED: usize = 100;
