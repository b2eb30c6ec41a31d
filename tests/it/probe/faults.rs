//! The table of hostile behaviours, each asked by a real transfer.

use std::time::Duration;

use bandprobe::{
    config::{HttpChoice, Network},
    model::{
        flag::{Flag, Flags},
        outcome::Outcome,
        probe::PartName,
        sample::Sample,
        units::Bytes,
    },
    probe::{Prober, wanted::Wanted},
};
use tokio::{task::JoinSet, time::timeout};

use super::{Plan, assert_consistent, network, prober};
use crate::fault::{Ask, CASES, Case, DEADLINES, FIRST, FaultServer, LAST, SIZE, certificate};

/// Far above the sum of all deadlines of one row: only a hang gets here.
const A_HANG: Duration = Duration::from_secs(60);

/// Rows at once: most only wait.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_behaviour_has_its_outcome_and_flags() {
    let probers = [HttpChoice::Auto, HttpChoice::Http1, HttpChoice::Http2]
        .map(|http| (http, prober(&Network { http, ..network(Some(certificate::ca_pem())) })));
    let mut rows = JoinSet::new();
    let mut wrong = vec![];
    for case in CASES {
        if rows.len() == AT_ONCE {
            wrong.extend(rows.join_next().await.unwrap().unwrap());
        }
        let prober = probers.iter().find(|(http, _)| *http == case.http).unwrap().1.clone();
        rows.spawn(async move { judge(case, timeout(A_HANG, ask(case, &prober)).await.ok()) });
    }
    while let Some(row) = rows.join_next().await {
        wrong.extend(row.unwrap());
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}

/// What is wrong with the sample of a row, if anything.
fn judge(case: &Case, sample: Option<Sample>) -> Option<String> {
    let Some(sample) = sample else { return Some(format!("{}: hangs", case.name)) };
    assert_consistent(case.name, &sample);
    let expected: Flags = case.flags.iter().copied().collect();
    // A machine that starves us pauses too. That nothing else is taken for a stall is shown in paused time.
    let is_by_chance = |flag: Flag| match flag {
        Flag::TooSmall | Flag::Coarse | Flag::CpuBound | Flag::Reordered => true,
        Flag::StalledSome => !expected.contains(flag),
        _ => false,
    };
    let flags: Flags = sample.flags.iter().filter(|flag| !is_by_chance(*flag)).collect();
    let (phase, failed) = (sample.failed_phase, case.failed_phase());
    if (sample.outcome, flags, phase) == (case.outcome, expected, failed) {
        return None;
    }
    let error = sample.error.unwrap_or_default();
    Some(format!(
        "{}: {} [{flags}] in {phase:?} ({error}), not {} [{expected}] in {failed:?}",
        case.name, sample.outcome, case.outcome
    ))
}

async fn ask(case: &Case, prober: &Prober) -> Sample {
    let server = FaultServer::start(case.behaviour);
    let (part, wanted) = match case.ask {
        Ask::Range | Ask::Twice => (PartName::Start, Wanted::Range { first: FIRST, last: LAST }),
        Ask::Full => (PartName::Full, Wanted::Whole),
        Ask::Head => (PartName::Check, Wanted::Whole),
    };
    let plan = Plan { size: Some(Bytes(SIZE)), deadlines: DEADLINES, ..Plan::new(&server.url(), part, wanted) };
    let first = plan.run(prober, None).await;
    if case.ask != Ask::Twice {
        return first.sample;
    }
    assert_eq!(first.sample.outcome, Outcome::Ok, "{}: the first", case.name);
    plan.run(prober, first.connection).await.sample
}
