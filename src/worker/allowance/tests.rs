//! Tests of the allowance.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::Value;

use super::{super::keeper::Keep as _, *};
use crate::{
    config::check::{Input, load},
    model::target::Asset,
    probe::run::Settled,
};

fn config(dir: &Path) -> Config {
    let text = r#"
vantage.id = "here"
schedule.probes = ["image", "cold-cache"]
limits = { cold-fetches-per-node-per-day = 2, bytes-per-node-per-day = "33 MB" }
source = [{ kind = "static", nodes = [{ id = "n", endpoint = "http://n.example/", profile = "argus", assets = [
    { kind = "image", id = "1", size = "20 kB" }, { kind = "image", id = "2", size = "20 kB" } ] }] }]
"#;
    let read = |_: &Path| Ok(text.as_bytes().to_vec());
    load(&Input { path: &dir.join("b.toml"), environment: &BTreeMap::new(), read: &read }).unwrap()
}

fn run(config: &Config, probe: usize) -> Run {
    let (node, probe) = (Arc::new(config.nodes[0].clone()), Arc::new(config.probes[probe].clone()));
    Run { node, probe, turn: 0, remembered: None, due: None, received: Arc::default() }
}

fn made(ended: Ended) -> Option<Made> {
    Some(Made { ended, cold: None })
}

fn stored(config: &Config) -> Value {
    let text = std::fs::read(config.archive.dir.join("state/budget.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

async fn stop(keeper: Keeper) {
    assert!(keeper.stop(tokio::time::Instant::now() + Duration::from_secs(60)).await);
}

#[tokio::test]
async fn a_run_comes_back_to_the_asset_of_the_run_before_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let second = &config.nodes[0].assets[1];
    let keeper = Keeper::start().unwrap();
    let mut allowance = Allowance::load(&config, &keeper);
    let ticket = allowance.admit(&mut run(&config, 0)).unwrap();
    allowance.settle(ticket, made(Ended { settled: Settled::On(second.clone()), ..Ended::default() }));
    stop(keeper).await;
    let mut allowance = Allowance::load(&config, &Keeper::start().unwrap());
    let mut image = run(&config, 0);
    let ticket = allowance.admit(&mut image).unwrap();
    assert_eq!(image.remembered.as_ref(), Some(second));
    allowance.settle(ticket, None);
    assert!(
        allowance.admit(&mut image).is_some() && image.remembered.is_some(),
        "a run that was cut off tells nothing"
    );
    let large = Asset { id: "3".into(), size: Some(Bytes(16 << 20).into()), ..second.clone() };
    let ticket = allowance.admit(&mut image).unwrap();
    allowance.settle(ticket, made(Ended { settled: Settled::On(large), ..Ended::default() }));
    assert!(allowance.admit(&mut image).is_none(), "the remembered one counts for the budget");
}

#[tokio::test]
async fn processes_on_one_archive_learn_what_the_others_spent() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    // This test calls `keep` itself.
    let keeper = Keeper::start().unwrap();
    let [mut one, mut other] = [Allowance::load(&config, &keeper), Allowance::load(&config, &keeper)];
    stop(keeper).await;
    let admit = |allowance: &mut Allowance| allowance.admit(&mut run(&config, 0));
    let limited = |seconds| made(Ended { leave_alone: Some(Duration::from_secs(seconds)), ..Ended::default() });
    let received = |ticket: &Ticket, bytes| ticket.received.store(bytes, Relaxed);
    let (ours, theirs) = (admit(&mut other).unwrap(), admit(&mut one).unwrap());
    received(&theirs, 1_000);
    one.settle(theirs, limited(600));
    assert!(admit(&mut one).is_none(), "it knows at once");
    one.books.keep(false);
    let late = admit(&mut other).expect("it has not looked yet");
    other.books.keep(false);
    assert!(admit(&mut other).is_none());

    received(&ours, 200);
    other.settle(ours, limited(60));
    other.books.keep(false);
    received(&late, 30);
    other.settle(late, None);
    for _ in 0..3 {
        one.books.keep(false);
        other.books.keep(false);
    }
    let spent = |allowance: &Allowance| allowance.books.open().budget.spent(now(), "n");
    assert_eq!((spent(&one), spent(&other)), ((1_230, 1_230), (1_230, 1_230)));
    let kept = stored(&config);
    assert_eq!((&kept["total"], &kept["by_node"]["n"]), (&1_230.into(), &1_230.into()), "what both have downloaded");
    let until: Timestamp = kept["left_alone"]["n"]["until"].as_str().unwrap().parse().unwrap();
    // The most recent request is stored. Each process still honours the longest one that it knows.
    assert!(until.duration_since(Timestamp::now()).as_secs() <= 60);
    assert!(admit(&mut one).is_none() && admit(&mut other).is_none());
}

#[tokio::test]
async fn a_state_that_is_removed_or_damaged_is_written_again_from_memory() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let keeper = Keeper::start().unwrap();
    let mut allowance = Allowance::load(&config, &keeper);
    stop(keeper).await;
    let path = config.archive.dir.join("state/budget.json");
    for (round, damage) in [None, Some("{"), Some("")].into_iter().enumerate() {
        let ticket = allowance.admit(&mut run(&config, 0)).unwrap();
        ticket.received.store(100, Relaxed);
        allowance.settle(ticket, None);
        allowance.books.keep(false);
        assert_eq!(stored(&config)["total"], 100 * (round + 1), "round {round}");
        match damage {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
    }
}

#[tokio::test]
async fn a_wish_of_a_clock_that_was_ahead_is_not_honoured() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let keeper = Keeper::start().unwrap();
    let admits = |since: i64, until: i64| {
        let at = |seconds: i64| Timestamp::from_second(now() + seconds).unwrap();
        let text = format!(
            r#"{{"day":1,"used":1,"total":0,"by_node":{{}},"left_alone":{{"n":{{"since":"{}","until":"{}"}}}}}}"#,
            at(since),
            at(until)
        );
        std::fs::create_dir_all(config.archive.dir.join("state")).unwrap();
        std::fs::write(config.archive.dir.join("state/budget.json"), text).unwrap();
        Allowance::load(&config, &keeper).admit(&mut run(&config, 0)).is_some()
    };
    for (since, until, admitted) in [
        (-5, 600, false),
        (30, 600, false),
        (-600, -1, true),
        (3 * 86_400, 3 * 86_400 + 600, true),
        (3_600, 4_000, true),
    ] {
        assert_eq!(admits(since, until), admitted, "{since} to {until}");
    }
}

