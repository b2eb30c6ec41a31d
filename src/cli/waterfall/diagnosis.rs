//! A transfer in one sentence: which part of a good transfer took longest, and the likely reason.

use crate::{
    measure::evidence::Slowness,
    model::{
        flag::Flag,
        phase::Phase,
        sample::{CacheState, ConnectionKind, ReaderStats, Sample},
        units::{Bytes, Micros},
    },
};

/// The sentence. `None` for a failed transfer, because the outcome explains it, and for a frozen one.
pub(super) fn diagnosis(sample: &Sample) -> Option<String> {
    if !sample.outcome.is_ok() || sample.flags.contains(Flag::Frozen) {
        return None;
    }
    let stages = Stages::of(sample);
    let (took, words) = [
        (stages.name, name as fn(&Sample, &Stages) -> String),
        (stages.path, path),
        (stages.request, request),
        (stages.node, node),
        (stages.body, body),
    ]
    .into_iter()
    .max_by_key(|(took, _)| *took)?;
    let is_most = took.0 * 2 >= sample.phases.total().0;
    let begin = if is_most { "most of it is" } else { "the largest part is" };
    Some(format!("{begin} {}", words(sample, &stages)))
}

/// The time of a transfer by cause. The time of the path is its round trips: those of both handshakes, and one in the
/// wait.
struct Stages {
    name: Micros,
    path: Micros,
    request: Micros,
    node: Micros,
    body: Micros,
    /// Number of round trips in `path` that the protocols need.
    trips: u64,
}

impl Stages {
    fn of(sample: &Sample) -> Self {
        let took = |phase| sample.phases.took(phase).unwrap_or_default();
        let (wait, rtt) = (took(Phase::Wait), sample.path.rtt.unwrap_or_default());
        let there = sample.phases.took(Phase::Connect).map_or(0, |_| 1);
        let back = u64::from(sample.path.rtt.is_some());
        Self {
            name: took(Phase::Dns),
            path: Micros(took(Phase::Connect).0 + took(Phase::Tls).0 + wait.min(rtt).0),
            request: took(Phase::Send),
            node: wait.saturating_sub(rtt),
            body: took(Phase::Receive),
            trips: there + tls_trips(sample) + back,
        }
    }
}

/// Round trips of a full TLS handshake: RFC 8446 §2, RFC 5246 §7.3.
fn tls_trips(sample: &Sample) -> u64 {
    match (sample.phases.took(Phase::Tls), sample.tls.version) {
        (None, _) => 0,
        (Some(_), Some("1.2")) => 2,
        (Some(_), _) => 1,
    }
}

fn name(sample: &Sample, stages: &Stages) -> String {
    format!("the name lookup: the resolver took {} of {}", stages.name, sample.phases.total())
}

fn request(_: &Sample, stages: &Stages) -> String {
    format!("the request: sending it took {}", stages.request)
}

fn path(sample: &Sample, stages: &Stages) -> String {
    let (connect, tls) = (sample.phases.took(Phase::Connect), sample.phases.took(Phase::Tls));
    let described = |(name, took): (&str, Option<Micros>)| took.map(|took| format!("{name} took {took}"));
    let Some(rtt) = sample.path.rtt.filter(|rtt| rtt.0 > 0) else {
        let described: Vec<_> = [("connect", connect), ("tls", tls)].into_iter().filter_map(described).collect();
        return format!("the path: {}", described.join(", "));
    };
    if stages.path.0 * 4 <= stages.trips * rtt.0 * 5 {
        let trips = if stages.trips == 1 { "a round trip".to_owned() } else { format!("{} round trips", stages.trips) };
        let phases = match (connect, tls) {
            (Some(_), Some(_)) => "connect, tls and wait contain",
            (Some(_), None) => "connect and wait contain",
            _ => "wait contains",
        };
        return format!("the path: {phases} {trips} of {rtt}");
    }
    let connect_beyond = connect.map(|took| took.saturating_sub(rtt)).unwrap_or_default();
    let tls_beyond = tls.map(|took| Micros(took.0.saturating_sub(tls_trips(sample) * rtt.0))).unwrap_or_default();
    if tls_beyond > connect_beyond {
        let took = tls.unwrap_or_default();
        return format!("tls: it took {took} with a round trip of {rtt}, and the rest was computing on either side");
    }
    let took = connect.unwrap_or_default();
    if connect_beyond.0 >= SYN_AGAIN {
        return format!(
            "connect: it took {took} with a round trip of {rtt}, probably because the first segment was lost (RFC 6298)"
        );
    }
    format!("connect: it took {took}, although the shortest round trip is {rtt}")
}

