//! Turns operators into nodes: one node per endpoint, whatever the number of its operators.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use super::{
    naming,
    operator::{Operator, Role},
    vet::{RefusedEndpoint, vet},
};
use crate::{
    model::target::{BlockedNode, Endpoint, Listing, Node, Origin, Profile},
    net::guard::Guard,
};

/// The nodes of a registry, still without assets.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) members: Vec<Member>,
    pub(super) blocked: Vec<BlockedNode>,
    /// How many nodes, blocked ones included, the user excluded.
    pub(super) excluded: usize,
}

/// A node, and the active buckets whose objects it must serve.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) node: Node,
    pub(super) buckets: BTreeSet<Arc<str>>,
}

impl Member {
    /// Must it serve any bucket?
    pub(super) fn is_serving(&self) -> bool {
        !self.buckets.is_empty()
    }

    pub(super) fn id(&self) -> Arc<str> {
        Arc::clone(&self.node.id)
    }
}

/// Groups operators by endpoint. Reports odd entries and entries beyond the limits in `problems`.
pub(super) fn fleet(
    mut operators: Vec<Operator>,
    guard: &Guard,
    exclude: &[String],
    problems: &mut Vec<String>,
) -> Fleet {
    operators.sort_by(|a, b| (a.role, &a.id).cmp(&(b.role, &b.id)));
    let mut served = BTreeMap::<String, (Endpoint, Vec<Operator>)>::new();
    let mut refused = BTreeMap::<String, (RefusedEndpoint, Vec<Operator>)>::new();
    for operator in operators {
        match vet(operator.endpoint.as_deref(), guard) {
            Ok(endpoint) => served.entry(endpoint.to_string()).or_insert((endpoint, vec![])).1.push(operator),
            Err(why) => {
                // Operators without an endpoint are kept apart.
                let key = if why.shown.is_empty() { operator.id.to_string() } else { why.shown.clone() };
                refused.entry(key).or_insert((why, vec![])).1.push(operator);
            }
        }
    }
    cut(&mut served, "nodes", problems);
    cut(&mut refused, "blocked nodes", problems);

    let ids = naming::ids(served.values().map(|(endpoint, _)| endpoint));
    let mut taken: HashSet<Arc<str>> = ids.values().cloned().collect();
    let mut fleet = Fleet::default();
    let mut unheeded: BTreeSet<&String> = exclude.iter().collect();
    for (key, (endpoint, operators)) in served {
        let id = Arc::clone(&ids[&key]);
        let listing = listing(&id, &operators, problems);
        let mut node = Node { id, endpoint, listing, assets: vec![] };
        unheeded.retain(|name| !node.is_among(std::slice::from_ref(*name)));
        if node.is_among(exclude) {
            fleet.excluded += 1;
            continue;
        }
        let switched_on = operators.into_iter().filter(|operator| operator.distributing != Some(false));
        let buckets: BTreeSet<_> = switched_on.filter_map(|operator| operator.bucket).collect();
        node.listing.buckets = buckets.iter().cloned().collect();
        fleet.members.push(Member { node, buckets });
    }
    for (why, operators) in refused.into_values() {
        let id = naming::distinct(why.authority.as_deref().unwrap_or(&operators[0].id), &mut taken);
        let listing = listing(&id, &operators, problems);
        let blocked = BlockedNode { id, endpoint: why.shown.into(), reason: why.reason.into(), listing };
        unheeded.retain(|name| !blocked.is_among(std::slice::from_ref(*name)));
        if blocked.is_among(exclude) {
            fleet.excluded += 1;
        } else {
            fleet.blocked.push(blocked);
        }
    }
    for name in unheeded {
        problems
            .push(format!("`exclude` names `{name}`, which is not a node, operator or host on the registry's list"));
    }
    fleet
}

/// The listing of an endpoint, merged from all its operators. Where they differ, the first by role and id counts.
fn listing(id: &str, operators: &[Operator], problems: &mut Vec<String>) -> Listing {
    let is = |role| operators.iter().any(|operator| operator.role == role);
    if is(Role::Distributor) && is(Role::Storage) {
        problems.push(format!("{id} is listed as distributor and as storage node: it is treated as a distributor"));
    }
    let profile = if is(Role::Distributor) { Profile::Argus } else { Profile::Colossus };
    let switches = operators.iter().filter_map(|operator| operator.distributing);
    let ids: BTreeSet<_> = operators.iter().map(|operator| Arc::clone(&operator.id)).collect();
    if ids.len() > MAX_OPERATORS {
        problems.push(format!("{id} has {} operators: {MAX_OPERATORS} are kept", ids.len()));
    }
    Listing {
        region: operators.iter().find_map(|operator| operator.region.clone()),
        country: operators.iter().find_map(|operator| operator.country.clone()),
        location: operators.iter().find_map(|operator| operator.location),
        operators: ids.into_iter().take(MAX_OPERATORS).collect(),
        // A node that is active in one bucket serves that bucket.
        distributing: switches.reduce(|one, other| one || other),
        ..Listing::bare(Origin::Joystream, profile)
    }
}

fn cut<T>(map: &mut BTreeMap<String, T>, what: &str, problems: &mut Vec<String>) {
    if let Some(first) = map.keys().nth(MAX_NODES).cloned() {
        problems.push(format!("{} {what} are too many: {MAX_NODES} are kept", map.len()));
        map.split_off(&first);
    }
}

