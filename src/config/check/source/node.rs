//! A node of a static source, and its assets.

use std::{collections::HashMap, sync::Arc};

use super::{
    super::{
        super::{file::Section, problem::SourceLocation},
        word,
    },
    KINDS, LocatedNode,
};
use crate::model::target::{Asset, Endpoint, Listing, Node, Origin, Profile};

const MAX_ASSETS_PER_NODE: usize = 100;

/// Values that must be unique, and where each was written.
#[derive(Default)]
pub(super) struct UniqueValues {
    ids: HashMap<String, String>,
    endpoints: HashMap<Endpoint, String>,
}

/// Reads one node of a static source.
pub(super) fn node(section: Section<'_>, unique: &mut UniqueValues) -> Option<LocatedNode> {
    let id = section.required("id", section.parse("id", word::tag), "the tag of this node on every point");
    let id = id.filter(|id| {
        let other = unique.ids.insert(id.clone(), section.path().to_owned());
        let message = |other| format!("`{id}` is also the id of {other}, and ids must be unique");
        other.map(|other| section.refuse("id", message(other))).is_none()
    });
    let endpoint = section.parse("endpoint", str::parse::<Endpoint>);
    let endpoint =
        section.required("endpoint", endpoint, "the root URL of the node, as in `https://node.example.net/`");
    let endpoint = endpoint.filter(|endpoint| {
        let other = unique.endpoints.insert(endpoint.clone(), section.path().to_owned());
        let message =
            |other| format!("`{endpoint}` is also the endpoint of {other}; list each node once, with all its assets");
        other.map(|other| section.refuse("endpoint", message(other))).is_none()
    });
    let profile = section.choice("profile", &word::PROFILES);
    let is_known = profile.is_some() || !section.has("profile");
    let region = section.parse("region", word::tag);
    let country = section.parse("country", word::country);
    let location = word::coordinates(&section);
    let profile = profile.unwrap_or(Profile::Http);
    // With an unknown profile, the format of its assets is not known.
    let is_written = section.has("assets");
    let read = if is_known || !is_written { assets(&section, profile) } else { None };
    let place = section.place("endpoint");
    section.done();
    let (id, region) = (Arc::from(id?), region.map(Arc::from));
    let (endpoint, (assets, asset_places)) = (endpoint?, read?);
    let listing = Listing { region, country, location, ..Listing::bare(Origin::Static, profile) };
    let node = Node { id, endpoint, listing, assets };
    Some(LocatedNode { node, place, asset_places })
}

/// Reads the assets of a node; `None` when one of them was refused.
fn assets(node: &Section<'_>, profile: Profile) -> Option<(Vec<Asset>, Vec<SourceLocation>)> {
    let sections = node.sections("assets", MAX_ASSETS_PER_NODE);
    if !node.has("assets") {
        // A node with a status document can be asked for its status even without assets.
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
    // Reads all of them before it gives up.
    let read: Vec<_> = sections.into_iter().map(|section| asset(section, profile)).collect();
    let read: Vec<_> = read.into_iter().collect::<Option<_>>()?;
    if read.is_empty() { None } else { Some(read.into_iter().unzip()) }
}

fn asset(section: Section<'_>, profile: Profile) -> Option<(Asset, SourceLocation)> {
    let kind = section.choice("kind", &KINDS);
    let kind = section.required("kind", kind, "`image` or `video`");
    let (key, other, hint) = match profile {
        Profile::Http => ("path", "id", "the path below the endpoint"),
        Profile::Argus | Profile::Colossus => ("id", "path", "the object id, as in `id = \"1343\"`"),
    };
    let (path, object_id) = (section.parse("path", word::path), section.parse("id", word::object_id));
    if section.has(other) {
        section.refuse(other, format!("is not used with profile `{}`: its assets need `{key}`", profile.label()));
    }
    let id = if profile == Profile::Http { path } else { object_id };
    let id = if section.has(other) { id } else { section.required(key, id, hint) };
    let size = section.stated_size("size");
    let hash = section.parse("hash", word::hash).map(Arc::from);
    let place = section.place(if section.has("size") { "size" } else { key });
    let failed = section.has(other);
    section.done();
    let asset = Asset { kind: kind?, id: Arc::from(id?), size, hash, fixed: true };
    (!failed).then_some((asset, place))
}
