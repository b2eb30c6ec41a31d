//! Joystream's registry in each of its dialects: distributors and storage nodes.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

pub use super::samples::Sampled;
use super::{
    error::DiscoverError,
    fleet::{Fleet, Member, fleet},
    graphql::{self, Reply},
    row::{self, Operator},
    samples::Shelves,
};
use crate::{
    config::{Dialect, Registry},
    model::target::{AssetKind, Blocked, Node, Profile},
    net::{
        fetch::{FetchError, Fetcher},
        guard::Guard,
    },
};

/// The nodes that a registry lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The dialect of its schema, as configured or detected.
    pub dialect: Dialect,
    /// Nodes with unique ids and endpoints, sorted by endpoint.
    pub nodes: Vec<Node>,
    /// Operators whose endpoints are never asked. Their ids are unique among themselves and the nodes.
    pub blocked: Vec<Blocked>,
    /// How many nodes, blocked ones included, the user excluded.
    pub excluded: usize,
    /// What was missing, odd or too much in the list, as text for people.
    pub problems: Vec<String>,
    /// The same for the samples. `None` when samples were not requested, because the known ones are still current.
    pub sample_problems: Option<Vec<String>>,
    /// The parts that had no answer.
    pub gaps: Gaps,
}

/// Parts of a list that had no answer. Their earlier values may still be correct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
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
/// It takes at most [`DEADLINE`]. Parts without an answer by then are gaps.
///
/// # Errors
/// When there is no list of distributors, or an empty one.
pub async fn find(
    fetcher: &Fetcher,
    registry: &Registry,
    guard: &Guard,
    sampled: &Sampled,
) -> Result<Found, DiscoverError> {
    let until = Instant::now() + DEADLINE;
    let dialect = match registry.dialect {
        Some(dialect) => dialect,
        None => timeout_at(until, detect(fetcher, registry)).await.unwrap_or(Err(LATE))?,
    };
    let api = Api { fetcher, registry, dialect, until };
    let (mut problems, mut gaps) = (Vec::new(), Gaps::default());

    let mut operators = api.list(&DISTRIBUTORS, &mut problems).await?;
    if operators.is_empty() {
        return Err(DiscoverError::Empty);
    }
    match api.list(&STORAGE, &mut problems).await {
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
        return Ok(Found { dialect, nodes, blocked, excluded, problems, sample_problems: None, gaps });
    }
    let mut sample_problems = Vec::new();
    let wanted: BTreeSet<_> = members.iter().flat_map(|member| member.buckets.iter().cloned()).collect();
    let shelves = Shelves::ask(&api, &wanted, &registry.fixed, &mut sample_problems).await;
    let is_gap = |member: &&Member| member.is_serving() && !shelves.is_whole(&member.buckets);
    gaps.samples = members.iter().filter(is_gap).map(Member::id).collect();
    let nodes: Vec<_> = members.into_iter().map(|member| with_assets(member, &shelves)).collect();
    if gaps.samples.is_empty() && !wanted.is_empty() && nodes.iter().flat_map(|node| &node.assets).all(|a| a.fixed) {
        let doubt = match registry.dialect {
            Some(dialect) => format!("; `dialect` is set to `{}`: leave it out to have it found out", dialect.label()),
            None => String::new(),
        };
        sample_problems.push(format!("it lists nothing that any of {} buckets must serve{doubt}", wanted.len()));
    }
    Ok(Found { dialect, nodes, blocked, excluded, problems, sample_problems: Some(sample_problems), gaps })
}

/// A node with the assets that it must serve. A storage node is asked for images only, because viewers get no videos
/// from it.
fn with_assets(member: Member, shelves: &Shelves) -> Node {
    let mut assets = shelves.of(&member.buckets);
    if member.node.listing.profile == Profile::Colossus {
        assets.retain(|asset| asset.kind == AssetKind::Image);
    }
    Node { assets, ..member.node }
}

/// A registry whose dialect is known.
pub(super) struct Api<'a> {
    fetcher: &'a Fetcher,
    registry: &'a Registry,
    pub(super) dialect: Dialect,
    /// When all queries together must end.
    pub(super) until: Instant,
}

/// A list that is read page by page.
struct List {
    name: &'static str,
    query: &'static str,
    is_wanted: fn(&Value) -> bool,
    read: fn(&Value) -> Option<Operator>,
}

const DISTRIBUTORS: List = List {
    name: "distributionBucketOperators",
    query: include_str!("operators.graphql"),
    is_wanted: |_| true,
    read: row::distributor,
};
const STORAGE: List = List {
    name: "storageBuckets",
    query: include_str!("storage.graphql"),
    is_wanted: row::is_active,
    read: row::storage,
};

