//! A sample for tests to draw.

use jiff::Timestamp;

use crate::model::{
    flag::Flags,
    outcome::Outcome,
    phase::{Phase, Phases},
    sample::{CacheState, ConnectionKind, Labels, NetworkPath, Rates, ReaderStats, Sample, TlsInfo, TraceInfo},
    units::{BitRate, Bytes, Micros},
};

fn path() -> NetworkPath {
    NetworkPath {
        rtt: Some(Micros(19_500)),
        rcv_rtt: Some(Micros(20_400)),
        ooo_segments: Some(0),
        rcv_wnd: Some(Bytes(3_100_000)),
    }
}

/// 6 MiB over TLS 1.3 on a new connection, at 27.5 Mbit/s, with every value that can be measured.
pub(in crate::cli) fn sample() -> Sample {
    Sample {
        at: "2026-11-22T10:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH),
        labels: Labels {
            vantage: "local".into(),
            node: "n".into(),
            region: None,
            probe: "probe".into(),
            kind: None,
            part: None,
            conn: Some(ConnectionKind::Cold),
            http: None,
            family: None,
            cache: CacheState::Hit,
        },
        outcome: Outcome::Ok,
        failed_phase: None,
        error: None,
        lateness: Micros::ZERO,
        phases: phases([Some(1), Some(20), Some(25), Some(0), Some(24), Some(1_830)]),
        bytes: Some(6 << 20),
        expected_bytes: Some(6 << 20),
        status: Some(206),
        rates: Rates {
            effective: Some(BitRate(26_500_000)),
            goodput: Some(BitRate(27_500_000)),
            steady: Some(BitRate(27_500_000)),
            min_interval: Some(BitRate(20_000_000)),
            ramp: Some(Micros::ZERO),
            longest_gap: Some(Micros(9_000)),
            stalls: Some(0),
            stalled: Some(Micros::ZERO),
        },
        intervals: vec![],
        curve: None,
        hit: None,
        run_ok: None,
        flags: Flags::NONE,
        distance_km: None,
        path: path(),
        reader: ReaderStats {
            lag_p90: Some(Micros(21)),
            cpu_share: Some(0.12),
            run_delay: Some(Micros(1_200)),
            frozen: None,
            span: Some(Micros(1_830_000)),
        },
        tls: TlsInfo { version: Some("1.3"), cert_expires: Some(60 * 86_400) },
        trail: TraceInfo {
            server: Some("nginx".to_owned()),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
            request_id: Some("0196d0c2".to_owned()),
            ..TraceInfo::default()
        },
    }
}

/// Phases with these lengths in milliseconds; `None` for a phase that did not take place.
pub(in crate::cli) fn phases(millis: [Option<u64>; 6]) -> Phases {
    let (mut phases, mut at) = (Phases::default(), 0);
    for (phase, millis) in Phase::ALL.into_iter().zip(millis) {
        if let Some(millis) = millis {
            at += millis * 1_000;
            phases.end(phase, Micros(at));
        }
    }
    phases
}
