use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::Value;

use super::{super::state_writer::StateFile as _, *};
use crate::{
    config::check::{Input, load},
    model::target::Asset,
    probe::run::StickyAsset,
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

fn completed(result: RunResult) -> Option<CompletedRun> {
    Some(CompletedRun { result, booked_on: None })
}

fn stored(config: &Config) -> Value {
    let text = std::fs::read(config.archive.dir.join("state/budget.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The state as another process on the same archive would load it.
fn started(config: &Config, writer: &StateWriter) -> AdmissionControl {
    AdmissionControl::load(config, &CoolDowns::default(), writer)
}

async fn stop(writer: StateWriter) {
    assert!(writer.stop(std::future::pending()).await);
}

#[tokio::test]
async fn a_run_returns_to_the_previous_asset_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let second = &config.nodes[0].assets[1];
    let writer = StateWriter::start().unwrap();
    let mut admission = started(&config, &writer);
    let ticket = admission.admit(&mut run(&config, 0)).unwrap();
    admission
        .charge(ticket, completed(RunResult { sticky: StickyAsset::Measured(second.clone()), ..RunResult::default() }));
    stop(writer).await;
    let mut admission = started(&config, &StateWriter::start().unwrap());
    let mut image = run(&config, 0);
    let ticket = admission.admit(&mut image).unwrap();
    assert_eq!(image.remembered.as_ref(), Some(second));
    admission.charge(ticket, None);
    assert!(
        admission.admit(&mut image).is_some() && image.remembered.is_some(),
        "a run that was cut off changes nothing"
    );
    let large = Asset { id: "3".into(), size: Some(Bytes(16 << 20).into()), ..second.clone() };
    let ticket = admission.admit(&mut image).unwrap();
    admission.charge(ticket, completed(RunResult { sticky: StickyAsset::Measured(large), ..RunResult::default() }));
    assert!(admission.admit(&mut image).is_none(), "the remembered one counts for the budget");
}

#[tokio::test]
async fn processes_on_one_archive_share_budgets_and_cool_downs() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    // This test calls `save` itself.
    let writer = StateWriter::start().unwrap();
    let [mut one, mut other] = [started(&config, &writer), started(&config, &writer)];
    stop(writer).await;
    let admit = |admission: &mut AdmissionControl| admission.admit(&mut run(&config, 0));
    let limited =
        |seconds| completed(RunResult { cool_down: Some(Duration::from_secs(seconds)), ..RunResult::default() });
    let received = |ticket: &Ticket, bytes| ticket.received.store(bytes, Relaxed);
    let (ours, theirs) = (admit(&mut other).unwrap(), admit(&mut one).unwrap());
    received(&theirs, 1_000);
    one.charge(theirs, limited(600));
    assert!(admit(&mut one).is_none(), "this process knows at once");
    one.ledger.save(false);
    let late = admit(&mut other).expect("the other process has not read the file yet");
    other.ledger.save(false);
    assert!(admit(&mut other).is_none());

    received(&ours, 200);
    other.charge(ours, limited(60));
    other.ledger.save(false);
    received(&late, 30);
    other.charge(late, None);
    for _ in 0..3 {
        one.ledger.save(false);
        other.ledger.save(false);
    }
    let spent = |admission: &AdmissionControl| admission.ledger.memory().budget.spent(now(), "n");
    assert_eq!((spent(&one), spent(&other)), ((1_230, 1_230), (1_230, 1_230)));
    let kept = stored(&config);
    assert_eq!((&kept["total"], &kept["by_node"]["n"]), (&1_230.into(), &1_230.into()), "both downloads count");
    let until: Timestamp = kept["left_alone"]["n"]["until"].as_str().unwrap().parse().unwrap();
    // The most recent cool-down is stored. Each process still keeps to the longest one that it knows.
    assert!(until.duration_since(Timestamp::now()).as_secs() <= 60);
    assert!(admit(&mut one).is_none() && admit(&mut other).is_none());
}

#[tokio::test]
async fn a_removed_or_damaged_state_file_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let writer = StateWriter::start().unwrap();
    let mut admission = started(&config, &writer);
    stop(writer).await;
    let path = config.archive.dir.join("state/budget.json");
    for (round, damage) in [None, Some("{"), Some("")].into_iter().enumerate() {
        let ticket = admission.admit(&mut run(&config, 0)).unwrap();
        ticket.received.store(100, Relaxed);
        admission.charge(ticket, None);
        admission.ledger.save(false);
        assert_eq!(stored(&config)["total"], 100 * (round + 1), "round {round}");
        match damage {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
    }
}

#[tokio::test]
async fn a_cool_down_from_a_clock_that_was_ahead_has_no_effect() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let writer = StateWriter::start().unwrap();
    let admits = |since: i64, until: i64| {
        let at = |seconds: i64| Timestamp::from_second(now() + seconds).unwrap();
        let text = format!(
            r#"{{"day":1,"used":1,"total":0,"by_node":{{}},"left_alone":{{"n":{{"since":"{}","until":"{}"}}}}}}"#,
            at(since),
            at(until)
        );
        std::fs::create_dir_all(config.archive.dir.join("state")).unwrap();
        std::fs::write(config.archive.dir.join("state/budget.json"), text).unwrap();
        started(&config, &writer).admit(&mut run(&config, 0)).is_some()
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
async fn all_processes_share_the_limit_of_cold_fetches() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let writer = StateWriter::start().unwrap();
    let [mut one, mut other] = [started(&config, &writer), started(&config, &writer)];
    let mut cold = run(&config, 1);
    assert!(one.booking(&run(&config, 0)).is_none(), "other probes make no node fetch anything");
    async fn book(admission: &mut AdmissionControl, run: &mut Run) -> Result<(Ticket, u64), Booking> {
        let ticket = admission.admit(run).unwrap();
        match admission.booking(run).unwrap().await {
            Booking::Booked(day) => Ok((ticket, day)),
            booking => {
                admission.give_back(ticket, booking);
                Err(booking)
            }
        }
    }
    let (first, day) = book(&mut one, &mut cold).await.unwrap();
    let (second, _) = book(&mut other, &mut cold).await.unwrap();
    assert_eq!(book(&mut one, &mut cold).await.err(), Some(Booking::Exhausted), "both runs are under way");
    assert_eq!(book(&mut other, &mut cold).await.err(), Some(Booking::Exhausted));
    one.charge(first, Some(CompletedRun { result: RunResult::default(), booked_on: Some(day) }));
    let (first, day) = book(&mut one, &mut cold).await.expect("the run made its node fetch nothing");
    let result = RunResult { made_it_fetch: true, ..RunResult::default() };
    one.charge(first, Some(CompletedRun { result, booked_on: Some(day) }));
    other.charge(second, None);
    drop((one, other));
    stop(writer).await;
    let writer = StateWriter::start().unwrap();
    let refused = book(&mut started(&config, &writer), &mut cold).await.err();
    assert_eq!(
        refused,
        Some(Booking::Exhausted),
        "a run that was cut off may have fetched, and a restart changes nothing"
    );
}
