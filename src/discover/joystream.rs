//! Joystream's registry in each of its dialects: distributors and storage nodes.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

pub use super::samples::FreshSamples;
use super::{
    api::RegistryApi,
    error::DiscoverError,
    fleet::{Fleet, Member, fleet},
    samples::SampleAssets,
};
use crate::{
    config::{Dialect, Registry},
    model::target::{AssetKind, BlockedNode, Node, Profile},
    net::{fetch::Fetcher, guard::Guard},
};

/// The nodes that a registry lists.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistryList {
    /// The dialect of its schema, as configured or detected.
    pub dialect: Dialect,
    /// Nodes with unique ids and endpoints, sorted by endpoint.
    pub nodes: Vec<Node>,
    /// Operators whose endpoints are never asked. Their ids are unique among themselves and the nodes.
    pub blocked: Vec<BlockedNode>,
    /// How many nodes, blocked ones included, the user excluded.
    pub excluded: usize,
    /// What was missing, odd or too much in the list, as text for people.
    pub problems: Vec<String>,
    /// The same for the samples. `None` when samples were not requested, because the known ones are still current.
    pub sample_problems: Option<Vec<String>>,
    /// The parts that had no answer.
    pub gaps: MissingParts,
}

/// Parts of a list that had no answer. Their earlier values may still be correct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingParts {
    /// The list of storage nodes had no answer.
    pub storage: bool,
    /// Ids of the nodes whose samples, or some of them, had no answer.
    pub samples: HashSet<Arc<str>>,
}

/// Asks a registry for everything that is probed: distributors, active or not, with the assets that they must serve,
/// and storage nodes. The guard checks their endpoints; it does not check the registry's own address, which the user
/// has configured.
///
/// Samples are the most expensive part for the registry. When `sampled` covers all nodes, they are not requested, and
/// every node that serves a bucket is a gap.
///
/// It takes at most two minutes. Parts without an answer by then are gaps.
///
/// # Errors
/// When there is no list of distributors, or an empty one.
pub async fn find(
    fetcher: &Fetcher,
    registry: &Registry,
    guard: &Guard,
    sampled: &FreshSamples,
) -> Result<RegistryList, DiscoverError> {
    let api = RegistryApi::open(fetcher, registry).await?;
    let (mut problems, mut gaps) = (Vec::new(), MissingParts::default());

    let mut operators = api.distributors(&mut problems).await?;
    if operators.is_empty() {
        return Err(DiscoverError::Empty);
    }
    match api.storage_nodes(&mut problems).await {
        Ok(storage) => operators.extend(storage),
        Err(error) => {
            gaps.storage = true;
            problems.push(format!("no storage nodes: {error}"));
        }
    }
    let Fleet { members, blocked, excluded } = fleet(operators, guard, &registry.exclude, &mut problems);
    if sampled.covers(&members) {
        gaps.samples = members.iter().filter(|member| member.is_serving()).map(Member::id).collect();
        let nodes = members.into_iter().map(|member| member.node).collect();
        return Ok(RegistryList {
            dialect: api.dialect,
            nodes,
            blocked,
            excluded,
            problems,
            sample_problems: None,
            gaps,
        });
    }
    let mut sample_problems = Vec::new();
    let wanted: BTreeSet<_> = members.iter().flat_map(|member| member.buckets.iter().cloned()).collect();
    let samples = SampleAssets::ask(&api, &wanted, &registry.fixed, &mut sample_problems).await;
    let is_gap = |member: &&Member| member.is_serving() && !samples.is_whole(&member.buckets);
    gaps.samples = members.iter().filter(is_gap).map(Member::id).collect();
    let nodes: Vec<_> = members.into_iter().map(|member| with_assets(member, &samples)).collect();
    if gaps.samples.is_empty() && !wanted.is_empty() && nodes.iter().flat_map(|node| &node.assets).all(|a| a.fixed) {
        let doubt = match registry.dialect {
            Some(dialect) => {
                format!("; `dialect` is set to `{}`: remove it to detect the dialect automatically", dialect.label())
            }
            None => String::new(),
        };
        sample_problems.push(format!("it lists nothing that any of {} buckets must serve{doubt}", wanted.len()));
    }
    Ok(RegistryList {
        dialect: api.dialect,
        nodes,
        blocked,
        excluded,
        problems,
        sample_problems: Some(sample_problems),
        gaps,
    })
}

/// A node with the assets that it must serve. A storage node is asked for images only, because viewers get no videos
/// from it.
fn with_assets(member: Member, samples: &SampleAssets) -> Node {
    let mut assets = samples.of(&member.buckets);
    if member.node.listing.profile == Profile::Colossus {
        assets.retain(|asset| asset.kind == AssetKind::Image);
    }
    Node { assets, ..member.node }
}
