//! What the runs against a node mean for its health.

use std::time::Duration;

use bandprobe::{
    config::check::shipped,
    measure::{
        history::{History, RunUnderWay},
        storage_faults::StorageFaults,
    },
    model::{
        flag::Flag,
        health::{EndedRun, RunFault},
        outcome::Outcome,
        probe::{PartName, Probe},
        sample::Sample,
    },
};

use crate::record::samples;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn image() -> Probe {
    shipped("image").unwrap()
}

/// A sample that decides its run.
fn run(outcome: Outcome) -> Sample {
    let mut sample = samples::video();
    sample.outcome = outcome;
    sample.run_ok = outcome.is_charged().then(|| outcome.is_ok());
    sample.error = (!outcome.is_ok()).then(|| "status 500: Failed to download object 7".to_owned());
    sample
}

fn noted(history: &mut History, sample: &Sample, at: Duration) {
    history.note(&mut RunUnderWay::default(), sample, &image(), at);
}

/// What was wrong with the runs that are kept.
fn faults(runs: &[EndedRun]) -> Vec<&'static str> {
    runs.iter().map(|run| run.fault.map_or("ok", RunFault::label)).collect()
}

#[test]
fn the_last_runs_are_kept_while_they_are_fresh() {
    use Outcome::{Http5xx, Ok, Reset, Stalled};
    let (mut history, every) = (History::default(), image().every.as_secs());
    for (at, outcome) in [(0, Ok), (1, Http5xx), (2, Stalled), (3, Reset), (4, Http5xx)] {
        noted(&mut history, &run(outcome), secs(at));
    }
    let kept = history.ended(secs(5));
    assert_eq!(faults(&kept), ["http_5xx", "stalled", "reset", "http_5xx"], "the last four");
    let later = history.ended(secs(6 * every + 2));
    assert_eq!(faults(&later), ["reset", "http_5xx"], "older ones say nothing any more");
}

#[test]
fn runs_that_are_not_charged_are_left_out() {
    let mut history = History::default();
    for outcome in [Outcome::Blocked, Outcome::LocalFailed, Outcome::Cancelled, Outcome::NotCached] {
        noted(&mut history, &run(outcome), secs(0));
    }
    let mut suspect = run(Outcome::ConnectTimeout);
    suspect.flags.raise(Flag::VantageSuspect);
    noted(&mut history, &Sample { run_ok: None, ..suspect }, secs(0));
    assert_eq!(history.ended(secs(0)), []);
}

#[test]
fn three_runs_without_a_find_request_a_storage_check() {
    use Outcome::{Http5xx, LocalFailed, NotCached, Ok};
    for (ended, is_due) in [
        (&[NotCached, NotCached][..], false),
        (&[NotCached, NotCached, NotCached], true),
        (&[NotCached, NotCached, LocalFailed, NotCached], true),
        (&[NotCached, NotCached, Ok, NotCached], false),
        (&[NotCached, NotCached, Http5xx, NotCached], false),
    ] {
        let mut history = History::default();
        for outcome in ended {
            noted(&mut history, &run(*outcome), secs(0));
        }
        assert_eq!((history.takes_fetch(), history.takes_fetch()), (is_due, false), "{ended:?}");
    }
}

/// A run is good when `run_ok` says so, whichever of its transfers was not.
#[test]
fn a_run_is_good_if_all_its_transfers_are() {
    use Outcome::{Http5xx, Ok};
    let slow = |mut sample: Sample| {
        sample.flags.raise(Flag::TooSlow);
        sample
    };
    let mut history = History::default();
    for transfers in [
        vec![run(Ok), run(Ok)],
        vec![run(Ok), slow(run(Ok))],
        vec![slow(run(Ok)), run(Ok)],
        vec![slow(run(Ok)), run(Http5xx)],
    ] {
        let is_good = transfers.iter().all(Sample::is_good);
        let last = transfers.len() - 1;
        let mut under_way = RunUnderWay::default();
        for (index, sample) in transfers.into_iter().enumerate() {
            let sample = Sample { run_ok: (index == last).then_some(is_good), ..sample };
            history.note(&mut under_way, &sample, &image(), secs(0));
        }
    }
    let runs = history.ended(secs(0));
    assert_eq!(faults(&runs), ["ok", "too_slow", "too_slow", "http_5xx"]);
    assert_eq!(runs[1].fault, Some(RunFault::TooSlow(image().min_rate)));
}

