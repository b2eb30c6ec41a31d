//! A distributor of the simulated network: what it knows and has cached at the start, and its condition.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{
    super::{
        argus::Argus,
        cache::{Cache, Room},
        node::Role,
        plan::Behaviour,
        status::{Chain, Reports},
        store::{About, Known, Store},
    },
    Planted, WorldPlan,
    cast::{self, Character},
    library::{Kind, Library, Object},
};

/// The distributor for `character`, which fetches from the nodes in `storage`.
pub(super) fn distributor(
    plan: &WorldPlan,
    character: &Character,
    seed: u64,
    storage: &[SocketAddr],
    tasks: &mut JoinSet<()>,
) -> Role {
    let serves = |object: &Object| character.buckets.iter().any(|bucket| cast::serves(bucket, object.bag));
    let objects = &Library::shared().objects;
    let known = objects.iter().map(|object| (object.id.clone(), known(object, serves(object))));
    let held = objects.iter().enumerate().filter(|(index, object)| {
        plan.is_warm
            && character.planted != Planted::Starved
            && serves(object)
            && object.is_accepted
            && is_held(character, *index, object)
    });
    let held = held.map(|(_, object)| (object.id.clone(), content(character, object)));
    let room = Room { capacity: plan.capacity.0, rate: plan.rate };
    let (cache, jobs) = Cache::new(known.collect(), held, room, storage.to_vec());
    tasks.spawn(Arc::clone(&cache).fetch_all(jobs));
    let behaviour = match character.planted {
        Planted::Mute => Behaviour::MuteOnAssets,
        Planted::StatusFails => Behaviour::FailingStatus,
        _ => Behaviour::Sound,
    };
    Role::Distributor(Argus::new(false, behaviour, reports(character), Store::Cache(cache), seed))
}

fn known(object: &Object, is_served: bool) -> Known {
    match (is_served, object.is_accepted) {
        (false, _) => Known::Elsewhere,
        (true, false) => Known::NotUploaded,
        (true, true) => {
            Known::Served(About { size: object.bytes.len() as u64, content_type: object.kind.content_type() })
        }
    }
}

/// Whether a node has an object cached at the start. The fixed samples always are. Of the other objects, each node
/// lacks a different part, including some of the newest.
fn is_held(character: &Character, index: usize, object: &Object) -> bool {
    let is_corrupt = character.planted == Planted::Corrupt && object.kind != Kind::Media;
    index < 2 || is_corrupt || !(index / 2 + character.worker as usize).is_multiple_of(3)
}

/// The bytes that a node has of an object. Images of a corrupt node have one wrong byte.
fn content(character: &Character, object: &Object) -> Bytes {
    if character.planted != Planted::Corrupt || object.kind == Kind::Media {
        return object.bytes.clone();
    }
    let mut bytes = object.bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    bytes.into()
}

fn reports(character: &Character) -> Reports {
    let sound = Reports::sound(character.name, character.worker, character.buckets.to_vec());
    match character.planted {
        Planted::Behind => Reports { chain: Chain { behind: BEHIND, ..Chain::default() }, ..sound },
        Planted::LeftBehind => Reports { chain: Chain { behind: LEFT_BEHIND, ..Chain::default() }, ..sound },
        Planted::OtherChain => Reports { chain: OTHER_CHAIN, ..sound },
        Planted::Development => Reports { node_env: "development", ..sound },
        _ => sound,
    }
}

/// In blocks. A node that is more than 100 blocks behind counts as lagging.
const BEHIND: u64 = 250;
const LEFT_BEHIND: u64 = 40_000;
const OTHER_CHAIN: Chain = Chain { head: 91_234, behind: 2 };
