//! A real transfer against each row of the fault table.

use std::time::Duration;

use bandprobe::{
    config::{HttpChoice, Network},
    model::{
        flag::{Flag, Flags},
        outcome::Outcome,
        phase::Phase,
        probe::PartName,
        sample::{ConnectionKind, Sample},
        units::Bytes,
    },
    probe::{Prober, requested_bytes::RequestedBytes},
};
use tokio::{task::JoinSet, time::timeout};

use super::{Plan, assert_consistent, network, prober};
use crate::fault::{Ask, Case, DEADLINES, FIRST, FaultServer, LAST, SIZE, cases, certificate, server::Port};

/// Far above the sum of all deadlines of one row: only a hang gets here.
const A_HANG: Duration = Duration::from_secs(60);

/// How late a machine that others use too may ring an alarm.
const BUSY: Duration = Duration::from_secs(3);

/// Rows at once: most only wait.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_has_its_outcome_and_flags() {
    let probers = [HttpChoice::Auto, HttpChoice::Http1, HttpChoice::Http2]
        .map(|http| (http, prober(&Network { http, ..network(Some(certificate::ca_pem())) })));
    let mut rows = JoinSet::new();
    let mut wrong = vec![];
    for case in cases() {
        if rows.len() == AT_ONCE {
            wrong.extend(rows.join_next().await.unwrap().unwrap());
        }
        let prober = probers.iter().find(|(http, _)| *http == case.http).unwrap().1.clone();
        rows.spawn(async move { judge(case, timeout(A_HANG, ask(case, &prober)).await.ok()) });
    }
    while let Some(row) = rows.join_next().await {
        wrong.extend(row.unwrap());
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), cases().count(), wrong.join("\n"));
}

/// What came of a row.
struct Asked {
    sample: Sample,
    /// How many the server accepted.
    connections: usize,
    /// The client has ended them all.
    is_left: bool,
}

/// What is wrong with a row, if anything.
fn judge(case: &Case, asked: Option<Asked>) -> Option<String> {
    let Some(Asked { sample, connections, is_left }) = asked else { return Some(format!("{}: hangs", case.name)) };
    assert_consistent(case.name, &sample);
    let mut expected: Flags = case.flags.iter().copied().collect();
    // No asset is large enough for a rate, hence none for a rough one either.
    if case.outcome.is_ok() && case.ask != Ask::Head {
        expected.raise(Flag::TooSmall);
    }
    // A starved machine causes pauses too, and then the sample must be flagged.
    if sample.rates.stalls > Some(0) && !expected.contains(Flag::Partial) {
        expected.raise(Flag::StalledSome);
    }
    let is_by_chance = |flag: Flag| matches!(flag, Flag::CpuBound | Flag::Reordered);
    let flags: Flags = sample.flags.iter().filter(|flag| !is_by_chance(*flag)).collect();
    let (phase, failed) = (sample.failed_phase, case.failed_phase());
    if (sample.outcome, flags, phase) == (case.outcome, expected, failed) {
        let retried = usize::from(expected.contains(Flag::Reconnected));
        let dialled = if case.behaviour.port == Port::Refused { 0 } else { 1 + retried };
        return misconduct(case, &sample)
            .or_else(|| jargon(&sample))
            .or_else(|| (connections != dialled).then(|| format!("{connections} connections, not {dialled}")))
            .or_else(|| (!is_left).then(|| "a connection stays open".to_owned()))
            .map(|wrong| format!("{}: {wrong}", case.name));
    }
    let error = sample.error.unwrap_or_default();
    Some(format!(
        "{}: {} [{flags}] in {phase:?} ({error}), not {} [{expected}] in {failed:?}",
        case.name, sample.outcome, case.outcome
    ))
}

/// Words of the HTTP libraries in the error, or no reason at all.
fn jargon(sample: &Sample) -> Option<String> {
    let error = sample.error.as_deref()?;
    let phrases =
        ["http2 error", " parsed", "stream error", "message completed", "end of file", "EOF", "from connection"];
    let is_plain = !phrases.iter().any(|phrase| error.contains(phrase)) && !error.contains("the HTTP exchange failed");
    (!is_plain).then(|| format!("says `{error}`"))
}

/// A phase that is missing before the last one, or one that went on beyond its deadline.
fn misconduct(case: &Case, sample: &Sample) -> Option<String> {
    let is_new = sample.labels.conn == Some(ConnectionKind::Cold) || case.ask != Ask::Twice;
    let is_tls = !matches!(case.behaviour.port, Port::Http | Port::Refused);
    let happens = |phase: &Phase| match phase {
        Phase::Dns => false, // the URL holds an address
        Phase::Connect => is_new,
        Phase::Tls => is_new && is_tls,
        Phase::Send | Phase::Wait | Phase::Receive => true,
    };
    let last = sample.failed_phase.unwrap_or(Phase::Receive);
    let took = |phase| sample.phases.took(phase);
    let missing = Phase::ALL.into_iter().filter(happens).find(|&phase| phase <= last && took(phase).is_none());
    if let Some(missing) = missing {
        return Some(format!("`{}` is missing", missing.label()));
    }
    let head = took(Phase::Send).unwrap_or_default().0 + took(Phase::Wait).unwrap_or_default().0;
    let clocks = [
        ("connect", took(Phase::Connect).unwrap_or_default().0, DEADLINES.connect),
        ("tls", took(Phase::Tls).unwrap_or_default().0, DEADLINES.tls),
        ("send and wait", head, DEADLINES.headers),
        ("receive", took(Phase::Receive).unwrap_or_default().0, DEADLINES.body),
    ];
    let over = clocks.into_iter().find(|(_, took, most)| Duration::from_micros(*took) > *most + BUSY);
    over.map(|(phase, took, most)| format!("`{phase}` took {took} us, and has {most:?}"))
}

async fn ask(case: &Case, prober: &Prober) -> Asked {
    let mut server = FaultServer::start(case.behaviour);
    let (part, wanted) = match case.ask {
        Ask::Range | Ask::Twice => (PartName::Start, RequestedBytes::Range { first: FIRST, last: LAST }),
        Ask::Full | Ask::Unsized => (PartName::Full, RequestedBytes::Whole),
        Ask::Head => (PartName::Check, RequestedBytes::Whole),
    };
    let plan = Plan {
        size: (case.ask != Ask::Unsized).then_some(Bytes(SIZE).into()),
        deadlines: DEADLINES,
        ..Plan::new(&server.url(), part, wanted)
    };
    let mut done = plan.run(prober, None).await;
    if case.ask == Ask::Twice {
        assert_eq!(done.sample.outcome, Outcome::Ok, "{}: the first", case.name);
        done = plan.run(prober, done.connection).await;
    }
    let sample = done.sample;
    drop(done.connection);
    Asked { sample, connections: server.connections(), is_left: server.is_left().await }
}
