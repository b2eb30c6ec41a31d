//! `[[source]]`: the nodes and their assets.

use std::{collections::HashMap, sync::Arc};

use super::{
    super::{file::Section, problem::Place},
    word,
};
use crate::model::target::{Asset, AssetKind, Endpoint, Listing, Node, Origin, Profile};

const MAX_SOURCES: usize = 100;
/// Over all sources.
const MAX_NODES: usize = 10_000;
const MAX_ASSETS_PER_NODE: usize = 100;

/// The nodes of all sources, and whether they are all that the user meant.
pub(super) struct Nodes {
    pub(super) nodes: Vec<Placed>,
    /// No node or asset was refused, so what is not here was not written.
    pub(super) complete: bool,
}

/// A node, and where it and each of its assets were written.
pub(super) struct Placed {
    pub(super) node: Node,
    pub(super) place: Place,
    pub(super) asset_places: Vec<Place>,
}

/// Reads every source.
pub(super) fn sources(root: &Section<'_>) -> Nodes {
    let sections = root.sections("source", MAX_SOURCES);
    // A list that could not be read is not an empty one.
    let complete = !sections.is_empty() || !root.has("source") || root.is_empty_list("source");
    let mut found = Nodes { nodes: Vec::new(), complete };
    let mut taken = Taken::default();
    let mut excluded = 0;
    for source in sections {
        if !is_static(&source) {
            found.complete = false;
            continue;
        }
        let exclude: Vec<_> = source.texts("exclude").unwrap_or_default().into_iter().map(|(text, _)| text).collect();
        let sections = source.sections("nodes", MAX_NODES);
        // Refused as a whole, or missing: an empty list alone is what the user meant.
        found.complete &= !sections.is_empty() || source.is_empty_list("nodes");
        for section in sections {
            match node(section, &mut taken) {
                Some(placed) if is_excluded(&placed.node, &exclude) => excluded += 1,
                Some(placed) => found.nodes.push(placed),
                None => found.complete = false,
            }
        }
        if !source.has("nodes") {
            source.refuse_with(
                "nodes",
                "is missing",
                "a static source lists its nodes: `nodes = [{ id = …, endpoint = …, assets = […] }]`",
            );
        }
        source.done();
    }
    let hint = "add `[[source]]` with `kind = \"static\"` and at least one node";
    if found.nodes.len() > MAX_NODES {
        root.refuse("source", format!("{} nodes are too many: {MAX_NODES} at the most", found.nodes.len()));
    } else if found.nodes.is_empty() && excluded > 0 {
        root.refuse("source", "`exclude` leaves no node to probe");
    } else if found.nodes.is_empty() && found.complete {
        root.refuse_with("source", "there is no node to probe", hint);
    }
    found
}

/// Static is the only kind yet; of others nothing is looked at, because their keys are not known.
fn is_static(source: &Section<'_>) -> bool {
    let kind = source.parse("kind", |text| match text {
        "static" => Ok(()),
        "joystream" | "http-sd" => Err(format!("`{text}` comes with a later version: this one knows `static` only")),
        _ => Err(format!("`{text}` is no kind of source: this version knows `static` only")),
    });
    source.required("kind", kind, "write `kind = \"static\"`").is_some()
}

/// What may stand once only, and where it stands.
#[derive(Default)]
struct Taken {
    ids: HashMap<String, String>,
    endpoints: HashMap<Endpoint, String>,
}

