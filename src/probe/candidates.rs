//! The order in which the assets of a node are tried, and which check counts for the hit ratio.

use rand::RngExt;

use crate::model::{
    probe::{CachePolicy, Pick, Probe},
    target::{Asset, Node, Profile},
};

/// An asset to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate<'a> {
    pub(super) asset: &'a Asset,
    /// The check of this asset counts for the hit ratio: the asset was drawn without regard to the cache, and the node
    /// reports its cache state.
    pub(super) drawn: bool,
}

/// The assets that a run may use: first the preferred one, then all others, starting at the position `turn`. So every
/// asset gets its turn.
///
/// One of them is the drawn one: the asset at the position `turn`, whatever the node holds. It is the first or the
/// second of the list.
pub(super) fn ordered<'a>(
    probe: &Probe,
    node: &'a Node,
    remembered: Option<&'a Asset>,
    turn: usize,
    rng: &mut impl rand::Rng,
) -> Vec<Candidate<'a>> {
    let fitting: Vec<_> = probe.candidates(node).collect();
    if fitting.is_empty() {
        return Vec::new();
    }
    if probe.is_storage_check() {
        let mut by_size = fitting;
        by_size.sort_by_key(|asset| asset.size.map_or(u64::MAX, |size| size.least().0));
        // A storage check uses objects that the node does not hold, so it never counts for the hit ratio.
        return by_size.into_iter().map(|asset| Candidate { asset, drawn: false }).collect();
    }
    let at = match probe.pick {
        Pick::Random => rng.random_range(0..fitting.len()),
        Pick::Sticky | Pick::Fixed | Pick::Rotate | Pick::Smallest => turn % fitting.len(),
    };
    // After a miss the node has fetched the object, so it is not a miss again. Probes of misses therefore do not
    // return to it.
    let comes_back = probe.pick.is_sticky() && probe.cache == CachePolicy::Hit;
    let first = comes_back.then(|| known(probe, node, &fitting, remembered).unwrap_or(fitting[0]));
    let others = fitting[at..].iter().chain(&fitting[..at]).copied().filter(|asset| Some(*asset) != first);
    let reports_cache = node.listing.profile == Profile::Argus;
    let drawn = fitting[at];
    first.into_iter().chain(others).map(|asset| Candidate { asset, drawn: reports_cache && asset == drawn }).collect()
}

