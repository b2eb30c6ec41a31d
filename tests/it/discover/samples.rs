//! The load that looking for samples puts on a registry: one query per kind for all buckets, rarely, in small pages.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bandprobe::{
    config::{self, Dialect},
    discover::{
        joystream::{FreshSamples, RegistryList, find},
        known::KnownList,
    },
    model::target::{AssetKind, Profile},
    net::guard::Guard,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::registry::{Asked, Registry, answer, bag, fetcher, good, object, ok, operator, problems};

/// Buckets that each have a node of their own, as many as the real registry has.
const BUCKETS: usize = 26;

fn bucket(number: usize) -> String {
    format!("{}:{}", number % 5, number / 5)
}

fn operators(buckets: std::ops::Range<usize>) -> Value {
    let row = |n: usize| operator(&bucket(n), 1, true, &format!("https://n{n}.example/"), &Value::Null);
    json!({"data": {"distributionBucketOperators": buckets.map(row).collect::<Vec<_>>()}})
}

/// The rows of a page of objects or videos, each in three buckets; as many of them as `most`.
fn page(dialect: Dialect, asked: &Asked, most: usize) -> Value {
    let of = |key: &str| usize::try_from(asked.variables[key].as_u64().unwrap()).unwrap();
    let is_videos =
        asked.variables["type"] == json!("DataObjectTypeVideoMedia") || asked.variables["least"] == json!("5000000");
    let size = json!(if is_videos { "48000000" } else { "21136" });
    let row = |n: usize| {
        let buckets = [n, n + 7, n + 15].map(|n| bucket(n % BUCKETS));
        let bag = bag(dialect, &buckets.each_ref().map(String::as_str));
        let object = |id: usize, size: &Value| object(&id.to_string(), size.clone(), &bag);
        match dialect {
            Dialect::Hydra => {
                json!({"thumbnailPhoto": object(2 * n, &json!("21136")), "media": object(2 * n + 1, &size)})
            }
            _ => object(2 * n + usize::from(is_videos), &size),
        }
    };
    let list = if dialect == Dialect::Hydra { "videos" } else { "storageDataObjects" };
    let (offset, limit) = (of("offset"), of("limit").min(most));
    json!({"data": {list: (offset..offset + limit).map(row).collect::<Vec<_>>()}})
}

fn large(dialect: Dialect) -> Registry {
    Registry::answering(move |asked| match asked.name() {
        "Operators" if asked.variables["offset"] == json!(0) => operators(0..BUCKETS),
        "Newest" => page(dialect, asked, usize::MAX),
        _ => good(dialect, asked),
    })
}

fn names(registry: &Registry) -> Vec<String> {
    registry.asked().iter().map(|asked| asked.name().to_owned()).collect()
}

fn counts(found: &RegistryList) -> Vec<(usize, usize)> {
    let of = |kind| move |assets: &[bandprobe::model::target::Asset]| assets.iter().filter(|a| a.kind == kind).count();
    let distributors = found.nodes.iter().filter(|node| node.listing.profile == Profile::Argus);
    let serving = distributors.filter(|node| !node.listing.buckets.is_empty());
    serving.map(|node| (of(AssetKind::Image)(&node.assets), of(AssetKind::Video)(&node.assets))).collect()
}

#[tokio::test]
async fn one_query_per_kind_serves_all_buckets() {
    for dialect in Dialect::ALL {
        let registry = large(dialect);
        let found = registry.find().await.unwrap();
        assert_eq!(counts(&found), [(20, 20); BUCKETS], "{}", dialect.label());
        let kinds = if dialect == Dialect::Hydra { 1 } else { 2 };
        assert_eq!(names(&registry), [&["Detect", "Operators", "Storage"][..], &["Newest"; 2][..kinds]].concat());
        assert!(found.gaps.samples.is_empty() && problems(&found).is_empty(), "{:?}", problems(&found));
    }
}

/// How a registry refuses what is too much, in the words of real ones.
#[tokio::test]
async fn a_limit_on_size_makes_the_pages_smaller() {
    let message = r#"{"errors":[{"message":"response might exceed the size limit"}]}"#;
    let with_null = r#"{"errors":[{"message":"Query is too complex: 5000. Maximum allowed complexity: 1000"}],
        "data":{"storageDataObjects":null,"distributionBucketOperators":null,"storageBuckets":null}}"#;
    let huge = ok(&format!("{{\"data\":\"{}\"}}", "x".repeat(5 << 20)));
    for refusal in [
        ok(message),
        ok(with_null),
        answer("400 Bad Request", "", message),
        answer("413 Payload Too Large", "", "<html>413 Request Entity Too Large</html>"),
        huge,
    ] {
        let registry = Registry::start(move |asked| {
            if asked.variables["limit"].as_u64().is_some_and(|limit| limit > 200) {
                return refusal.clone();
            }
            let answer = match asked.name() {
                "Operators" if asked.variables["offset"] == json!(0) => operators(0..BUCKETS),
                "Newest" => page(Dialect::Orion, asked, usize::MAX),
                _ => good(Dialect::Orion, asked),
            };
            ok(&answer.to_string())
        });
        let found = registry.find().await.unwrap();
        assert!(problems(&found).is_empty(), "{:?}", problems(&found));
        assert_eq!(counts(&found), [(20, 20); BUCKETS]);
        let limits = |name: &str| -> Vec<_> {
            let asked = registry.asked();
            asked.iter().filter(|asked| asked.name() == name).map(|asked| asked.variables["limit"].clone()).collect()
        };
        assert_eq!(limits("Operators"), [1_000, 500, 250, 125].map(Value::from));
        let per_kind = [1_000, 500, 250, 125, 125];
        assert_eq!(limits("Newest"), [per_kind, per_kind].concat().into_iter().map(Value::from).collect::<Vec<_>>());
        assert!(limits("Samples").is_empty());
    }
}