fn node(sample: &Sample, stages: &Stages) -> String {
    let beyond = stages.node;
    let Some(rtt) = sample.path.rtt else {
        return format!("the wait: {beyond}, on the node or the path; the round trip is not known");
    };
    let cache = match sample.labels.cache {
        CacheState::Miss | CacheState::Pending => format!(" (cache {})", sample.labels.cache.label()),
        CacheState::Hit | CacheState::Unknown => String::new(),
    };
    format!("the node: it took {beyond} beyond the round trip of {rtt}{cache}")
}

/// The limit that the reader exceeded, in words.
fn busy(reader: &ReaderStats) -> String {
    let slow = Slowness::of(reader);
    let delayed = reader.run_delay.filter(|_| slow.delayed).map(|delay| format!("it waited {delay} for a CPU"));
    let ran = reader
        .cpu_share
        .filter(|_| slow.busy)
        .map(|share| format!("it ran or waited for {:.0} % of the time", share * 100.0));
    let late = reader.lag_p90.filter(|_| slow.late).map(|lag| format!("it read up to {lag} late"));
    delayed.or(ran).or(late).unwrap_or_else(|| "see -v".to_owned())
}

fn body(sample: &Sample, stages: &Stages) -> String {
    let rates = &sample.rates;
    let has = |flag| sample.flags.contains(flag);
    let size = Bytes(sample.bytes.unwrap_or_default());
    let (receive, stalled) = (stages.body, rates.stalled.unwrap_or_default());
    if has(Flag::CpuBound) {
        return format!(
            "the body, but this machine was too busy to measure the node and the path: {}",
            busy(&sample.reader)
        );
    }
    if stalled.0 * 2 >= receive.0 && stalled.0 > 0 {
        return format!("the body, which stalled for {stalled} of {receive}");
    }
    if let Some(ramp) = rates.ramp.filter(|ramp| ramp.0 > 0 && ramp.0 * 2 >= receive.0) {
        return format!("the body, and its rate was rising for {ramp} of {receive}");
    }
    if let Some(goodput) = rates.goodput {
        let limit = match () {
            () if has(Flag::ReceiverLimited) => ", limited by the receive window of this machine",
            () if has(Flag::UplinkLimited) => ", near the rate of this vantage's uplink",
            () => "",
        };
        return format!("the body: {size} at {goodput}{limit}");
    }
    match in_slow_start(sample, receive) {
        Some((trips, rtt)) => {
            format!("the body: {size} in about {trips} round trips of {rtt}, as expected in slow start (RFC 6928)")
        }
        None => format!("the body: {size} in {receive}"),
    }
}

/// The round trips that slow start needs for the bytes after the first flight, which arrives with the head. `None`
/// unless the body took about that long on a new connection.
fn in_slow_start(sample: &Sample, receive: Micros) -> Option<(u64, Micros)> {
    let rtt = sample.path.rtt.filter(|rtt| *rtt >= TELLING)?;
    let bytes = sample.bytes.filter(|_| sample.labels.conn == Some(ConnectionKind::Cold))?;
    let trips = u64::from((bytes / FIRST_FLIGHT + 1).ilog2());
    let needed = trips * rtt.0;
    (trips > 1 && receive.0.abs_diff(needed) * 3 <= needed).then_some((trips, rtt))
}

/// Ten segments of 1448 bytes: the initial window of RFC 6928.
const FIRST_FLIGHT: u64 = 14_480;

/// A SYN without an answer is sent again after a second (RFC 6298 §2.1), here in µs.
const SYN_AGAIN: u64 = 1_000_000;

