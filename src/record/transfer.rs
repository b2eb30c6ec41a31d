//! Converts a sample to its point in `bandprobe_transfer`.

use crate::model::{
    flag::Flag,
    outcome::Outcome,
    phase::Phase,
    sample::{METHOD, NetworkPath, Rates, ReaderStats, Sample, TlsInfo, TraceInfo},
    units::{BitRate, Micros},
};

use super::{
    point::Point,
    schema::{NONE, transfer as schema},
};

/// The point of a sample. A value that was not measured is absent. The times of a transfer in which this process did
/// not run are absent too, because they could be mistaken for the node's. The intervals are not included: they are used
/// for histograms only.
///
/// A cancelled sample has a point too, but the caller does not record it.
#[must_use]
pub fn transfer(sample: &Sample) -> Point {
    let mut point = Point::new(&schema::MEASUREMENT, sample.at);
    tags(sample, &mut point);
    point.integer(schema::OK, Some(u64::from(sample.outcome.is_ok())));
    point.integer(schema::VALID, Some(u64::from(sample.is_valid())));
    point.integer(schema::LATENESS, Some(sample.lateness.0));
    point.integer(schema::METHOD, Some(METHOD.unsigned_abs()));
    point.integer(schema::HIT, sample.hit.map(u64::from));
    point.integer(schema::RUN_OK, sample.run_ok.map(u64::from));
    if !sample.flags.contains(Flag::Frozen) {
        phases(sample, &mut point);
    }
    point.integer(schema::BYTES, sample.bytes);
    point.integer(schema::EXPECTED_BYTES, sample.expected_bytes);
    point.integer(schema::STATUS, sample.status.map(u64::from));
    rates(&sample.rates, &mut point);
    point.text(schema::FLAGS, Some(&sample.flags.to_string()));
    point.float(schema::DISTANCE, sample.distance_km);
    path(&sample.path, &mut point);
    reader(&sample.reader, &mut point);
    tls(sample.tls, &mut point);
    trail(&sample.trail, &mut point);
    point.text(schema::FAILED_PHASE, sample.failed_phase.map(Phase::label));
    point.text(schema::ERROR, sample.error.as_deref());
    point
}

/// The outcome with this value of the `outcome` tag; `None` when there is none.
#[must_use]
pub fn outcome(label: &str) -> Option<Outcome> {
    Outcome::ALL.iter().copied().find(|outcome| outcome.label() == label)
}

fn tags(sample: &Sample, point: &mut Point) {
    let labels = &sample.labels;
    point.tag(schema::VANTAGE, &labels.vantage);
    point.tag(schema::NODE, &labels.node);
    point.tag(schema::REGION, labels.region.as_deref().unwrap_or(NONE));
    point.tag(schema::PROBE, &labels.probe);
    point.tag(schema::KIND, labels.kind.map_or(NONE, |kind| kind.label()));
    point.tag(schema::PART, labels.part.map_or(NONE, |part| part.label()));
    point.tag(schema::CONN, labels.conn.map_or(NONE, |conn| conn.label()));
    point.tag(schema::HTTP, labels.http.map_or(NONE, |http| http.label()));
    point.tag(schema::FAMILY, labels.family.map_or(NONE, |family| family.label()));
    point.tag(schema::CACHE, labels.cache.label());
    point.tag(schema::OUTCOME, sample.outcome.label());
}

fn phases(sample: &Sample, point: &mut Point) {
    let field = |phase| match phase {
        Phase::Dns => schema::DNS,
        Phase::Connect => schema::CONNECT,
        Phase::Tls => schema::TLS,
        Phase::Send => schema::SEND,
        Phase::Wait => schema::WAIT,
        Phase::Receive => schema::RECEIVE,
    };
    for phase in Phase::ALL {
        point.integer(field(phase), micros(sample.phases.took(phase)));
    }
    point.integer(schema::TTFB, micros(sample.phases.ttfb()));
    point.integer(schema::SERVER_TIME, micros(sample.server_time()));
    let started = Phase::ALL.into_iter().any(|phase| sample.phases.took(phase).is_some());
    point.integer(schema::TOTAL, started.then_some(sample.phases.total().0));
}

fn rates(rates: &Rates, point: &mut Point) {
    point.integer(schema::EFFECTIVE, bps(rates.effective));
    point.integer(schema::GOODPUT, bps(rates.goodput));
    point.integer(schema::STEADY, bps(rates.steady));
    point.integer(schema::MIN_INTERVAL, bps(rates.min_interval));
    point.integer(schema::RAMP, micros(rates.ramp));
    point.integer(schema::LONGEST_GAP, micros(rates.longest_gap));
    point.integer(schema::STALLS, rates.stalls);
    point.integer(schema::STALLED, micros(rates.stalled));
}

fn path(path: &NetworkPath, point: &mut Point) {
    point.integer(schema::RTT, micros(path.rtt));
    point.integer(schema::RCV_RTT, micros(path.rcv_rtt));
    point.integer(schema::OOO_SEGMENTS, path.ooo_segments);
    point.integer(schema::RCV_WND, path.rcv_wnd.map(|bytes| bytes.0));
}

fn reader(reader: &ReaderStats, point: &mut Point) {
    point.integer(schema::RX_LAG, micros(reader.lag_p90));
    point.float(schema::CPU_SHARE, reader.cpu_share);
    point.integer(schema::RUN_DELAY, micros(reader.run_delay));
}

fn tls(tls: TlsInfo, point: &mut Point) {
    point.signed(schema::CERT_EXPIRES, tls.cert_expires);
    point.text(schema::TLS_VERSION, tls.version);
}

fn trail(trail: &TraceInfo, point: &mut Point) {
    point.text(schema::ASSET_ID, trail.asset_id.as_deref());
    point.text(schema::REMOTE_ADDR, trail.remote_addr.map(|address| address.to_string()).as_deref());
    point.text(schema::SERVER, trail.server.as_deref());
    point.text(schema::DATA_SOURCE, trail.data_source.as_deref());
    point.text(schema::TRACE_ID, trail.trace_id.as_deref());
    point.text(schema::REQUEST_ID, trail.request_id.as_deref());
}

fn micros(time: Option<Micros>) -> Option<u64> {
    time.map(|time| time.0)
}

fn bps(rate: Option<BitRate>) -> Option<u64> {
    rate.map(|rate| rate.0)
}
