//! Node ids made from endpoints: the same list always gives the same ids, whatever its order.
//!
//! An id is the host, with `:port` if it is not the scheme's default. If several nodes share these, it also has the
//! path prefix, and if that is taken, a number. An id is a tag on every point, so it must not change because of other
//! nodes. A node that is listed again at the same endpoint keeps its id, and a node that appears later on the same
//! host gets the longer one.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use crate::model::{
    endpoint::authority,
    tag,
    target::{BlockedNode, Endpoint, Node},
};

/// An id for each endpoint: its host, with `:port` if it is not the scheme's default, and its path prefix if two share
/// these. Characters that a tag cannot have become `_`.
pub(super) fn ids<'e>(endpoints: impl Iterator<Item = &'e Endpoint> + Clone) -> BTreeMap<String, Arc<str>> {
    let mut sharing = BTreeMap::<String, usize>::new();
    for endpoint in endpoints.clone() {
        *sharing.entry(authority(endpoint.as_url())).or_default() += 1;
    }
    let mut sorted: Vec<_> = endpoints.collect();
    sorted.sort_by_key(|endpoint| endpoint.as_url().as_str());
    let mut taken = HashSet::new();
    let named = sorted.into_iter().map(|endpoint| {
        let short = authority(endpoint.as_url());
        let base = if sharing[&short] > 1 { long(endpoint) } else { short };
        (endpoint.to_string(), distinct(&base, &mut taken))
    });
    named.collect()
}

/// A node that was listed `before` at the same endpoint keeps its id. The others get unused ids, in the order of their
/// endpoints. Nodes that share a host are counted in `nodes`, which includes those that the last answer lacked.
pub(super) fn keep_ids((nodes, blocked): (&mut [Node], &mut [BlockedNode]), before: (&[Node], &[BlockedNode])) {
    let known: HashMap<_, _> = before.0.iter().map(|node| (&node.endpoint, &node.id)).collect();
    let known_blocked: HashMap<_, _> = before.1.iter().map(|blocked| (place(blocked), &blocked.id)).collect();
    let mut sharing = HashMap::<String, usize>::new();
    for node in &*nodes {
        *sharing.entry(authority(node.endpoint.as_url())).or_default() += 1;
    }
    let mut taken = HashSet::new();
    // Returns true when there is no id to keep. No id is kept twice, because our own file may have been edited.
    let mut keep = |id: &mut Arc<str>, old: Option<&&Arc<str>>| {
        let kept = old.filter(|old| taken.insert(Arc::clone(old)));
        kept.map(|kept| *id = Arc::clone(kept)).is_none()
    };
    let mut new = Vec::new();
    for node in nodes {
        if keep(&mut node.id, known.get(&node.endpoint)) {
            new.push(node);
        }
    }
    let mut new_blocked = Vec::new();
    for blocked in blocked {
        let old = known_blocked.get(&place(blocked));
        if keep(&mut blocked.id, old) {
            new_blocked.push(blocked);
        }
    }
    for node in new {
        let is_alone = sharing[&authority(node.endpoint.as_url())] == 1;
        let name = if is_alone { node.id.to_string() } else { long(&node.endpoint) };
        node.id = distinct(&name, &mut taken);
    }
    for blocked in new_blocked {
        blocked.id = distinct(&blocked.id, &mut taken);
    }
}

/// An id that is not in `taken`: `id` itself, or the one with the path prefix, or one with a number. Adds it to
/// `taken`.
pub fn free(id: &Arc<str>, endpoint: Option<&Endpoint>, taken: &mut HashSet<Arc<str>>) -> Arc<str> {
    if taken.insert(Arc::clone(id)) {
        return Arc::clone(id);
    }
    distinct(&endpoint.map_or_else(|| id.to_string(), long), taken)
}

/// The key that distinguishes one blocked endpoint, or one operator without an endpoint, from another.
pub(super) fn place(blocked: &BlockedNode) -> (Arc<str>, Option<Arc<str>>) {
    let nameless = blocked.endpoint.is_empty().then(|| blocked.listing.operators.first().cloned());
    (Arc::clone(&blocked.endpoint), nameless.flatten())
}

/// Host, port and path prefix.
fn long(endpoint: &Endpoint) -> String {
    authority(endpoint.as_url()) + endpoint.as_url().path().trim_end_matches('/')
}

/// A tag made from a text, with `-2` and so on if it is in `taken`. Adds it to `taken`.
pub(super) fn distinct(text: &str, taken: &mut HashSet<Arc<str>>) -> Arc<str> {
    let base = tag::reduced(text).unwrap_or_else(|| "unnamed".to_owned());
    let mut id: Arc<str> = base.as_str().into();
    for number in 2.. {
        if taken.insert(Arc::clone(&id)) {
            break;
        }
        let suffix = format!("-{number}");
        let room = tag::MAX_CHARS - suffix.len();
        id = format!("{}{suffix}", base.chars().take(room).collect::<String>()).into();
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hosts_and_unique_per_endpoint() {
        let long = format!("{}.example", ["a".repeat(60), "b".repeat(60)].join("."));
        let given = [
            ("https://one.example/distributor/", "one.example"),
            ("https://two.example:8443/", "two.example:8443"),
            ("http://three.example:80/", "three.example"),
            ("https://shared.example/distributor/", "shared.example/distributor"),
            ("https://shared.example/storage/", "shared.example/storage"),
            ("https://shared.example/", "shared.example"),
            ("http://both.example/", "both.example"),
            ("https://both.example/", "both.example-2"),
            ("https://[2a01:4f8::1]/", "2a01:4f8::1"),
            ("https://none/", "unnamed"),
            ("https://odd.example/a%20b/", "odd.example/a_20b"),
            ("https://odd.example/a_20b/", "odd.example/a_20b-2"),
            (&format!("https://{long}/x/"), &long[..100]),
        ];
        let endpoints: Vec<Endpoint> = given.iter().map(|(endpoint, _)| endpoint.parse().unwrap()).collect();
        for order in [endpoints.iter().collect::<Vec<_>>(), endpoints.iter().rev().collect()] {
            let ids = ids(order.into_iter());
            for (endpoint, id) in &given {
                let endpoint = endpoint.parse::<Endpoint>().unwrap().to_string();
                assert_eq!(&*ids[&endpoint], *id, "{endpoint}");
            }
        }
    }

    #[test]
    fn a_suffix_keeps_the_limit() {
        let (text, mut taken) = ("h".repeat(300), HashSet::new());
        for _ in 0..12 {
            assert_eq!(distinct(&text, &mut taken).len(), tag::MAX_CHARS);
        }
        assert_eq!(taken.len(), 12);
    }
}
