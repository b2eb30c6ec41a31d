//! The simulated registry in each dialect: our own queries, introspection, and errors.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

const DETECT: &str = include_str!("../../../../src/discover/detect.graphql");
const OPERATORS: &str = include_str!("../../../../src/discover/operators.graphql");
const STORAGE: &str = include_str!("../../../../src/discover/storage.graphql");
const FIXED_HYDRA: &str = include_str!("../../../../src/discover/fixed-hydra.graphql");
const FIXED_SQUID: &str = include_str!("../../../../src/discover/fixed-squid.graphql");
const SAMPLES_HYDRA: &str = include_str!("../../../../src/discover/samples-hydra.graphql");
const SAMPLES_ORION: &str = include_str!("../../../../src/discover/samples-orion.graphql");
const SAMPLES_STORAGE_SQUID: &str = include_str!("../../../../src/discover/samples-storage-squid.graphql");

async fn fleet(dialect: Dialect) -> DemoFleet {
    DemoFleet::start(&FleetPlan::new(dialect)).await.unwrap()
}

async fn post(fleet: &DemoFleet, body: &str) -> Reply {
    let url = fleet.registry();
    let address = (url.host_str().unwrap().to_owned(), url.port().unwrap());
    let headers = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    exchange(address, &format!("POST {}", url.path()), &headers, body).await
}

async fn query(fleet: &DemoFleet, query: &str, variables: Value) -> (u16, Value) {
    let reply = post(fleet, &json!({ "query": query, "variables": variables }).to_string()).await;
    (reply.status, serde_json::from_slice(&reply.body).unwrap())
}

/// The `data` of an answer without errors.
async fn data(fleet: &DemoFleet, text: &str, variables: Value) -> Value {
    let (status, mut answer) = query(fleet, text, variables).await;
    assert_eq!((status, answer.get("errors")), (200, None), "{answer}");
    answer["data"].take()
}

fn ids(rows: &Value) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_dialect_is_told_by_its_types() {
    for (dialect, join, version) in
        [(Dialect::Hydra, false, false), (Dialect::Orion, true, false), (Dialect::StorageSquid, true, true)]
    {
        let found = data(&fleet(dialect).await, DETECT, json!({})).await;
        let is_there = ["operators", "join", "version"].map(|alias| found[alias]["name"].is_string());
        assert_eq!(is_there, [true, join, version], "{}", dialect.label());
    }
}

#[tokio::test]
async fn operators_are_filtered_ordered_and_paged() {
    for (dialect, order) in
        [(Dialect::Hydra, "createdAt_ASC"), (Dialect::Orion, "id_ASC"), (Dialect::StorageSquid, "id_ASC")]
    {
        let fleet = fleet(dialect).await;
        let page = async |offset: u64, limit: u64| {
            let variables = json!({ "order": [order], "offset": offset, "limit": limit });
            data(&fleet, OPERATORS, variables).await["distributionBucketOperators"].take()
        };
        let all = page(0, 1000).await;
        let listed = ids(&all);
        assert_eq!(listed.len(), 17, "one has two buckets, one is only invited: {listed:?}");
        assert!(!listed.contains(&"4:2-13".into()), "{listed:?}");
        assert!(order != "id_ASC" || listed.is_sorted(), "{listed:?}");
        assert_eq!([ids(&page(0, 9).await), ids(&page(9, 9).await)].concat(), listed);
        assert_eq!(ids(&page(17, 9).await), [""; 0]);

        let of = |id: &str| all.as_array().unwrap().iter().find(|row| row["id"] == id).unwrap();
        let (one, other) = (of("1:0-1"), of("1:1-1"));
        assert_eq!(one["metadata"]["nodeEndpoint"], paris(&fleet).endpoint.as_deref().unwrap());
        assert_eq!(one["metadata"], other["metadata"], "two buckets at one endpoint");
        assert_eq!(one["metadata"]["nodeLocation"]["coordinates"]["latitude"], 48.8566);
        assert_eq!(one["distributionBucket"]["family"]["metadata"]["region"], "eu-west-1");
        assert_eq!(of("5:2-14")["metadata"], Value::Null);
        let is_off = |row: &&Value| row["distributionBucket"]["distributing"] == false;
        let off: Vec<_> = all.as_array().unwrap().iter().filter(is_off).map(|row| &row["id"]).collect();
        assert_eq!(off.len(), 2, "{off:?}");
        assert!(["2:1-8", "1:4-15"].iter().all(|id| off.contains(&&json!(id))), "{off:?}");
    }
}

#[tokio::test]
async fn storage_nodes_are_listed_with_their_status() {
    for (dialect, order) in [(Dialect::Hydra, "createdAt_ASC"), (Dialect::Orion, "id_ASC")] {
        let fleet = fleet(dialect).await;
        let found = data(&fleet, STORAGE, json!({ "order": [order], "offset": 0, "limit": 9 })).await;
        assert_eq!(ids(&found["storageBuckets"]), ["0", "1"]);
        let first = &found["storageBuckets"][0];
        assert_eq!(
            first["operatorStatus"],
            json!({ "__typename": "StorageBucketOperatorStatusActive", "workerId": 20 })
        );
        assert_eq!(first["operatorMetadata"]["nodeEndpoint"], fleet.members()[0].endpoint.as_deref().unwrap());
    }
}

