//! What real discovery finds in the simulated fleet, in each dialect: every node that may be asked, and no other.

use bandprobe::{
    config::{AllowPrivate, Registry},
    discover::joystream::{FreshSamples, RegistryList, find},
    model::target::{Asset, AssetKind, Profile},
    net::{fetch::Fetcher, guard::Guard},
};

use super::*;

async fn found(fleet: &DemoFleet) -> RegistryList {
    let registry = Registry {
        url: fleet.registry().clone(),
        refresh: Duration::from_secs(10),
        refresh_assets: Duration::from_secs(10),
        dialect: None,
        exclude: vec![],
        fixed: vec![(AssetKind::Image, IMAGE_ID.into()), (AssetKind::Video, VIDEO_ID.into())],
    };
    let guard = Guard::new(AllowPrivate::In(vec!["127.0.0.1/32".parse().unwrap()]));
    find(&Fetcher::new(None, crate::resolver()).unwrap(), &registry, &guard, &FreshSamples::default()).await.unwrap()
}

#[tokio::test]
async fn every_dialect_tells_the_same_fleet() {
    for dialect in Dialect::ALL {
        let fleet = DemoFleet::start(&FleetPlan::new(dialect)).await.unwrap();
        let found = found(&fleet).await;
        assert_eq!(found.dialect, dialect);
        // Which dialect, distributors, storage nodes, fixed samples; then the newest of each kind for all buckets at once.
        let questions = if dialect == Dialect::Hydra { 5 } else { 6 };
        assert_eq!(fleet.registry_seen().len(), questions, "{dialect:?}");
        let ours = fleet.members().iter().filter(|member| match member.condition {
            NodeCondition::PrivateAddress | NodeCondition::Invited | NodeCondition::NoMetadata => false,
            _ => member.endpoint.is_some(),
        });
        let mut expected: Vec<_> = ours.clone().filter_map(|member| member.endpoint.clone()).collect();
        let mut endpoints: Vec<_> = found.nodes.iter().map(|node| node.endpoint.as_url().to_string()).collect();
        expected.sort();
        endpoints.sort();
        assert_eq!(endpoints, expected, "{dialect:?}");
        for member in ours {
            let is_it = |node: &&Node| Some(node.endpoint.as_url().as_str()) == member.endpoint.as_deref();
            let node = found.nodes.iter().find(is_it).unwrap();
            let profile = if member.is_storage { Profile::Colossus } else { Profile::Argus };
            assert_eq!(node.listing.profile, profile, "{}", member.name);
            if member.is_storage {
                let is_image = |asset: &Asset| asset.kind == AssetKind::Image && asset.hash.is_some();
                assert!(
                    node.assets.len() > 5 && node.assets.iter().all(is_image),
                    "{}: {:?}",
                    member.name,
                    node.assets
                );
                assert!(node.assets.iter().any(|asset| &*asset.id == IMAGE_ID && asset.fixed), "{}", member.name);
                continue;
            }
            assert_eq!(node.listing.operators.len(), member.buckets.len(), "{}", member.name);
            assert_eq!(node.listing.distributing, Some(!member.condition.is_switched_off()), "{}", member.name);
            assert!(node.listing.location.is_some() && node.listing.region.is_some(), "{}", member.name);
            if member.condition.is_switched_off() {
                assert_eq!(node.assets, [], "it has to serve nothing");
                continue;
            }
            let is_there = |id: &str| node.assets.iter().any(|asset| &*asset.id == id && asset.fixed);
            assert!(is_there(IMAGE_ID) && is_there(VIDEO_ID), "{}: {:?}", member.name, node.assets);
            assert!(node.assets.iter().all(|asset| asset.size.is_some() && asset.hash.is_some()), "{}", member.name);
        }
        let inside = fleet.members().iter().find(|member| member.condition == NodeCondition::PrivateAddress).unwrap();
        let blocked: Vec<_> = found.blocked.iter().map(|blocked| &*blocked.endpoint).collect();
        assert!(blocked.contains(&inside.endpoint.as_deref().unwrap()), "{blocked:?}");
        assert_eq!((fleet.trapped(), fleet.uninvited(), fleet.fetches().len()), (0, 0, 0));
    }
}
