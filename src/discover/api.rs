//! The GraphQL API of a registry whose dialect is known: single queries, and lists that are read page by page.

use std::{collections::HashSet, time::Duration};

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{
    error::DiscoverError,
    graphql::{self, Reply},
    operator::{self, Operator},
};
use crate::{
    config::{Dialect, Registry},
    net::fetch::{FetchError, Fetcher},
};

/// A registry whose dialect is known.
pub(super) struct RegistryApi<'a> {
    fetcher: &'a Fetcher,
    registry: &'a Registry,
    pub(super) dialect: Dialect,
    /// When all queries together must end.
    pub(super) until: Instant,
}

/// A list that is read page by page.
struct PagedList {
    name: &'static str,
    query: &'static str,
    is_wanted: fn(&Value) -> bool,
    read: fn(&Value) -> Option<Operator>,
}

impl<'a> RegistryApi<'a> {
    /// The API with the configured dialect, or with the detected one. The deadline of all queries starts now.
    pub(super) async fn open(fetcher: &'a Fetcher, registry: &'a Registry) -> Result<Self, DiscoverError> {
        let until = Instant::now() + DEADLINE;
        let dialect = match registry.dialect {
            Some(dialect) => dialect,
            None => timeout_at(until, detect(fetcher, registry)).await.unwrap_or(Err(LATE))?,
        };
        Ok(Self { fetcher, registry, dialect, until })
    }

    /// The operators of the distribution buckets, active or not.
    pub(super) async fn distributors(&self, problems: &mut Vec<String>) -> Result<Vec<Operator>, DiscoverError> {
        self.list(&DISTRIBUTORS, problems).await
    }

    /// The active operators of the storage buckets.
    pub(super) async fn storage_nodes(&self, problems: &mut Vec<String>) -> Result<Vec<Operator>, DiscoverError> {
        self.list(&STORAGE, problems).await
    }

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
            if !wants_less || *limit <= MIN_PAGE {
                return answer;
            }
            *limit = (*limit / 2).max(MIN_PAGE);
        }
    }

    /// All readable rows of a list, each operator once.
    async fn list(&self, list: &PagedList, problems: &mut Vec<String>) -> Result<Vec<Operator>, DiscoverError> {
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
                problems.push(format!("`{name}` is incomplete: {}", reply.errors));
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
            if rows.len() < SHORTEST_FULL_PAGE.min(limit) || ids.len() == before {
                break;
            }
            if offset >= MAX_ROWS {
                problems.push(format!("`{name}` is longer than {MAX_ROWS} rows: the rest is skipped"));
                break;
            }
        }
        if unread > 0 {
            problems.push(format!("{unread} rows of `{}` have no id: skipped", list.name));
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
        Err(DiscoverError::Fetch(FetchError::Status { excerpt, .. })) if names_introspection(&excerpt) => {
            Err(DiscoverError::NoIntrospection(excerpt))
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

const DISTRIBUTORS: PagedList = PagedList {
    name: "distributionBucketOperators",
    query: include_str!("operators.graphql"),
    is_wanted: |_| true,
    read: operator::distributor,
};
const STORAGE: PagedList = PagedList {
    name: "storageBuckets",
    query: include_str!("storage.graphql"),
    is_wanted: operator::is_active,
    read: operator::storage,
};
/// The error at the deadline of all queries together.
const LATE: DiscoverError = DiscoverError::Late(DEADLINE);
/// The time limit of a whole list. Real registries take some seconds. The limit keeps one with slow answers from
/// delaying a round.
pub(super) const DEADLINE: Duration = Duration::from_secs(120);
const PAGE: usize = 1_000;
/// The shortest page of any known server. A shorter page is the last one, unless fewer rows were requested.
pub(super) const SHORTEST_FULL_PAGE: usize = 50;
/// A server that refuses this page size is not asked for less.
const MIN_PAGE: usize = 10;
const MAX_ROWS: usize = 5_000;
