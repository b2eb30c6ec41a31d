use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    config::{AllowPrivate, Dialect},
    model::{
        target::{Asset, AssetKind, Coordinates, Listing, Origin},
        units::Bytes,
    },
};

mod ids;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
}

fn node(number: usize, profile: Profile) -> Node {
    let host = format!("n{number}.example");
    let listing =
        Listing { operators: vec![format!("1:{number}-1").into()], ..Listing::bare(Origin::Joystream, profile) };
    Node { id: host.as_str().into(), endpoint: format!("https://{host}/").parse().unwrap(), listing, assets: vec![] }
}

fn asset(id: &str) -> Asset {
    Asset { kind: AssetKind::Image, id: id.into(), size: Some(Bytes(21_136).into()), hash: None, fixed: false }
}

fn found(nodes: Vec<Node>) -> RegistryList {
    let (dialect, gaps) = (Dialect::Orion, MissingParts::default());
    RegistryList { dialect, nodes, blocked: vec![], excluded: 0, problems: vec![], sample_problems: Some(vec![]), gaps }
}

/// A registry that is asked every ten minutes.
fn registry() -> Registry {
    let url = "https://query.example/graphql".parse().unwrap();
    let (refresh, refresh_assets) = (Duration::from_secs(600), Duration::from_secs(3_600));
    Registry { url, refresh, refresh_assets, dialect: None, exclude: vec![], fixed: vec![] }
}

fn refresh_of(list: KnownList, found: RegistryList, minute: i64) -> (KnownList, ListChange) {
    list.refreshed(found, &registry(), at(minute))
}

fn argus(numbers: impl IntoIterator<Item = usize>) -> Vec<Node> {
    numbers.into_iter().map(|number| node(number, Profile::Argus)).collect()
}

fn known(nodes: Vec<Node>) -> KnownList {
    refresh_of(KnownList::default(), found(nodes), 0).0
}

#[test]
fn added_and_removed_nodes_are_reported() {
    let (known, change) = refresh_of(known(argus(0..3)), found(argus(1..4)), 5);
    assert_eq!(
        (change.result, &*change.added, &*change.removed),
        (RefreshResult::Accepted, &["n3.example".into()][..], &["n0.example".into()][..])
    );
    assert_eq!((known.nodes().len(), known.age(at(7))), (3, Some(Duration::from_secs(120))));
    assert_eq!(KnownList::default().age(at(0)), None);
}

/// Lists before and after, and the results when the second list is found three times.
#[test]
fn losing_more_than_half_is_held_back() {
    let accepted = RefreshResult::Accepted;
    let held = |lost, of, times| RefreshResult::HeldBack { lost, of, times };
    for (before, after, results) in [
        (0..8, 0..8, [accepted, accepted, accepted]),
        (0..8, 4..8, [accepted, accepted, accepted]),
        (0..8, 5..8, [held(5, 8, 1), held(5, 8, 2), accepted]),
        (0..8, 8..30, [held(8, 8, 1), held(8, 8, 2), accepted]),
        (0..2, 1..2, [accepted, accepted, accepted]),
        (0..1, 1..2, [held(1, 1, 1), held(1, 1, 2), accepted]),
        (0..0, 0..3, [accepted, accepted, accepted]),
        (0..8, 0..0, [RefreshResult::Emptied { of: 8 }; 3]),
        (0..0, 0..0, [accepted, accepted, accepted]),
    ] {
        let mut list = known(argus(before.clone()));
        for (round, expected) in results.into_iter().enumerate() {
            let old = list.nodes.clone();
            // A restart between two refreshes changes nothing.
            let saved = serde_json::to_string(&list).unwrap();
            let minute = 10 * (i64::try_from(round).unwrap() + 1);
            let (next, change) = refresh_of(serde_json::from_str(&saved).unwrap(), found(argus(after.clone())), minute);
            assert_eq!(change.result, expected, "{before:?} to {after:?}, round {round}");
            let nodes = if expected == accepted { argus(after.clone()) } else { old };
            assert_eq!(next.nodes(), nodes);
            list = next;
        }
    }
}

#[test]
fn a_good_refresh_resets_the_count() {
    let mut list = known(argus(0..8));
    let held = |times| RefreshResult::HeldBack { lost: 5, of: 8, times };
    for (minute, next, expected) in
        [(10, 0..3, held(1)), (20, 0..8, RefreshResult::Accepted), (30, 0..3, held(1)), (40, 0..3, held(2))]
    {
        let change;
        (list, change) = refresh_of(list, found(argus(next)), minute);
        assert_eq!((list.nodes().len(), change.result), (8, expected), "minute {minute}");
    }
}

