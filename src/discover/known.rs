//! The last good list of a registry: pure, so that every rule of it can be tried, and it can be kept on disk.
//!
//! A refresh replaces the list, except one that loses more than half of the nodes: a registry that syncs anew, or a proxy
//! that cuts an answer, looks like that. Such a one is held back, until it was the third in a row; restarts do not reset the
//! count. An empty list never replaces one, and an error never gets here.

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    joystream::{Found, Gaps},
    screen::screen,
};
use crate::{
    model::target::{Blocked, Node, Profile},
    net::guard::Guard,
};

mod saved;

/// The last good list of one registry. Its saved form is JSON with a version; what cannot be read of it is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "serde_json::Value", into = "saved::List")]
pub struct Known {
    found_at: Option<Timestamp>,
    nodes: Vec<Node>,
    blocked: Vec<Blocked>,
    /// Refreshes in a row that lost too much.
    held_back: u32,
}

/// What became of a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Is it the list now?
    pub verdict: Verdict,
    /// Ids of nodes that were not there before.
    pub added: Vec<Arc<str>>,
    /// Ids of nodes that are there no more.
    pub removed: Vec<Arc<str>>,
}

/// Whether a refresh is the list now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Accepted,
    /// The one before it stays, because this one lost too much.
    HeldBack {
        /// Nodes that it does not have.
        lost: usize,
        /// Of so many.
        of: usize,
        /// How many in a row this was.
        times: u32,
    },
}

impl Known {
    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The operators whose endpoints are never asked.
    #[must_use]
    pub fn blocked(&self) -> &[Blocked] {
        &self.blocked
    }

    /// How old it is; `None` when there never was one.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        self.found_at.map(|then| Duration::try_from(now.duration_since(then)).unwrap_or_default())
    }

    /// The list without nodes that the user leaves out, or that the guard refuses, by now: the config may have changed since.
    #[must_use]
    pub fn under(mut self, exclude: &[String], guard: &Guard) -> Self {
        self.nodes.retain_mut(|node| match screen(Some(node.endpoint.as_url().as_str()), guard) {
            Ok(endpoint) => {
                node.endpoint = endpoint;
                !node.is_among(exclude)
            }
            Err(_) => false,
        });
        self.blocked.retain(|blocked| !blocked.is_among(exclude));
        self
    }

    /// The list after a refresh.
    #[must_use]
    pub fn weigh(self, found: Found, now: Timestamp) -> (Self, Change) {
        let nodes = filled(found.nodes, &found.gaps, &self.nodes);
        let endpoints: HashSet<_> = nodes.iter().map(|node| &node.endpoint).collect();
        let (lost, of) =
            (self.nodes.iter().filter(|node| !endpoints.contains(&node.endpoint)).count(), self.nodes.len());
        let times = self.held_back.saturating_add(1);
        let is_emptied = nodes.is_empty() && of > 0;
        if is_emptied || (2 * lost > of && times < REPEATED) {
            let verdict = Verdict::HeldBack { lost, of, times };
            return (Self { held_back: times, ..self }, Change { verdict, added: vec![], removed: vec![] });
        }
        let ids = |nodes: &[Node]| nodes.iter().map(|node| Arc::clone(&node.id)).collect::<Vec<_>>();
        let without = |ids: Vec<Arc<str>>, others: Vec<Arc<str>>| {
            let others: HashSet<_> = others.into_iter().collect();
            ids.into_iter().filter(|id| !others.contains(id)).collect()
        };
        let added = without(ids(&nodes), ids(&self.nodes));
        let removed = without(ids(&self.nodes), ids(&nodes));
        let known = Self { found_at: Some(now), nodes, blocked: found.blocked, held_back: 0 };
        (known, Change { verdict: Verdict::Accepted, added, removed })
    }
}

/// Where a part of the list had no answer, what was known of it before stays.
fn filled(mut nodes: Vec<Node>, gaps: &Gaps, before: &[Node]) -> Vec<Node> {
    for node in nodes.iter_mut().filter(|node| gaps.samples.contains(&node.id)) {
        let same = before.iter().find(|known| known.endpoint == node.endpoint && !known.assets.is_empty());
        if let Some(known) = same {
            node.assets.clone_from(&known.assets);
        }
    }
    if gaps.storage {
        let taken: HashSet<_> =
            nodes.iter().flat_map(|node| [node.endpoint.to_string(), node.id.to_string()]).collect();
        let storage = before.iter().filter(|known| known.listing.profile == Profile::Colossus);
        let missing =
            storage.filter(|known| !taken.contains(known.endpoint.as_url().as_str()) && !taken.contains(&*known.id));
        nodes.extend(missing.cloned());
    }
    nodes
}

/// So often in a row, a loss is true.
const REPEATED: u32 = 3;

#[cfg(test)]
mod tests;
