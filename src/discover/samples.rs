//! What a node must serve: the newest objects of its buckets, asked once a bucket, and the objects that the user named.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    error::DiscoverError,
    joystream::Api,
    row::{buckets, object},
};
use crate::{
    config::Dialect,
    model::{
        target::{Asset, AssetKind},
        units::Bytes,
    },
};

/// Objects by the bucket that must serve them.
#[derive(Debug, Default)]
pub(super) struct Shelves {
    found: BTreeMap<Arc<str>, Vec<Asset>>,
    /// In the order of the config.
    fixed: Vec<(Asset, BTreeSet<Arc<str>>)>,
    /// Buckets without an answer, or a whole one.
    unknown: BTreeSet<Arc<str>>,
    /// Nobody knows who serves the fixed objects.
    is_fixed_unknown: bool,
}

impl Shelves {
    /// Asks for all of them, as long as there is time; what has no answer goes to `problems`.
    pub(super) async fn ask(
        api: &Api<'_>,
        wanted: &BTreeSet<Arc<str>>,
        fixed: &[(AssetKind, Arc<str>)],
        problems: &mut Vec<String>,
    ) -> Self {
        let mut shelves = Self::default();
        if let Err(error) = shelves.ask_fixed(api, fixed, problems).await {
            shelves.is_fixed_unknown = true;
            problems.push(format!("nobody knows who serves the fixed objects: {error}"));
        }
        let mut failed = 0;
        for bucket in wanted {
            if failed == MAX_FAILED || Instant::now() >= api.until {
                shelves.unknown.insert(Arc::clone(bucket));
                continue;
            }
            match api.ask(samples(api.dialect), json!({ "bucket": bucket, "limit": NEWEST })).await {
                Ok(reply) => {
                    failed = 0;
                    let (assets, is_whole) = newest(api.dialect, |list| reply.rows(list));
                    if !is_whole || !reply.errors.is_empty() {
                        shelves.unknown.insert(Arc::clone(bucket));
                        problems.push(format!("not all samples of bucket {bucket}: {}", reply.said()));
                    }
                    shelves.found.insert(Arc::clone(bucket), assets);
                }
                Err(error) => {
                    failed += 1;
                    shelves.unknown.insert(Arc::clone(bucket));
                    problems.push(format!("no samples of bucket {bucket}: {error}"));
                }
            }
        }
        if failed == MAX_FAILED || Instant::now() >= api.until {
            problems.push("the registry is too slow, or fails too often: not every bucket was asked for".to_owned());
        }
        shelves
    }

    /// Is all known that a node with these buckets must serve?
    pub(super) fn is_whole(&self, buckets: &BTreeSet<Arc<str>>) -> bool {
        !self.is_fixed_unknown && self.unknown.is_disjoint(buckets)
    }

    /// What a node with these buckets must serve: the fixed objects, then the newest, each once.
    pub(super) fn of(&self, buckets: &BTreeSet<Arc<str>>) -> Vec<Asset> {
        let fixed = self.fixed.iter().filter(|(_, serving)| !serving.is_disjoint(buckets)).map(|(asset, _)| asset);
        let mut assets: Vec<_> = fixed.cloned().collect();
        let mut found: Vec<_> = buckets.iter().filter_map(|bucket| self.found.get(bucket)).flatten().collect();
        // The chain numbers objects as they are made: the newest has the largest number, whose text is the longest.
        found.sort_by(|a, b| (b.id.len(), &b.id).cmp(&(a.id.len(), &a.id)));
        let mut taken: HashSet<_> = assets.iter().map(|asset| Arc::clone(&asset.id)).collect();
        let mut room = BTreeMap::from([(AssetKind::Image, NEWEST), (AssetKind::Video, NEWEST)]);
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
        api: &Api<'_>,
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
                    "fixed object {id} is not in the registry, or not uploaded yet: nobody is asked for it"
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

/// The objects of an answer, and whether each of its lists is there.
fn newest<'r>(dialect: Dialect, rows: impl Fn(&str) -> Option<&'r [Value]>) -> (Vec<Asset>, bool) {
    let (images, videos) = (rows("images"), rows("videos"));
    let of = |rows: Option<&'r [Value]>, kind, key: Option<&str>| {
        let rows = rows.unwrap_or_default().iter().take(NEWEST);
        let objects = rows.filter_map(move |row| object(key.map_or(Some(row), |key| row.get(key))?, kind));
        objects.filter(is_fit).collect::<Vec<_>>()
    };
    let (images, videos, is_whole) = match dialect {
        Dialect::Hydra => {
            let of_video = |kind, key| of(videos, kind, Some(key));
            (of_video(AssetKind::Image, "thumbnailPhoto"), of_video(AssetKind::Video, "media"), videos.is_some())
        }
        Dialect::Orion | Dialect::StorageSquid => {
            let is_whole = images.is_some() && videos.is_some();
            (of(images, AssetKind::Image, None), of(videos, AssetKind::Video, None), is_whole)
        }
    };
    ([images, videos].concat(), is_whole)
}

