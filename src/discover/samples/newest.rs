//! The newest objects of the whole registry, distributed to the buckets that must serve them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{MAX_IMAGE, MAX_PER_KIND, MEDIA, THUMBNAIL, is_fit};
use crate::{
    config::Dialect,
    discover::{
        api::{RegistryApi, SHORTEST_FULL_PAGE},
        error::DiscoverError,
        operator::{buckets, is_storage_bucket, object},
    },
    model::target::{Asset, AssetKind},
};

/// The newest objects by bucket, up to [`MAX_PER_KIND`] of each kind.
#[derive(Debug, Default)]
pub(super) struct Newest {
    pub(super) found: BTreeMap<Arc<str>, Vec<Asset>>,
    /// The registry reported errors next to its rows, so buckets may lack some objects.
    pub(super) is_partial: bool,
    /// At least one list had no answer.
    pub(super) has_failed: bool,
}

/// One list of objects, newest first.
struct NewestQuery {
    list: &'static str,
    query: &'static str,
    variables: Value,
    /// The kinds of objects in a row, and the JSON pointer to each.
    objects: &'static [(AssetKind, &'static str)],
}

impl Newest {
    /// Requests the newest objects of each kind. Failures are reported in `problems`; the buckets then lack those
    /// objects.
    pub(super) async fn ask(api: &RegistryApi<'_>, wanted: &BTreeSet<Arc<str>>, problems: &mut Vec<String>) -> Self {
        let mut newest = Self::default();
        for question in questions(api.dialect) {
            if let Err(error) = newest.read(api, wanted, &question, problems).await {
                let kinds: Vec<_> = question.objects.iter().map(|(kind, _)| format!("{}s", kind.label())).collect();
                newest.has_failed = true;
                problems.push(format!("the newest {} of all buckets cannot be listed: {error}", kinds.join(" and ")));
            }
        }
        newest
    }

    /// Reads pages until every bucket has enough objects, or [`MAX_ROWS`] rows are read.
    async fn read(
        &mut self,
        api: &RegistryApi<'_>,
        wanted: &BTreeSet<Arc<str>>,
        question: &NewestQuery,
        problems: &mut Vec<String>,
    ) -> Result<(), DiscoverError> {
        let (mut offset, mut limit) = (0, MAX_ROWS);
        for _ in 0..MAX_PAGES {
            let mut variables = question.variables.clone();
            variables["offset"] = json!(offset);
            let reply = api.ask_page(question.query, variables, &[question.list], &mut limit).await?;
            let rows = reply
                .rows(question.list)
                .ok_or_else(|| DiscoverError::NoList { list: question.list, said: reply.said().to_owned() })?;
            if !reply.errors.is_empty() {
                self.is_partial = true;
                problems.push(format!("`{}` is incomplete: {}", question.list, reply.errors));
            }
            rows.iter().for_each(|row| self.share_out(row, wanted, question.objects));
            offset += rows.len();
            let is_last = rows.len() < SHORTEST_FULL_PAGE.min(limit) || offset >= MAX_ROWS;
            if is_last || question.objects.iter().all(|(kind, _)| self.is_enough(wanted, *kind)) {
                break;
            }
        }
        Ok(())
    }

    /// Adds the objects of a row to the buckets that must serve them and have room.
    fn share_out(&mut self, row: &Value, wanted: &BTreeSet<Arc<str>>, objects: &[(AssetKind, &str)]) {
        for (kind, at) in objects {
            let Some(row) = row.pointer(at) else { continue };
            let Some(asset) = object(row, *kind).filter(is_fit) else { continue };
            for bucket in buckets(row).into_iter().filter_map(|bucket| wanted.get(bucket.as_str())) {
                if !self.has_enough(bucket, *kind) {
                    self.found.entry(Arc::clone(bucket)).or_default().push(asset.clone());
                }
            }
        }
    }

    /// Has every distribution bucket enough objects? Storage buckets do not count.
    fn is_enough(&self, wanted: &BTreeSet<Arc<str>>, kind: AssetKind) -> bool {
        let mut distribution = wanted.iter().filter(|bucket| !is_storage_bucket(bucket));
        distribution.all(|bucket| self.has_enough(bucket, kind))
    }

    fn has_enough(&self, bucket: &str, kind: AssetKind) -> bool {
        let found = self.found.get(bucket).into_iter().flatten();
        found.filter(|asset| asset.kind == kind).count() >= MAX_PER_KIND
    }
}

