//! A simulated Joystream network on loopback, for `bandprobe demo` and for tests.
//!
//! A [`DemoNodes`] is a few standalone nodes that behave like Argus, each with its own speed and faults. A `fleet` adds
//! storage nodes behind the distributors and a registry that lists them all. Sockets, TLS, HTTP and faults are real;
//! nothing is mocked. A fleet owns its tasks and ends them when it is dropped. Connections, request heads and lifetimes
//! are limited, so that no client can overload a node.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use thiserror::Error;
use tokio::{net::TcpListener, task::JoinSet, time::Instant};

use crate::model::target::{Asset, AssetKind, Coordinates, Listing, Node, Origin, Profile};

mod answer;
mod argus;
mod authority;
mod delay;
#[cfg(feature = "fleet")]
pub mod fleet;
pub mod link;
mod memory_body;
mod node;
mod plan;
mod range;
mod request_log;
mod response_body;
pub mod samples;
mod static_store;
mod status;
mod store;

pub use plan::{
    Behaviour, ELSEWHERE_ID, Fault, Fetch, Holds, IMAGE_ID, NodePlan, PREFIX, UNCACHED_IMAGE_ID, UNCACHED_VIDEO_ID,
    VIDEO_ID,
};
pub use request_log::LoggedRequest;

use argus::Argus;
use authority::Authority;
use link::Link;
use node::{DemoNode, Role};
use static_store::{Object, StaticStore};
use status::NodeReport;
use store::Store;

/// The seed for all generated samples.
const SEED: u64 = 1343;

/// Running demo nodes. Dropping the fleet stops them.
#[derive(Debug)]
pub struct DemoNodes {
    nodes: Vec<Node>,
    descriptions: Vec<&'static str>,
    ca_pem: String,
    tasks: JoinSet<()>,
}

/// Why a fleet could not start.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The port of a node could not be bound.
    #[error("demo node `{node}` cannot listen on {address}")]
    Listen {
        /// The id of the node.
        node: &'static str,
        /// The address of the node; port 0 means any free port.
        address: SocketAddr,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The throwaway certificates could not be generated.
    #[error("the demo's certificate cannot be created")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library rejected the certificates.
    #[error("the demo's certificate cannot be used")]
    Tls(#[from] rustls::Error),
    /// The GraphQL schema of the simulated registry is invalid, which is a bug.
    #[error("the demo's registry cannot be created: {0}")]
    Schema(String),
    /// A plan has coordinates that are not on Earth.
    #[error("a demo node has no place")]
    Place(#[from] crate::model::target::InvalidCoordinates),
}

impl DemoNodes {
    /// Starts one node for each plan, each on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When a port cannot be bound, certificates cannot be made, or a plan's coordinates are not on Earth.
    pub async fn start(plans: Vec<NodePlan>) -> Result<Self, DemoError> {
        let ports = vec![0; plans.len()];
        Self::start_at(plans, ports).await
    }

    /// Like [`DemoNodes::start`], on the given ports of 127.0.0.1: one port for each plan.
    ///
    /// # Errors
    /// The same as for [`DemoNodes::start`]. If a port is taken, the error names it.
    pub async fn start_at(plans: Vec<NodePlan>, ports: impl IntoIterator<Item = u16>) -> Result<Self, DemoError> {
        let authority = Authority::new()?;
        let image = Object { bytes: samples::image(SEED), content_type: "image/webp" };
        let video = Object { bytes: samples::video(SEED), content_type: "video/mp4" };
        let mut demo =
            Self { nodes: vec![], descriptions: vec![], ca_pem: authority.pem().to_owned(), tasks: JoinSet::new() };
        for ((index, plan), port) in plans.into_iter().enumerate().zip(ports) {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let listening = |source| DemoError::Listen { node: plan.id, address, source };
            let listener = TcpListener::bind(address).await.map_err(listening)?;
            let port = listener.local_addr().map_err(listening)?.port();
            let held = plan.holds == Holds::Samples;
            let store = StaticStore::new(
                [
                    (IMAGE_ID, image.clone(), held),
                    (VIDEO_ID, video.clone(), held),
                    (UNCACHED_IMAGE_ID, image.clone(), false),
                    (UNCACHED_VIDEO_ID, video.clone(), false),
                ],
                plan.fetch,
                plan.viewer.map(|after| Instant::now() + after),
            );
            let tls = plan.tls.then(|| authority.acceptor()).transpose()?;
            let link = plan.link.map(|rate| Arc::new(Link::new(rate)));
            demo.nodes.push(named(&plan, port)?);
            demo.descriptions.push(plan.description);
            let reports = NodeReport::sound(plan.id, 12, vec!["1:0"]);
            let argus = Argus::new(plan.tls, plan.behaviour, reports, Store::Samples(store), SEED + index as u64);
            let node = DemoNode { role: Role::Distributor(argus), tls, link, log: Arc::default() };
            demo.tasks.spawn(Arc::new(node).serve(listener));
        }
        Ok(demo)
    }

    /// The nodes as a config would list them. Asset sizes are `None`, so the `HEAD` check has to find them out.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        self.nodes.clone()
    }

    /// One clause for each node that describes it to people, in the order of [`DemoNodes::nodes`].
    #[must_use]
    pub fn descriptions(&self) -> &[&'static str] {
        &self.descriptions
    }

    /// The certificate of the authority behind the TLS nodes, as PEM. Nothing that outlives the fleet may trust it.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Stops all nodes and waits until their ports are closed. Their connections are aborted.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}

fn named(plan: &NodePlan, port: u16) -> Result<Node, DemoError> {
    let scheme = if plan.tls { "https" } else { "http" };
    let endpoint = format!("{scheme}://127.0.0.1:{port}{PREFIX}/");
    let asset =
        |(kind, id): &(AssetKind, &str)| Asset { kind: *kind, id: (*id).into(), size: None, hash: None, fixed: true };
    Ok(Node {
        id: plan.id.into(),
        endpoint: endpoint.parse().expect("invariant: a loopback URL with a fixed path is an endpoint"),
        listing: Listing {
            region: Some(plan.region.into()),
            country: Some(plan.country.into()),
            location: Some(Coordinates::new(plan.place.0, plan.place.1)?),
            ..Listing::bare(Origin::Static, Profile::Argus)
        },
        assets: plan.assets.iter().map(asset).collect(),
    })
}
