//! What a demo runs: a few nodes, or a whole fleet with its registry.

use std::time::Duration;

#[cfg(feature = "fleet")]
use crate::demo::fleet::DemoFleet;
use crate::demo::{DemoError, DemoNodes, NodePlan};

#[cfg(feature = "fleet")]
use super::fleet;
use super::{
    super::args::Demo,
    config::{self, DemoSettings},
};

/// The running servers.
pub(super) enum DemoServers {
    Nodes(DemoNodes),
    #[cfg(feature = "fleet")]
    Fleet(DemoFleet),
}

impl DemoServers {
    /// Starts what the arguments ask for. `viewer` is when the simulated viewer asks for objects that are not cached;
    /// `None` keeps the times of the plans.
    pub(super) async fn start(args: &Demo, viewer: Option<Duration>) -> Result<Self, DemoError> {
        #[cfg(feature = "fleet")]
        if args.fleet {
            return Ok(Self::Fleet(fleet::start(args).await?));
        }
        let mut plans = NodePlan::standard();
        for plan in &mut plans {
            plan.viewer = plan.viewer.map(|soon| viewer.unwrap_or(soon));
        }
        let ports: Vec<u16> = match args.port {
            Some(first) => (first..).take(plans.len()).collect(),
            None => vec![0; plans.len()],
        };
        Ok(Self::Nodes(DemoNodes::start_at(plans, ports).await?))
    }

    /// A complete config for these servers.
    pub(super) fn config(&self, settings: &DemoSettings<'_>) -> String {
        match self {
            Self::Nodes(demo) => config::of_nodes(demo, settings),
            #[cfg(feature = "fleet")]
            Self::Fleet(fleet) => config::of_fleet(fleet, settings),
        }
    }

    /// How many servers there are, in a few words.
    pub(super) fn summary(&self) -> String {
        match self {
            Self::Nodes(demo) => format!("{} nodes on loopback", demo.nodes().len()),
            #[cfg(feature = "fleet")]
            Self::Fleet(fleet) => fleet::summary(fleet),
        }
    }

    /// A line for each node: name, endpoint, description. A fleet always shows endpoints.
    pub(super) fn lines(&self, with_endpoints: bool) -> String {
        match self {
            Self::Nodes(demo) => {
                let nodes = demo.nodes();
                let lines = nodes.iter().zip(demo.descriptions()).map(|(node, description)| {
                    let endpoint = if with_endpoints { format!("{}  ", node.endpoint) } else { String::new() };
                    format!("  {:<14}{endpoint}{description}\n", node.id)
                });
                lines.collect()
            }
            #[cfg(feature = "fleet")]
            Self::Fleet(fleet) => fleet::lines(fleet),
        }
    }

    /// Stops all servers.
    pub(super) async fn shutdown(self) {
        match self {
            Self::Nodes(demo) => demo.shutdown().await,
            #[cfg(feature = "fleet")]
            Self::Fleet(fleet) => fleet.shutdown().await,
        }
    }
}