/// What is known of the node after these samples.
fn error_after(samples: &[(Sample, Probe)]) -> Option<String> {
    let mut faults = StorageFaults::default();
    for (sample, probe) in samples {
        if let Some(finding) = faults.finding(sample, probe) {
            faults.note(&sample.labels.node, &finding);
        }
    }
    faults.error(&samples[0].0.labels.node, samples[0].0.at).map(str::to_owned)
}

#[test]
fn a_failed_fetch_counts_until_a_later_success() {
    let check = shipped("cold-cache").unwrap().storage_check();
    let failed = (run(Outcome::Http5xx), check.clone());
    let said = Some("status 500: Failed to download object 7".to_owned());
    assert_eq!(error_after(std::slice::from_ref(&failed)), said);
    let mut slow = run(Outcome::Ok);
    slow.flags.raise(Flag::TooSlow);
    slow.run_ok = Some(false);
    for (sample, probe, expected) in [
        (run(Outcome::Ok), &check, None),
        (run(Outcome::Ok), &image(), None),
        (slow, &image(), None),
        (run(Outcome::Http5xx), &image(), said.clone()),
        (run(Outcome::ConnectRefused), &check, said.clone()),
        (run(Outcome::NotCached), &image(), said),
    ] {
        let outcome = sample.outcome;
        assert_eq!(error_after(&[failed.clone(), (sample, probe.clone())]), expected, "{outcome:?}");
    }
}

#[test]
fn with_a_warm_cache_only_another_fetch_ends_the_fault() {
    let probe = shipped("cold-cache").unwrap();
    let failed = (run(Outcome::Http5xx), probe.clone());
    let said = error_after(std::slice::from_ref(&failed));
    assert!(said.is_some());
    for (hit, probe, expected) in [
        (None, image(), said.clone()),
        (Some(true), image(), said.clone()),
        (Some(true), probe.clone(), said),
        (Some(false), probe.clone(), None),
        (None, probe, None),
    ] {
        let good = Sample { hit, ..run(Outcome::Ok) };
        assert_eq!(error_after(&[failed.clone(), (good, probe)]), expected, "{hit:?}");
    }
}

#[test]
fn a_failed_fetch_counts_for_two_days_and_is_kept_for_a_week() {
    let check = shipped("cold-cache").unwrap().storage_check();
    let failed = run(Outcome::Http5xx);
    let mut faults = StorageFaults::default();
    let finding = faults.finding(&failed, &check).unwrap();
    faults.note(&failed.labels.node, &finding);
    for (hours, is_known, is_kept) in [
        (0, true, true),
        (47, true, true),
        (49, false, true),
        (167, false, true),
        (169, false, false),
        (-47, true, true),
        (-49, false, true),
        (-169, false, false),
    ] {
        let now = failed.at + jiff::SignedDuration::from_hours(hours);
        assert_eq!(faults.error(&failed.labels.node, now).is_some(), is_known, "{hours} h");
        let mut tidied = faults.clone();
        tidied.tidy(now);
        assert_eq!(tidied == faults, is_kept, "{hours} h");
    }
}

#[test]
fn only_objects_that_the_node_lacked_are_failed_fetches() {
    use Outcome::*;
    let check = shipped("cold-cache").unwrap().storage_check();
    let found = Outcome::ALL.iter().filter(|outcome| error_after(&[(run(**outcome), check.clone())]).is_some());
    let expected = [HeadersTimeout, ObjectNotFound, Http5xx, BodyTimeout, Stalled, Reset, Truncated];
    assert_eq!(found.copied().collect::<Vec<_>>(), expected);
}

#[test]
fn an_unreachable_node_says_nothing_about_its_storage() {
    let check = shipped("cold-cache").unwrap().storage_check();
    let mut head = run(Outcome::Http5xx);
    head.labels.part = Some(PartName::Check);
    for sample in [head, run(Outcome::ConnectTimeout), run(Outcome::RateLimited), run(Outcome::LocalFailed)] {
        let outcome = sample.outcome;
        assert_eq!(error_after(&[(sample, check.clone())]), None, "{outcome:?}");
    }
    let endless = Sample { error: Some("é".repeat(1_000)), ..run(Outcome::Http5xx) };
    assert_eq!(error_after(&[(endless, check)]).unwrap(), "é".repeat(200));
}