impl Api<'_> {
    pub(super) async fn ask(&self, query: &str, variables: Value) -> Result<Reply, DiscoverError> {
        let reply = graphql::ask(self.fetcher, &self.registry.url, query, variables);
        timeout_at(self.until, reply).await.unwrap_or(Err(LATE))
    }

    /// Asks for a page of up to `limit` rows of these lists. If the registry limits the size of an answer, `limit` is
    /// halved until it answers. The smaller `limit` also applies to the next page.
    pub(super) async fn ask_page(
        &self,
        query: &str,
        mut variables: Value,
        lists: &[&'static str],
        limit: &mut usize,
    ) -> Result<Reply, DiscoverError> {
        loop {
            variables["limit"] = json!(*limit);
            let answer = self.ask(query, variables.clone()).await;
            let wants_less = match &answer {
                Err(error) => error.wants_less(),
                // If the schema allows null for a list, the refusal is an error next to a null.
                Ok(reply) => lists
                    .iter()
                    .filter(|list| reply.rows(list).is_none())
                    .any(|list| DiscoverError::NoList { list, said: reply.said().to_owned() }.wants_less()),
            };
            if !wants_less || *limit <= SMALLEST_PAGE {
                return answer;
            }
            *limit = (*limit / 2).max(SMALLEST_PAGE);
        }
    }

    /// All readable rows of a list, each operator once.
    async fn list(&self, list: &List, problems: &mut Vec<String>) -> Result<Vec<Operator>, DiscoverError> {
        // Pages need a stable order.
        let order = match self.dialect {
            Dialect::Hydra => "createdAt_ASC",
            Dialect::Orion | Dialect::StorageSquid => "id_ASC",
        };
        let (mut operators, mut known, mut ids) = (Vec::new(), HashSet::new(), HashSet::new());
        let (mut offset, mut limit, mut unread) = (0, PAGE, 0);
        loop {
            let variables = json!({ "order": [order], "offset": offset });
            let name = list.name;
            let reply = self.ask_page(list.query, variables, &[name], &mut limit).await?;
            let rows =
                reply.rows(name).ok_or_else(|| DiscoverError::NoList { list: name, said: reply.said().to_owned() })?;
            if !reply.errors.is_empty() {
                problems.push(format!("`{name}` is not whole: {}", reply.errors));
            }
            // Count unwanted rows too: a page without any wanted row is not the last page.
            let before = ids.len();
            ids.extend(rows.iter().filter_map(|row| row.get("id")?.as_str()).map(str::to_owned));
            for row in rows.iter().filter(|row| (list.is_wanted)(row)) {
                match (list.read)(row) {
                    Some(operator) if known.insert(operator.id.clone()) => operators.push(operator),
                    Some(_) => {}
                    None => unread += 1,
                }
            }
            offset += rows.len();
            // A server may return fewer rows than requested. One that ignores the offset returns the same rows again.
            if rows.len() < SHORTEST_PAGE.min(limit) || ids.len() == before {
                break;
            }
            if offset >= MAX_ROWS {
                problems.push(format!("`{name}` is longer than {MAX_ROWS} rows: the rest is left out"));
                break;
            }
        }
        if unread > 0 {
            problems.push(format!("{unread} rows of `{}` do not say who they are: left out", list.name));
        }
        Ok(operators)
    }
}

/// Detects the dialect of the registry.
async fn detect(fetcher: &Fetcher, registry: &Registry) -> Result<Dialect, DiscoverError> {
    match graphql::ask(fetcher, &registry.url, include_str!("detect.graphql"), json!({})).await {
        Ok(reply) => dialect(&reply),
        // With any other message, these statuses mean that the registry is busy or down.
        Err(DiscoverError::Refused { said, status })
            if names_introspection(&said) || (status != StatusCode::TOO_MANY_REQUESTS && !status.is_server_error()) =>
        {
            Err(DiscoverError::NoIntrospection(said))
        }
        // Gateways refuse introspection with their own messages.
        Err(DiscoverError::Fetch(FetchError::Status { said, .. })) if names_introspection(&said) => {
            Err(DiscoverError::NoIntrospection(said))
        }
        Err(error) => Err(error),
    }
}

fn names_introspection(said: &str) -> bool {
    said.to_ascii_lowercase().contains("introspection")
}

fn dialect(reply: &Reply) -> Result<Dialect, DiscoverError> {
    let has = |key| reply.data.get(key).is_some_and(|found| !found.is_null());
    match (has("operators"), has("join"), has("version")) {
        _ if !reply.errors.is_empty() => Err(DiscoverError::NoIntrospection(reply.errors.clone())),
        (false, ..) => Err(DiscoverError::NotARegistry),
        (true, false, _) => Ok(Dialect::Hydra),
        (true, true, true) => Ok(Dialect::StorageSquid),
        (true, true, false) => Ok(Dialect::Orion),
    }
}

/// The error at the deadline of all queries together.
const LATE: DiscoverError = DiscoverError::Late(DEADLINE);
/// The time limit of a whole list. Real registries take some seconds. The limit keeps one with slow answers from
/// delaying a round.
pub const DEADLINE: Duration = Duration::from_secs(120);
const PAGE: usize = 1_000;
/// The shortest page of any known server. A shorter page is the last one, unless fewer rows were requested.
pub(super) const SHORTEST_PAGE: usize = 50;
/// A server that refuses this page size is not asked for less.
const SMALLEST_PAGE: usize = 10;
const MAX_ROWS: usize = 5_000;
