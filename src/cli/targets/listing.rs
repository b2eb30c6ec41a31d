//! Whom the sources of a config yield, as `targets --json` says it.

use serde::Serialize;

use crate::{
    config::Config,
    model::{
        availability::State,
        target::{Listing, Node, Profile, Targets},
    },
};

/// A node as one object of JSON. What is not known is absent.
#[derive(Serialize)]
pub(super) struct Listed<'a> {
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
    /// Nothing was asked of the nodes, so only one that never is has a state.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
    pub(super) assets: Vec<Sample<'a>>,
}

/// An asset of one: a path of profile http, an object id of the others.
#[derive(Serialize)]
pub(super) struct Sample<'a> {
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

/// Everyone, those that are blocked last.
pub(super) fn all<'a>(config: &Config, targets: &'a Targets) -> Vec<Listed<'a>> {
    let nodes = targets.nodes.iter().map(|node| {
        let one = listed(&node.id, node.endpoint.as_url().as_str(), &node.listing, config);
        Listed { assets: samples(node), ..one }
    });
    let blocked = targets.blocked.iter().map(|blocked| Listed {
        state: Some(State::Blocked.label()),
        reason: Some(&blocked.reason),
        ..listed(&blocked.id, &blocked.endpoint, &blocked.listing, config)
    });
    nodes.chain(blocked).collect()
}

/// One object a line.
pub(super) fn json(listed: &[Listed<'_>]) -> serde_json::Result<String> {
    let mut text = String::new();
    for one in listed {
        text += &serde_json::to_string(one)?;
        text.push('\n');
    }
    Ok(text)
}

fn listed<'a>(node: &'a str, endpoint: &'a str, listing: &'a Listing, config: &Config) -> Listed<'a> {
    // A tenth of a kilometre: the coordinates are no better.
    let distance_km = listing.distance_km(config.vantage.location).map(|km| (km * 10.0).round() / 10.0);
    Listed {
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

fn samples(node: &Node) -> Vec<Sample<'_>> {
    let is_path = node.listing.profile == Profile::Http;
    let samples = node.assets.iter().map(|asset| Sample {
        kind: asset.kind.label(),
        path: is_path.then_some(&*asset.id),
        id: (!is_path).then_some(&*asset.id),
        size: asset.size.map(|size| size.stated().0),
        hash: asset.hash.as_deref(),
    });
    samples.collect()
}