fn questions(dialect: Dialect) -> Vec<NewestQuery> {
    const IMAGE: &[(AssetKind, &str)] = &[(AssetKind::Image, "")];
    const VIDEO: &[(AssetKind, &str)] = &[(AssetKind::Video, "")];
    let objects = |query, variables, objects| NewestQuery { list: "storageDataObjects", query, variables, objects };
    match dialect {
        Dialect::Hydra => vec![NewestQuery {
            list: "videos",
            query: include_str!("../newest-hydra.graphql"),
            variables: json!({}),
            objects: &[(AssetKind::Image, THUMBNAIL), (AssetKind::Video, MEDIA)],
        }],
        Dialect::Orion => {
            let query = include_str!("../newest-orion.graphql");
            vec![
                objects(query, json!({ "type": "DataObjectTypeVideoThumbnail" }), IMAGE),
                objects(query, json!({ "type": "DataObjectTypeVideoMedia" }), VIDEO),
            ]
        }
        Dialect::StorageSquid => {
            let query = include_str!("../newest-storage-squid.graphql");
            let sizes = |least: u64, most: u64| json!({ "least": least.to_string(), "most": most.to_string() });
            vec![
                objects(query, sizes(1, MAX_IMAGE.0), IMAGE),
                objects(query, sizes(MIN_VIDEO_BYTES, i64::MAX.unsigned_abs()), VIDEO),
            ]
        }
    }
}

/// Rows that are read of each kind. With two dozen buckets, and each bag in several of them, the first few hundred rows
/// give each bucket [`MAX_PER_KIND`] of a kind. A page of 1,000 is about half a MB, and the registry takes as long to
/// sort it as a page of 10.
const MAX_ROWS: usize = 1_000;
/// Pages that are read of each kind, because each page costs the registry a scan. If it allows only small pages,
/// buckets that are still empty get their own queries.
const MAX_PAGES: usize = 5;
/// Bytes of the smallest video. The storage squid distinguishes images from videos by size only; between the two
/// limits an object may be either.
const MIN_VIDEO_BYTES: u64 = 5_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_assigned_to_the_buckets_that_serve_them() {
        let wanted: BTreeSet<Arc<str>> = ["1:0".into(), "1:1".into(), "2:0".into()].into();
        let joined = |ids: &[&str]| -> Vec<Value> {
            ids.iter().map(|id| json!({ "distributionBucket": { "id": id } })).collect()
        };
        let mut newest = Newest::default();
        for number in (0..30_u32).rev() {
            let bag = json!({ "distributionBuckets": joined(if number == 3 { &["1:1", "9:9"] } else { &["1:0"] }) });
            let row = json!({ "id": number.to_string(), "size": "7", "storageBag": bag });
            newest.share_out(&row, &wanted, &[(AssetKind::Image, "")]);
        }
        for row in [json!(null), json!({ "id": "5" }), json!({ "id": "5", "storageBag": null }), json!([])] {
            newest.share_out(&row, &wanted, &[(AssetKind::Image, "")]);
        }
        let ids = |bucket: &str| newest.found[bucket].iter().map(|asset| asset.id.to_string()).collect::<Vec<_>>();
        assert_eq!(ids("1:0"), (10..30).rev().map(|number| number.to_string()).collect::<Vec<_>>(), "the newest 20");
        assert_eq!(ids("1:1"), ["3"]);
        assert_eq!(newest.found.len(), 2, "nobody asked for 9:9, and 2:0 has none");
    }

    #[test]
    fn a_video_yields_its_thumbnail_and_its_media() {
        let wanted: BTreeSet<Arc<str>> = ["1:0".into()].into();
        let object = |id: &str| json!({ "id": id, "storageBag": { "distributionBuckets": [{ "id": "1:0" }] } });
        let mut newest = Newest::default();
        let [question] = &questions(Dialect::Hydra)[..] else { panic!() };
        for row in [json!({ "thumbnailPhoto": object("7"), "media": object("8") }), json!({ "thumbnailPhoto": null })] {
            newest.share_out(&row, &wanted, question.objects);
        }
        let found: Vec<_> = newest.found["1:0"].iter().map(|asset| (asset.kind, &*asset.id)).collect();
        assert_eq!(found, [(AssetKind::Image, "7"), (AssetKind::Video, "8")]);
    }
}
