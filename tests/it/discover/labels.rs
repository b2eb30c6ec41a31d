//! The labels of a registry become series in the database, so their number is limited and frequent changes are logged.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bandprobe::{
    config::{
        Dialect,
        check::{Input, load},
    },
    worker::discovery::Discovery,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::registry::{Registry, good, operator};

#[tokio::test]
async fn the_number_of_regions_is_bounded() {
    let mut round = 0;
    let registry = Registry::answering(move |asked| match asked.name() {
        "Operators" => {
            round += 1;
            // New families: 40 regions that were not named before.
            let row = |n: usize| {
                operator(&format!("{}:0", 40 * round + n), 1, false, &format!("https://n{n}.example/"), &Value::Null)
            };
            json!({"data": {"distributionBucketOperators": (0..40).map(row).collect::<Vec<_>>()}})
        }
        _ => good(Dialect::Orion, asked),
    });
    let dir = TempDir::new().unwrap();
    let text = format!(
        "vantage.id = \"here\"\narchive.dir = \"data\"\n[[source]]\nkind = \"joystream\"\nurl = \"{}\"\ndialect = \"orion\"\n",
        registry.url
    );
    let read = |_: &Path| Ok(text.clone().into_bytes());
    let config = load(&Input { path: &dir.path().join("b.toml"), environment: &BTreeMap::new(), read: &read }).unwrap();
    let mut discovery = Discovery::load(&config).unwrap();
    let mut seen = BTreeSet::new();
    let mut complaints = Vec::new();
    for _ in 0..4 {
        let asked = discovery.ask_all().await;
        complaints.push(asked[0].messages().collect::<Vec<_>>());
        seen.extend(discovery.targets().nodes.iter().filter_map(|node| node.listing.region.clone()));
        discovery.keep();
    }
    assert_eq!(seen.len(), 65, "64 and `other`: {seen:?}");
    assert!(seen.contains("other"), "{seen:?}");
    let said =
        format!("{}: more than 64 regions were named: nodes in further ones get the region `other`", registry.url);
    assert!(
        !complaints[0].contains(&said) && complaints[1..].iter().all(|complaints| complaints.contains(&said)),
        "{complaints:?}"
    );
    let again = Discovery::load(&config).unwrap();
    assert_eq!(again.targets(), discovery.targets(), "the next process has the same");
}
