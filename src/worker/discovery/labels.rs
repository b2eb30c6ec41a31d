//! Limits the labels that registries give to nodes. Labels are tags: each new pair of node and region creates new
//! series in the database, permanently. So the number of regions is limited, and a registry that keeps renaming nodes
//! is reported.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use crate::{discover::known::KnownList, model::target::Listing};

/// The regions seen since the start, over all registries.
#[derive(Debug, Default)]
pub(super) struct Regions(BTreeSet<Arc<str>>);

impl Regions {
    /// Replaces each region beyond the limit with [`OTHER`]. Returns a message if it replaced any.
    pub(super) fn bound<'l>(&mut self, listings: impl Iterator<Item = &'l mut Listing>) -> Option<String> {
        let mut is_beyond = false;
        for listing in listings {
            let Some(region) = listing.region.as_mut().filter(|region| !self.0.contains(*region)) else { continue };
            if self.0.len() < MAX_REGIONS && &**region != OTHER {
                self.0.insert(Arc::clone(region));
            } else {
                is_beyond |= &**region != OTHER;
                *region = OTHER.into();
            }
        }
        is_beyond.then(|| {
            format!("more than {MAX_REGIONS} regions were named: nodes in further ones get the region `{OTHER}`")
        })
    }
}

/// The pairs of node and region that a registry has named since the start.
#[derive(Debug, Default)]
pub(super) struct SeenLabels {
    pairs: HashSet<(Arc<str>, Option<Arc<str>>)>,
    /// The length of the longest list so far.
    longest: usize,
}

impl SeenLabels {
    /// Notes a list. Returns a message if there have been many more pairs than a list is long. The message changes only
    /// when the number of pairs has doubled, so it is rarely logged again.
    pub(super) fn note(&mut self, known: &KnownList) -> Option<String> {
        let nodes = known.nodes().iter().map(|node| (&node.id, &node.listing));
        let blocked = known.blocked().iter().map(|blocked| (&blocked.id, &blocked.listing));
        for (id, listing) in nodes.chain(blocked) {
            if self.pairs.len() < MAX_PAIRS {
                self.pairs.insert((Arc::clone(id), listing.region.clone()));
            }
        }
        self.longest = self.longest.max(known.nodes().len() + known.blocked().len());
        let mut limit = PAIRS_A_NODE * self.longest + SPARE_PAIRS;
        if self.pairs.len() <= limit {
            return None;
        }
        while self.pairs.len() > 2 * limit {
            limit *= 2;
        }
        Some(format!(
            "more than {limit} different pairs of node and region were named since the start, but at most {} at once: each makes \
             new series in the database, permanently; find out what keeps renaming nodes, or list them in a static source",
            self.longest
        ))
    }
}

/// The most regions that are distinguished. Large clouds have about 30.
const MAX_REGIONS: usize = 64;
/// The region of nodes in all further regions.
const OTHER: &str = "other";
/// Pairs that are no sign of constant renaming: this many for each listed node, and [`SPARE_PAIRS`] in total. Nodes do
/// move and get new names.
const PAIRS_A_NODE: usize = 3;
const SPARE_PAIRS: usize = 100;
/// The most pairs that are remembered; they take about 3 MB.
const MAX_PAIRS: usize = 20_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        config::{Dialect, Registry},
        discover::joystream::{MissingParts, RegistryList},
        model::target::{Node, Origin, Profile},
    };

    fn listing(region: &str) -> Listing {
        let region = (!region.is_empty()).then(|| region.into());
        Listing { region, ..Listing::bare(Origin::Joystream, Profile::Argus) }
    }

    #[test]
    fn regions_beyond_the_limit_are_one() {
        let mut regions = Regions::default();
        let mut listings: Vec<_> = (0..60).map(|number| listing(&format!("r{number}"))).collect();
        assert_eq!(regions.bound(listings.iter_mut()), None);
        assert!(listings.iter().enumerate().all(|(number, l)| l.region.as_deref() == Some(&format!("r{number}"))));

        let mut others: Vec<_> = (50..70).map(|number| listing(&format!("r{number}"))).chain([listing("")]).collect();
        let messages_found = regions.bound(others.iter_mut()).unwrap();
        assert_eq!(messages_found, "more than 64 regions were named: nodes in further ones get the region `other`");
        let kept = others.iter().filter(|l| l.region.as_deref().is_some_and(|region| region.starts_with('r'))).count();
        assert_eq!((kept, others[14].region.as_deref(), others[20].region.as_deref()), (14, Some("other"), None));

        // There are never more than 65 regions.
        for round in 0..100 {
            let mut churned: Vec<_> = (0..50).map(|number| listing(&format!("x{round}-{number}"))).collect();
            assert!(regions.bound(churned.iter_mut()).is_some());
            assert!(churned.iter().all(|l| l.region.as_deref() == Some("other")));
        }
        assert_eq!(regions.bound([listing("r3"), listing("other")].iter_mut()), None);
    }

    /// The known list of a registry that names these nodes.
    fn known(ids: impl Iterator<Item = String>) -> KnownList {
        let node = |id: String| {
            let endpoint = format!("https://{id}.example/").parse().unwrap();
            Node { id: id.as_str().into(), endpoint, listing: listing("eu"), assets: vec![] }
        };
        let url = "https://query.example/graphql".parse().unwrap();
        let (refresh, refresh_assets) = (Duration::from_secs(600), Duration::from_secs(3_600));
        let registry = Registry { url, refresh, refresh_assets, dialect: None, exclude: vec![], fixed: vec![] };
        let (dialect, gaps, nodes) = (Dialect::Orion, MissingParts::default(), ids.map(node).collect());
        let (blocked, sample_problems) = (vec![], Some(vec![]));
        let found = RegistryList { dialect, nodes, blocked, excluded: 0, problems: vec![], sample_problems, gaps };
        KnownList::default().refreshed(found, &registry, Timestamp::UNIX_EPOCH).0
    }

    #[test]
    fn a_registry_that_keeps_renaming_is_reported_rarely() {
        let mut seen = SeenLabels::default();
        let steady = known((0..20).map(|number| format!("n{number}")));
        assert!((0..1_000).all(|_| seen.note(&steady).is_none()), "the same list again and again");
        let mut messages_found = Vec::new();
        for round in 0..100 {
            messages_found.extend(seen.note(&known((0..20).map(|number| format!("n{round}-{number}")))));
        }
        let sentences = messages_found.len();
        messages_found.dedup();
        assert_eq!((sentences, messages_found.len()), (93, 4), "{messages_found:#?}");
        assert!(
            messages_found[0].starts_with("more than 160 different pairs of node and region were named"),
            "{}",
            messages_found[0]
        );
        assert!(
            messages_found[3].starts_with("more than 1280 ") && messages_found[3].contains("but at most 20 at once"),
            "{}",
            messages_found[3]
        );
    }
}