/// An image is downloaded whole: what a channel calls a thumbnail may be of any size.
fn is_fit(asset: &Asset) -> bool {
    asset.kind == AssetKind::Video || asset.size.is_none_or(|size| size.most() <= LARGEST_IMAGE)
}

/// Samples of each kind, a bucket and a node.
const NEWEST: usize = 20;
/// Questions without an answer, one after the other.
const MAX_FAILED: u32 = 3;
const LARGEST_IMAGE: Bytes = Bytes(1 << 20);

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
        let shelves = Shelves {
            found: BTreeMap::from([
                (
                    "1:0".into(),
                    vec![asset(AssetKind::Image, 1_343), asset(AssetKind::Video, 999), asset(AssetKind::Image, 7)],
                ),
                ("1:1".into(), vec![asset(AssetKind::Image, 20_000), asset(AssetKind::Image, 1_343)]),
            ]),
            fixed: vec![(fixed.clone(), ["1:0".into()].into())],
            ..Shelves::default()
        };
        for (buckets, expected) in [
            (&["1:0"][..], &["7", "1343", "999"][..]),
            (&["1:1"], &["20000", "1343"]),
            (&["1:0", "1:1"], &["7", "20000", "1343", "999"]),
            (&["2:0"], &[]),
            (&[], &[]),
        ] {
            let assets = shelves.of(&buckets.iter().map(|bucket| Arc::from(*bucket)).collect());
            assert_eq!(ids(&assets), expected, "{buckets:?}");
            assert!(assets.iter().all(|asset| asset.fixed == (*asset.id == *fixed.id)));
        }
    }

    #[test]
    fn the_newest_of_many_are_kept() {
        let many = |range: std::ops::Range<u32>| range.map(|id| asset(AssetKind::Image, id)).collect();
        let found = BTreeMap::from([("a".into(), many(90..110)), ("b".into(), many(80..100))]);
        let assets = Shelves { found, ..Shelves::default() }.of(&["a".into(), "b".into()].into());
        assert_eq!((assets.len(), &*assets[0].id, &*assets[19].id), (NEWEST, "109", "90"));
    }

    #[test]
    fn objects_lose_what_is_wrong_with_them() {
        let rows = json!([
            {"id": "5", "size": "21136", "ipfsHash": "gW9c"},
            {"id": "6", "size": "1048577"},
            {"id": "../7", "size": "1"},
            {"id": null}, null, "8",
            {"id": "9", "size": -4, "ipfsHash": null},
        ]);
        let rows = rows.as_array().unwrap();
        let (assets, is_whole) = newest(Dialect::Orion, |list| (list == "images").then_some(rows.as_slice()));
        assert_eq!((ids(&assets), is_whole), (vec!["5", "9"], false), "6 is too large for an image");
        assert_eq!((assets[0].size, &assets[0].hash, assets[1].size), (Some(Bytes(21_136).into()), &None, None));

        let rows = json!([{"thumbnailPhoto": {"id": "5"}, "media": {"id": "6", "size": 7}}, {"thumbnailPhoto": null}]);
        let (assets, is_whole) =
            newest(Dialect::Hydra, |list| (list == "videos").then(|| rows.as_array().unwrap().as_slice()));
        let kinds: Vec<_> = assets.iter().map(|asset| (asset.kind, &*asset.id)).collect();
        assert_eq!((kinds, is_whole), (vec![(AssetKind::Image, "5"), (AssetKind::Video, "6")], true));
    }
}