/// Below this round-trip time, computing takes as long as the path.
const TELLING: Micros = Micros(5_000);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::waterfall::fixture::{phases, sample},
        model::{outcome::Outcome, units::BitRate},
    };

    fn check(change: impl FnOnce(&mut Sample), expected: &str) {
        let mut sample = sample();
        change(&mut sample);
        assert_eq!(diagnosis(&sample).as_deref(), Some(expected));
    }

    fn small(sample: &mut Sample, millis: [Option<u64>; 6], rtt: u64, bytes: u64) {
        sample.phases = phases(millis);
        sample.path.rtt = Some(Micros(rtt * 1_000));
        sample.rates = crate::model::sample::Rates::default();
        sample.bytes = Some(bytes);
    }

    #[test]
    fn the_diagnosis_explains_the_longest_part() {
        let way = [Some(2), Some(80), Some(82), Some(0), Some(85), Some(1)];
        check(
            |s| small(s, way, 80, 9_000),
            "most of it is the path: connect, tls and wait contain 3 round trips of 80.0 ms",
        );
        let way = [Some(2), Some(80), Some(162), Some(0), Some(85), Some(1)];
        let old = |s: &mut Sample| s.tls.version = Some("1.2");
        check(
            |s| {
                small(s, way, 80, 9_000);
                old(s);
            },
            "most of it is the path: connect, tls and wait contain 4 round trips of 80.0 ms",
        );
        check(
            |s| small(s, [Some(300), Some(80), None, Some(0), Some(85), Some(1)], 80, 9_000),
            "most of it is the name lookup: the resolver took 300 ms of 466 ms",
        );
        check(
            |s| small(s, [None, None, None, Some(0), Some(85), Some(1)], 80, 9_000),
            "most of it is the path: wait contains a round trip of 80.0 ms",
        );
        check(
            |s| small(s, [None, Some(1_080), None, Some(0), Some(85), Some(1)], 80, 9_000),
            "most of it is connect: it took 1.08 s with a round trip of 80.0 ms, probably because the first segment was lost (RFC 6298)",
        );
        check(
            |s| small(s, [None, Some(200), None, Some(0), Some(85), Some(1)], 80, 9_000),
            "most of it is connect: it took 200 ms, although the shortest round trip is 80.0 ms",
        );
        check(
            |s| small(s, [None, Some(3), Some(95), Some(0), Some(4), Some(1)], 2, 9_000),
            "most of it is tls: it took 95.0 ms with a round trip of 2.00 ms, and the rest was computing on either side",
        );
        check(
            |s| small(s, [None, None, None, Some(40), Some(4), Some(1)], 2, 9_000),
            "most of it is the request: sending it took 40.0 ms",
        );
        let slow = [None, Some(2), None, Some(0), Some(122), Some(1)];
        check(|s| small(s, slow, 2, 9_000), "most of it is the node: it took 120 ms beyond the round trip of 2.00 ms");
        check(
            |s| {
                small(s, slow, 2, 9_000);
                s.labels.cache = CacheState::Miss;
            },
            "most of it is the node: it took 120 ms beyond the round trip of 2.00 ms (cache miss)",
        );
        check(
            |s| {
                small(s, slow, 2, 9_000);
                s.path.rtt = None;
            },
            "most of it is the wait: 122 ms, on the node or the path; the round trip is not known",
        );
        check(
            |s| small(s, [Some(50), Some(40), Some(0), Some(0), Some(40), Some(60)], 40, 9_000),
            "the largest part is the path: connect, tls and wait contain 3 round trips of 40.0 ms",
        );
    }

    #[test]
    fn a_slow_body_names_its_cause() {
        check(|_| (), "most of it is the body: 6.29 MB at 27.5 Mbit/s");
        check(
            |s| {
                s.flags.raise(Flag::CpuBound);
                s.reader.run_delay = Some(Micros(400_000));
            },
            "most of it is the body, but this machine was too busy to measure the node and the path: it waited 400 ms for a CPU",
        );
        check(
            |s| s.flags.raise(Flag::ReceiverLimited),
            "most of it is the body: 6.29 MB at 27.5 Mbit/s, limited by the receive window of this machine",
        );
        check(
            |s| s.flags.raise(Flag::UplinkLimited),
            "most of it is the body: 6.29 MB at 27.5 Mbit/s, near the rate of this vantage's uplink",
        );
        check(
            |s| s.rates.stalled = Some(Micros(1_200_000)),
            "most of it is the body, which stalled for 1.20 s of 1.83 s",
        );
        check(
            |s| s.rates.ramp = Some(Micros(1_000_000)),
            "most of it is the body, and its rate was rising for 1.00 s of 1.83 s",
        );
        let far = [None, Some(80), None, Some(0), Some(85), Some(250)];
        check(
            |s| small(s, far, 80, 120_000),
            "most of it is the body: 120 kB in about 3 round trips of 80.0 ms, as expected in slow start (RFC 6928)",
        );
        check(
            |s| {
                small(s, far, 80, 120_000);
                s.labels.conn = Some(ConnectionKind::Warm);
            },
            "most of it is the body: 120 kB in 250 ms",
        );
        check(|s| small(s, far, 80, 20_000), "most of it is the body: 20.0 kB in 250 ms");
        check(
            |s| {
                s.rates.goodput = Some(BitRate(9_000));
                s.bytes = Some(500)
            },
            "most of it is the body: 500 B at 9.00 kbit/s",
        );
    }

    #[test]
    fn a_failed_transfer_has_no_diagnosis() {
        let mut sample = sample();
        sample.outcome = Outcome::Reset;
        assert_eq!(diagnosis(&sample), None);
    }
}
