//! The cold-cache probe.

use super::*;

fn cold() -> Probe {
    Probe { pick: Pick::Rotate, ..shipped("cold-cache").unwrap() }
}

#[tokio::test]
async fn cold_probes_fetch_misses_once_and_hits_never() {
    let world = World::start(Profile::Argus, &["h1", "p2", "m3", "m4"], by_name).await;
    let (samples, result) = world.run(&cold(), 0, None).await;
    let expected = [
        ("h1", CHECK, HIT, OK, Some(true)),
        ("p2", CHECK, CacheState::Pending, OK, None),
        ("m3", CHECK, MISS, OK, None),
        ("m3", FULL, MISS, OK, None),
    ];
    assert_eq!(rows(&samples), expected);
    assert_eq!(result, RunResult { made_it_fetch: true, ..RunResult::default() });

    let held = World::start(Profile::Argus, &["h1", "h2"], by_name).await;
    let (samples, result) = held.run(&cold(), 1, None).await;
    assert_eq!(rows(&samples), [("h2", CHECK, HIT, OK, Some(true)), ("h1", CHECK, HIT, OK, None)], "no further sample");
    assert_eq!(result, RunResult::default());
}

#[tokio::test]
async fn large_or_unsized_objects_are_not_fetched_cold() {
    let large: Script = |_, _| Some(("HTTP/1.1 200 OK\r\nx-cache: miss\r\ncontent-length: 1048577\r\n".into(), vec![]));
    let untold: Script = |_, _| Some(("HTTP/1.1 200 OK\r\nx-cache: miss\r\nconnection: close\r\n".into(), vec![]));
    for script in [large, untold] {
        let world = World::start(Profile::Argus, &["m1"], script).await;
        let (samples, result) = world.run(&cold(), 0, None).await;
        assert_eq!(rows(&samples), [("m1", CHECK, MISS, OK, Some(false))]);
        assert_eq!((result, world.take_asked()), (RunResult::default(), ["HEAD m1"].map_to_strings()));
    }
    let mut world = World::start(Profile::Argus, &["m1"], by_name).await;
    world.node.assets[0].size = Some(Bytes((1 << 20) + 1).into());
    assert_eq!(world.run(&cold(), 0, None).await.0, []);
    for profile in [Profile::Http, Profile::Colossus] {
        let world = World::start(profile, &["m1"], by_name).await;
        assert_eq!(world.run(&cold(), 0, None).await.0, [], "{profile:?} does not say what it holds");
    }
}

/// The state of the check and that of the answer may differ: somebody else asked in between, or it was evicted.
#[tokio::test]
async fn a_changed_cache_state_is_flagged() {
    let fetched_meanwhile: Script =
        |method, _| answer(if method == "HEAD" { "x-cache: miss\r\n" } else { "x-cache: pending\r\n" });
    let evicted: Script = |method, _| answer(if method == "HEAD" { "x-cache: hit\r\n" } else { "x-cache: miss\r\n" });
    let steady: Script = |_, _| answer("x-cache: miss\r\n");
    for (policy, script, checked, answered) in [
        (CachePolicy::Miss, fetched_meanwhile, "miss", "pending"),
        (CachePolicy::Hit, evicted, "hit", "miss"),
        (CachePolicy::Miss, steady, "miss", "miss"),
    ] {
        let world = World::start(Profile::Argus, &["1"], script).await;
        let probe = Probe { cache: policy, ..cold() };
        let (samples, _) = world.run(&probe, 0, None).await;
        let [check, full] = &samples[..] else { panic!("{samples:?}") };
        assert_eq!((check.labels.cache.label(), full.labels.cache.label()), (checked, answered));
        assert!(!check.flags.contains(Flag::CacheChanged));
        assert_eq!(full.flags.contains(Flag::CacheChanged), checked != answered);
        let mut windows = Windows::new(Duration::from_secs(3_600));
        samples.iter().for_each(|sample| windows.record(sample));
        let lines = windows.flush_all().map(|point| {
            let mut text = String::new();
            line::encode(&point, &mut text);
            text
        });
        let lines: Vec<_> = lines.collect();
        for (part, state) in [("check", checked), ("full", answered)] {
            let of_part: Vec<_> = lines.iter().filter(|line| line.contains(&format!(",part={part},"))).collect();
            let is_apart = of_part.iter().all(|line| line.contains(&format!(",cache={state},")));
            assert!(!of_part.is_empty() && is_apart, "{lines:?}");
        }
    }
}