const MAX_NODES: usize = 1_000;
const MAX_OPERATORS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::target::Coordinates;

    fn operator(id: &str, endpoint: &str) -> Operator {
        let bucket = id.split('-').next().unwrap();
        Operator {
            id: id.into(),
            role: Role::Distributor,
            bucket: Some(bucket.into()),
            distributing: Some(true),
            endpoint: Some(endpoint.to_owned()),
            region: None,
            country: None,
            location: None,
        }
    }

    fn storage(id: &str, endpoint: &str) -> Operator {
        Operator { role: Role::Storage, bucket: None, distributing: None, ..operator(id, endpoint) }
    }

    fn of(operators: Vec<Operator>, exclude: &[&str]) -> (Fleet, Vec<String>) {
        let exclude: Vec<_> = exclude.iter().map(|name| (*name).to_owned()).collect();
        let mut problems = vec![];
        (fleet(operators, &Guard::default(), &exclude, &mut problems), problems)
    }

    #[test]
    fn operators_of_one_endpoint_form_one_node() {
        let here = Coordinates::new(1.0, 2.0).ok();
        let (fleet, problems) = of(
            vec![
                Operator {
                    region: Some("later".into()),
                    distributing: Some(false),
                    ..operator("2:0-7", "https://A.example/x")
                },
                Operator { location: here, ..operator("1:1-7", "https://a.example:443/x/") },
                Operator {
                    region: Some("first".into()),
                    country: Some("DE".into()),
                    ..operator("1:0-7", "https://a.example/x/")
                },
                storage("4-9", "https://b.example/"),
            ],
            &[],
        );
        let [a, b] = &fleet.members[..] else { panic!("{fleet:?}") };
        assert_eq!((&*a.node.id, a.node.listing.profile), ("a.example", Profile::Argus));
        assert_eq!(a.node.listing.operators, ["1:0-7".into(), "1:1-7".into(), "2:0-7".into()]);
        assert_eq!((a.node.listing.region.as_deref(), a.node.listing.country.as_deref()), (Some("first"), Some("DE")));
        assert_eq!((a.node.listing.location, a.node.listing.distributing), (here, Some(true)));
        assert_eq!(a.buckets, ["1:0".into(), "1:1".into()].into(), "not the one that is switched off");
        assert_eq!((b.node.listing.profile, b.node.listing.distributing), (Profile::Colossus, None));
        assert!(problems.is_empty() && fleet.blocked.is_empty(), "{problems:?}");
    }

    #[test]
    fn blocked_nodes_are_named_by_host_or_operator() {
        let (fleet, _) = of(
            vec![
                operator("1:0-1", "https://u:secret@a.example/"),
                operator("1:0-2", "http://127.0.0.1/"),
                operator("1:0-3", ""),
                Operator { endpoint: None, ..operator("1:0-4", "") },
                operator("1:0-5", "https://a.example/"),
                operator("1:0-6", "http://127.0.0.1/"),
            ],
            &[],
        );
        let mut blocked: Vec<_> = fleet
            .blocked
            .iter()
            .map(|blocked| (&*blocked.id, &*blocked.endpoint, blocked.listing.operators.len()))
            .collect();
        blocked.sort_unstable();
        let expected = [
            ("127.0.0.1", "http://127.0.0.1/", 2),
            ("1:0-3", "", 1),
            ("1:0-4", "", 1),
            ("a.example-2", "https://***@a.example/", 1),
        ];
        assert_eq!(blocked, expected);
        assert_eq!(&*fleet.members[0].node.id, "a.example");
    }

    #[test]
    fn excluded_nodes_are_left_out() {
        for (exclude, left) in [
            (vec![], 4),
            (vec!["A.Example/one"], 3),
            (vec!["a.example"], 2),
            (vec!["4-9"], 3),
            (vec!["1:0-3 "], 3),
            (vec!["10.0.0.1"], 3),
            (vec!["b.example", "a.example", "10.0.0.1"], 0),
            (vec!["", "example", "1:0"], 4),
        ] {
            let operators = vec![
                operator("1:0-1", "https://a.example/one/"),
                operator("1:0-2", "https://a.example/two/"),
                operator("1:0-3", "http://10.0.0.1/"),
                storage("4-9", "https://b.example/"),
            ];
            let (fleet, _) = of(operators, &exclude);
            assert_eq!((fleet.members.len() + fleet.blocked.len(), fleet.excluded), (left, 4 - left), "{exclude:?}");
        }
    }

    #[test]
    fn entries_beyond_the_limits_are_cut_and_reported() {
        let many = (0..1_100).map(|n| operator(&format!("1:{n}-1"), &format!("https://n{n}.example/"))).collect();
        let (fleet, problems) = of(many, &[]);
        assert_eq!((fleet.members.len(), problems.len()), (1_000, 1));
        let many = (0..300).map(|n| operator(&format!("1:{n}-1"), "https://n.example/")).collect();
        let (fleet, problems) = of(many, &[]);
        assert_eq!((fleet.members[0].node.listing.operators.len(), problems.len()), (100, 1));
        let (fleet, problems) =
            of(vec![operator("1:0-1", "https://n.example/"), storage("1-1", "https://n.example/")], &[]);
        assert_eq!((fleet.members[0].node.listing.profile, problems.len()), (Profile::Argus, 1));
    }
}
