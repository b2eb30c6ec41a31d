//! Which nodes are found in each dialect, and which queries that takes.

use std::{net::TcpListener, sync::Arc};

use apollo_compiler::{ExecutableDocument, request::coerce_variable_values, response::JsonMap};
use bandprobe::{
    config::Dialect,
    model::{
        target::{Asset, AssetKind, Coordinates, Origin, Profile},
        units::Bytes,
    },
};
use serde_json::json;

use super::{
    queries::schema,
    registry::{Registry, ask, good, hash, operator, problems},
};

#[tokio::test]
async fn every_dialect_yields_the_same_fleet() {
    for dialect in Dialect::ALL {
        let registry = Registry::answering(move |asked| good(dialect, asked));
        let fixed = vec![(AssetKind::Image, "1343".into()), (AssetKind::Video, "552149".into())];
        let found = ask(&bandprobe::config::Registry { fixed, ..registry.config() }).await.unwrap();
        assert_eq!(found.dialect, dialect);
        let [dp, store, off] = &found.nodes[..] else { panic!("{found:?}") };

        assert_eq!(
            (&*dp.id, dp.endpoint.as_url().as_str()),
            ("dp.example/distributor", "https://dp.example/distributor/")
        );
        assert_eq!((dp.listing.origin, dp.listing.profile), (Origin::Joystream, Profile::Argus));
        assert_eq!(dp.listing.operators, [Arc::from("1:0-1"), "1:1-1".into()]);
        assert_eq!((dp.listing.region.as_deref(), dp.listing.country.as_deref()), (Some("region_1"), Some("FR")));
        assert_eq!(
            (dp.listing.location, dp.listing.distributing),
            (Coordinates::new(48.8566, 2.3522).ok(), Some(true))
        );
        let of = |kind, id: &str, size: Option<u64>, fixed| Asset {
            kind,
            id: id.into(),
            size: size.map(|size| Bytes(size).into()),
            hash: Some(hash().into()),
            fixed,
        };
        assert_eq!(
            dp.assets,
            [
                of(AssetKind::Image, "1343", Some(21_136), true),
                of(AssetKind::Image, "9", None, false),
                of(AssetKind::Video, "8", Some(48_000_000), false),
                of(AssetKind::Image, "7", Some(21_136), false),
            ]
        );

        assert_eq!((&*store.id, store.listing.profile), ("dp.example/storage", Profile::Colossus));
        assert_eq!((&store.listing.operators[..], store.listing.distributing), (&[Arc::from("4-9")][..], None));
        assert_eq!((&*off.id, off.listing.distributing, &off.assets[..]), ("off.example", Some(false), &[][..]));
        assert_eq!((&*found.blocked[0].id, &*found.blocked[0].endpoint), ("127.0.0.1:8080", "http://127.0.0.1:8080/"));
        assert!(found.blocked[0].reason.contains("loopback"), "{}", found.blocked[0].reason);
        assert_eq!(
            problems(&found),
            ["fixed object 552149 is not in the registry, or not uploaded yet: no node is asked for it"]
        );
        assert!(found.gaps.samples.is_empty() && !found.gaps.storage);
        hold_against_the_schema(&registry, dialect);
    }
}

/// Text and variables of everything that was asked are what the schema of the dialect takes; of the two buckets only
/// the one that has no video among the newest is asked for by itself.
fn hold_against_the_schema(registry: &Registry, dialect: Dialect) {
    let (schema, asked) = (schema(dialect), registry.asked());
    for question in &asked {
        let document = ExecutableDocument::parse_and_validate(&schema, &question.query, "asked").unwrap();
        let variables: JsonMap = serde_json::from_value(question.variables.clone()).unwrap();
        let operation = document.operations.get(None).unwrap();
        if let Err(error) = coerce_variable_values(&schema, operation, &variables) {
            panic!("{} in {}: {error:?}", question.name(), dialect.label());
        }
        let head = question.head.to_ascii_lowercase();
        for line in [
            "post /graphql http/1.1",
            "content-type: application/json",
            "(+https://probes.example/)",
            "user-agent: bandprobe/",
            "traceparent: 00-",
            "x-request-id: ",
        ] {
            assert!(head.contains(line), "{line}: {head}");
        }
    }
    let names: Vec<_> = asked.iter().map(|question| question.name()).collect();
    let kinds = if dialect == Dialect::Hydra { 1 } else { 2 };
    assert_eq!(names[..4], ["Detect", "Operators", "Storage", "Fixed"]);
    assert_eq!(names[4..], [&["Newest"; 2][..kinds], &["Samples"]].concat());
    assert_eq!(asked.last().unwrap().variables["bucket"], "1:1");
}

#[tokio::test]
async fn a_configured_dialect_is_not_detected() {
    let registry = Registry::answering(|asked| good(Dialect::Orion, asked));
    let given = bandprobe::config::Registry { dialect: Some(Dialect::Orion), ..registry.config() };
    assert_eq!(ask(&given).await.unwrap().dialect, Dialect::Orion);
    assert!(registry.asked().iter().all(|question| question.name() != "Detect"));
}

#[tokio::test]
async fn excluded_nodes_are_not_requested() {
    let registry = Registry::answering(|asked| good(Dialect::Orion, asked));
    let exclude = ["1:1-1", "127.0.0.1", "dp.example/storage"].map(str::to_owned).to_vec();
    let found = ask(&bandprobe::config::Registry { exclude, ..registry.config() }).await.unwrap();
    let ids: Vec<_> = found.nodes.iter().map(|node| &*node.id).collect();
    assert_eq!((ids, found.blocked.len(), found.excluded), (vec!["off.example"], 0, 3));
    assert!(
        registry.asked().iter().all(|question| !["Newest", "Samples"].contains(&question.name())),
        "no node that serves a bucket is left"
    );
}

#[tokio::test]
async fn discovery_contacts_only_the_registry() {
    let private = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/", private.local_addr().unwrap());
    let registry = Registry::answering(move |asked| match asked.name() {
        "Operators" => {
            json!({"data": {"distributionBucketOperators": [operator("1:0", 1, true, &endpoint, &json!(null))]}})
        }
        _ => good(Dialect::Orion, asked),
    });
    let found = registry.find().await.unwrap();
    assert_eq!((found.nodes.len(), found.blocked.len()), (1, 1), "the storage node, and the private one");
    private.set_nonblocking(true).unwrap();
    assert_eq!(private.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
