//! The facts collected during a transfer, and the sample made from them.

use std::{net::IpAddr, time::Duration};

use http::{
    StatusCode,
    header::{HeaderName, SERVER},
    response::Parts,
};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    measure::{
        evidence,
        goodput::{BodyJudgement, Ending, is_too_slow, judge},
        timeline::Timeline,
    },
    model::{
        flag::{Flag, Flags},
        outcome::Outcome,
        phase::Phase,
        probe::PartName,
        sample::{
            CacheState, ConnectionKind, Family, HttpVersion, Labels, NetworkPath, ReaderStats, Sample, TlsInfo,
            TraceInfo,
        },
        size::Size,
        target::Vantage,
        text::made_printable,
        units::{BitRate, Micros},
    },
    net::{dial::ConnectionInfo, meter::Meter, run_clock::RunClock, timing::Timing},
};

use super::{
    identity::RequestIds,
    request::{TransferFailure, TransferRequest},
    requested_bytes::RequestedBytes,
    verify,
};

/// What is known about one transfer so far.
pub(super) struct Facts {
    pub(super) timing: Timing,
    pub(super) ids: RequestIds,
    pub(super) flags: Flags,
    /// Size of the asset: known before, or stated by the node.
    pub(super) size: Option<Size>,
    /// Expected length of the body in bytes: as the answer announces it, or from the known size of the asset. `None`
    /// before the body is read, or when the length is unknown.
    pub(super) expected: Option<u64>,
    pub(super) timeline: Option<Timeline>,
    /// Body bytes received.
    pub(super) bytes: Option<u64>,
    pub(super) retry_after: Option<Duration>,
    /// The address that is dialled.
    pub(super) remote: Option<IpAddr>,
    /// At least one byte of the answer arrived, even if its head is incomplete.
    pub(super) has_response_bytes: bool,
    /// A rate below this raises [`Flag::TooSlow`].
    min_rate: BitRate,
    at: Timestamp,
    conn: ConnectionKind,
    lateness: Micros,
    http: Option<HttpVersion>,
    tls: TlsInfo,
    path: NetworkPath,
    reader: ReaderStats,
    /// How long the machine was suspended during the transfer.
    slept: Duration,
    /// How long this process did not run, counted from the beginning of the connect phase.
    away_connected: Duration,
    /// Out-of-order segments of the connection before this transfer.
    ooo_before: u64,
    status: Option<u16>,
    cache: CacheState,
    server: Option<String>,
    data_source: Option<String>,
}

impl Facts {
    pub(super) fn start(request: &TransferRequest<'_>, conn: ConnectionKind, lateness: Micros) -> Self {
        let ids = RequestIds::draw(&mut rand::rng());
        Self {
            ids,
            flags: Flags::NONE,
            size: request.size,
            expected: None,
            timeline: None,
            bytes: None,
            retry_after: None,
            remote: None,
            has_response_bytes: false,
            min_rate: request.min_rate,
            conn,
            lateness,
            http: None,
            tls: TlsInfo::default(),
            path: NetworkPath::default(),
            reader: ReaderStats::default(),
            slept: Duration::ZERO,
            away_connected: Duration::ZERO,
            ooo_before: 0,
            status: None,
            cache: CacheState::Unknown,
            server: None,
            data_source: None,
            at: Timestamp::now(),
            timing: Timing::start(Instant::now()),
        }
    }

    /// Records the connection that is used.
    pub(super) fn record_connection(&mut self, connection: &ConnectionInfo) {
        self.http = Some(connection.http);
        self.remote = Some(connection.remote);
        let at = self.at.as_second();
        self.tls =
            TlsInfo { version: connection.tls_version, cert_expires: connection.cert_expires.map(|end| end - at) };
        if self.conn == ConnectionKind::Warm {
            self.ooo_before = connection.kernel.tcp_info().ooo_segments.unwrap_or_default();
        }
    }

    /// Records how fast this process read the body.
    pub(super) fn set_reader_stats(&mut self, reader: ReaderStats) {
        self.reader = reader;
    }