#[tokio::test]
async fn a_registry_that_refuses_every_page_size_is_given_up() {
    let registry = Registry::start(|asked| match asked.name() {
        "Newest" | "Samples" => ok(r#"{"errors":[{"message":"response might exceed the size limit"}]}"#),
        _ => ok(&good(Dialect::Orion, asked).to_string()),
    });
    let found = registry.find().await.unwrap();
    let newest = registry.asked().iter().filter(|asked| asked.name() == "Newest").count();
    assert_eq!(newest, 2 * [1_000, 500, 250, 125, 62, 31, 15, 10].len());
    assert_eq!(found.gaps.samples.len(), 2);
    let said = "the newest videos of all buckets cannot be listed: the registry returned only errors: response might";
    assert!(problems(&found).iter().any(|problem| problem.starts_with(said)), "{:?}", problems(&found));
}

/// Servers that cut every page without saying so: a few scans are made, and buckets that are still empty are asked for.
#[tokio::test]
async fn reading_continues_over_short_pages() {
    let registry = Registry::answering(|asked| match asked.name() {
        "Operators" if asked.variables["offset"] == json!(0) => operators(0..BUCKETS),
        "Newest" => page(Dialect::Orion, asked, 50),
        _ => good(Dialect::Orion, asked),
    });
    let found = registry.find().await.unwrap();
    assert_eq!(counts(&found), [(20, 20); BUCKETS], "three buckets of 26 for each of 200 objects");
    assert_eq!(names(&registry).iter().filter(|name| *name == "Newest").count(), 2 * 4);
}

/// One registry over time: nodes are asked for again and again, samples when they are old or when something is new.
struct Followed {
    registry: Registry,
    config: config::Registry,
    known: KnownList,
    now: Timestamp,
    buckets: Arc<Mutex<std::ops::Range<usize>>>,
    is_failing: Arc<Mutex<bool>>,
}

impl Followed {
    fn start() -> Self {
        let (buckets, is_failing) = (Arc::new(Mutex::new(0..4)), Arc::new(Mutex::new(false)));
        let (listed, fails) = (Arc::clone(&buckets), Arc::clone(&is_failing));
        let registry = Registry::start(move |asked| {
            let answer = match asked.name() {
                "Operators" if asked.variables["offset"] == json!(0) => operators(listed.lock().unwrap().clone()),
                "Newest" | "Samples" if *fails.lock().unwrap() => return answer("503 Busy", "", "busy"),
                "Newest" => page(Dialect::Orion, asked, usize::MAX),
                _ => good(Dialect::Orion, asked),
            };
            ok(&answer.to_string())
        });
        let config = config::Registry { dialect: Some(Dialect::Orion), ..registry.config() };
        Self { registry, config, known: KnownList::default(), now: Timestamp::UNIX_EPOCH, buckets, is_failing }
    }

    /// Asks again after this time: were samples asked for, and how many has each distributor then?
    async fn after(&mut self, minutes: i64) -> (bool, Vec<usize>) {
        self.now += SignedDuration::from_mins(minutes);
        let before = self.registry.asked().len();
        // What one process keeps is what the next one finds.
        self.known = serde_json::from_str(&serde_json::to_string(&self.known).unwrap()).unwrap();
        let sampled: FreshSamples = self.known.sampled(&self.config, self.now);
        let found = find(&fetcher(), &self.config, &Guard::default(), &sampled).await.unwrap();
        self.known = std::mem::take(&mut self.known).refreshed(found, &self.config, self.now).0;
        let is_sampled = self.registry.asked()[before..].iter().any(|asked| asked.name() == "Newest");
        let distributors = self.known.nodes().iter().filter(|node| node.listing.distributing.is_some());
        (is_sampled, distributors.map(|node| node.assets.len()).collect())
    }
}

#[tokio::test]
async fn samples_are_requested_when_outdated_or_new() {
    let mut followed = Followed::start();
    assert_eq!(followed.config.refresh_assets, Duration::from_secs(3_600));
    assert_eq!(followed.after(0).await, (true, vec![40; 4]), "nothing is known yet");
    assert_eq!(followed.after(10).await, (false, vec![40; 4]));
    assert_eq!(followed.after(49).await, (false, vec![40; 4]), "59 minutes old");
    assert_eq!(followed.after(1).await, (true, vec![40; 4]));
    *followed.buckets.lock().unwrap() = 0..5;
    assert_eq!(followed.after(10).await, (true, vec![40; 5]), "a new bucket is not kept waiting");
    *followed.buckets.lock().unwrap() = 0..4;
    assert_eq!(followed.after(10).await, (false, vec![40; 4]));
    followed.config.fixed = vec![(AssetKind::Image, "1343".into())];
    assert_eq!(followed.after(10).await, (true, vec![40, 41, 40, 40]), "another fixed object is configured");
    assert_eq!(followed.after(-600).await, (true, vec![40, 41, 40, 40]), "the clock was set back");
}

#[tokio::test]
async fn missing_samples_are_requested_again() {
    let mut followed = Followed::start();
    assert_eq!(followed.after(0).await, (true, vec![40; 4]));
    *followed.is_failing.lock().unwrap() = true;
    assert_eq!(followed.after(60).await, (true, vec![40; 4]), "what is known holds");
    assert_eq!(followed.after(10).await, (true, vec![40; 4]));
    *followed.is_failing.lock().unwrap() = false;
    assert_eq!(followed.after(10).await, (true, vec![40; 4]));
    assert_eq!(followed.after(10).await, (false, vec![40; 4]));
}