#[test]
fn a_refresh_that_follows_too_soon_is_not_counted() {
    let mut list = known(argus(0..8));
    for (minute, times) in [(10, 1), (11, 1), (18, 1), (19, 2), (19, 2), (27, 2), (3, 3)] {
        let saved = serde_json::to_string(&list).unwrap();
        let change;
        (list, change) = refresh_of(serde_json::from_str(&saved).unwrap(), found(argus(0..3)), minute);
        let expected =
            if times < 3 { RefreshResult::HeldBack { lost: 5, of: 8, times } } else { RefreshResult::Accepted };
        assert_eq!(change.result, expected, "minute {minute}; a clock that was set back forbids nothing");
    }
}

/// Assets before and after, by node. Nodes 5 and above lose theirs because they are switched off.
#[test]
fn losing_the_assets_of_most_nodes_is_held_back() {
    let with = |number: usize, id: Option<usize>| Node {
        assets: id.map(|id| asset(&id.to_string())).into_iter().collect(),
        listing: Listing { distributing: Some(number < 5), ..node(number, Profile::Argus).listing },
        ..node(number, Profile::Argus)
    };
    let fleet = |serving: &[usize], newest: usize| -> Vec<Node> {
        (0..8).map(|number| with(number, serving.contains(&number).then_some(newest))).collect()
    };
    let held = |lost, of, times| RefreshResult::HeldBack { lost, of, times };
    for (before, after, results) in [
        (&[0, 1, 2, 3, 4, 5, 6, 7][..], &[][..], [held(5, 5, 1), held(5, 5, 2), RefreshResult::Accepted]),
        (&[0, 1, 2, 3], &[3], [held(3, 4, 1), held(3, 4, 2), RefreshResult::Accepted]),
        (&[0, 1, 2, 3], &[2, 3], [RefreshResult::Accepted; 3]),
        (&[5, 6, 7], &[], [RefreshResult::Accepted; 3]),
        (&[], &[1], [RefreshResult::Accepted; 3]),
    ] {
        let mut list = known(fleet(before, 1));
        for (round, expected) in results.into_iter().enumerate() {
            let minute = 10 * (i64::try_from(round).unwrap() + 1);
            let saved = serde_json::to_string(&list).unwrap();
            let (next, change) = refresh_of(serde_json::from_str(&saved).unwrap(), found(fleet(after, 2)), minute);
            assert_eq!((change.result, change.assets), (RefreshResult::Accepted, expected), "{before:?} to {after:?}");
            for (number, node) in next.nodes().iter().enumerate() {
                let old =
                    (before.contains(&number) && number < 5 && expected != RefreshResult::Accepted).then_some("1");
                let serves = if after.contains(&number) { Some("2") } else { old };
                assert_eq!(node.assets.first().map(|asset| &*asset.id), serves, "{before:?} to {after:?}: {number}");
            }
            list = next;
        }
    }
}

proptest! {
    /// For every sequence of refreshes: a list with nodes never becomes empty, and an accepted refresh lost at most
    /// half of the nodes or was the third that lost more.
    #[test]
    fn no_sequence_of_refreshes_loses_the_list(refreshes in proptest::collection::vec(proptest::collection::btree_set(0usize..10, 0..10), 1..12)) {
        let (mut list, mut losses, mut minute) = (known(argus(0..10)), 0, 10);
        for refresh in refreshes {
            let kept = list.nodes().iter().filter(|node| argus(refresh.iter().copied()).contains(node)).count();
            let loses = 2 * (list.nodes().len() - kept) > list.nodes().len();
            let (next, change) = refresh_of(list.clone(), found(argus(refresh.iter().copied())), minute);
            minute += 10;
            // An empty list does not change the count.
            losses = if refresh.is_empty() { losses } else if loses { losses + 1 } else { 0 };
            let expected = !refresh.is_empty() && (!loses || losses >= 3);
            prop_assert_eq!(change.result == RefreshResult::Accepted, expected);
            prop_assert!(!next.nodes().is_empty());
            if expected {
                losses = 0;
            } else {
                prop_assert_eq!(next.nodes(), list.nodes());
            }
            list = next;
        }
    }
}