    /// Records how long this process did not run during the transfer. Call it at the end.
    pub(super) fn note_freezes(&mut self, clock: &RunClock) {
        let t0 = self.timing.t0();
        let away = clock.away_since(t0);
        if away.is_zero() {
            return;
        }
        self.flags.raise(Flag::Frozen);
        self.reader.frozen = Some(away.into());
        self.slept = clock.slept_since(t0);
        // A warm connection and an IP address have no DNS phase.
        let connecting = t0 + self.timing.phases().took(Phase::Dns).unwrap_or_default().as_duration();
        self.away_connected = clock.away_since(connecting);
    }

    /// Turns a failure into `LocalFailed` when this process was frozen and the failure therefore says nothing about
    /// the node.
    pub(super) fn excuse(&self, failed: TransferFailure) -> TransferFailure {
        let Some(frozen) = self.reader.frozen else { return failed };
        let away = match failed.phase {
            Some(Phase::Dns) => frozen.as_duration(),
            _ => self.away_connected,
        };
        let gave_up = failed.broke_off || self.status == Some(StatusCode::REQUEST_TIMEOUT.as_u16());
        // While the machine is suspended, even the kernel receives nothing that a node sends.
        let was_deaf = failed.is_silence() && self.slept >= MIN_PEER_TIMEOUT;
        if !(was_deaf || (gave_up && away >= MIN_PEER_TIMEOUT)) {
            return failed;
        }
        let detail = format!("bandprobe itself did not run for {frozen}; then: {}", failed.detail);
        TransferFailure { outcome: Outcome::LocalFailed, detail, ..failed }
    }

    /// Records what the kernel knows about the path, and how late we read. Call it when the transfer is over.
    pub(super) fn read_kernel_counters(&mut self, connection: &ConnectionInfo, meter: &Meter) {
        self.reader.lag_p90 = meter.lag_p90();
        let info = connection.kernel.tcp_info();
        let rtt = info.min_rtt.map_or(connection.handshake, |min_rtt| min_rtt.min(connection.handshake));
        let ooo_segments = info.ooo_segments.map(|all| all.saturating_sub(self.ooo_before));
        self.path = NetworkPath { rtt: Some(rtt), rcv_rtt: info.rcv_rtt, ooo_segments, rcv_wnd: info.rcv_wnd };
    }

    /// Records the response head.
    pub(super) fn record_head(&mut self, head: &Parts, checked: CacheState) {
        const X_DATA_SOURCE: HeaderName = HeaderName::from_static("x-data-source");
        let text = |name| verify::text(&head.headers, name).map(str::to_owned);
        self.status = Some(head.status.as_u16());
        self.cache = verify::cache_state(&head.headers);
        self.server = text(&SERVER);
        self.data_source = text(&X_DATA_SOURCE);
        self.retry_after = verify::retry_after(&head.headers, Timestamp::now());
        if ![checked, self.cache].contains(&CacheState::Unknown) && checked != self.cache {
            self.flags.raise(Flag::CacheChanged);
        }
    }

    /// The cache state that the answer reports.
    pub(super) const fn cache(&self) -> CacheState {
        self.cache
    }

    pub(super) const fn was_unanswered(&self) -> bool {
        self.status.is_none() && !self.has_response_bytes
    }

    /// Turns [`Flag::Overshoot`] of a whole asset into a failure: an asset that is longer than its size is a different
    /// asset. For a range the flag is enough: the node ignored the end of the range, but the requested bytes arrived.
    pub(super) fn check_overshoot(&mut self, wanted: RequestedBytes) -> Result<(), TransferFailure> {
        if wanted != RequestedBytes::Whole || !self.flags.contains(Flag::Overshoot) {
            return Ok(());
        }
        self.flags = self.flags.iter().filter(|flag| *flag != Flag::Overshoot).collect();
        // Without a known size, the body went beyond our limit, which is already reported.
        let Some(size) = self.expected else { return Ok(()) };
        Err(TransferFailure::wrong(Outcome::WrongSize, format!("the body goes on beyond the asset's {size} bytes")))
    }

