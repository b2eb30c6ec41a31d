//! What the runs against a node say about its health.

use std::time::Duration;

use bandprobe::{
    config::check::shipped,
    measure::history::{ENOUGH, History},
    model::{
        availability::Downloads,
        flag::Flag,
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

fn outcomes(downloads: &Downloads) -> Vec<Outcome> {
    downloads.ended.iter().map(|(_, outcome)| *outcome).collect()
}

#[test]
fn the_last_runs_are_kept_while_they_are_fresh() {
    use Outcome::{Http5xx, Ok, Reset, Stalled};
    let (mut history, every) = (History::default(), image().every.as_secs());
    for (at, outcome) in [(0, Ok), (1, Http5xx), (2, Stalled), (3, Reset), (4, Http5xx)] {
        history.note(&run(outcome), &image(), secs(at));
    }
    let kept = history.downloads(ENOUGH, secs(5));
    assert_eq!(outcomes(&kept), [Http5xx, Stalled, Reset, Http5xx], "the last four");
    let later = history.downloads(ENOUGH, secs(6 * every + 2));
    assert_eq!(outcomes(&later), [Reset, Http5xx], "older ones say nothing any more");
}

#[test]
fn what_is_not_the_nodes_doing_is_left_out() {
    let mut history = History::default();
    for outcome in [Outcome::Blocked, Outcome::LocalFailed, Outcome::Cancelled, Outcome::NotCached] {
        history.note(&run(outcome), &image(), secs(0));
    }
    let mut suspect = run(Outcome::ConnectTimeout);
    suspect.flags.raise(Flag::VantageSuspect);
    history.note(&Sample { run_ok: None, ..suspect }, &image(), secs(0));
    assert_eq!(history.downloads(ENOUGH, secs(0)), Downloads { enough: ENOUGH, ..Downloads::default() });
}

#[test]
fn three_runs_in_a_row_that_find_nothing_ask_for_a_run() {
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
            history.note(&run(*outcome), &image(), secs(0));
        }
        assert_eq!((history.takes_fetch(), history.takes_fetch()), (is_due, false), "{ended:?}");
    }
}

#[test]
fn a_failed_fetch_counts_until_something_is_served() {
    let check = shipped("cold-cache").unwrap().storage_check();
    let why = |history: &History, at| history.downloads(ENOUGH, at).fetch_failed;
    let failed = || {
        let mut history = History::default();
        history.note(&run(Outcome::Http5xx), &check, secs(0));
        history
    };
    let said = Some("status 500: Failed to download object 7".to_owned());
    assert_eq!((why(&failed(), secs(0)), outcomes(&failed().downloads(1, secs(0)))), (said.clone(), vec![]));
    assert_eq!(why(&failed(), secs(25 * 3_600)), said, "the next day's fetch may come late");
    assert_eq!(why(&failed(), secs(26 * 3_600)), None);
    for (sample, probe, expected) in [
        (run(Outcome::Ok), &check, None),
        (run(Outcome::Ok), &image(), None),
        (run(Outcome::Http5xx), &image(), said.clone()),
        (run(Outcome::ConnectRefused), &check, said.clone()),
        (run(Outcome::NotCached), &image(), said),
    ] {
        let mut history = failed();
        history.note(&sample, probe, secs(1));
        assert_eq!(why(&history, secs(2)), expected, "{:?}", sample.outcome);
    }
}

#[test]
fn a_check_or_a_node_that_is_away_says_nothing_of_its_storage() {
    let check = shipped("cold-cache").unwrap().storage_check();
    let mut head = run(Outcome::Http5xx);
    head.labels.part = Some(PartName::Check);
    for sample in [head, run(Outcome::ConnectTimeout), run(Outcome::RateLimited), run(Outcome::LocalFailed)] {
        let mut history = History::default();
        history.note(&sample, &check, secs(0));
        assert_eq!(history.downloads(ENOUGH, secs(0)).fetch_failed, None, "{:?}", sample.outcome);
    }
    let endless = Sample { error: Some("x".repeat(1_000)), ..run(Outcome::Http5xx) };
    let mut history = History::default();
    history.note(&endless, &check, secs(0));
    assert_eq!(history.downloads(1, secs(0)).fetch_failed.unwrap().len(), 200);
}