#[test]
fn parts_without_an_answer_keep_their_values() {
    let with = |number, ids: &[&str]| Node {
        assets: ids.iter().map(|id| asset(id)).collect(),
        ..node(number, Profile::Argus)
    };
    let mut off = with(3, &[]);
    off.listing.distributing = Some(false);
    let before = known(vec![with(1, &["11", "12"]), with(2, &[]), with(3, &["31"]), node(7, Profile::Colossus)]);
    let after = vec![with(1, &["13"]), with(2, &["21"]), off.clone()];
    let samples = |numbers: &[usize]| MissingParts {
        samples: numbers.iter().map(|number| node(*number, Profile::Argus).id).collect(),
        ..MissingParts::default()
    };
    let store = node(7, Profile::Colossus);
    for (gaps, expected) in [
        (MissingParts::default(), vec![with(1, &["13"]), with(2, &["21"]), off.clone()]),
        (samples(&[1, 2]), vec![with(1, &["11", "12"]), with(2, &["21"]), off.clone()]),
        (samples(&[2]), vec![with(1, &["13"]), with(2, &["21"]), off.clone()]),
        (
            MissingParts { storage: true, ..MissingParts::default() },
            vec![with(1, &["13"]), with(2, &["21"]), off.clone(), store],
        ),
    ] {
        let shown = format!("{gaps:?}");
        let (list, _) = refresh_of(before.clone(), RegistryList { gaps, ..found(after.clone()) }, 10);
        assert_eq!(list.nodes(), expected, "{shown}");
    }
}

#[test]
fn a_changed_config_applies_to_the_saved_list() {
    let mut private = node(9, Profile::Argus);
    private.endpoint = "http://10.0.0.9/".parse().unwrap();
    let list = known([argus(0..3), vec![private]].concat());
    for (exclude, allow, left) in [
        (&[][..], AllowPrivate::Nowhere, 3),
        (&[], AllowPrivate::Everywhere, 4),
        (&["N1.example", "1:2-1"], AllowPrivate::Nowhere, 1),
    ] {
        let exclude: Vec<_> = exclude.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(list.clone().under(&exclude, &Guard::new(allow)).nodes().len(), left, "{exclude:?}");
    }
}

#[test]
fn a_list_comes_back_from_disk() {
    let full = Node {
        listing: Listing {
            region: Some("eu-west-1".into()),
            country: Some("FR".into()),
            location: Coordinates::new(48.8566, 2.3522).ok(),
            distributing: Some(true),
            ..node(1, Profile::Argus).listing
        },
        assets: vec![
            asset("1343"),
            Asset { kind: AssetKind::Video, id: "552149".into(), size: None, hash: Some(hash()), fixed: true },
        ],
        ..node(1, Profile::Argus)
    };
    let blocked = BlockedNode {
        id: "10.0.0.1".into(),
        endpoint: "http://10.0.0.1/".into(),
        reason: "private".into(),
        listing: Listing::bare(Origin::Joystream, Profile::Argus),
    };
    let refresh = RegistryList { blocked: vec![blocked], ..found(vec![full, node(2, Profile::Colossus)]) };
    let guard = |times, minute| ShrinkGuard { times, counted_at: Some(at(minute)) };
    let list = KnownList {
        held_back: guard(2, 7),
        lost_assets: guard(1, 8),
        ..refresh_of(KnownList::default(), refresh, 3).0
    };
    let saved = serde_json::to_string(&list).unwrap();
    assert_eq!(serde_json::from_str::<KnownList>(&saved).unwrap(), list);
}

#[test]
fn a_damaged_file_loses_only_its_damaged_values() {
    let good = || serde_json::to_value(known(argus(0..2))).unwrap();
    let spoilt = |pointer: &str, value: serde_json::Value| {
        let mut list = good();
        *list.pointer_mut(pointer).unwrap() = value;
        serde_json::from_value::<KnownList>(list).unwrap()
    };
    for (pointer, value, left) in [
        ("/version", json!(2), 0),
        ("/version", json!("1"), 0),
        ("/nodes", json!({}), 0),
        ("/nodes/0", json!(null), 1),
        ("/nodes/0/id", json!("a b"), 1),
        ("/nodes/0/id", json!(7), 1),
        ("/nodes/0/endpoint", json!("ftp://x/"), 1),
        ("/nodes/0/profile", json!("other"), 1),
        ("/nodes/0/operators", json!(null), 1),
        ("/held_back", json!(-1), 2),
        ("/bare", json!("x"), 2),
        ("/found_at", json!("yesterday"), 2),
        ("/blocked", json!(7), 2),
    ] {
        assert_eq!(spoilt(pointer, value.clone()).nodes().len(), left, "{pointer} = {value}");
    }
    for other in [json!([]), json!(null), json!({})] {
        assert_eq!(serde_json::from_value::<KnownList>(other).unwrap(), KnownList::default());
    }
}

fn hash() -> Arc<str> {
    bs58::encode([&[0x1e, 32][..], &[7; 32]].concat()).into_string().into()
}
