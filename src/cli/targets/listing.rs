//! The nodes from the sources of a config, as `targets --json` prints them.

use serde::Serialize;

use crate::{
    config::Config,
    model::{
        health::HealthState,
        target::{Listing, Node, Profile, Targets},
    },
};

/// A node as a JSON object. Unknown values are left out.
#[derive(Serialize)]
pub(super) struct ListedNode<'a> {
    pub(super) node: &'a str,
    pub(super) endpoint: &'a str,
    pub(super) source: &'a str,
    pub(super) profile: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) country: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latitude: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    longitude: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) distance_km: Option<f64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    operators: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) distributing: Option<bool>,
    /// Only for a blocked node: the others are not asked for their state.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
    pub(super) assets: Vec<ListedAsset<'a>>,
}

/// An asset of a node: a path for the profile http, an object id for other profiles.
#[derive(Serialize)]
pub(super) struct ListedAsset<'a> {
    pub(super) kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<&'a str>,
}

/// All nodes, with blocked ones last.
pub(super) fn all<'a>(config: &Config, targets: &'a Targets) -> Vec<ListedNode<'a>> {
    let nodes = targets.nodes.iter().map(|node| {
        let one = listed(&node.id, node.endpoint.as_url().as_str(), &node.listing, config);
        ListedNode { assets: samples(node), ..one }
    });
    let blocked = targets.blocked.iter().map(|blocked| ListedNode {
        state: Some(HealthState::Blocked.label()),
        reason: Some(&blocked.reason),
        ..listed(&blocked.id, &blocked.endpoint, &blocked.listing, config)
    });
    nodes.chain(blocked).collect()
}

/// One JSON object per line.
pub(super) fn json(listed: &[ListedNode<'_>]) -> serde_json::Result<String> {
    let mut text = String::new();
    for one in listed {
        text += &serde_json::to_string(one)?;
        text.push('\n');
    }
    Ok(text)
}

fn listed<'a>(node: &'a str, endpoint: &'a str, listing: &'a Listing, config: &Config) -> ListedNode<'a> {
    // Rounded to 0.1 km, because the coordinates are not more precise.
    let distance_km = listing.distance_km(config.vantage.location).map(|km| (km * 10.0).round() / 10.0);
    ListedNode {
        node,
        endpoint,
        source: listing.origin.label(),
        profile: listing.profile.label(),
        region: listing.region.as_deref(),
        country: listing.country.as_deref(),
        latitude: listing.location.map(|place| place.latitude()),
        longitude: listing.location.map(|place| place.longitude()),
        distance_km,
        operators: listing.operators.iter().map(|operator| &**operator).collect(),
        distributing: listing.distributing,
        state: None,
        reason: None,
        assets: Vec::new(),
    }
}

fn samples(node: &Node) -> Vec<ListedAsset<'_>> {
    let is_path = node.listing.profile == Profile::Http;
    let samples = node.assets.iter().map(|asset| ListedAsset {
        kind: asset.kind.label(),
        path: is_path.then_some(&*asset.id),
        id: (!is_path).then_some(&*asset.id),
        size: asset.size.map(|size| size.stated().0),
        hash: asset.hash.as_deref(),
    });
    samples.collect()
}