#[tokio::test]
async fn a_node_fetches_no_more_than_its_limit_for_all_processes_together() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let keeper = Keeper::start().unwrap();
    let [mut one, mut other] = [Allowance::load(&config, &keeper), Allowance::load(&config, &keeper)];
    let mut cold = run(&config, 1);
    assert!(one.booking(&run(&config, 0)).is_none(), "other probes make no node fetch anything");
    async fn book(allowance: &mut Allowance, run: &mut Run) -> Result<(Ticket, u64), Booking> {
        let ticket = allowance.admit(run).unwrap();
        match allowance.booking(run).unwrap().await {
            Booking::On(day) => Ok((ticket, day)),
            booking => {
                allowance.give_back(ticket, booking);
                Err(booking)
            }
        }
    }
    let (first, day) = book(&mut one, &mut cold).await.unwrap();
    let (second, _) = book(&mut other, &mut cold).await.unwrap();
    assert_eq!(book(&mut one, &mut cold).await.err(), Some(Booking::Exhausted), "both are under way");
    assert_eq!(book(&mut other, &mut cold).await.err(), Some(Booking::Exhausted));
    one.settle(first, Some(Made { ended: Ended::default(), cold: Some(day) }));
    let (first, day) = book(&mut one, &mut cold).await.expect("it made nobody fetch anything");
    let ended = Ended { made_it_fetch: true, ..Ended::default() };
    one.settle(first, Some(Made { ended, cold: Some(day) }));
    other.settle(second, None);
    drop((one, other));
    stop(keeper).await;
    let keeper = Keeper::start().unwrap();
    let refused = book(&mut Allowance::load(&config, &keeper), &mut cold).await.err();
    assert_eq!(refused, Some(Booking::Exhausted), "a run that was cut off may have, and a restart changes nothing");
}
