//! How downloads change the state of a node.

use super::*;

/// How downloads ended, and the expected health of a node that answers its status request.
#[test]
fn a_node_that_answers_and_serves_nothing_is_degraded() {
    use Outcome::{Http5xx, Ok, Stalled, TlsTimeout};
    for (ended, enough, reason) in [
        (&[][..], 1, None),
        (&[Ok, Ok], 1, None),
        (&[Http5xx, Http5xx, Ok], 3, None),
        (&[Ok, Http5xx, Http5xx, Http5xx], 3, None),
        (&[Http5xx, Http5xx], 3, None),
        (&[Stalled], 1, Some("status answers, but the last download failed: stalled")),
        (
            &[Http5xx, Stalled, Http5xx, Http5xx],
            3,
            Some("status answers, but the last 4 downloads failed: 3 http_5xx, 1 stalled"),
        ),
        (&[TlsTimeout; 3], 3, Some("status answers, but the last 3 downloads failed: 3 tls_timeout")),
    ] {
        let runs = ended.iter().map(|outcome| run(AT, *outcome)).collect();
        let downloads = RecentDownloads { ended: runs, enough, ..RecentDownloads::default() };
        for (answer, profile) in
            [(healthy(), Profile::Argus), (answer(Some(200), AnswerContent::Present), Profile::Http)]
        {
            let health = judged_as(&NodeEvidence { profile, downloads: downloads.clone(), ..subject(&answer) }, USUAL);
            let state = if reason.is_some() { HealthState::Degraded } else { HealthState::Ok };
            assert_eq!((health.state, health.up), (state, Some(true)), "{ended:?}");
            assert_eq!(&*health.reason, reason.unwrap_or("nothing wrong"), "{ended:?}");
        }
    }
}

#[test]
fn a_node_that_serves_too_slowly_is_degraded() {
    let slow = |rate| Some(RunFault::TooSlow(BitRate(rate)));
    let stalled = Some(RunFault::Failed(Outcome::Stalled));
    for (faults, enough, reason) in [
        (vec![slow(64_000); 4], 3, Some("all of the last 4 downloads were slower than 64.0 kbit/s (`min-rate`)")),
        (vec![slow(64_000)], 1, Some("the last download was slower than 64.0 kbit/s (`min-rate`)")),
        (
            vec![slow(64_000), slow(1_000_000), slow(64_000)],
            3,
            Some("all of the last 3 downloads were slower than the `min-rate` of their probes"),
        ),
        (vec![slow(64_000), stalled, slow(64_000)], 3, Some("the last 3 downloads failed: 2 too_slow, 1 stalled")),
        (vec![slow(64_000), None, slow(64_000)], 3, None),
        (vec![slow(64_000); 2], 3, None),
    ] {
        let ended: Vec<_> = faults.into_iter().map(|fault| EndedRun { at: AT, fault }).collect();
        let downloads = RecentDownloads { ended, enough, ..RecentDownloads::default() };
        let health = judged_as(&NodeEvidence { downloads: downloads.clone(), ..subject(&healthy()) }, USUAL);
        let expected = reason.map_or("nothing wrong".to_owned(), |reason| format!("status answers, but {reason}"));
        assert_eq!((health.state == HealthState::Degraded, health.reason), (reason.is_some(), expected));
        if reason.is_some() {
            let dead = other(500, OtherContent::Unknown);
            let health = judged_as(&NodeEvidence { downloads, ..subject(&dead) }, USUAL);
            assert_eq!((health.state, &*health.reason), (HealthState::Dead, "answers 500: it fails"));
        }
    }
}

#[test]
fn a_node_that_serves_is_not_dead_whatever_its_status_says() {
    use Outcome::{ConnectRefused, HeadersTimeout, Http5xx, Ok, Stalled};
    let (before, after) = (Timestamp::from_second(-9).unwrap(), Timestamp::from_second(9).unwrap());
    let failing = other(500, OtherContent::Unknown);
    let fails = "answers 500: it fails";
    for (node, ended, expected) in [
        (failing.clone(), vec![(before, Ok); 3], Some(format!("{fails}; yet the last 3 downloads succeeded"))),
        (failing.clone(), vec![(before, Http5xx), (before, Ok)], Some(format!("{fails}; yet the last download succeeded"))),
        (failing.clone(), vec![(before, Ok), (before, Stalled)], None),
        (failing, vec![], None),
        (
            nothing(HeadersTimeout),
            vec![(before, Ok)],
            Some("cannot be reached: no complete response head in time (connect: no luck); yet the last download succeeded".to_owned()),
        ),
        (nothing(ConnectRefused), vec![(before, Ok); 4], None),
        (
            nothing(ConnectRefused),
            vec![(after, Ok)],
            Some("cannot be reached: nothing listens on the port (connect: no luck); yet the last download succeeded".to_owned()),
        ),
    ] {
        let runs = ended.iter().map(|(at, outcome)| run(*at, *outcome)).collect();
        let downloads = RecentDownloads { ended: runs, enough: 1, ..RecentDownloads::default() };
        let health = judged_as(&NodeEvidence { downloads, ..subject(&node) }, USUAL);
        match expected {
            Some(reason) => {
                assert_eq!((health.state, health.up, health.reason), (HealthState::Degraded, Some(true), reason));
            }
            None => assert_eq!((health.state, health.up), (HealthState::Dead, Some(false)), "{node:?} {ended:?}"),
        }
    }
}

#[test]
fn a_node_that_cannot_fetch_is_degraded_unless_it_is_worse() {
    let why = "status 500: Failed to download object 7";
    let downloads = RecentDownloads { fetch_failed: Some(why.to_owned()), ..RecentDownloads::default() };
    for (answer, state, reason) in [
        (healthy(), HealthState::Degraded, format!("cannot fetch from storage: {why}")),
        (
            with_document(healthy(), |document| document.node_env = Some("test".into())),
            HealthState::Misconfigured,
            format!("nodeEnv is `test`, not `production`: it serves slowly; cannot fetch from storage: {why}"),
        ),
        (
            nothing(Outcome::ConnectRefused),
            HealthState::Dead,
            "cannot be reached: nothing listens on the port (connect: no luck)".to_owned(),
        ),
    ] {
        let health = judged_as(&NodeEvidence { downloads: downloads.clone(), ..subject(&answer) }, USUAL);
        assert_eq!((health.state, health.reason), (state, reason));
    }
}
