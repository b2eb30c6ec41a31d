//! The assets that a node must serve: the newest objects of its buckets, and the objects that the user named.
//!
//! One query per kind lists the newest objects of the whole registry with their buckets, which costs the registry one
//! scan. Only a bucket without any of them gets its own query. The condition on a bucket costs a scan and a join each
//! time: 26 buckets and 1.5 million objects took over a minute and a half.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use serde_json::{Value, json};
use tokio::time::Instant;

use self::newest::Newest;
use super::{
    api::RegistryApi,
    error::DiscoverError,
    fleet::Member,
    operator::{buckets, is_storage_bucket, object},
};
use crate::{
    config::Dialect,
    model::{
        target::{Asset, AssetKind, Endpoint},
        units::Bytes,
    },
};

mod newest;

/// Samples that are recent enough not to be requested again: for each endpoint, the buckets that they were requested
/// for.
#[derive(Clone, Debug, Default)]
pub struct FreshSamples(pub(super) HashMap<Endpoint, Vec<Arc<str>>>);

impl FreshSamples {
    /// Are the samples of all these nodes known, for the same buckets?
    pub(super) fn covers(&self, members: &[Member]) -> bool {
        let serving = members.iter().filter(|member| !member.node.listing.buckets.is_empty());
        serving.into_iter().all(|member| self.0.get(&member.node.endpoint) == Some(&member.node.listing.buckets))
    }
}

/// Objects by the bucket that must serve them.
#[derive(Debug, Default)]
pub(super) struct SampleAssets {
    found: BTreeMap<Arc<str>, Vec<Asset>>,
    /// In the order of the config.
    fixed: Vec<(Asset, BTreeSet<Arc<str>>)>,
    /// Buckets without a complete answer.
    unknown: BTreeSet<Arc<str>>,
    /// It is unknown which buckets the fixed objects are in.
    is_fixed_unknown: bool,
}

impl SampleAssets {
    /// Requests all objects, as long as there is time. Missing answers are reported in `problems`.
    pub(super) async fn ask(
        api: &RegistryApi<'_>,
        wanted: &BTreeSet<Arc<str>>,
        fixed: &[(AssetKind, Arc<str>)],
        problems: &mut Vec<String>,
    ) -> Self {
        let mut assets = Self::default();
        if wanted.is_empty() {
            return assets;
        }
        if let Err(error) = assets.ask_fixed(api, fixed, problems).await {
            assets.is_fixed_unknown = true;
            problems.push(format!("cannot tell which nodes serve the fixed objects: {error}"));
        }
        let newest = Newest::ask(api, wanted, problems).await;
        if newest.is_partial {
            assets.unknown.clone_from(wanted);
        }
        if newest.has_failed {
            // Storage buckets get no queries of their own.
            assets.unknown.extend(wanted.iter().filter(|bucket| is_storage_bucket(bucket)).cloned());
        }
        assets.found = newest.found;
        assets.top_up(api, wanted, problems).await;
        assets
    }

    /// Queries the distribution buckets that have no image or no video yet, one at a time.
    async fn top_up(&mut self, api: &RegistryApi<'_>, wanted: &BTreeSet<Arc<str>>, problems: &mut Vec<String>) {
        let (mut failed, mut is_cut_short) = (0, false);
        for bucket in wanted.iter().filter(|bucket| !is_storage_bucket(bucket)) {
            let found = self.found.get(bucket).map_or(&[][..], Vec::as_slice);
            let lacks = |kind| found.iter().all(|asset| asset.kind != kind);
            let (images, videos) = (lacks(AssetKind::Image), lacks(AssetKind::Video));
            if !images && !videos {
                continue;
            }
            if failed == MAX_FAILED || Instant::now() >= api.until {
                is_cut_short = true;
                self.unknown.insert(Arc::clone(bucket));
                continue;
            }
            let mut variables = json!({ "bucket": bucket });
            if api.dialect != Dialect::Hydra {
                variables = json!({ "bucket": bucket, "images": images, "videos": videos });
            }
            let lists = lists(api.dialect, images, videos);
            match api.ask_page(samples(api.dialect), variables, &lists, &mut MAX_PER_KIND.clone()).await {
                Ok(reply) => {
                    failed = 0;
                    if lists.iter().any(|list| reply.rows(list).is_none()) || !reply.errors.is_empty() {
                        self.unknown.insert(Arc::clone(bucket));
                        problems.push(format!("not all samples of bucket {bucket}: {}", reply.said()));
                    }
                    let assets = of_bucket(api.dialect, |list| reply.rows(list));
                    let is_new = |asset: &Asset| if asset.kind == AssetKind::Image { images } else { videos };
                    self.found.entry(Arc::clone(bucket)).or_default().extend(assets.into_iter().filter(is_new));
                }
                Err(error) => {
                    failed += 1;
                    self.unknown.insert(Arc::clone(bucket));
                    problems.push(format!("no samples of bucket {bucket}: {error}"));
                }
            }
        }
        if is_cut_short {
            problems.push("the registry is too slow, or fails too often: not every bucket was queried".to_owned());
        }
    }

