//! One transfer: a permit, a connection (new or kept), a request, its answer; and the sample that results.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    model::{
        flag::Flag,
        outcome::Outcome,
        sample::{ConnectionKind, Sample},
        size::Size,
        units::Micros,
    },
    net::{
        http::Connection,
        meter::Meter,
        resolve::{Reservation, threads::LookupPurpose},
    },
};

use super::{
    Prober,
    cool_down::MAX_COOL_DOWN,
    exchange::{ConnectionSource, exchange},
    facts::Facts,
    gate::{ConnectionSlot, Permit},
    request::{TransferFailure, TransferRequest},
};

/// A finished transfer, and what the next one of the run can use.
pub struct FinishedTransfer {
    /// What the transfer measured, or how it failed.
    pub sample: Sample,
    /// The asset's size, if it is known by now.
    pub size: Option<Size>,
    /// The connection, when it can carry another transfer.
    pub connection: Option<KeptConnection>,
    /// The cool-down of the node, because it rate-limits us. The gate already refuses downloads.
    pub cool_down: Option<Duration>,
}

/// A connection that stays open between two transfers, with its slot in the gate.
pub struct KeptConnection {
    // Fields are dropped in this order: the slot becomes free after the connection is closed.
    connection: Connection,
    slot: Option<ConnectionSlot>,
}

impl TransferRequest<'_> {
    /// Runs the transfer, on `kept` when it is given and still usable. The wait for the permit is lateness and not
    /// latency.
    pub async fn run(&self, prober: &Prober, kept: Option<KeptConnection>) -> FinishedTransfer {
        let (connection, slot) = into_parts(kept);
        let permit = prober.gate.acquire_with_slot(self.weight, &self.node.id, slot).await;
        self.run_with(permit, prober, connection).await
    }

    /// Like [`TransferRequest::run`]. `None`, without a request, during a cool-down of the node, also of one that
    /// begins before the permit is granted.
    pub async fn run_unless_cooling_down(
        &self,
        prober: &Prober,
        kept: Option<KeptConnection>,
    ) -> Option<FinishedTransfer> {
        let (connection, slot) = into_parts(kept);
        let permit = prober.gate.acquire_unless_cooling_down(self.weight, &self.node.id, slot).await?;
        Some(self.run_with(permit, prober, connection).await)
    }

    async fn run_with(&self, mut permit: Permit, prober: &Prober, mut kept: Option<Connection>) -> FinishedTransfer {
        let (mut due, mut reconnected) = (self.due, false);
        if let Some(connection) = &mut kept
            && !connection.is_reusable().await
        {
            (kept, reconnected) = (None, true);
        }
        let clock = prober.dialer.clock();
        let _watching = clock.watch();
        loop {
            let conn = if kept.is_some() { ConnectionKind::Warm } else { ConnectionKind::Cold };
            let meter = kept.as_ref().map_or_else(Meter::new, |connection| connection.meter().clone());
            meter.forget_lags();
            let way = match kept.take() {
                Some(connection) => ConnectionSource::Kept(Box::new(connection)),
                None => ConnectionSource::New(self.reserve(&permit, prober).await),
            };
            let lateness = due.map_or(Micros::ZERO, |due| Instant::now().saturating_duration_since(due).into());
            let mut facts = Facts::start(self, conn, lateness);
            if reconnected {
                facts.flags.raise(Flag::Reconnected);
            }
            let began = facts.timing.t0();
            let ended = tokio::select! {
                biased;
                ended = exchange(self, prober, way, meter.clone(), &mut facts) => ended,
                () = permit.lend_when_idle(clock, || meter.last_progress().max(began)) => unreachable!("lending never returns"),
            };
            // A peer may close a kept connection at any time, so this is not a failure of the node (RFC 9112 §9.5).
            // The transfer is repeated once.
            if conn == ConnectionKind::Warm && facts.was_unanswered() && matches!(&ended, Err(failed) if failed.closed)
            {
                // The time of the failed attempt is not part of the latency of the new connection. It counts as
                // lateness.
                due.get_or_insert(began);
                reconnected = true;
                continue;
            }
            if permit.was_concurrent(meter.last_progress()) {
                facts.flags.raise(Flag::Concurrent);
            }
            let cool_down = cool_down(&ended, &facts);
            if let Some(wait) = cool_down {
                prober.gate.cool_downs().extend(&self.node.id, wait);
            }
            let slot = permit.take_slot();
            drop(permit);
            facts.note_freezes(clock);
            let ended = ended.map(|connection| connection.map(|connection| KeptConnection { connection, slot }));
            return conclude(self, prober, facts, ended, cool_down);
        }
    }
}

impl TransferRequest<'_> {
    /// Waits for the resources of the name lookup. This is lateness too, and the uplink is lent meanwhile.
    async fn reserve(&self, permit: &Permit, prober: &Prober) -> Reservation {
        let began = Instant::now();
        tokio::select! {
            biased;
            reserved = prober.dialer.reserve(self.url, LookupPurpose::Transfer, self.deadlines.dns) => reserved,
            () = permit.lend_when_idle(prober.dialer.clock(), || began) => unreachable!("lending never returns"),
        }
    }
}

impl From<Connection> for KeptConnection {
    /// A connection that no transfer opened. It gets its slot with its first permit.
    fn from(connection: Connection) -> Self {
        Self { connection, slot: None }
    }
}

fn into_parts(kept: Option<KeptConnection>) -> (Option<Connection>, Option<ConnectionSlot>) {
    kept.map_or((None, None), |KeptConnection { connection, slot }| (Some(connection), slot))
}

/// How long to download nothing from the node. `None` when it does not rate-limit us.
fn cool_down(ended: &Result<Option<Connection>, TransferFailure>, facts: &Facts) -> Option<Duration> {
    let limited = matches!(ended, Err(failed) if failed.outcome == Outcome::RateLimited);
    limited.then(|| facts.retry_after.unwrap_or_default().clamp(MIN_COOL_DOWN, MAX_COOL_DOWN))
}

fn conclude(
    request: &TransferRequest<'_>,
    prober: &Prober,
    facts: Facts,
    ended: Result<Option<KeptConnection>, TransferFailure>,
    cool_down: Option<Duration>,
) -> FinishedTransfer {
    let size = facts.size;
    let (connection, failed) = match ended {
        Ok(connection) => (connection, None),
        Err(failed) => (None, Some(facts.excuse(failed))),
    };
    let mut sample = facts.into_sample(request, &prober.vantage, failed);
    let is_ours = sample.flags.contains(Flag::Frozen) && sample.status.is_none();
    if sample.outcome != Outcome::Blocked && !is_ours {
        prober.vantage_health.note_transfer(&request.node.id, sample.status.is_some());
    }
    if !sample.outcome.is_ok() && prober.vantage_health.is_suspect() {
        sample.flags.raise(Flag::VantageSuspect);
    }
    FinishedTransfer { sample, size, connection, cool_down }
}

/// The shortest cool-down, when the node names none or less.
const MIN_COOL_DOWN: Duration = Duration::from_secs(600);
