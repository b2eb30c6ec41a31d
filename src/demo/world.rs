//! A whole fake world of Joystream's: storage nodes that hold everything, distributors that fetch from them and have
//! something planted in each, and the registry that lists them all, on loopback. What each server was asked can be read.
//!
//! Everything stands on 127.0.0.1, apart from one trap at 127.66.66.66, whose endpoint is registered as well: whoever
//! may reach the one address alone must never open a connection to the other.

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
    DemoError, SEED, Seen,
    colossus::Colossus,
    fetch::{DISTRIBUTOR, STORAGE_PREFIX},
    log::Log,
    node::{DemoNode, Role},
    plan::PREFIX,
    registry::{Registry, Roster},
};

pub(super) mod cast;
mod distributor;
pub(super) mod library;
mod ports;
mod trap;

pub use cast::Planted;

use cast::{CAST, STORAGE};
use distributor::distributor;
use library::Library;
use ports::Ports;
use trap::Trap;

/// What a world is to be like.
#[derive(Clone, Debug)]
pub struct WorldPlan {
    /// The schema that the registry has.
    pub dialect: Dialect,
    /// How fast one object comes from a storage node to a distributor, at the most; as fast as it can without.
    pub rate: Option<BitRate>,
    /// What a distributor's cache holds. Larger objects are passed through.
    pub capacity: units::Bytes,
    /// Do distributors hold objects at start, each its own share of them?
    pub is_warm: bool,
    /// The registry's port, and all others follow; free ones without.
    pub first_port: Option<u16>,
}

/// A running world. Dropping it ends it.
#[derive(Debug)]
pub struct World {
    members: Vec<Member>,
    registry: Url,
    lists: Arc<Registry>,
    asked: Arc<Log>,
    inside: Trap,
    uninvited: Trap,
    /// Keeps the dead node's port from being anybody else's.
    _dead: Socket,
    tasks: JoinSet<()>,
}

/// A storage node or an operator's node.
#[derive(Debug)]
pub struct Member {
    /// What it is called here; no tag has this name.
    pub name: &'static str,
    /// As it is registered; `None` where the registry knows none.
    pub endpoint: Option<String>,
    /// Its storage, or distribution, buckets.
    pub buckets: Vec<&'static str>,
    /// A storage node, else a distributor.
    pub is_storage: bool,
    /// What is to be found out about it.
    pub planted: Planted,
    /// The same in one clause for a person.
    pub description: &'static str,
    log: Arc<Log>,
}

impl WorldPlan {
    /// A world whose objects arrive at 20 Mbit/s.
    #[must_use]
    pub const fn new(dialect: Dialect) -> Self {
        let (rate, capacity) = (Some(BitRate(20_000_000)), units::Bytes(128 << 20));
        Self { dialect, rate, capacity, is_warm: true, first_port: None }
    }
}

