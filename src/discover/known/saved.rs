//! The form of a list on disk. The file is our own, but may be from another version, cut or edited. A bad value
//! affects only its own node or field.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{KnownList, shrink_guard::ShrinkGuard};
use crate::model::{
    multihash,
    size::Size,
    tag,
    target::{Asset, AssetKind, BlockedNode, Coordinates, Listing, Node, Origin, Profile, is_object_id},
    units::Bytes,
};

/// The whole list.
#[derive(Serialize)]
pub(super) struct SavedList {
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    found_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sampled_at: Option<Timestamp>,
    sampled_fixed: Vec<(String, Arc<str>)>,
    held_back: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_back_at: Option<Timestamp>,
    bare: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    bare_at: Option<Timestamp>,
    nodes: Vec<SavedNode>,
    blocked: Vec<SavedNode>,
}

/// A node, or a blocked node with its reason.
#[derive(Serialize, Deserialize)]
#[serde(default)]
struct SavedNode {
    id: String,
    endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    profile: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<(f64, f64)>,
    operators: Vec<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distributing: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    buckets: Vec<Arc<str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    assets: Vec<SavedAsset>,
}

#[derive(Serialize, Deserialize)]
struct SavedAsset {
    kind: String,
    id: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<Arc<str>>,
    #[serde(default)]
    fixed: bool,
}

impl From<KnownList> for SavedList {
    fn from(known: KnownList) -> Self {
        let nodes = known.nodes.into_iter().map(|node| {
            let assets = node.assets.into_iter().map(SavedAsset::from).collect();
            SavedNode { assets, ..SavedNode::of(&node.id, node.endpoint.as_url().as_str(), None, node.listing) }
        });
        let blocked = known.blocked.into_iter().map(|blocked| {
            SavedNode::of(&blocked.id, &blocked.endpoint, Some(blocked.reason.to_string()), blocked.listing)
        });
        let fixed = known.sampled_fixed.into_iter().map(|(kind, id)| (kind.label().to_owned(), id));
        Self {
            version: VERSION,
            found_at: known.found_at,
            sampled_at: known.sampled_at,
            sampled_fixed: fixed.collect(),
            held_back: known.held_back.times,
            held_back_at: known.held_back.counted_at,
            bare: known.lost_assets.times,
            bare_at: known.lost_assets.counted_at,
            nodes: nodes.collect(),
            blocked: blocked.collect(),
        }
    }
}

impl From<Value> for KnownList {
    fn from(list: Value) -> Self {
        if list.get("version").and_then(Value::as_u64) != Some(VERSION) {
            return Self::default();
        }
        let rows = |key| list.get(key).and_then(Value::as_array).into_iter().flatten();
        let saved = |key| rows(key).filter_map(|row| SavedNode::deserialize(row).ok());
        let fixed = |row: &Value| {
            <(String, Arc<str>)>::deserialize(row).ok().and_then(|(label, id)| Some((AssetKind::of(&label)?, id)))
        };
        let time = |key| list.get(key).and_then(Value::as_str).and_then(|text| text.parse().ok());
        let guard = |times, counted_at| ShrinkGuard {
            times: list.get(times).and_then(Value::as_u64).and_then(|times| times.try_into().ok()).unwrap_or_default(),
            counted_at: time(counted_at),
        };
        Self {
            found_at: time("found_at"),
            sampled_at: time("sampled_at"),
            sampled_fixed: rows("sampled_fixed").filter_map(fixed).collect(),
            nodes: saved("nodes").filter_map(SavedNode::node).collect(),
            blocked: saved("blocked").filter_map(SavedNode::blocked).collect(),
            held_back: guard("held_back", "held_back_at"),
            lost_assets: guard("bare", "bare_at"),
        }
    }
}

impl SavedNode {
    fn of(id: &str, endpoint: &str, reason: Option<String>, listing: Listing) -> Self {
        Self {
            id: id.to_owned(),
            endpoint: endpoint.to_owned(),
            reason,
            profile: listing.profile.label().to_owned(),
            region: listing.region.map(|region| region.to_string()),
            country: listing.country,
            location: listing.location.map(|place| (place.latitude(), place.longitude())),
            operators: listing.operators,
            distributing: listing.distributing,
            buckets: listing.buckets,
            assets: vec![],
        }
    }

    fn node(self) -> Option<Node> {
        let (id, endpoint) = (is_tag(&self.id).then(|| self.id.as_str().into())?, self.endpoint.parse().ok()?);
        let assets = self.assets.iter().filter_map(SavedAsset::asset).collect();
        Some(Node { id, endpoint, listing: self.listing()?, assets })
    }

    fn blocked(self) -> Option<BlockedNode> {
        let id = is_tag(&self.id).then(|| self.id.as_str().into())?;
        let (endpoint, reason) = (self.endpoint.as_str().into(), self.reason.as_deref()?.into());
        Some(BlockedNode { id, endpoint, reason, listing: self.listing()? })
    }

    fn listing(self) -> Option<Listing> {
        let profile = Profile::ALL.into_iter().find(|profile| profile.label() == self.profile)?;
        Some(Listing {
            region: self.region.filter(|region| is_tag(region)).map(Arc::from),
            country: self.country,
            location: self.location.and_then(|(latitude, longitude)| Coordinates::new(latitude, longitude).ok()),
            operators: self.operators,
            distributing: self.distributing,
            buckets: self.buckets,
            ..Listing::bare(Origin::Joystream, profile)
        })
    }
}

impl Default for SavedNode {
    fn default() -> Self {
        Self::of("", "", None, Listing::bare(Origin::Joystream, Profile::Argus))
    }
}

impl From<Asset> for SavedAsset {
    fn from(asset: Asset) -> Self {
        let size = asset.size.and_then(Size::exact).map(|size| size.0);
        Self { kind: asset.kind.label().to_owned(), id: asset.id, size, hash: asset.hash, fixed: asset.fixed }
    }
}

impl SavedAsset {
    fn asset(&self) -> Option<Asset> {
        let kind = AssetKind::of(&self.kind)?;
        let hash = self.hash.clone().filter(|hash| multihash::is_blake3(hash));
        let asset = Asset {
            kind,
            id: Arc::clone(&self.id),
            size: self.size.map(|size| Bytes(size).into()),
            hash,
            fixed: self.fixed,
        };
        is_object_id(&asset.id).then_some(asset)
    }
}

fn is_tag(text: &str) -> bool {
    tag::reduced(text).as_deref() == Some(text)
}

/// Increased when earlier versions of bandprobe would misread the file. They then start without a list.
const VERSION: u64 = 1;
