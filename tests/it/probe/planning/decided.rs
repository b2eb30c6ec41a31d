//! Which transfer of a run carries `run_ok`, and its value.

use bandprobe::model::{
    flag::Flag,
    probe::{Extent, Part},
};

use super::*;

/// The part of a transfer, and its `run_ok`.
type Decided = (Option<PartName>, Option<bool>);

/// Of a run: each of its transfers, and what it says about the run.
async fn decided(profile: Profile, ids: &[&str], probe: &Probe, script: Script) -> Vec<Decided> {
    let world = World::start(profile, ids, script).await;
    let (samples, _) = world.run(probe, 1, None).await;
    samples.iter().map(|sample| (sample.labels.part, sample.run_ok)).collect()
}

#[tokio::test]
async fn the_last_transfer_of_a_run_decides_it() {
    let (yes, no, check, full) = (Some(true), Some(false), CHECK, FULL);
    let failing: Script = |_, _| status("500 Internal Server Error");
    let second_fails: Script = |method, id| match (method, id) {
        ("HEAD", _) => answer("x-cache: hit\r\n"),
        _ => status("503 Service Unavailable"),
    };
    let limited: Script = |_, _| status("429 Too Many Requests");
    let silent: Script = |_, _| None;
    let rows: [(&str, &[&str], Script, &[Decided]); 8] = [
        ("all good", &["h1"], by_name, &[(check, None), (full, None), (full, yes)]),
        ("a download fails", &["h1"], second_fails, &[(check, None), (full, no)]),
        ("all checks fail", &["1", "2", "3"], failing, &[(check, None), (check, None), (check, no)]),
        ("only five are tried", &["1", "2", "3", "4", "5", "6"], failing, &[(check, None); 5]),
        ("silence ends it", &["1", "2"], silent, &[(check, no)]),
        ("the node limits us", &["1", "2"], limited, &[(check, no)]),
        ("nothing is cached", &["m1", "m2"], by_name, &[(check, None), (check, None), (None, None)]),
        ("one is gone", &["g1", "h2"], by_name, &[(check, None), (check, None), (full, None), (full, no)]),
    ];
    for (name, ids, script, expected) in rows {
        let mut expected = expected.to_vec();
        if name == "only five are tried" {
            expected[4].1 = no;
        }
        let found = decided(Profile::Argus, ids, &image(), script).await;
        let count = found.iter().filter(|(_, run_ok)| run_ok.is_some()).count();
        assert!(count == usize::from(name != "nothing is cached"), "{name}: {found:?}");
        if name == "one is gone" {
            // Which one is checked first is drawn.
            assert_eq!(found.last().unwrap().0, full, "{found:?}");
            continue;
        }
        assert_eq!(found, expected, "{name}");
    }
}

#[tokio::test]
async fn a_failed_check_fails_the_run() {
    let world = World::start(Profile::Argus, &["g1", "h2"], by_name).await;
    let (samples, _) = world.run(&image(), 0, Some(asset("g1"))).await;
    let outcomes: Vec<_> = samples.iter().map(|sample| (sample.outcome.is_ok(), sample.run_ok)).collect();
    assert_eq!(outcomes, [(false, None), (true, None), (true, None), (true, Some(false))]);
}

#[tokio::test]
async fn a_local_failure_leaves_the_run_unjudged() {
    let world = World::start(Profile::Http, &["x"], by_name).await;
    let node = Node { endpoint: "http://240.0.0.1/".parse().unwrap(), ..world.node.clone() };
    let blocked = Node { listing: Listing::bare(Origin::Joystream, Profile::Http), ..node };
    let run = Run {
        node: Arc::new(blocked),
        probe: Arc::new(image()),
        turn: 0,
        remembered: None,
        due: None,
        received: Arc::default(),
    };
    let mut samples = vec![];
    run.make(&prober_within(&network(None), [1, 8, 1]), |sample| samples.push(sample)).await;
    let [sample] = &samples[..] else { panic!("{samples:?}") };
    assert_eq!((sample.outcome, sample.run_ok), (Outcome::Blocked, None));
}

#[tokio::test]
async fn a_suspect_vantage_judges_no_run() {
    let world = World::start(Profile::Http, &["x"], |_, _| status("500 Internal Server Error")).await;
    let prober = prober_within(&Network { allow_private: AllowPrivate::Everywhere, ..network(None) }, [1, 8, 1]);
    for (is_suspect, run_ok) in [(true, None), (false, Some(false))] {
        prober.vantage_health.set_suspect(is_suspect);
        let run = Run {
            node: Arc::new(world.node.clone()),
            probe: Arc::new(image()),
            turn: 0,
            remembered: None,
            due: None,
            received: Arc::default(),
        };
        let mut samples = vec![];
        run.make(&prober, |sample| samples.push(sample)).await;
        let [sample] = &samples[..] else { panic!("{samples:?}") };
        assert_eq!((sample.flags.contains(Flag::VantageSuspect), sample.run_ok), (is_suspect, run_ok));
    }
}

#[tokio::test]
async fn a_part_of_unknown_size_does_not_delay_the_verdict() {
    let probe = Probe {
        parts: vec![
            Part { name: PartName::Start, extent: Extent::First(Bytes(1_000)) },
            Part { name: PartName::Seek, extent: Extent::From { at: 0.5, bytes: Bytes(100) } },
        ],
        ..image()
    };
    let ranged: Script = |_, _| {
        let head = "HTTP/1.1 206 Partial Content\r\ncontent-type: image/webp\r\ncontent-range: bytes 0-999/*\r\n";
        Some((format!("{head}content-length: 1000\r\n"), vec![7; 1_000]))
    };
    let found = decided(Profile::Http, &["x"], &probe, ranged).await;
    assert_eq!(found, [(Some(PartName::Start), Some(true))]);
}
