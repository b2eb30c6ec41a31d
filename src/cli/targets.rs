//! `bandprobe targets`: what the sources of a config yield.

use std::fmt::Write;

use serde::Serialize;

use crate::{
    config::Config,
    model::target::{Asset, AssetKind, Node, Profile},
    report::{
        columns::{Column, Entry, Layout, choose, draw},
        table::Look,
        wrap::wrap,
    },
};

use super::{Exit, args::Targets, input, print, print_data, refuse, screen};

pub(super) fn targets(args: &Targets) -> anyhow::Result<Exit> {
    let config = match input::config(&args.config) {
        Ok(config) => config,
        Err(problems) => return Ok(refuse(&problems)),
    };
    if args.json {
        print_data(json(&config)?.as_bytes())?;
    } else {
        print(&table(&config, screen::look()))?;
    }
    Ok(Exit::Done)
}

/// A node as one object of JSON. What is not known is absent.
#[derive(Serialize)]
struct Target<'a> {
    node: &'a str,
    endpoint: &'a str,
    source: &'a str,
    profile: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latitude: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    longitude: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance_km: Option<f64>,
    state: &'a str,
    assets: Vec<Listed<'a>>,
}

/// An asset of one: a path of profile http, an object id of the others.
#[derive(Serialize)]
struct Listed<'a> {
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<&'a str>,
}

fn json(config: &Config) -> anyhow::Result<String> {
    let mut text = String::new();
    for node in &config.nodes {
        text += &serde_json::to_string(&target(node, config))?;
        text.push('\n');
    }
    Ok(text)
}

fn target<'a>(node: &'a Node, config: &Config) -> Target<'a> {
    Target {
        node: &node.id,
        endpoint: node.endpoint.as_url().as_str(),
        source: node.listing.origin.label(),
        profile: node.listing.profile.label(),
        region: node.listing.region.as_deref(),
        country: node.listing.country.as_deref(),
        latitude: node.listing.location.map(|place| place.latitude()),
        longitude: node.listing.location.map(|place| place.longitude()),
        distance_km: distance(node, config),
        // The user named it, so no policy stands between.
        state: "ok",
        assets: node.assets.iter().map(|asset| listed(asset, node.listing.profile)).collect(),
    }
}

fn listed(asset: &Asset, profile: Profile) -> Listed<'_> {
    let is_path = profile == Profile::Http;
    Listed {
        kind: asset.kind.label(),
        path: is_path.then_some(&*asset.id),
        id: (!is_path).then_some(&*asset.id),
        size: asset.size.map(|size| size.0),
        hash: asset.hash.as_deref(),
    }
}

fn table(config: &Config, look: Look) -> String {
    let rows: Vec<_> = config.nodes.iter().map(|node| entries(node, config)).collect();
    let table =
        choose(&rows, &LAYOUTS, look).map_or_else(|| paragraphs(config, look), |layout| draw(&rows, layout, look));
    let number = config.nodes.len();
    let counted = if number == 1 { "1 node".to_owned() } else { format!("{number} nodes") };
    let vantage = &config.vantage.id;
    format!("{}\n\n{}\n", table.trim_end(), wrap(&format!("{counted}, seen from vantage {vantage}"), look.width))
}

fn entries(node: &Node, config: &Config) -> Vec<Entry> {
    let known = |text: Option<&str>| Entry::new(text.unwrap_or(ABSENT), None);
    let distance = distance(node, config).map(|km| format!("{km:.0}"));
    vec![
        Entry::new(&node.id, None),
        Entry::new(node.listing.origin.label(), None),
        Entry::new(node.listing.profile.label(), None),
        known(node.listing.region.as_deref()),
        known(node.listing.country.as_deref()),
        known(distance.as_deref()),
        Entry::new(counts(node), None),
        Entry::new(&node.endpoint, None),
    ]
}

/// Where not even the narrowest table fits.
fn paragraphs(config: &Config, look: Look) -> String {
    let mut text = String::new();
    for node in &config.nodes {
        let _ =
            writeln!(text, "{}\n  {}, {}\n  {}", node.id, node.listing.profile.label(), counts(node), node.endpoint);
        if let Some(km) = distance(node, config) {
            let _ = writeln!(text, "  {km:.0} km away");
        }
    }
    wrap(&text, look.width)
}

/// `1 image, 2 videos`.
fn counts(node: &Node) -> String {
    let count = |kind: AssetKind| match node.assets.iter().filter(|asset| asset.kind == kind).count() {
        0 => None,
        1 => Some(format!("1 {}", kind.label())),
        more => Some(format!("{more} {}s", kind.label())),
    };
    let counts: Vec<_> = [AssetKind::Image, AssetKind::Video].into_iter().filter_map(count).collect();
    counts.join(", ")
}

/// Great circle, to a tenth of a kilometre: the coordinates are no better.
fn distance(node: &Node, config: &Config) -> Option<f64> {
    let km = node.listing.distance_km(config.vantage.location)?;
    Some((km * 10.0).round() / 10.0)
}

/// For what is not known.
const ABSENT: &str = "–";

const NODE: Column = Column::words("node", 0);
const SOURCE: Column = Column::words("source", 1);
const PROFILE: Column = Column::words("profile", 2);
const REGION: Column = Column::words("region", 3);
const COUNTRY: Column = Column::words("country", 4);
const DISTANCE: Column = Column::figures("km", 5);
const ASSETS: Column = Column::words("assets", 6);
const ENDPOINT: Column = Column::words("endpoint", 7);
const ALL: &[Column] = &[NODE, SOURCE, PROFILE, REGION, COUNTRY, DISTANCE, ASSETS, ENDPOINT];

/// The roomiest first.
const LAYOUTS: [Layout; 5] = [
    Layout { padding: 1, columns: ALL },
    Layout { padding: 0, columns: ALL },
    Layout { padding: 1, columns: &[NODE, SOURCE, PROFILE, REGION, COUNTRY, DISTANCE, ASSETS] },
    Layout { padding: 0, columns: &[NODE, PROFILE, REGION, COUNTRY, DISTANCE, ASSETS] },
    Layout { padding: 0, columns: &[NODE, DISTANCE, ASSETS] },
];