#[tokio::test]
async fn samples_are_the_newest_of_the_bucket_with_true_facts() {
    for (dialect, text) in [
        (Dialect::Hydra, SAMPLES_HYDRA),
        (Dialect::Orion, SAMPLES_ORION),
        (Dialect::StorageSquid, SAMPLES_STORAGE_SQUID),
    ] {
        let fleet = fleet(dialect).await;
        let both = json!({ "bucket": "2:0", "limit": 12, "images": true, "videos": true });
        let found = data(&fleet, text, both).await;
        let column = |kind: &str| -> Value {
            found["videos"].as_array().unwrap().iter().map(|video| video[kind].clone()).collect()
        };
        let (images, videos) = match dialect {
            Dialect::Hydra => (column("thumbnailPhoto"), column("media")),
            Dialect::Orion | Dialect::StorageSquid => (found["images"].clone(), found["videos"].clone()),
        };
        let newest = ids(&images);
        assert!(newest.iter().filter(|id| *id != "700000").is_sorted_by(|left, right| left > right), "{newest:?}");
        assert_eq!((newest.len(), ids(&videos).len()), (12, 12), "{dialect:?}");
        assert!(!newest.contains(&"700001".into()), "it is not accepted");
        assert_eq!(
            newest.contains(&"700000".into()),
            dialect == Dialect::StorageSquid,
            "an avatar is an image by size"
        );
        let virginia = fleet.member("virginia").unwrap();
        for object in images.as_array().unwrap() {
            let id = object["id"].as_str().unwrap();
            assert_eq!(asset_of(virginia, "HEAD", id, "").await.status, 200, "{id}: it is the bucket's");
            let content = stored(&fleet, id).await;
            assert_eq!(object["size"], content.len().to_string(), "{id}");
            let digest = [&[0x1e, 0x20], &blake3::hash(&content).as_bytes()[..]].concat();
            assert_eq!(object["ipfsHash"], bs58::encode(digest).into_string(), "{id}");
        }
    }
}

#[tokio::test]
async fn fixed_samples_are_in_every_bucket() {
    for (dialect, text) in
        [(Dialect::Hydra, FIXED_HYDRA), (Dialect::Orion, FIXED_SQUID), (Dialect::StorageSquid, FIXED_SQUID)]
    {
        let found = data(&fleet(dialect).await, text, json!({ "ids": ["552149", "1343", "5"], "limit": 9 })).await;
        assert_eq!(BTreeSet::from_iter(ids(&found["storageDataObjects"])), ["1343", "552149"].map(String::from).into());
        for object in found["storageDataObjects"].as_array().unwrap() {
            let buckets = object["storageBag"]["distributionBuckets"].as_array().unwrap();
            assert_eq!(buckets.len(), 18, "{buckets:?}");
        }
    }
}

#[tokio::test]
async fn a_query_without_a_limit_gets_fifty_rows() {
    for (dialect, rows) in [(Dialect::Hydra, 50), (Dialect::Orion, 64)] {
        let found = data(&fleet(dialect).await, "{ storageDataObjects { id } }", json!({})).await;
        assert_eq!(ids(&found["storageDataObjects"]).len(), rows, "{}", dialect.label());
    }
}

#[tokio::test]
async fn members_leave_and_come_back_and_a_proxy_stands_in() {
    let fleet = fleet(Dialect::Orion).await;
    let listed = async || {
        let found = data(&fleet, "{ distributionBucketOperators { id } storageBuckets { id } }", json!({})).await;
        (ids(&found["distributionBucketOperators"]).len(), ids(&found["storageBuckets"]).len())
    };
    assert_eq!(listed().await, (18, 2));
    fleet.relist(|member| member.condition == NodeCondition::Healthy && !member.is_storage);
    assert_eq!(listed().await, (5, 0));
    fleet.relist(|_| false);
    assert_eq!(listed().await, (0, 0));
    fleet.relist(|_| true);
    fleet.cut_registry(Some(http::StatusCode::BAD_GATEWAY));
    let reply = post(&fleet, r#"{ "query": "{ __typename }" }"#).await;
    assert_eq!((reply.status, reply.header("content-type")), (502, Some("text/html")));
    fleet.cut_registry(None);
    assert_eq!(listed().await, (18, 2));
}

#[tokio::test]
async fn unknown_fields_and_unreadable_queries_are_refused() {
    let fleet = fleet(Dialect::Orion).await;
    for (text, variables, status, message) in [
        ("{ storageDataObjects { id nonsense } }", json!({}), 400, "nonsense"),
        ("{ videos { id } }", json!({}), 400, "videos"),
        ("{ storageDataObjects(where: { hash_eq: \"x\" }) { id } }", json!({}), 400, "hash_eq"),
        ("{ storageDataObjects(", json!({}), 400, "expected"),
        (SAMPLES_ORION, json!({ "limit": 3 }), 400, "bucket"),
        ("{ storageDataObjects(limit: -1) { id } }", json!({}), 200, "LIMIT must not be negative"),
        ("{ storageDataObjects(where: { OR: [] }) { id } }", json!({}), 200, "cannot filter by OR"),
    ] {
        let (found, answer) = query(&fleet, text, variables).await;
        assert_eq!((found, answer["data"].is_null()), (status, true), "{text}: {answer}");
        let errors = answer["errors"].as_array().unwrap();
        let said = |error: &Value| error["message"].as_str().unwrap().contains(message);
        assert!(errors.iter().any(said), "{text}: {answer}");
    }
    assert_eq!(post(&fleet, "{").await.status, 400);
    let seen = fleet.registry_seen();
    assert!(seen.iter().all(|seen| seen.method == "POST" && seen.path == "/graphql") && seen.len() == 8, "{seen:?}");
}
