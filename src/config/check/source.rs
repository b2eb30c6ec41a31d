//! `[[source]]`: the nodes and their assets, and the registries that list further nodes.

use super::super::{
    Registry,
    file::{MAX_NODES, Section},
    problem::SourceLocation,
};
use crate::model::target::{AssetKind, Node};

use self::{
    node::{UniqueValues, node},
    registry::registry,
};

mod node;
mod registry;

const MAX_SOURCES: usize = 100;

/// The content of all sources, and whether it is complete.
pub(super) struct Sources {
    pub(super) nodes: Vec<LocatedNode>,
    pub(super) registries: Vec<Registry>,
    /// Whether no node, asset or source was refused, so that nothing is missing from what the user wrote.
    pub(super) complete: bool,
}

/// A node, and where it and each of its assets were written.
pub(super) struct LocatedNode {
    pub(super) node: Node,
    pub(super) place: SourceLocation,
    pub(super) asset_places: Vec<SourceLocation>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Static,
    Joystream,
}

/// Reads every source.
pub(super) fn sources(root: &Section<'_>) -> Sources {
    let sections = root.sections("source", MAX_SOURCES);
    // A list that could not be read is not an empty one.
    let complete = !sections.is_empty() || !root.has("source") || root.is_empty_list("source");
    let mut found = Sources { nodes: Vec::new(), registries: Vec::new(), complete };
    let mut unique = UniqueValues::default();
    let mut excluded = 0;
    for source in sections {
        let Some(kind) = kind(&source) else {
            // Skip the other keys, because it is not known which ones are valid.
            found.complete = false;
            continue;
        };
        let exclude: Vec<_> = source.texts("exclude").unwrap_or_default().into_iter().map(|(text, _)| text).collect();
        match kind {
            Kind::Static => excluded += listed(source, &exclude, &mut unique, &mut found),
            Kind::Joystream => {
                let place = source.place("url");
                match registry(source, exclude) {
                    None => found.complete = false,
                    Some(new) if found.registries.iter().any(|other| other.url == new.url) => {
                        let message = format!("`{}` is already used by another source", new.url);
                        root.refuse_at(place, message, "one source per registry is enough");
                    }
                    new => found.registries.extend(new),
                }
            }
        }
    }
    if found.nodes.len() > MAX_NODES {
        root.refuse("source", format!("{} nodes are too many: at most {MAX_NODES} are allowed", found.nodes.len()));
    } else if found.nodes.is_empty() && excluded > 0 && found.registries.is_empty() {
        root.refuse("source", "`exclude` leaves no node to probe");
    } else if found.nodes.is_empty() && found.registries.is_empty() && found.complete {
        let hint = "add `[[source]]` with `kind = \"static\"` and at least one node, or with `kind = \"joystream\"`";
        root.refuse_with("source", "there is no node to probe", hint);
    }
    found
}

fn kind(source: &Section<'_>) -> Option<Kind> {
    let kind = source.parse("kind", |text| match text {
        "static" => Ok(Kind::Static),
        "joystream" => Ok(Kind::Joystream),
        "http-sd" => Err(format!("`{text}` is not supported yet: this version supports `static` and `joystream`")),
        _ => Err(format!("`{text}` is not a kind of source: this version supports `static` and `joystream`")),
    });
    source.required("kind", kind, "`static` for nodes that you list, `joystream` for a registry that lists them")
}

/// Reads the nodes of a static source. Returns how many of them are excluded.
fn listed(source: Section<'_>, exclude: &[String], unique: &mut UniqueValues, found: &mut Sources) -> usize {
    let mut excluded = 0;
    let sections = source.sections("nodes", MAX_NODES);
    // When no section could be read, something is missing, unless the user wrote an empty list.
    found.complete &= !sections.is_empty() || source.is_empty_list("nodes");
    for section in sections {
        match node(section, unique) {
            Some(located) if located.node.is_among(exclude) => excluded += 1,
            Some(located) => found.nodes.push(located),
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
    excluded
}

/// The names of the kinds of assets.
pub(super) const KINDS: [(&str, AssetKind); 2] =
    [(AssetKind::Image.label(), AssetKind::Image), (AssetKind::Video.label(), AssetKind::Video)];
