//! Long lists, page by page.

use bandprobe::{config::Dialect, model::target::Profile};
use serde_json::{Value, json};

use super::registry::{Asked, Registry, good, operator};

/// A registry with `count` operators, each at its own endpoint, that returns this page of them for an offset and a
/// limit.
fn registry(count: usize, page: fn(usize, usize, usize) -> std::ops::Range<usize>) -> Registry {
    Registry::answering(move |asked| {
        let of = |key: &str| usize::try_from(asked.variables[key].as_u64().unwrap()).unwrap();
        let row =
            |n: usize| operator(&format!("1:{n}"), 1, false, &format!("https://n{}.example/", n % 900), &Value::Null);
        match asked.name() {
            "Operators" => {
                let rows: Vec<_> = page(count, of("offset"), of("limit")).map(row).collect();
                json!({"data": {"distributionBucketOperators": rows}})
            }
            _ => good(Dialect::Hydra, asked),
        }
    })
}

fn operators(found: &bandprobe::discover::joystream::RegistryList) -> usize {
    found.nodes.iter().filter(|node| node.listing.distributing.is_some()).map(|node| node.listing.operators.len()).sum()
}

fn questions(registry: &Registry) -> Vec<Value> {
    let is_page = |asked: &Asked| (asked.name() == "Operators").then(|| asked.variables["offset"].clone());
    registry.asked().iter().filter_map(is_page).collect()
}

#[tokio::test]
async fn every_page_is_read() {
    for (count, page, offsets, read) in [
        (3, honest as fn(_, _, _) -> _, vec![0], 3),
        (2_300, honest, vec![0, 1_000, 2_000, 2_300], 2_300),
        (250, of_hundred, vec![0, 100, 200, 250], 250),
        (700, deaf, vec![0, 700], 700),
        (9_999, honest, vec![0, 1_000, 2_000, 3_000, 4_000], 5_000),
    ] {
        let registry = registry(count, page);
        let found = registry.find().await.unwrap();
        assert_eq!(operators(&found), read, "of {count}");
        assert_eq!(questions(&registry), offsets, "of {count}");
        let is_cut = found.problems.iter().any(|problem| problem.contains("longer than 5000 rows"));
        assert_eq!(is_cut, count > 5_000, "{:?}", found.problems);
    }
}

/// A page without an active bucket is not the last.
#[tokio::test]
async fn a_page_of_inactive_buckets_does_not_end_the_list() {
    let registry = Registry::answering(|asked| {
        let row = |n: usize| {
            let status = if n < 100 { "Missing" } else { "Active" };
            let metadata = json!({"nodeEndpoint": format!("https://s{n}.example/"), "nodeLocation": null});
            let status = json!({"__typename": format!("StorageBucketOperatorStatus{status}"), "workerId": 9});
            json!({"id": n.to_string(), "operatorStatus": status, "operatorMetadata": metadata})
        };
        match asked.name() {
            "Storage" => {
                let offset = usize::try_from(asked.variables["offset"].as_u64().unwrap()).unwrap();
                let rows: Vec<_> = honest(103, offset, 50).map(row).collect();
                json!({"data": {"storageBuckets": rows}})
            }
            _ => good(Dialect::Orion, asked),
        }
    });
    let found = registry.find().await.unwrap();
    let stores: Vec<_> =
        found.nodes.iter().filter(|node| node.listing.profile == Profile::Colossus).map(|node| &*node.id).collect();
    assert_eq!(stores, ["s100.example", "s101.example", "s102.example"]);
}

/// Returns what was requested.
fn honest(count: usize, offset: usize, limit: usize) -> std::ops::Range<usize> {
    offset.min(count)..(offset + limit).min(count)
}

/// Never gives more than a hundred.
fn of_hundred(count: usize, offset: usize, limit: usize) -> std::ops::Range<usize> {
    honest(count, offset, limit.min(100))
}

/// Does not hear the offset.
fn deaf(count: usize, _: usize, limit: usize) -> std::ops::Range<usize> {
    honest(count, 0, limit)
}