    /// Are all assets known that a node with these buckets must serve?
    pub(super) fn is_whole(&self, buckets: &BTreeSet<Arc<str>>) -> bool {
        !self.is_fixed_unknown && self.unknown.is_disjoint(buckets)
    }

    /// The assets that a node with these buckets must serve: the fixed objects, then the newest, each once.
    pub(super) fn of(&self, buckets: &BTreeSet<Arc<str>>) -> Vec<Asset> {
        let fixed = self.fixed.iter().filter(|(_, serving)| !serving.is_disjoint(buckets)).map(|(asset, _)| asset);
        let mut assets: Vec<_> = fixed.cloned().collect();
        let mut found: Vec<_> = buckets.iter().filter_map(|bucket| self.found.get(bucket)).flatten().collect();
        // The chain numbers objects in the order of their creation, so the newest has the largest number. A longer
        // text is a larger number.
        found.sort_by(|a, b| (b.id.len(), &b.id).cmp(&(a.id.len(), &a.id)));
        let mut taken: HashSet<_> = assets.iter().map(|asset| Arc::clone(&asset.id)).collect();
        let mut room = BTreeMap::from([(AssetKind::Image, MAX_PER_KIND), (AssetKind::Video, MAX_PER_KIND)]);
        for asset in found {
            let left = room.entry(asset.kind).or_default();
            if *left > 0 && taken.insert(Arc::clone(&asset.id)) {
                *left -= 1;
                assets.push(asset.clone());
            }
        }
        assets
    }

    async fn ask_fixed(
        &mut self,
        api: &RegistryApi<'_>,
        fixed: &[(AssetKind, Arc<str>)],
        problems: &mut Vec<String>,
    ) -> Result<(), DiscoverError> {
        if fixed.is_empty() {
            return Ok(());
        }
        let ids: BTreeSet<_> = fixed.iter().map(|(_, id)| id).collect();
        let query = match api.dialect {
            Dialect::Hydra => include_str!("fixed-hydra.graphql"),
            Dialect::Orion | Dialect::StorageSquid => include_str!("fixed-squid.graphql"),
        };
        let reply = api.ask(query, json!({ "ids": ids, "limit": ids.len() })).await?;
        let list = "storageDataObjects";
        let rows = reply.rows(list).ok_or_else(|| DiscoverError::NoList { list, said: reply.said().to_owned() })?;
        for (kind, id) in fixed {
            let row = rows.iter().find(|row| row.get("id").and_then(Value::as_str) == Some(&**id));
            let Some((row, asset)) = row.and_then(|row| Some((row, object(row, *kind)?))) else {
                problems.push(format!(
                    "fixed object {id} is not in the registry, or not uploaded yet: no node is asked for it"
                ));
                continue;
            };
            let serving: BTreeSet<_> = buckets(row).into_iter().map(Arc::from).collect();
            self.fixed.push((Asset { fixed: true, ..asset }, serving));
        }
        Ok(())
    }
}

fn samples(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Hydra => include_str!("samples-hydra.graphql"),
        Dialect::Orion => include_str!("samples-orion.graphql"),
        Dialect::StorageSquid => include_str!("samples-storage-squid.graphql"),
    }
}

/// The lists of an answer about one bucket.
fn lists(dialect: Dialect, images: bool, videos: bool) -> Vec<&'static str> {
    let both = [(IMAGES, images && dialect != Dialect::Hydra), (VIDEOS, videos || dialect == Dialect::Hydra)];
    both.into_iter().filter_map(|(list, is_asked)| is_asked.then_some(list)).collect()
}

/// The objects of an answer about one bucket.
fn of_bucket<'r>(dialect: Dialect, rows: impl Fn(&str) -> Option<&'r [Value]>) -> Vec<Asset> {
    let of = |list, kind, at: &'static str| {
        let rows = rows(list).unwrap_or_default().iter().take(MAX_PER_KIND);
        rows.filter_map(move |row| object(row.pointer(at)?, kind)).filter(is_fit).collect::<Vec<_>>()
    };
    let (images, videos) = match dialect {
        Dialect::Hydra => (of(VIDEOS, AssetKind::Image, THUMBNAIL), of(VIDEOS, AssetKind::Video, MEDIA)),
        Dialect::Orion | Dialect::StorageSquid => (of(IMAGES, AssetKind::Image, ""), of(VIDEOS, AssetKind::Video, "")),
    };
    [images, videos].concat()
}

