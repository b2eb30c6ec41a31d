//! A simulated Joystream network on loopback: storage nodes that hold every object, distributors that fetch from them,
//! and the registry that lists them all. Each distributor has a condition that bandprobe should detect ([`NodeCondition`]).
//! Tests can read which requests each server received.
//!
//! All servers are on 127.0.0.1, except for one trap at 127.66.66.66, whose endpoint is registered too. A client that
//! may reach only 127.0.0.1 must never connect to the trap.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use http::StatusCode;
use socket2::Socket;
use tokio::{net::TcpListener, task::JoinSet};
use url::Url;

use crate::{
    config::Dialect,
    model::units::{self, BitRate},
};

use super::{
    DemoError, LoggedRequest, SEED,
    node::{DemoNode, Role},
    plan::PREFIX,
    request_log::RequestLog,
};

pub(super) mod arriving;
pub(super) mod cache;
pub(super) mod colossus;
mod distributor;
pub(super) mod fetch;
pub(super) mod fetched_body;
mod library;
mod ports;
pub(super) mod registry;
mod scenario;
mod trap;

pub use scenario::NodeCondition;

use colossus::Colossus;
use distributor::distributor;
use fetch::{FETCH_USER_AGENT, STORAGE_PREFIX};
use library::Library;
use ports::Ports;
use registry::{Registry, RegistryContent};
use scenario::{DISTRIBUTORS, STORAGE};
use trap::Trap;

/// How to build a [`DemoFleet`].
#[derive(Clone, Debug)]
pub struct FleetPlan {
    /// The dialect of the registry's schema.
    pub dialect: Dialect,
    /// The rate limit of one object from a storage node to a distributor; `None` means unlimited.
    pub rate: Option<BitRate>,
    /// The capacity of each distributor's cache. A larger object is passed through.
    pub capacity: units::Bytes,
    /// Whether distributors have objects cached at the start, each a different share of them.
    pub is_warm: bool,
    /// The registry's port; the other servers use the ports after it. `None` means any free ports.
    pub first_port: Option<u16>,
}

/// A running network. Dropping it stops all servers.
#[derive(Debug)]
pub struct DemoFleet {
    members: Vec<Member>,
    registry: Url,
    lists: Arc<Registry>,
    asked: Arc<RequestLog>,
    inside: Trap,
    uninvited: Trap,
    /// Keeps the port of the dead node reserved.
    _dead: Socket,
    tasks: JoinSet<()>,
}

/// A storage node or a distributor.
#[derive(Debug)]
pub struct Member {
    /// The name in the demo. It is not a tag in the database.
    pub name: &'static str,
    /// The registered endpoint; `None` when the registry has no endpoint for this node.
    pub endpoint: Option<String>,
    /// Ids of the storage or distribution buckets.
    pub buckets: Vec<&'static str>,
    /// Whether this is a storage node. Otherwise it is a distributor.
    pub is_storage: bool,
    /// The condition that bandprobe should detect.
    pub condition: NodeCondition,
    /// The same, in one clause for people.
    pub description: &'static str,
    log: Arc<RequestLog>,
}

impl FleetPlan {
    /// A network with warm caches of 128 MiB and free ports, whose objects arrive at 20 Mbit/s.
    #[must_use]
    pub const fn new(dialect: Dialect) -> Self {
        let (rate, capacity) = (Some(BitRate(20_000_000)), units::Bytes(128 << 20));
        Self { dialect, rate, capacity, is_warm: true, first_port: None }
    }
}

impl DemoFleet {
    /// Starts all servers.
    ///
    /// # Errors
    /// When a port cannot be bound. If a port is taken, the error names it.
    pub async fn start(plan: &FleetPlan) -> Result<Self, DemoError> {
        let mut ports = Ports::from(plan.first_port);
        let mut tasks = JoinSet::new();
        // The registry gets the first port but starts last, because it lists the other servers.
        let listener = ports.listen("registry").await?;
        let registry = local("http", &listener, "/graphql");
        let (mut members, storage) = start_storage(&mut ports, &mut tasks).await?;
        let dead = ports.bind("warsaw")?;
        let inside = trap(&mut ports, &mut tasks).await?;
        let uninvited = ports.trap("invited", Ipv4Addr::LOCALHOST, &mut tasks).await?;
        for (index, spec) in DISTRIBUTORS.iter().enumerate() {
            let log = Arc::<RequestLog>::default();
            let endpoint = match spec.condition {
                NodeCondition::NoMetadata => None,
                NodeCondition::Dead => Some(dead.1),
                NodeCondition::PrivateAddress => Some(inside.address),
                NodeCondition::Invited => Some(uninvited.address),
                _ => {
                    let listener = ports.listen(spec.name).await?;
                    let address = local_addr(&listener);
                    let closed = [dead.1];
                    let storage = if spec.condition == NodeCondition::Starved { &closed[..] } else { &storage };
                    let node = distributor(plan, spec, SEED + index as u64, storage, &mut tasks);
                    let node = DemoNode { log: Arc::clone(&log), ..DemoNode::plain(node) };
                    tasks.spawn(Arc::new(node).serve(listener));
                    Some(address)
                }
            };
            members.push(Member {
                name: spec.name,
                endpoint: endpoint.map(|address| format!("http://{address}{PREFIX}/")),
                buckets: spec.buckets.to_vec(),
                is_storage: false,
                condition: spec.condition,
                description: spec.description,
                log,
            });
        }
        let lists = Arc::new(Registry::new(plan.dialect, &content(&members, |_| true))?);
        let node = DemoNode::plain(Role::Registry(Arc::clone(&lists)));
        let asked = Arc::clone(&node.log);
        tasks.spawn(Arc::new(node).serve(listener));
        Ok(Self { members, registry, lists, asked, inside, uninvited, _dead: dead.0, tasks })
    }