    pub(super) fn into_sample(
        mut self,
        request: &TransferRequest<'_>,
        vantage: &Vantage,
        failed: Option<TransferFailure>,
    ) -> Sample {
        // A body that ended early has already ended its phase.
        if let Some(phase) = failed.as_ref().and_then(|failed| failed.phase)
            && self.timing.phases().took(phase).is_none()
        {
            self.timing.end(phase, Instant::now());
        }
        let wall_nanos = self.at.duration_until(Timestamp::now()).as_nanos();
        let elapsed = self.timing.t0().elapsed() + self.slept;
        let judgement = self.judge(failed.is_some(), vantage.uplink, wall_nanos, elapsed);
        let wanted_body = request.part != PartName::Check;
        Sample {
            at: self.at,
            labels: self.labels(request, vantage),
            outcome: failed.as_ref().map_or(Outcome::Ok, |failed| failed.outcome),
            failed_phase: failed.as_ref().and_then(|failed| failed.phase),
            // The text may contain words of the node.
            error: failed.map(|failed| made_printable(&failed.detail)),
            lateness: self.lateness,
            phases: *self.timing.phases(),
            bytes: self.bytes.filter(|_| wanted_body),
            expected_bytes: self.expected,
            status: self.status,
            rates: judgement.rates,
            intervals: judgement.intervals,
            curve: self.timeline.and_then(Timeline::into_curve),
            hit: None,
            run_ok: None,
            flags: self.flags,
            distance_km: request.node.listing.distance_km(vantage.location),
            path: self.path,
            reader: self.reader,
            tls: self.tls,
            trail: TraceInfo {
                asset_id: Some(request.asset.id.clone()),
                remote_addr: self.remote,
                server: self.server,
                data_source: self.data_source,
                trace_id: Some(self.ids.trace_id),
                request_id: Some(self.ids.request_id),
            },
        }
    }

    /// Computes rates and raises flags. `wall_nanos` is how far the wall clock moved during the transfer, `elapsed`
    /// how long the transfer took.
    fn judge(&mut self, failed: bool, uplink: Option<BitRate>, wall_nanos: i128, elapsed: Duration) -> BodyJudgement {
        let judgement = self.judge_body(failed);
        self.flags.merge(judgement.flags);
        self.flags.merge(evidence::flags(&self.reader, &self.path, &judgement.rates, uplink));
        if is_too_slow(judgement.rates.effective, self.timing.phases().took(Phase::Receive), self.min_rate) {
            self.flags.raise(Flag::TooSlow);
        }
        if evidence::clock_stepped(wall_nanos, elapsed) {
            self.flags.raise(Flag::ClockStep);
        }
        judgement
    }

    /// A failed transfer has no rate, because the bytes that it received measure nothing. A frozen transfer has none
    /// either, because its pauses were ours.
    fn judge_body(&self, failed: bool) -> BodyJudgement {
        let is_measured = !failed && !self.flags.contains(Flag::Frozen);
        let Some(timeline) = self.timeline.as_ref().filter(|_| is_measured) else { return BodyJudgement::default() };
        let total = self.timing.phases().total();
        let ending = if self.flags.contains(Flag::Partial) { Ending::Partial } else { Ending::Finished };
        judge(timeline, self.expected, ending, total, self.path.rtt)
    }

    fn labels(&self, request: &TransferRequest<'_>, vantage: &Vantage) -> Labels {
        Labels {
            vantage: vantage.id.clone(),
            node: request.node.id.clone(),
            region: request.node.listing.region.clone(),
            probe: request.probe.clone(),
            kind: request.kind,
            part: Some(request.part),
            conn: Some(self.conn),
            http: self.http.filter(|_| self.status.is_some()),
            family: self.remote.map(Family::of),
            cache: self.cache,
        }
    }

    /// Ends the last phase at the time when the last wanted byte was read.
    pub(super) fn end_receive(&mut self, last: Option<Micros>) {
        let at = last.map_or_else(|| self.timing.last(), |last| self.timing.t0() + last.as_duration());
        self.timing.end(Phase::Receive, at);
    }
}

/// No server gives up on a client in less than this. After a shorter freeze a failure is therefore the server's own.
const MIN_PEER_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
