//! Fixtures.

use bandprobe::model::{
    flag::Flags,
    outcome::Outcome,
    phase::{Phase, Phases},
    probe::PartName,
    sample::{
        CacheState, ConnectionKind, Family, HttpVersion, Labels, NetworkPath, Rates, ReaderStats, Sample, TlsInfo,
        TraceInfo,
    },
    target::AssetKind,
    units::{BitRate, Bytes, Micros},
};
use jiff::Timestamp;

/// A good video start with everything measured.
pub(crate) fn video() -> Sample {
    Sample {
        at: at(0),
        labels: Labels {
            vantage: "eu-central".into(),
            node: "fra1".into(),
            region: Some("eu west".into()),
            probe: "video".into(),
            kind: Some(AssetKind::Video),
            part: Some(PartName::Start),
            conn: Some(ConnectionKind::Cold),
            http: Some(HttpVersion::Http2),
            family: Some(Family::V6),
            cache: CacheState::Hit,
        },
        outcome: Outcome::Ok,
        failed_phase: None,
        error: None,
        lateness: Micros(77),
        phases: phases(),
        bytes: Some(6_291_456),
        expected_bytes: Some(6_291_456),
        status: Some(206),
        rates: Rates {
            effective: Some(BitRate(19_358_300)),
            goodput: Some(BitRate(20_093_810)),
            steady: Some(BitRate(20_100_000)),
            min_interval: Some(BitRate(19_000_000)),
            ramp: Some(Micros(350_000)),
            longest_gap: Some(Micros(12_000)),
            stalls: Some(0),
            stalled: Some(Micros::ZERO),
        },
        intervals: vec![BitRate(20_000_000), BitRate(20_100_000), BitRate(18_000_000)],
        curve: None,
        hit: None,
        run_ok: Some(true),
        flags: Flags::NONE,
        distance_km: Some(12.5),
        path: NetworkPath {
            rtt: Some(Micros(29_900)),
            rcv_rtt: Some(Micros(31_000)),
            ooo_segments: Some(3),
            rcv_wnd: Some(Bytes(3_145_728)),
        },
        reader: ReaderStats {
            lag_p90: Some(Micros(21)),
            cpu_share: Some(0.0625),
            run_delay: Some(Micros(140)),
            frozen: None,
            span: Some(Micros(2_000_000)),
        },
        tls: TlsInfo { version: Some("1.3"), cert_expires: Some(5_184_000) },
        trail: trail(),
    }
}

fn phases() -> Phases {
    let mut phases = Phases::default();
    for (phase, at) in [
        (Phase::Dns, 1_200),
        (Phase::Connect, 31_207),
        (Phase::Tls, 62_001),
        (Phase::Send, 62_040),
        (Phase::Wait, 99_999),
        (Phase::Receive, 2_599_999),
    ] {
        phases.end(phase, Micros(at));
    }
    phases
}

fn trail() -> TraceInfo {
    TraceInfo {
        asset_id: Some("552149".into()),
        remote_addr: Some("2001:db8::7".parse().unwrap()),
        server: Some("nginx/1.25 \"edge\"".into()),
        data_source: Some("local".into()),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        request_id: Some("r-1".into()),
    }
}

/// A good cold image with this time to the first byte, taken `nanoseconds` after the first sample.
pub(crate) fn image(node: &str, nanoseconds: i64, ttfb: u64) -> Sample {
    let mut phases = Phases::default();
    phases.end(Phase::Connect, Micros(ttfb / 2));
    phases.end(Phase::Send, Micros(ttfb / 2));
    phases.end(Phase::Wait, Micros(ttfb));
    phases.end(Phase::Receive, Micros(ttfb + 1_000));
    let video = video();
    Sample {
        at: at(nanoseconds),
        labels: Labels {
            node: node.into(),
            region: None,
            probe: "image".into(),
            kind: Some(AssetKind::Image),
            part: Some(PartName::Full),
            ..video.labels
        },
        phases,
        bytes: Some(21_136),
        expected_bytes: Some(21_136),
        status: Some(200),
        rates: Rates { effective: BitRate::mean(21_136, phases.total()), ..Rates::default() },
        intervals: vec![],
        curve: None,
        hit: None,
        run_ok: Some(true),
        flags: Flags::NONE,
        path: NetworkPath { rtt: Some(Micros(ttfb / 2)), ..NetworkPath::default() },
        reader: ReaderStats::default(),
        tls: TlsInfo::default(),
        trail: TraceInfo::default(),
        lateness: Micros::ZERO,
        distance_km: None,
        ..video
    }
}

/// The same sample, failed.
pub(crate) fn failed(sample: Sample, outcome: Outcome) -> Sample {
    let mut phases = Phases::default();
    phases.end(Phase::Connect, Micros(5_000_000));
    Sample {
        outcome,
        run_ok: outcome.is_charged().then_some(false),
        failed_phase: Some(Phase::Connect),
        error: Some(format!("{outcome}: as the test wants")),
        phases,
        bytes: None,
        expected_bytes: None,
        status: None,
        rates: Rates::default(),
        intervals: vec![],
        curve: None,
        path: NetworkPath::default(),
        ..sample
    }
}

/// The time this many nanoseconds after the first sample.
pub(crate) fn at(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(1_795_341_600_123_456_789 + i128::from(nanoseconds)).unwrap()
}