/// Is the asset suitable? An image is downloaded whole, and a channel's thumbnail may have any size.
fn is_fit(asset: &Asset) -> bool {
    asset.kind == AssetKind::Video || asset.size.is_none_or(|size| size.most() <= MAX_IMAGE)
}

/// Samples of each kind, per bucket and per node.
const MAX_PER_KIND: usize = 20;
/// After this many failed queries in a row, no further bucket is queried.
const MAX_FAILED: u32 = 3;
const MAX_IMAGE: Bytes = Bytes(1 << 20);
/// Aliases and fields of the queries. A field is a JSON pointer if the object is below a row.
const IMAGES: &str = "images";
const VIDEOS: &str = "videos";
const THUMBNAIL: &str = "/thumbnailPhoto";
const MEDIA: &str = "/media";

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(kind: AssetKind, id: u32) -> Asset {
        Asset { kind, id: id.to_string().into(), size: None, hash: None, fixed: false }
    }

    fn ids(assets: &[Asset]) -> Vec<&str> {
        assets.iter().map(|asset| &*asset.id).collect()
    }

    #[test]
    fn a_node_gets_what_its_buckets_must_serve() {
        let fixed = Asset { fixed: true, ..asset(AssetKind::Image, 7) };
        let assets = SampleAssets {
            found: BTreeMap::from([
                (
                    "1:0".into(),
                    vec![asset(AssetKind::Image, 1_343), asset(AssetKind::Video, 999), asset(AssetKind::Image, 7)],
                ),
                ("1:1".into(), vec![asset(AssetKind::Image, 20_000), asset(AssetKind::Image, 1_343)]),
            ]),
            fixed: vec![(fixed.clone(), ["1:0".into()].into())],
            ..SampleAssets::default()
        };
        for (buckets, expected) in [
            (&["1:0"][..], &["7", "1343", "999"][..]),
            (&["1:1"], &["20000", "1343"]),
            (&["1:0", "1:1"], &["7", "20000", "1343", "999"]),
            (&["2:0"], &[]),
            (&[], &[]),
        ] {
            let found = assets.of(&buckets.iter().map(|bucket| Arc::from(*bucket)).collect());
            assert_eq!(ids(&found), expected, "{buckets:?}");
            assert!(found.iter().all(|asset| asset.fixed == (*asset.id == *fixed.id)));
        }
    }

    #[test]
    fn the_newest_of_many_are_kept() {
        let many = |range: std::ops::Range<u32>| range.map(|id| asset(AssetKind::Image, id)).collect();
        let found = BTreeMap::from([("a".into(), many(90..110)), ("b".into(), many(80..100))]);
        let assets = SampleAssets { found, ..SampleAssets::default() }.of(&["a".into(), "b".into()].into());
        assert_eq!((assets.len(), &*assets[0].id, &*assets[19].id), (MAX_PER_KIND, "109", "90"));
    }

    #[test]
    fn invalid_objects_and_values_are_left_out() {
        let rows = json!([
            {"id": "5", "size": "21136", "ipfsHash": "gW9c"},
            {"id": "6", "size": "1048577"},
            {"id": "../7", "size": "1"},
            {"id": null}, null, "8",
            {"id": "9", "size": -4, "ipfsHash": null},
        ]);
        let rows = rows.as_array().unwrap();
        let assets = of_bucket(Dialect::Orion, |list| (list == IMAGES).then_some(rows.as_slice()));
        assert_eq!(ids(&assets), ["5", "9"], "6 is too large for an image");
        assert_eq!((assets[0].size, &assets[0].hash, assets[1].size), (Some(Bytes(21_136).into()), &None, None));

        let rows = json!([{"thumbnailPhoto": {"id": "5"}, "media": {"id": "6", "size": 7}}, {"thumbnailPhoto": null}]);
        let assets = of_bucket(Dialect::Hydra, |list| (list == VIDEOS).then(|| rows.as_array().unwrap().as_slice()));
        let kinds: Vec<_> = assets.iter().map(|asset| (asset.kind, &*asset.id)).collect();
        assert_eq!(kinds, [(AssetKind::Image, "5"), (AssetKind::Video, "6")]);
    }
}
