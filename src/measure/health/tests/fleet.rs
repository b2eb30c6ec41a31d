//! Comparison with the median of the fleet.

use super::*;

/// How far a node is behind in blocks and head next to four others, and the expected health.
const PLACES: [(i64, i64, Tolerance, HealthState, &str); 12] = [
    (100, 100, USUAL, HealthState::Ok, "nothing wrong"),
    (
        4_200,
        0,
        USUAL,
        HealthState::Degraded,
        "4,200 blocks behind the fleet's median of 5 nodes (100 allowed): its query node is not keeping up",
    ),
    (
        0,
        101,
        USUAL,
        HealthState::Degraded,
        "chain head 101 behind the fleet's median of 5 nodes (100 allowed): its chain node is not keeping up",
    ),
    (
        1_010,
        1_009,
        USUAL,
        HealthState::Degraded,
        "1,010 blocks behind the fleet's median of 5 nodes (100 allowed): its query node is not keeping up; \
         chain head 1,009 behind (100 allowed)",
    ),
    (-2_000, -2_000, USUAL, HealthState::Ok, "nothing wrong"),
    (-2_001, 0, USUAL, HealthState::Ok, "nothing wrong; 2,001 blocks ahead of the fleet's median of 5 nodes"),
    (10, -10, STRICT, HealthState::Ok, "nothing wrong"),
    (
        11,
        0,
        STRICT,
        HealthState::Degraded,
        "11 blocks behind the fleet's median of 5 nodes (10 allowed): its query node is not keeping up",
    ),
    (0, -11, STRICT, HealthState::Ok, "nothing wrong; chain head 11 ahead of the fleet's median of 5 nodes"),
    (0, -14_401, USUAL, HealthState::Ok, "nothing wrong; chain head 14,401 ahead of the fleet's median of 5 nodes"),
    (
        -1_000_000,
        -1_000_000,
        USUAL,
        HealthState::Misconfigured,
        "chain head 1,000,000 ahead of the fleet's median of 5 nodes, and its blocks are not the fleet's: \
         it follows another chain, or the others stand still",
    ),
    (
        14_401,
        14_401,
        USUAL,
        HealthState::Misconfigured,
        "chain head 14,401 behind the fleet's median of 5 nodes, and its blocks are not the fleet's: \
         it follows another chain, or its chain node stands still",
    ),
];

#[test]
fn nodes_are_compared_with_the_median_of_the_fleet() {
    for (blocks, head, tolerance, state, reason) in PLACES {
        let node = at((HEAD - 2).checked_add_signed(-blocks).unwrap(), HEAD.checked_add_signed(-head).unwrap());
        let health = judged(&node, tolerance);
        assert_eq!((health.state, &*health.reason, health.up), (state, reason, Some(true)));
        assert_eq!((health.blocks_behind, health.head_behind), (Some(blocks), Some(head)), "{reason}");
    }
    let hostile = judged(&at(u64::MAX, u64::MAX), USUAL);
    assert_eq!((hostile.state, hostile.blocks_behind), (HealthState::Misconfigured, Some(-i64::MAX)));
}

#[test]
fn nodes_that_agree_on_wrong_numbers_are_still_wrong() {
    let far = 5_600_000;
    let answers = [healthy(), healthy(), at(HEAD - far, HEAD - far), at(HEAD - far - 1, HEAD - far), healthy()];
    let nodes = round(&answers, USUAL).nodes;
    let states: Vec<_> = nodes.iter().map(|health| health.state).collect();
    assert_eq!(
        states,
        [HealthState::Ok, HealthState::Ok, HealthState::Misconfigured, HealthState::Misconfigured, HealthState::Ok]
    );
    assert_eq!(
        nodes[2].reason,
        "chain head 5,600,000 behind the fleet's median of 5 nodes, and its blocks are not the fleet's: it follows \
         another chain, or its chain node stands still"
    );
    // Only two nodes report blocks, so there is no median, and their blocks are not judged.
    let silent = || with_document(healthy(), |document| document.blocks_processed = None);
    let answers = [silent(), silent(), silent(), healthy(), at(HEAD - far, HEAD - far)];
    let health = round(&answers, USUAL).nodes.pop().unwrap();
    assert_eq!(
        (health.state, health.blocks_behind, health.head_behind),
        (HealthState::Degraded, None, Some(5_600_000))
    );
}

#[test]
fn the_worst_state_wins_and_every_reason_is_given() {
    let node = with_document(at(HEAD - 500, HEAD), |document| document.node_env = Some("development".into()));
    let health = judged(&node, USUAL);
    assert_eq!((health.state, health.up), (HealthState::Misconfigured, Some(true)));
    assert_eq!(
        health.reason,
        "nodeEnv is `development`, not `production`: it serves slowly; 498 blocks behind the fleet's median of 4 \
         nodes (100 allowed): its query node is not keeping up"
    );
}