/// The asset of the previous run, as it is listed now. A node may still serve an asset that its registry no longer
/// lists. An asset that the user removed from the config is not used again.
fn known<'a>(probe: &Probe, node: &Node, fitting: &[&'a Asset], remembered: Option<&'a Asset>) -> Option<&'a Asset> {
    let remembered = remembered.filter(|asset| asset.kind == probe.kind)?;
    let listed = fitting.iter().find(|asset| asset.id == remembered.id).copied();
    let unlisted = probe.pick == Pick::Sticky && node.listing.origin.is_untrusted();
    listed.or_else(|| unlisted.then_some(remembered))
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::{
        config::check::shipped,
        model::target::{AssetKind, Listing, Origin},
    };

    fn asset(id: &str, fixed: bool) -> Asset {
        Asset { kind: AssetKind::Image, id: id.into(), size: None, hash: None, fixed }
    }

    /// A node with the images a, b, c and d. The user named b and d.
    fn node(profile: Profile, origin: Origin) -> Node {
        let video = Asset { kind: AssetKind::Video, ..asset("v", true) };
        Node {
            id: "n".into(),
            endpoint: "http://n.example/".parse().unwrap(),
            listing: Listing::bare(origin, profile),
            assets: vec![asset("a", false), video, asset("b", true), asset("c", false), asset("d", true)],
        }
    }

    fn probe(pick: Pick, cache: CachePolicy) -> Probe {
        Probe { pick, cache, ..shipped("image").unwrap() }
    }

    /// The ids in order, with a mark on the drawn one.
    fn shown(probe: &Probe, node: &Node, remembered: Option<&Asset>, turn: usize) -> String {
        let candidates = ordered(probe, node, remembered, turn, &mut StdRng::seed_from_u64(7));
        let show =
            |candidate: &Candidate<'_>| format!("{}{}", candidate.asset.id, ["", "*"][usize::from(candidate.drawn)]);
        candidates.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_preferred_asset_is_first_and_the_others_rotate() {
        use CachePolicy::{Hit, Miss};
        let node = node(Profile::Argus, Origin::Joystream);
        for (pick, cache, remembered, turn, order) in [
            (Pick::Sticky, Hit, None, 0, "a* b c d"),
            (Pick::Sticky, Hit, None, 6, "a c* d b"),
            (Pick::Sticky, Hit, Some("c"), 0, "c a* b d"),
            (Pick::Sticky, Hit, Some("c"), 2, "c* d a b"),
            (Pick::Sticky, Hit, Some("c"), 3, "c d* a b"),
            (Pick::Sticky, Hit, Some("old"), 1, "old b* c d a"),
            (Pick::Rotate, Hit, Some("c"), 1, "b* c d a"),
            (Pick::Fixed, Hit, None, 1, "b d*"),
            (Pick::Fixed, Hit, Some("d"), 0, "d b*"),
            (Pick::Fixed, Hit, Some("a"), 0, "b* d"),
            (Pick::Rotate, Miss, None, 3, "d* a b c"),
            (Pick::Sticky, Miss, Some("c"), 0, "a* b c d"),
        ] {
            let remembered = remembered.map(|id| asset(id, false));
            assert_eq!(
                shown(&probe(pick, cache), &node, remembered.as_ref(), turn),
                order,
                "{pick:?} {cache:?} {turn}"
            );
        }
    }

    #[test]
    fn a_storage_check_takes_the_smallest_asset() {
        let mut node = node(Profile::Argus, Origin::Joystream);
        for (asset, size) in node.assets.iter_mut().zip([None, None, Some(9), Some(7), Some(8)]) {
            asset.size = size.map(|bytes| crate::model::units::Bytes(bytes).into());
        }
        let check = shipped("cold-cache").unwrap().storage_check();
        assert_eq!(shown(&check, &node, Some(&asset("a", false)), 3), "c d b a");
    }

    #[test]
    fn removed_assets_are_gone_and_only_argus_has_draws() {
        let old = asset("old", true);
        let sticky = probe(Pick::Sticky, CachePolicy::Hit);
        for (profile, origin, order) in [
            (Profile::Argus, Origin::Static, "a b* c d"),
            (Profile::Http, Origin::Static, "a b c d"),
            (Profile::Colossus, Origin::Joystream, "old b c d a"),
        ] {
            assert_eq!(shown(&sticky, &node(profile, origin), Some(&old), 1), order, "{profile:?}");
        }
        let video = Asset { kind: AssetKind::Video, ..asset("old", true) };
        assert_eq!(shown(&sticky, &node(Profile::Argus, Origin::Joystream), Some(&video), 1), "a b* c d");
        let mut nothing = node(Profile::Argus, Origin::Joystream);
        nothing.assets.clear();
        assert_eq!(shown(&sticky, &nothing, Some(&old), 1), "", "it is to serve nothing any more");
    }

    #[test]
    fn current_facts_replace_remembered_ones() {
        let mut node = node(Profile::Argus, Origin::Joystream);
        node.assets[0].hash = Some("gW".into());
        let old = asset("a", false);
        let first =
            ordered(&probe(Pick::Sticky, CachePolicy::Hit), &node, Some(&old), 1, &mut StdRng::seed_from_u64(7))[0];
        assert_eq!(first.asset.hash.as_deref(), Some("gW"));
    }

    /// Over many runs each asset is drawn equally often, whichever one is remembered.
    #[test]
    fn each_asset_is_drawn_equally_often() {
        let node = node(Profile::Argus, Origin::Joystream);
        let remembered = asset("c", false);
        let mut rng = StdRng::seed_from_u64(7);
        for pick in [Pick::Sticky, Pick::Rotate, Pick::Random] {
            let mut counts = std::collections::BTreeMap::<_, u32>::new();
            for turn in 0..4_000 {
                let order = ordered(&probe(pick, CachePolicy::Hit), &node, Some(&remembered), turn, &mut rng);
                let drawn = order.iter().position(|candidate| candidate.drawn).unwrap();
                assert!(drawn <= 1 && order.iter().filter(|candidate| candidate.drawn).count() == 1);
                *counts.entry(order[drawn].asset.id.to_string()).or_default() += 1;
            }
            let tolerance = if pick == Pick::Random { 150 } else { 0 };
            assert!(counts.len() == 4 && counts.values().all(|count| count.abs_diff(1_000) <= tolerance), "{counts:?}");
        }
    }
}
