//! The status document of Argus.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::argus::Argus;

/// Height of the chain when a node starts. A new block follows every 6 s.
const START_HEIGHT: u64 = 5_678_901;
const BLOCK_SECS: u64 = 6;

/// What a node reports about itself.
#[derive(Clone, Debug)]
pub(super) struct NodeReport {
    pub(super) id: &'static str,
    pub(super) worker: u32,
    /// Ids of the buckets that the node serves.
    pub(super) buckets: Vec<&'static str>,
    pub(super) node_env: &'static str,
    pub(super) chain: Chain,
}

/// The chain as the node sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    /// Height of the chain when the node starts.
    pub(super) head: u64,
    /// How many blocks the node's query node still has to process.
    pub(super) behind: u64,
}

impl NodeReport {
    /// The reports of a healthy node.
    pub(super) fn sound(id: &'static str, worker: u32, buckets: Vec<&'static str>) -> Self {
        Self { id, worker, buckets, node_env: "production", chain: Chain::default() }
    }

    /// The document at `/api/v1/buckets`.
    pub(super) fn buckets(&self) -> String {
        format!(
            r#"{{"bucketIds":[{}]}}"#,
            self.buckets.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(",")
        )
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self { head: START_HEIGHT, behind: 2 }
    }
}

impl Chain {
    /// The part of the status document about the query node.
    pub(super) fn after(self, uptime: Duration) -> QueryNode {
        let chain_head = self.head + uptime.as_secs() / BLOCK_SECS;
        QueryNode {
            url: "http://squid-graphql-server:4352/graphql",
            chain_head,
            blocks_processed: chain_head.saturating_sub(self.behind),
            package_version: "1.2.0",
        }
    }
}

/// The document at `/api/v1/status`. Sizes are in bytes, times in seconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    id: &'a str,
    version: &'static str,
    worker_id: u32,
    objects_in_cache: usize,
    storage_limit: u64,
    storage_used: u64,
    uptime: u64,
    downloads_in_progress: usize,
    query_node_status: QueryNode,
    node_env: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryNode {
    url: &'static str,
    chain_head: u64,
    blocks_processed: u64,
    package_version: &'static str,
}

/// The status document as JSON.
pub(super) fn document(argus: &Argus, now: Instant) -> String {
    let totals = argus.store.totals(now);
    let uptime = now - argus.started;
    let status = Status {
        id: argus.reports.id,
        version: "2.1.2",
        worker_id: argus.reports.worker,
        objects_in_cache: totals.cached,
        storage_limit: 536_870_912_000,
        storage_used: totals.bytes,
        uptime: uptime.as_secs(),
        downloads_in_progress: totals.arriving,
        query_node_status: argus.reports.chain.after(uptime),
        node_env: argus.reports.node_env,
    };
    serde_json::to_string(&status).expect("invariant: strings and numbers always serialise")
}
