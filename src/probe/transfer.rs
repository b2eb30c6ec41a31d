//! One transfer: a permit, a connection (new or kept), a request, its answer; and the sample that comes of it.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    model::{
        flag::Flag,
        sample::{Conn, Sample},
        units::{Bytes, Micros},
    },
    net::{http::Connection, meter::Meter},
};

use super::{
    Prober,
    errand::{Errand, Failed},
    exchange::exchange,
    facts::Facts,
};

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
            if conn == Conn::Warm && facts.was_unanswered() && matches!(&ended, Err(failed) if failed.closed) {
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
    let mut sample = facts.into_sample(errand, &prober.vantage, failed);
    if !sample.outcome.is_ok() && prober.suspicion.is_raised() {
        sample.flags.raise(Flag::VantageSuspect);
    }
    Done { sample, size, connection, retry_after }
}
