//! One transfer: a permit, a connection (new or kept), a request, its answer; and the sample that comes of it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use url::Url;

use crate::{
    model::{
        flag::Flag,
        outcome::Outcome,
        phase::Phase,
        probe::{Deadlines, PartName, Weight},
        sample::{CacheState, Conn, Sample},
        target::{Asset, AssetKind, Node},
        units::{Bytes, Micros},
    },
    net::{failure::Failure, http::Connection, meter::Meter},
};

use super::{Prober, classify, exchange::exchange, facts::Facts, verify::Mismatch, wanted::Wanted};

/// What one transfer is to fetch, and for whom.
#[derive(Clone, Debug)]
pub struct Errand<'a> {
    /// Whom to ask.
    pub node: &'a Node,
    /// Which probe asks.
    pub probe: &'a Arc<str>,
    /// Kind of the asset, where there is an expectation of its type.
    pub kind: Option<AssetKind>,
    /// Which part it is. A `check` is a HEAD request.
    pub part: PartName,
    /// What is fetched.
    pub asset: &'a Asset,
    /// Where it lies.
    pub url: &'a Url,
    /// Which bytes.
    pub wanted: Wanted,
    /// Size of the asset, as far as known by now.
    pub size: Option<Bytes>,
    /// What a check said of the cache just before.
    pub checked: CacheState,
    /// How much of the uplink it takes.
    pub weight: Weight,
    /// When each phase is given up.
    pub deadlines: &'a Deadlines,
    /// A whole asset longer than this is not read to its end.
    pub limit: u64,
    /// When it was due; `None` when nothing was scheduled.
    pub due: Option<Instant>,
}

/// A finished transfer.
pub struct Done {
    /// Its result.
    pub sample: Sample,
    /// The asset's size, as far as known now.
    pub size: Option<Bytes>,
    /// The connection, when it can carry another transfer.
    pub connection: Option<Connection>,
    /// A node that limits us wants to be left alone so long.
    pub retry_after: Option<Duration>,
}

/// Why a transfer is no success.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) outcome: Outcome,
    /// The phase under way, when it was cut short rather than answered wrongly.
    pub(super) phase: Option<Phase>,
    pub(super) detail: String,
}

impl Errand<'_> {
    /// Runs it, on `kept` when that is given and still usable. Waiting for the permit is lateness, not latency.
    pub async fn run(&self, prober: &Prober, mut kept: Option<Connection>) -> Done {
        let permit = prober.gate.acquire(self.weight, &self.node.id).await;
        let lateness = self.due.map_or(Micros::ZERO, |due| Instant::now().saturating_duration_since(due).into());
        let mut reconnected = false;
        if let Some(connection) = &mut kept
            && !connection.is_reusable().await
        {
            (kept, reconnected) = (None, true);
        }
        loop {
            let conn = if kept.is_some() { Conn::Warm } else { Conn::Cold };
            let meter = kept.as_ref().map_or_else(Meter::new, |connection| connection.meter().clone());
            let mut facts = Facts::start(self, conn, lateness);
            if reconnected {
                facts.flags.raise(Flag::Reconnected);
            }
            let began = facts.timing.t0();
            let ended = tokio::select! {
                biased;
                ended = exchange(self, prober, kept.take(), meter.clone(), &mut facts) => ended,
                () = permit.lend_when_idle(|| meter.last_activity().max(began)) => unreachable!("lending never returns"),
            };
            // A peer may close a kept connection at any time: no failure of the node's (RFC 9112 §9.5). Once is enough.
            if conn == Conn::Warm
                && facts.was_unanswered()
                && matches!(&ended, Err(failed) if failed.outcome == Outcome::Reset)
            {
                reconnected = true;
                continue;
            }
            if permit.was_concurrent(meter.last_activity()) {
                facts.flags.raise(Flag::Concurrent);
            }
            drop(permit);
            return conclude(self, prober, facts, ended);
        }
    }
}

fn conclude(errand: &Errand<'_>, prober: &Prober, facts: Facts, ended: Result<Option<Connection>, Failed>) -> Done {
    let size = facts.size;
    let retry_after = facts.retry_after;
    let (connection, failed) = match ended {
        Ok(connection) => (connection, None),
        Err(failed) => (None, Some(failed)),
    };
    let sample = facts.into_sample(errand, &prober.vantage, failed);
    Done { sample, size, connection, retry_after }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { outcome: classify::outcome(&failure), phase: Some(failure.phase), detail: failure.to_string() }
    }
}

impl From<Mismatch> for Failed {
    fn from(mismatch: Mismatch) -> Self {
        Self { outcome: mismatch.outcome, phase: None, detail: mismatch.detail }
    }
}