fn node(section: Section<'_>, taken: &mut Taken) -> Option<Placed> {
    let id = section.required("id", section.parse("id", word::tag), "the tag of this node on every point");
    let id = id.filter(|id| {
        let other = taken.ids.insert(id.clone(), section.path().to_owned());
        let message = |other| format!("`{id}` is the id of {other} too: ids tell nodes apart");
        other.map(|other| section.refuse("id", message(other))).is_none()
    });
    let endpoint = section.parse("endpoint", str::parse::<Endpoint>);
    let endpoint =
        section.required("endpoint", endpoint, "the root URL of the node, as in `https://node.example.net/`");
    let endpoint = endpoint.filter(|endpoint| {
        let other = taken.endpoints.insert(endpoint.clone(), section.path().to_owned());
        let message =
            |other| format!("`{endpoint}` is the endpoint of {other} too: list a node once, with all its assets");
        other.map(|other| section.refuse("endpoint", message(other))).is_none()
    });
    let profile = section.choice("profile", &word::PROFILES);
    let is_known = profile.is_some() || !section.has("profile");
    let region = section.parse("region", word::tag);
    let country = section.parse("country", word::country);
    let location = word::coordinates(&section);
    let profile = profile.unwrap_or(Profile::Http);
    // With an unknown profile nobody can say what its assets should look like.
    let is_written = section.has("assets");
    let read = if is_known || !is_written { assets(&section, profile) } else { None };
    let place = section.place("endpoint");
    section.done();
    let (id, region) = (Arc::from(id?), region.map(Arc::from));
    let (endpoint, (assets, asset_places)) = (endpoint?, read?);
    let listing = Listing { region, country, location, ..Listing::bare(Origin::Static, profile) };
    let node = Node { id, endpoint, listing, assets };
    Some(Placed { node, place, asset_places })
}

/// The assets of a node; `None` when one of them was refused.
fn assets(node: &Section<'_>, profile: Profile) -> Option<(Vec<Asset>, Vec<Place>)> {
    let sections = node.sections("assets", MAX_ASSETS_PER_NODE);
    if !node.has("assets") {
        // Such a node can be asked how it fares, if nothing else.
        if profile.has_status() {
            return Some((Vec::new(), Vec::new()));
        }
        node.refuse_with(
            "assets",
            "is missing",
            "name at least one: `assets = [{ kind = \"image\", path = \"/img/1.webp\" }]`",
        );
    } else if node.is_empty_list("assets") {
        node.refuse("assets", "is empty: there is nothing to download from this node");
    }
    // All are read before any is given up.
    let read: Vec<_> = sections.into_iter().map(|section| asset(section, profile)).collect();
    let read: Vec<_> = read.into_iter().collect::<Option<_>>()?;
    if read.is_empty() { None } else { Some(read.into_iter().unzip()) }
}

fn asset(section: Section<'_>, profile: Profile) -> Option<(Asset, Place)> {
    let kind = section.choice("kind", &KINDS);
    let kind = section.required("kind", kind, "`image` or `video`");
    let (key, other, hint) = match profile {
        Profile::Http => ("path", "id", "the path below the endpoint"),
        Profile::Argus | Profile::Colossus => ("id", "path", "the object id, as in `id = \"1343\"`"),
    };
    let (path, object_id) = (section.parse("path", word::path), section.parse("id", word::object_id));
    if section.has(other) {
        section.refuse(other, format!("does not go with profile `{}`: its assets have `{key}`", profile.label()));
    }
    let id = if profile == Profile::Http { path } else { object_id };
    let id = if section.has(other) { id } else { section.required(key, id, hint) };
    let size = section.size("size");
    let hash = section.parse("hash", word::hash).map(Arc::from);
    let place = section.place(if section.has("size") { "size" } else { key });
    let failed = section.has(other);
    section.done();
    let asset = Asset { kind: kind?, id: Arc::from(id?), size, hash, fixed: true };
    (!failed).then_some((asset, place))
}

fn is_excluded(node: &Node, exclude: &[String]) -> bool {
    let host = node.endpoint.as_url().host_str().unwrap_or_default();
    exclude.iter().any(|name| *name == *node.id || name.eq_ignore_ascii_case(host))
}

/// The words for the kinds of assets.
pub(super) const KINDS: [(&str, AssetKind); 2] =
    [(AssetKind::Image.label(), AssetKind::Image), (AssetKind::Video.label(), AssetKind::Video)];
