//! Registries that delay every answer, in paused time: the whole list has one deadline.

use std::time::Duration;

use bandprobe::{
    config::Dialect,
    discover::{error::DiscoverError, joystream::RegistryList},
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::spawn_blocking, time::advance};

use super::registry::{Asked, Registry, good, ok, operator, problems};

/// What is found at a registry that takes 18 s for each answer, and how many questions it got.
async fn dragged(
    mut answer: impl FnMut(&Asked) -> Value + Send + 'static,
) -> (Result<RegistryList, DiscoverError>, Vec<String>) {
    let (come, mut came) = mpsc::unbounded_channel();
    let (go, may_go) = std::sync::mpsc::channel();
    let registry = Registry::start(move |asked| {
        let _ = come.send(());
        let _ = may_go.recv();
        ok(&answer(asked).to_string())
    });
    // While such a task runs, time passes only when the test advances it.
    let (over, until_over) = std::sync::mpsc::channel::<()>();
    let stopped_clock = spawn_blocking(move || until_over.recv());
    let clock = async {
        while came.recv().await.is_some() {
            advance(Duration::from_secs(18)).await;
            let _ = go.send(());
        }
    };
    let found = tokio::select! {
        found = registry.find() => found,
        () = clock => panic!("the registry ended first"),
    };
    drop(over);
    let _ = stopped_clock.await;
    (found, registry.asked().iter().map(|asked| asked.name().to_owned()).collect())
}

fn rows(numbers: std::ops::Range<u64>) -> Vec<Value> {
    numbers.map(|n| operator(&format!("1:{n}"), 1, true, &format!("https://n{n}.example/"), &Value::Null)).collect()
}

#[tokio::test(start_paused = true)]
async fn parts_missing_after_two_minutes_are_gaps() {
    let (found, asked) = dragged(|asked| match asked.name() {
        "Operators" => json!({"data": {"distributionBucketOperators": rows(0..10)}}),
        _ => good(Dialect::Orion, asked),
    })
    .await;
    let found = found.unwrap();
    assert_eq!(asked[..6], ["Detect", "Operators", "Storage", "Newest", "Newest", "Samples"]);
    assert_eq!((found.nodes.len(), found.gaps.samples.len(), found.gaps.storage), (11, 8, false));
    assert_eq!(
        problems(&found),
        [
            "no samples of bucket 1:2: the registry is too slow: it sent no list within 120 s",
            "the registry is too slow, or fails too often: not every bucket was queried"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_that_takes_over_two_minutes_fails() {
    let (found, _) = dragged(|asked| match asked.name() {
        "Operators" => {
            let offset = asked.variables["offset"].as_u64().unwrap();
            json!({"data": {"distributionBucketOperators": rows(offset..offset + 50)}})
        }
        _ => good(Dialect::Orion, asked),
    })
    .await;
    let error = found.unwrap_err().to_string();
    assert_eq!(error, "the registry is too slow: it sent no list within 120 s");
}
