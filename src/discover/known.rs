//! The last good list of a registry. The module is pure, so every rule can be tested, and the list can be saved to
//! disk.
//!
//! A refresh replaces the list unless it loses more than half of the nodes, as when a registry is syncing again or a
//! proxy cuts an answer. Such a refresh is held back, and the third in a row is accepted. Restarts do not reset the
//! count, and a refresh that follows the last counted one too soon (in less than about one `refresh`) is not counted.
//! The same rule applies to assets, with a separate count: when more than half of the nodes that had assets have none
//! any more, they keep their earlier assets. A list without any node never replaces a list with nodes, and an error
//! never reaches this module.
//!
//! Samples are requested less often than nodes, because they are the most expensive part for the registry. In between,
//! each node keeps its samples ([`KnownList::sampled`]).
//!
//! A node that is listed at the same endpoint as before keeps its id, because its series, its budget and its rest
//! periods depend on it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::shrink_guard::ShrinkGuard;
use super::{
    joystream::{FreshSamples, MissingParts, RegistryList},
    naming,
    vet::vet,
};
use crate::{
    config::Registry,
    model::target::{AssetKind, BlockedNode, Endpoint, Listing, Node, Profile},
    net::guard::Guard,
};

mod saved;
mod shrink_guard;

/// The last good list of one registry. Its saved form is JSON with a version. Unreadable parts of it are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "serde_json::Value", into = "saved::SavedList")]
pub struct KnownList {
    found_at: Option<Timestamp>,
    /// When its samples were requested and all of them answered. `None` after an answer with gaps.
    sampled_at: Option<Timestamp>,
    /// The fixed objects that were requested then.
    sampled_fixed: Vec<(AssetKind, Arc<str>)>,
    nodes: Vec<Node>,
    blocked: Vec<BlockedNode>,
    /// Refreshes that lost too many nodes.
    held_back: ShrinkGuard,
    /// Refreshes in which too many nodes lost all their assets.
    lost_assets: ShrinkGuard,
}

/// The result of a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListChange {
    /// Whether the refresh replaced the list.
    pub result: RefreshResult,
    /// Whether the assets of its nodes were replaced too. Its `lost` counts nodes that have no assets any more. Only
    /// meaningful when the list was replaced.
    pub assets: RefreshResult,
    /// Ids of nodes that were not on the list before.
    pub added: Vec<Arc<str>>,
    /// Ids of nodes that are no longer on the list.
    pub removed: Vec<Arc<str>>,
}

/// Whether a refresh replaced the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshResult {
    /// The refresh replaced the list.
    Accepted,
    /// The earlier list stays, because the refresh lost too much.
    HeldBack {
        /// Number of nodes that are lost, or that lost their assets.
        lost: usize,
        /// Number of nodes before.
        of: usize,
        /// How many refreshes in a row were held back, counting this one.
        times: u32,
    },
    /// The earlier list stays, because the refresh has no node at all. This is never accepted, however often it
    /// happens.
    Emptied {
        /// Number of nodes before.
        of: usize,
    },
}

impl KnownList {
    /// The nodes of the list.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The operators whose endpoints are never asked.
    #[must_use]
    pub fn blocked(&self) -> &[BlockedNode] {
        &self.blocked
    }

    /// The listings of the nodes and of the blocked operators.
    pub fn listings_mut(&mut self) -> impl Iterator<Item = &mut Listing> {
        let blocked = self.blocked.iter_mut().map(|blocked| &mut blocked.listing);
        self.nodes.iter_mut().map(|node| &mut node.listing).chain(blocked)
    }

