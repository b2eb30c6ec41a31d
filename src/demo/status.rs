//! The status document of Argus.

use serde::Serialize;
use tokio::time::Instant;

use super::argus::Argus;

/// Height of the chain when a node starts; a block every 6 s after that.
const START_HEIGHT: u64 = 5_678_901;
const BLOCK_SECS: u64 = 6;

/// `/api/v1/status`, in bytes and seconds.
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
struct QueryNode {
    url: &'static str,
    chain_head: u64,
    blocks_processed: u64,
    package_version: &'static str,
}

/// The document as JSON text.
pub(super) fn document(argus: &Argus, now: Instant) -> String {
    let (objects_in_cache, downloads_in_progress) = argus.shelf.census(now);
    let uptime = (now - argus.started).as_secs();
    let chain_head = START_HEIGHT + uptime / BLOCK_SECS;
    let status = Status {
        id: argus.plan.id,
        version: "2.1.2",
        worker_id: 12,
        objects_in_cache,
        storage_limit: 536_870_912_000,
        storage_used: argus.shelf.bytes_held(now),
        uptime,
        downloads_in_progress,
        query_node_status: QueryNode {
            url: "http://squid-graphql-server:4352/graphql",
            chain_head,
            blocks_processed: chain_head - 2,
            package_version: "1.2.0",
        },
        node_env: "production",
    };
    serde_json::to_string(&status).expect("invariant: strings and numbers always serialise")
}
