//! A distributor of the simulated network: what it knows and has cached at the start, and its condition.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{
    super::{
        argus::Argus,
        node::Role,
        plan::Behaviour,
        status::{Chain, NodeReport},
        store::{ObjectInfo, ObjectStatus, Store},
    },
    FleetPlan, NodeCondition,
    cache::{Cache, Room},
    library::{Kind, Library, Object},
    scenario::{self, NodeSpec},
};

/// The distributor for `spec`, which fetches from the nodes in `storage`.
pub(super) fn distributor(
    plan: &FleetPlan,
    spec: &NodeSpec,
    seed: u64,
    storage: &[SocketAddr],
    tasks: &mut JoinSet<()>,
) -> Role {
    let serves = |object: &Object| spec.buckets.iter().any(|bucket| scenario::serves(bucket, object.bag));
    let objects = &Library::shared().objects;
    let known = objects.iter().map(|object| (object.id.clone(), known(object, serves(object))));
    let held = objects.iter().enumerate().filter(|(index, object)| {
        plan.is_warm
            && spec.condition != NodeCondition::Starved
            && serves(object)
            && object.is_accepted
            && is_held(spec, *index, object)
    });
    let held = held.map(|(_, object)| (object.id.clone(), content(spec, object)));
    let room = Room { capacity: plan.capacity.0, rate: plan.rate };
    let (cache, jobs) = Cache::new(known.collect(), held, room, storage.to_vec());
    tasks.spawn(Arc::clone(&cache).fetch_all(jobs));
    let behaviour = match spec.condition {
        NodeCondition::Mute => Behaviour::MuteOnAssets,
        NodeCondition::StatusFails => Behaviour::FailingStatus,
        _ => Behaviour::Sound,
    };
    Role::Distributor(Argus::new(false, behaviour, reports(spec), Store::Cache(cache), seed))
}

fn known(object: &Object, is_served: bool) -> ObjectStatus {
    match (is_served, object.is_accepted) {
        (false, _) => ObjectStatus::Elsewhere,
        (true, false) => ObjectStatus::NotUploaded,
        (true, true) => ObjectStatus::Served(ObjectInfo {
            size: object.bytes.len() as u64,
            content_type: object.kind.content_type(),
        }),
    }
}

/// Whether a node has an object cached at the start. The fixed samples always are. Of the other objects, each node
/// lacks a different part, including some of the newest.
fn is_held(spec: &NodeSpec, index: usize, object: &Object) -> bool {
    let is_corrupt = spec.condition == NodeCondition::Corrupt && object.kind != Kind::Media;
    index < 2 || is_corrupt || !(index / 2 + spec.worker as usize).is_multiple_of(3)
}

/// The bytes that a node has of an object. Images of a corrupt node have one wrong byte.
fn content(spec: &NodeSpec, object: &Object) -> Bytes {
    if spec.condition != NodeCondition::Corrupt || object.kind == Kind::Media {
        return object.bytes.clone();
    }
    let mut bytes = object.bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    bytes.into()
}

fn reports(spec: &NodeSpec) -> NodeReport {
    let sound = NodeReport::sound(spec.name, spec.worker, spec.buckets.to_vec());
    match spec.condition {
        NodeCondition::Behind => NodeReport { chain: Chain { behind: BEHIND, ..Chain::default() }, ..sound },
        NodeCondition::LeftBehind => NodeReport { chain: Chain { behind: LEFT_BEHIND, ..Chain::default() }, ..sound },
        NodeCondition::OtherChain => NodeReport { chain: OTHER_CHAIN, ..sound },
        NodeCondition::Development => NodeReport { node_env: "development", ..sound },
        _ => sound,
    }
}

/// In blocks. A node that is more than 100 blocks behind counts as lagging.
const BEHIND: u64 = 250;
const LEFT_BEHIND: u64 = 40_000;
const OTHER_CHAIN: Chain = Chain { head: 91_234, behind: 2 };
