//! Merges the nodes of all sources.

use std::{collections::HashSet, sync::Arc};

use crate::{
    config::Registry,
    discover::{known::KnownList, naming},
    model::target::{BlockedNode, Node, Targets},
};

/// Merges the lists; endpoints and ids in the result are unique. The first node with an endpoint or id keeps it. Nodes
/// are excluded by their resulting id too.
pub(super) fn merge<'k>(named: &[Arc<Node>], lists: impl Iterator<Item = (&'k Registry, &'k KnownList)>) -> Targets {
    let mut targets = Targets { nodes: named.to_vec(), blocked: Vec::new() };
    let mut endpoints: HashSet<_> = named.iter().map(|node| node.endpoint.clone().without_final_dot()).collect();
    let mut ids: HashSet<_> = named.iter().map(|node| node.id.clone()).collect();
    for (registry, known) in lists {
        for node in known.nodes() {
            if targets.nodes.len() < MAX_NODES && endpoints.insert(node.endpoint.clone()) {
                let id = naming::free(&node.id, Some(&node.endpoint), &mut ids);
                let node = Node { id, ..node.clone() };
                if !node.is_among(&registry.exclude) {
                    targets.nodes.push(Arc::new(node));
                }
            }
        }
        for blocked in known.blocked() {
            if targets.blocked.len() < MAX_NODES {
                let blocked = BlockedNode { id: naming::free(&blocked.id, None, &mut ids), ..blocked.clone() };
                if !blocked.is_among(&registry.exclude) {
                    targets.blocked.push(blocked);
                }
            }
        }
    }
    targets
}

/// The most nodes, and the most blocked operators, over all sources.
const MAX_NODES: usize = 10_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        config::Dialect,
        discover::joystream::{MissingParts, RegistryList},
        model::target::{Listing, Origin, Profile},
    };

    fn node(id: &str, endpoint: &str, origin: Origin) -> Node {
        let listing = Listing::bare(origin, Profile::Argus);
        Node { id: id.into(), endpoint: endpoint.parse().unwrap(), listing, assets: vec![] }
    }

    fn registry(exclude: &[&str]) -> Registry {
        let url = "https://query.example/graphql".parse().unwrap();
        let exclude = exclude.iter().map(|name| (*name).to_owned()).collect();
        Registry { url, refresh: Duration::ZERO, refresh_assets: Duration::ZERO, dialect: None, exclude, fixed: vec![] }
    }

    fn known(nodes: &[(&str, &str)], blocked: &str) -> KnownList {
        let nodes = nodes.iter().map(|(id, endpoint)| node(id, endpoint, Origin::Joystream)).collect();
        let listing = Listing::bare(Origin::Joystream, Profile::Argus);
        let blocked =
            vec![BlockedNode { id: blocked.into(), endpoint: blocked.into(), reason: "private".into(), listing }];
        let (dialect, gaps) = (Dialect::Orion, MissingParts::default());
        let found = RegistryList {
            dialect,
            nodes,
            blocked,
            excluded: 0,
            problems: vec![],
            sample_problems: Some(vec![]),
            gaps,
        };
        KnownList::default().refreshed(found, &registry(&[]), Timestamp::UNIX_EPOCH).0
    }

    /// `exclude` applies to the second list. `left` are the indices of the ids that remain.
    #[test]
    fn the_first_node_keeps_its_id_and_others_get_tags() {
        let named = ["a.example", "b.example", "b.example/two"]
            .map(|id| Arc::new(node(id, &format!("https://own-{}.example/", id.len()), Origin::Static)));
        let named = [&named[..], &[Arc::new(node("own", "https://c.example./", Origin::Static))]].concat();
        let first = known(&[("a.example", "https://a.example/"), ("c.example", "https://c.example/")], "10.0.0.1");
        let second = known(
            &[("a.example", "https://a.example:8443/a%20b/"), ("b.example", "https://b.example/two/")],
            "10.0.0.1",
        );
        let all = ["a.example-2", "a.example:8443/a_20b", "b.example/two-2", "10.0.0.1", "10.0.0.1-2"];
        for (exclude, left) in [
            (&[][..], &[0, 1, 2, 3, 4][..]),
            (&["B.example/two-2", "a.example:8443"], &[0, 3, 4]),
            (&["10.0.0.1-2", "a.example:8443/a_20b"], &[0, 2, 3]),
        ] {
            let (open, exclude) = (registry(&[]), registry(exclude));
            let targets = merge(&named, [(&open, &first), (&exclude, &second)].into_iter());
            let nodes = targets.nodes.iter().skip(named.len()).map(|node| &*node.id);
            let ids: Vec<_> = nodes.chain(targets.blocked.iter().map(|blocked| &*blocked.id)).collect();
            let expected: Vec<_> = left.iter().map(|index| all[*index]).collect();
            assert_eq!(ids, expected, "{:?}", exclude.exclude);
        }
    }
}
