//! Ids of nodes from one list to the next.

use super::*;

/// Endpoints and ids before, endpoints found with or without an answer about storage nodes, and the expected ids.
#[test]
fn an_id_stays_while_its_endpoint_is_listed() {
    let at = |endpoint: &str| {
        let profile = if endpoint.contains("storage") { Profile::Colossus } else { Profile::Argus };
        Node { endpoint: format!("https://{endpoint}/").parse().unwrap(), ..node(0, profile) }
    };
    let listed = |endpoints: &[&str]| {
        let mut nodes: Vec<_> = endpoints.iter().map(|endpoint| at(endpoint)).collect();
        let ids = naming::ids(nodes.iter().map(|node| &node.endpoint));
        nodes.iter_mut().for_each(|node| node.id = ids[node.endpoint.as_url().as_str()].clone());
        nodes
    };
    for (before, after, is_gap, ids) in [
        (&["h/a", "h/storage"][..], &["h/a"][..], true, &["h/a", "h/storage"][..]),
        (&["h/a", "h/storage"], &["h/a"], false, &["h/a"]),
        (&["h/storage"], &["h/a"], true, &["h/a", "h"]),
        (&["h/storage"], &["h/storage", "h/a"], false, &["h/a", "h"]),
        (&["h/a"], &["h/a", "h/b"], false, &["h", "h/b"]),
        (&["h/a"], &["h/b"], false, &["h"]),
        (&["h/a", "h"], &["h/b", "h/a"], false, &["h/a", "h/b"]),
    ] {
        let spelled = |host: &str| host.replacen('h', "h.example", 1);
        let (before, after): (Vec<_>, Vec<_>) =
            (before.iter().map(|at| spelled(at)).collect(), after.iter().map(|at| spelled(at)).collect());
        let of = |list: &[String]| listed(&list.iter().map(String::as_str).collect::<Vec<_>>());
        let gaps = MissingParts { storage: is_gap, ..MissingParts::default() };
        // Enough other nodes, so that the refresh is not held back.
        let others = argus(1..4);
        let list = known([of(&before), others.clone()].concat());
        let (list, _) = refresh_of(list, RegistryList { gaps, ..found([of(&after), others].concat()) }, 10);
        let mut got: Vec<_> = list.nodes().iter().filter(|node| node.id.starts_with('h')).collect();
        got.sort_by(|a, b| a.endpoint.as_url().cmp(b.endpoint.as_url()));
        let got: Vec<_> = got.iter().map(|node| &*node.id).collect();
        assert_eq!(got, ids.iter().map(|id| spelled(id)).collect::<Vec<_>>(), "{before:?} to {after:?}");
    }
}

#[test]
fn blocked_storage_nodes_also_survive_a_missing_list() {
    let blocked = |id: &str, endpoint: &str, profile| BlockedNode {
        id: id.into(),
        endpoint: endpoint.into(),
        reason: "private".into(),
        listing: Listing { operators: vec![format!("op-{id}").into()], ..Listing::bare(Origin::Joystream, profile) },
    };
    let (one, two) =
        (blocked("10.0.0.1", "http://10.0.0.1/", Profile::Colossus), blocked("4-9", "", Profile::Colossus));
    let gone = blocked("10.0.0.2", "http://10.0.0.2/", Profile::Argus);
    let all = vec![one.clone(), two.clone(), gone];
    let (list, _) = refresh_of(KnownList::default(), RegistryList { blocked: all, ..found(argus(0..3)) }, 0);
    let newcomer = BlockedNode { id: "10.0.0.1".into(), ..blocked("new", "http://10.0.0.1/x", Profile::Argus) };
    for (is_gap, mut expected) in [(true, vec!["10.0.0.1-2", "10.0.0.1", "4-9"]), (false, vec!["10.0.0.1"])] {
        let gaps = MissingParts { storage: is_gap, ..MissingParts::default() };
        let refresh = RegistryList { gaps, blocked: vec![newcomer.clone()], ..found(argus(0..3)) };
        let (list, _) = refresh_of(list.clone(), refresh, 10);
        let mut ids: Vec<_> = list.blocked().iter().map(|blocked| &*blocked.id).collect();
        ids.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ids, expected);
        assert_eq!(list.blocked().contains(&two), is_gap);
    }
}

#[test]
fn exclusions_apply_to_the_id_that_a_node_got() {
    let mut newcomer = node(0, Profile::Argus);
    newcomer.endpoint = "https://n0.example:8443/x/".parse().unwrap();
    let exclude = vec!["n0.example-2".to_owned()];
    let registry = Registry { exclude, ..registry() };
    let refresh = found([argus(0..3), vec![Node { id: "n0.example".into(), ..newcomer }]].concat());
    let (list, change) = known(argus(0..3)).refreshed(refresh, &registry, at(10));
    assert_eq!((list.nodes().len(), change.added), (3, vec![]));
}