    /// Time since the last accepted refresh. `None` when there was none.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        self.found_at.map(|then| Duration::try_from(now.duration_since(then)).unwrap_or_default())
    }

    /// The samples that need not be requested again yet. Empty when they are older than `refresh-assets`, when the
    /// config names other fixed objects than before, or when the registry listed no objects.
    #[must_use]
    pub fn sampled(&self, registry: &Registry, now: Timestamp) -> FreshSamples {
        let age = self.sampled_at.and_then(|then| Duration::try_from(now.duration_since(then)).ok());
        let is_fresh = age.is_some_and(|age| age < registry.refresh_assets);
        let is_found = self.nodes.iter().flat_map(|node| &node.assets).any(|asset| !asset.fixed);
        if !is_fresh || !is_found || self.sampled_fixed != registry.fixed {
            return FreshSamples::default();
        }
        let buckets = self.nodes.iter().map(|node| (node.endpoint.clone(), node.listing.buckets.clone()));
        FreshSamples(buckets.collect())
    }

    /// Removes nodes that the user excludes or the guard refuses. The config may have changed since the list was
    /// saved.
    #[must_use]
    pub fn under(mut self, exclude: &[String], guard: &Guard) -> Self {
        self.nodes.retain_mut(|node| match vet(Some(node.endpoint.as_url().as_str()), guard) {
            Ok(endpoint) => {
                node.endpoint = endpoint;
                !node.is_among(exclude)
            }
            Err(_) => false,
        });
        self.blocked.retain(|blocked| !blocked.is_among(exclude));
        self
    }

    /// The list after a refresh of `registry`, whose exclusions may have changed.
    #[must_use]
    pub fn refreshed(self, found: RegistryList, registry: &Registry, now: Timestamp) -> (Self, ListChange) {
        let (is_sampled, is_whole) = (found.sample_problems.is_some(), found.gaps.samples.is_empty());
        let (mut nodes, mut blocked) = filled(found, &self);
        naming::keep_ids((&mut nodes, &mut blocked), (&self.nodes, &self.blocked));
        nodes.retain(|node| !node.is_among(&registry.exclude));
        blocked.retain(|blocked| !blocked.is_among(&registry.exclude));

        let endpoints: HashSet<_> = nodes.iter().map(|node| &node.endpoint).collect();
        let lost = self.nodes.iter().filter(|node| !endpoints.contains(&node.endpoint)).count();
        let of = self.nodes.len();
        let stays = |result| ListChange { result, assets: RefreshResult::Accepted, added: vec![], removed: vec![] };
        if nodes.is_empty() && of > 0 {
            return (self, stays(RefreshResult::Emptied { of }));
        }
        let (held_back, result) = self.held_back.accept(lost, of, now, registry.refresh);
        if result != RefreshResult::Accepted {
            return (Self { held_back, ..self }, stays(result));
        }
        let (mut lost_assets, mut assets) = (self.lost_assets, RefreshResult::Accepted);
        let (mut sampled_at, mut sampled_fixed) = (self.sampled_at, self.sampled_fixed.clone());
        if is_sampled {
            (lost_assets, assets) = kept_assets(&mut nodes, &self, now, registry.refresh);
            sampled_at = (is_whole && assets == RefreshResult::Accepted).then_some(now);
            sampled_fixed.clone_from(&registry.fixed);
        }
        let ids = |nodes: &[Node]| nodes.iter().map(|node| Arc::clone(&node.id)).collect::<Vec<_>>();
        let without = |ids: Vec<Arc<str>>, others: Vec<Arc<str>>| {
            let others: HashSet<_> = others.into_iter().collect();
            ids.into_iter().filter(|id| !others.contains(id)).collect()
        };
        let added = without(ids(&nodes), ids(&self.nodes));
        let removed = without(ids(&self.nodes), ids(&nodes));
        let list = Self { found_at: Some(now), sampled_at, sampled_fixed, nodes, blocked, held_back, lost_assets };
        (list, ListChange { result, assets, added, removed })
    }
}

/// Gives the nodes that lost all their assets the earlier ones back, while too many lost them for the loss to be
/// accepted. A node that was switched off does not count, because it no longer has to serve anything.
fn kept_assets(
    nodes: &mut [Node],
    before: &KnownList,
    now: Timestamp,
    refresh: Duration,
) -> (ShrinkGuard, RefreshResult) {
    let had: HashMap<&Endpoint, &Node> =
        before.nodes.iter().filter(|known| !known.assets.is_empty()).map(|known| (&known.endpoint, known)).collect();
    let is_on = |node: &&mut Node| node.listing.distributing != Some(false);
    let serving = nodes.iter_mut().filter(is_on).filter_map(|node| Some((*had.get(&node.endpoint)?, node)));
    let (lost, left): (Vec<_>, Vec<_>) = serving.partition(|(_, node)| node.assets.is_empty());
    let (lost_assets, result) = before.lost_assets.accept(lost.len(), lost.len() + left.len(), now, refresh);
    if result != RefreshResult::Accepted {
        for (known, node) in lost {
            node.assets.clone_from(&known.assets);
        }
    }
    (lost_assets, result)
}

/// Fills the gaps of an answer with the earlier values. The nodes are sorted by endpoint.
fn filled(found: RegistryList, before: &KnownList) -> (Vec<Node>, Vec<BlockedNode>) {
    let RegistryList { mut nodes, mut blocked, gaps: MissingParts { storage, samples }, .. } = found;
    for node in nodes.iter_mut().filter(|node| samples.contains(&node.id)) {
        let same = before.nodes.iter().find(|known| known.endpoint == node.endpoint && !known.assets.is_empty());
        if let Some(known) = same {
            node.assets.clone_from(&known.assets);
        }
    }
    if storage {
        let listed: HashSet<_> = nodes.iter().map(|node| node.endpoint.clone()).collect();
        let stored = before.nodes.iter().filter(|known| known.listing.profile == Profile::Colossus);
        nodes.extend(stored.filter(|known| !listed.contains(&known.endpoint)).cloned());
        nodes.sort_by(|a, b| a.endpoint.as_url().cmp(b.endpoint.as_url()));
        let listed: HashSet<_> = blocked.iter().map(naming::place).collect();
        let stored = before.blocked.iter().filter(|known| known.listing.profile == Profile::Colossus);
        blocked.extend(stored.filter(|known| !listed.contains(&naming::place(known))).cloned());
    }
    (nodes, blocked)
}

#[cfg(test)]
mod tests;