#[test]
fn missing_values_are_not_held_against_a_node() {
    let silent = with_document(healthy(), |document| {
        *document = StatusDocument { version: Some("1.2.0".into()), ..StatusDocument::default() }
    });
    let health = judged(&silent, USUAL);
    assert_eq!((health.state, health.blocks_behind, health.head_behind), (HealthState::Ok, None, None));
    let headless = with_document(healthy(), |document| document.chain_head = None);
    assert_eq!(judged(&headless, USUAL).blocks_behind, Some(0));
    let far = with_document(at(0, HEAD + 99_999), |document| document.blocks_processed = None);
    assert_eq!(judged(&far, USUAL).state, HealthState::Ok, "nothing says that it is another chain");
}

#[test]
fn fewer_than_three_nodes_are_not_compared() {
    for count in 1..=2 {
        let answers: Vec<_> = (0..count).map(|n| at(HEAD * n, HEAD * n)).collect();
        let round_health = round(&answers, USUAL);
        for health in &round_health.nodes {
            let Health { state, reason, blocks_behind, head_behind, .. } = health;
            assert_eq!((*state, &**reason, blocks_behind, head_behind), (HealthState::Ok, UNJUDGED, &None, &None));
        }
    }
}

#[test]
fn an_even_number_of_votes_takes_the_higher_median() {
    let answers = [at(100, 100), at(104, 104), at(96, 96), at(1_000, 1_000)];
    let behind: Vec<_> = round(&answers, USUAL).nodes.iter().map(|health| health.blocks_behind.unwrap()).collect();
    assert_eq!(behind, [4, 0, 8, -896]);
}

#[test]
fn switched_off_nodes_do_not_outvote_others() {
    let (good, stuck) = (healthy(), at(HEAD - 50_000, HEAD - 50_000));
    let off = NodeEvidence { distributing: Some(false), ..subject(&stuck) };
    for good_ones in [2, 3] {
        let mut subjects = vec![subject(&good); good_ones];
        subjects.extend(vec![off.clone(); 3]);
        let nodes = judge(&subjects, USUAL).nodes;
        let states: Vec<_> = nodes.iter().map(|health| (health.state, health.head_behind)).collect();
        let judged = (good_ones > 2).then_some(0);
        assert_eq!(states[..good_ones], vec![(HealthState::Ok, judged); good_ones]);
        assert_eq!(states[good_ones..], [(HealthState::Misconfigured, Some(50_000)); 3], "compared with the good ones");
    }
}

#[test]
fn only_healthy_distributing_nodes_vote_for_the_median() {
    let (good, stuck) = (healthy(), at(HEAD - 300, HEAD - 300));
    let development = with_document(stuck.clone(), |document| document.node_env = Some(String::new()));
    let failing =
        RecentDownloads { ended: vec![run(AT, Outcome::Http5xx); 3], enough: 3, ..RecentDownloads::default() };
    let cannot_fetch = RecentDownloads { fetch_failed: Some("status 500".into()), ..RecentDownloads::default() };
    for odd in [
        NodeEvidence { profile: Profile::Colossus, ..subject(&stuck) },
        NodeEvidence { profile: Profile::Http, ..subject(&stuck) },
        NodeEvidence { distributing: Some(false), ..subject(&stuck) },
        NodeEvidence { downloads: failing, ..subject(&stuck) },
        NodeEvidence { downloads: cannot_fetch, ..subject(&stuck) },
        subject(&development),
    ] {
        let subjects = [vec![subject(&good); 3], vec![odd.clone(); 5]].concat();
        let RoundHealth { nodes, chain_head } = judge(&subjects, USUAL);
        assert!(nodes[..3].iter().all(|health| health.state == HealthState::Ok), "{odd:?}");
        assert_eq!((nodes[3].blocks_behind, chain_head), (Some(298), Some(HEAD)), "{odd:?}");
    }
}

#[test]
fn the_chain_head_is_known_if_every_node_is_misconfigured() {
    let bare = with_document(healthy(), |document| document.node_env = Some(String::new()));
    let off = NodeEvidence { distributing: Some(false), ..subject(&bare) };
    for subjects in [vec![subject(&bare); 4], vec![off; 2]] {
        let RoundHealth { nodes, chain_head } = judge(&subjects, USUAL);
        assert_eq!((nodes[0].blocks_behind, chain_head), (None, Some(HEAD)), "no node is judged by such a median");
    }
}

#[test]
fn storage_nodes_alone_are_compared_with_each_other() {
    let (good, stuck) = (healthy(), at(HEAD - 300, HEAD));
    let storage = |answer| NodeEvidence { profile: Profile::Colossus, ..subject(answer) };
    let subjects = [subject(&good), storage(&good), storage(&good), storage(&stuck)];
    let behind: Vec<_> = judge(&subjects, USUAL).nodes.iter().map(|health| health.blocks_behind).collect();
    assert_eq!(behind, [None, Some(0), Some(0), Some(298)], "one distributor is too few for itself");
}