impl World {
    /// Starts it.
    ///
    /// # Errors
    /// When a port cannot be bound; a port that is taken is named.
    pub async fn start(plan: &WorldPlan) -> Result<Self, DemoError> {
        let mut ports = Ports::from(plan.first_port);
        let mut tasks = JoinSet::new();
        // The registry has the first port, and starts last.
        let listener = ports.listen("registry").await?;
        let registry = local("http", &listener, "/graphql");
        let (mut members, storage) = start_storage(&mut ports, &mut tasks).await?;
        let dead = ports.bind("warsaw")?;
        let inside = trap(&mut ports, &mut tasks).await?;
        let uninvited = ports.trap("invited", Ipv4Addr::LOCALHOST, &mut tasks).await?;
        for (index, character) in CAST.iter().enumerate() {
            let log = Arc::<Log>::default();
            let endpoint = match character.planted {
                Planted::NoMetadata => None,
                Planted::Dead => Some(dead.1),
                Planted::PrivateAddress => Some(inside.address),
                Planted::Invited => Some(uninvited.address),
                _ => {
                    let listener = ports.listen(character.name).await?;
                    let address = local_addr(&listener);
                    let closed = [dead.1];
                    let storage = if character.planted == Planted::Starved { &closed[..] } else { &storage };
                    let node = distributor(plan, character, SEED + index as u64, storage, &mut tasks);
                    let node = DemoNode { log: Arc::clone(&log), ..DemoNode::plain(node) };
                    tasks.spawn(Arc::new(node).serve(listener));
                    Some(address)
                }
            };
            members.push(Member {
                name: character.name,
                endpoint: endpoint.map(|address| format!("http://{address}{PREFIX}/")),
                buckets: character.buckets.to_vec(),
                is_storage: false,
                planted: character.planted,
                description: character.description,
                log,
            });
        }
        let lists = Arc::new(Registry::new(plan.dialect, &roster(&members, |_| true))?);
        let node = DemoNode::plain(Role::Registry(Arc::clone(&lists)));
        let asked = Arc::clone(&node.log);
        tasks.spawn(Arc::new(node).serve(listener));
        Ok(Self { members, registry, lists, asked, inside, uninvited, _dead: dead.0, tasks })
    }

    /// Where the registry answers.
    #[must_use]
    pub const fn registry(&self) -> &Url {
        &self.registry
    }

    /// What the registry was asked, oldest first.
    #[must_use]
    pub fn registry_seen(&self) -> Vec<Seen> {
        self.asked.seen()
    }

    /// From now on the registry lists those alone: operators leave and come back, and after a resync nobody is left. The
    /// nodes themselves stay up.
    pub fn relist(&self, is_listed: impl Fn(&Member) -> bool) {
        self.lists.relist(&roster(&self.members, is_listed));
    }

    /// From now on a proxy answers for the registry, with this status and a page of HTML; with `None` it answers again.
    pub fn cut_registry(&self, outage: Option<StatusCode>) {
        self.lists.cut(outage);
    }

    /// The storage nodes, then the distributors.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member of that name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// What distributors fetched from all storage nodes together, by object id: how often.
    #[must_use]
    pub fn fetches(&self) -> HashMap<String, usize> {
        let mut fetches = HashMap::new();
        let downloads = self.members.iter().filter(|member| member.is_storage).flat_map(Member::seen);
        let is_fetch = |seen: &Seen| seen.method == "GET" && seen.user_agent.as_deref() == Some(DISTRIBUTOR);
        for seen in downloads.filter(is_fetch) {
            if let Some((_, id)) = seen.path.split_once("/files/") {
                *fetches.entry(id.to_owned()).or_default() += 1;
            }
        }
        fetches
    }

    /// Connections that were opened to the private address. Where the system has none such to listen on, as outside
    /// Linux, always 0.
    #[must_use]
    pub fn trapped(&self) -> usize {
        self.inside.sprung()
    }

    /// Connections that were opened to the node of the operator who is only invited.
    #[must_use]
    pub fn uninvited(&self) -> usize {
        self.uninvited.sprung()
    }

    /// Ends all servers, and waits until their ports are closed and their connections are told to end.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}

impl Member {
    /// What it was asked, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.log.seen()
    }
}

fn roster(members: &[Member], is_listed: impl Fn(&Member) -> bool) -> Roster<'static> {
    let listed = members.iter().filter(|member| is_listed(member));
    Roster {
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
            planted: Planted::Nothing,
            description: "sound; it holds everything",
            log: Arc::clone(&node.log),
        });
        tasks.spawn(Arc::new(node).serve(listener));
    }
    Ok((members, addresses))
}

/// The trap, or a picture of one where the system has no such address.
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

/// Of the loopback network, where Linux answers on every address.
const INSIDE: Ipv4Addr = Ipv4Addr::new(127, 66, 66, 66);
const FAR_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 66, 66, 66);
const FAR_PORT: u16 = 8080;