    /// The URL of the registry.
    #[must_use]
    pub const fn registry(&self) -> &Url {
        &self.registry
    }

    /// The latest requests to the registry, oldest first.
    #[must_use]
    pub fn registry_seen(&self) -> Vec<LoggedRequest> {
        self.asked.seen()
    }

    /// From now on, the registry lists only members for which `is_listed` is true: operators leave and return, and
    /// after a resync the list may be empty. The nodes themselves keep running.
    pub fn relist(&self, is_listed: impl Fn(&Member) -> bool) {
        self.lists.relist(&content(&self.members, is_listed));
    }

    /// From now on, a proxy answers instead of the registry, with this status and an HTML page; `None` ends that.
    pub fn cut_registry(&self, outage: Option<StatusCode>) {
        self.lists.cut(outage);
    }

    /// All members: the storage nodes, then the distributors.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member with this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// How often distributors fetched each object from all storage nodes together, by object id.
    #[must_use]
    pub fn fetches(&self) -> HashMap<String, usize> {
        let mut fetches = HashMap::new();
        let downloads = self.members.iter().filter(|member| member.is_storage).flat_map(Member::seen);
        let is_fetch =
            |seen: &LoggedRequest| seen.method == "GET" && seen.user_agent.as_deref() == Some(FETCH_USER_AGENT);
        for seen in downloads.filter(is_fetch) {
            if let Some((_, id)) = seen.path.split_once("/files/") {
                *fetches.entry(id.to_owned()).or_default() += 1;
            }
        }
        fetches
    }

    /// Number of connections to the private address. Always 0 where the system cannot listen on that address, as
    /// outside Linux.
    #[must_use]
    pub fn trapped(&self) -> usize {
        self.inside.connections()
    }

    /// Number of connections to the node whose operator is only invited.
    #[must_use]
    pub fn uninvited(&self) -> usize {
        self.uninvited.connections()
    }

    /// Stops all servers and waits until their ports are closed. Their connections are aborted.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}

impl Member {
    /// The latest requests to this member, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<LoggedRequest> {
        self.log.seen()
    }
}

fn content(members: &[Member], is_listed: impl Fn(&Member) -> bool) -> RegistryContent<'static> {
    let listed = members.iter().filter(|member| is_listed(member));
    RegistryContent {
        library: Library::shared(),
        endpoints: listed.map(|member| (member.name, member.endpoint.clone())).collect(),
    }
}

async fn start_storage(
    ports: &mut Ports,
    tasks: &mut JoinSet<()>,
) -> Result<(Vec<Member>, Vec<SocketAddr>), DemoError> {
    let (mut members, mut addresses) = (vec![], vec![]);
    for (name, bucket, ..) in STORAGE {
        let listener = ports.listen(name).await?;
        addresses.push(local_addr(&listener));
        let accepted = Library::shared().objects.iter().filter(|object| object.is_accepted);
        let objects = accepted.map(|object| (object.id.clone(), object.bytes.clone(), object.kind.content_type()));
        let node = DemoNode::plain(Role::Storage(Colossus::new(objects, vec![bucket])));
        members.push(Member {
            name,
            endpoint: Some(local("http", &listener, &format!("{STORAGE_PREFIX}/")).into()),
            buckets: vec![bucket],
            is_storage: true,
            condition: NodeCondition::Healthy,
            description: "healthy; it holds everything",
            log: Arc::clone(&node.log),
        });
        tasks.spawn(Arc::new(node).serve(listener));
    }
    Ok((members, addresses))
}

/// Starts the trap. Where the system has no such address, the trap is only an address without a listener.
async fn trap(ports: &mut Ports, tasks: &mut JoinSet<()>) -> Result<Trap, DemoError> {
    match ports.trap("inside", INSIDE, tasks).await {
        Err(DemoError::Listen { source, .. }) if source.kind() == io::ErrorKind::AddrNotAvailable => {
            Ok(Trap::painted(FAR_INSIDE.into(), FAR_PORT))
        }
        other => other,
    }
}

fn local_addr(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("invariant: a listening socket has an address")
}

fn local(scheme: &str, listener: &TcpListener, path: &str) -> Url {
    let url = format!("{scheme}://{}{path}", local_addr(listener));
    url.parse().expect("invariant: an address and a fixed path make a URL")
}

/// An address of the loopback network. Linux answers on all of them.
const INSIDE: Ipv4Addr = Ipv4Addr::new(127, 66, 66, 66);
const FAR_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 66, 66, 66);
const FAR_PORT: u16 = 8080;
