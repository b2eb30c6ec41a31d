//! What a demo runs: a few nodes, or a whole fleet with its registry.

use std::{iter, time::Duration};

use crate::{
    config::Dialect,
    demo::{
        DemoError, Fleet, NodePlan,
        world::{Member, World, WorldPlan},
    },
};

use super::{
    super::args::Demo,
    config::{self, Habits},
};

/// The running servers.
pub(super) enum Scene {
    Nodes(Fleet),
    World(World),
}

impl Scene {
    /// Starts what the arguments ask for. `viewer` is when the simulated viewer asks for objects that are not cached;
    /// `None` keeps the times of the plans.
    pub(super) async fn start(args: &Demo, viewer: Option<Duration>) -> Result<Self, DemoError> {
        if args.fleet {
            let plan = WorldPlan { first_port: args.port, ..WorldPlan::new(args.dialect.unwrap_or(Dialect::Orion)) };
            return Ok(Self::World(World::start(&plan).await?));
        }
        let mut plans = NodePlan::standard();
        for plan in &mut plans {
            plan.viewer = plan.viewer.map(|soon| viewer.unwrap_or(soon));
        }
        let ports: Vec<u16> = match args.port {
            Some(first) => (first..).take(plans.len()).collect(),
            None => vec![0; plans.len()],
        };
        Ok(Self::Nodes(Fleet::start_at(plans, ports).await?))
    }

    /// A complete config for these servers.
    pub(super) fn config(&self, habits: &Habits<'_>) -> String {
        match self {
            Self::Nodes(fleet) => config::of_nodes(fleet, habits),
            Self::World(world) => config::of_world(world, habits),
        }
    }

    /// How many servers there are, in a few words.
    pub(super) fn summary(&self) -> String {
        match self {
            Self::Nodes(fleet) => format!("{} nodes on loopback", fleet.nodes().len()),
            Self::World(world) => format!("a fleet of {} on loopback, with its registry", world.members().len()),
        }
    }

    /// A line for each node: name, endpoint, description. A fleet always shows endpoints.
    pub(super) fn lines(&self, with_endpoints: bool) -> String {
        match self {
            Self::Nodes(fleet) => {
                let nodes = fleet.nodes();
                let lines = nodes.iter().zip(fleet.descriptions()).map(|(node, description)| {
                    let endpoint = if with_endpoints { format!("{}  ", node.endpoint) } else { String::new() };
                    format!("  {:<14}{endpoint}{description}\n", node.id)
                });
                lines.collect()
            }
            // In the results, the id of a registry's node is its address, because a registry gives it no name.
            Self::World(world) => {
                let registry = format!("  {:<11}{:<40}lists all of them\n", "registry", world.registry());
                iter::once(registry).chain(world.members().iter().map(member)).collect()
            }
        }
    }

    /// Stops all servers.
    pub(super) async fn shutdown(self) {
        match self {
            Self::Nodes(fleet) => fleet.shutdown().await,
            Self::World(world) => world.shutdown().await,
        }
    }
}

fn member(member: &Member) -> String {
    format!("  {:<11}{:<40}{}\n", member.name, member.endpoint.as_deref().unwrap_or("-"), member.description)
}
