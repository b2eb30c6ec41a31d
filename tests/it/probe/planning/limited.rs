//! A node that limits our requests gets a cool-down at once, also for runs that already wait.

use super::*;

#[tokio::test]
async fn waiting_runs_are_skipped_during_a_cool_down() {
    for profile in [Profile::Argus, Profile::Http] {
        let world = World::start(profile, &["h1"], |_, _| status("429 Too Many Requests")).await;
        let lab = Network { allow_private: bandprobe::config::AllowPrivate::Everywhere, ..network(None) };
        let prober = prober_within(&lab, [1, 8, 1]);
        let mut runs = JoinSet::new();
        for turn in 0..5 {
            let (node, probe) = (Arc::new(world.node.clone()), Arc::new(image()));
            let run = Run { node, probe, turn, remembered: None, due: None, received: Arc::default() };
            let prober = prober.clone();
            runs.spawn(async move {
                let mut samples = 0;
                let result = run.make(&prober, |_| samples += 1).await;
                (samples, result)
            });
        }
        let results = runs.join_all().await;
        let limited = results.iter().filter(|(samples, result)| *samples == 1 && result.cool_down.is_some()).count();
        let refused = results.iter().filter(|(samples, result)| *samples == 0 && result.was_refused).count();
        assert_eq!((limited, refused, world.take_asked().len()), (1, 4, 1), "{profile:?}: {results:?}");
    }
}

#[tokio::test]
async fn a_cool_down_stops_other_runs_too() {
    let world = World::start(Profile::Argus, &["h1", "h2"], |_, id| match id {
        "h1" => answer("x-cache: hit\r\n"),
        _ => status("503 Service Unavailable\r\nretry-after: 1"),
    })
    .await;
    let (samples, result) = world.run(&image(), 1, Some(asset("h1"))).await;
    assert_eq!(samples.len(), 2);
    assert_eq!(samples[1].outcome, Outcome::RateLimited);
    assert_eq!((result.cool_down, result.was_refused), (Some(Duration::from_secs(600)), false));
    assert_eq!(world.take_asked(), ["HEAD h1", "HEAD h2"], "what was found is not asked for any more");
}
