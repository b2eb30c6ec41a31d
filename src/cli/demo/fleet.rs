//! `bandprobe demo --fleet`: what the demo says about a simulated fleet, in a build that has one.

use std::iter;

use crate::{
    config::Dialect,
    demo::{
        DemoError, VIDEO_ID,
        fleet::{DemoFleet, FleetPlan, Member},
    },
};

use super::super::args::Demo;

/// Starts the fleet that the arguments ask for.
pub(super) async fn start(args: &Demo) -> Result<DemoFleet, DemoError> {
    let plan = FleetPlan { first_port: args.port, ..FleetPlan::new(args.dialect.unwrap_or(Dialect::Orion)) };
    DemoFleet::start(&plan).await
}

/// How many servers there are, in a few words.
pub(super) fn summary(fleet: &DemoFleet) -> String {
    format!("a Joystream fleet of {} on loopback, with its registry", fleet.members().len())
}

/// A line for each server: name, endpoint, description.
///
/// The endpoints are always shown, because they are the ids of the nodes in the results: a registry names no nodes.
pub(super) fn lines(fleet: &DemoFleet) -> String {
    let registry = format!("  {:<11}{:<40}lists all of them\n", "registry", fleet.registry());
    iter::once(registry).chain(fleet.members().iter().map(member)).collect()
}

/// A command for the first distributor, which is healthy.
pub(super) fn hints(fleet: &DemoFleet, us: &str) -> String {
    let healthy =
        fleet.members().iter().find(|member| !member.is_storage).and_then(|member| member.endpoint.as_deref());
    let hint = |endpoint| format!("  {us} probe {endpoint}api/v1/assets/{VIDEO_ID} --range 0-6291455\n");
    healthy.map(hint).unwrap_or_default()
}

fn member(member: &Member) -> String {
    format!("  {:<11}{:<40}{}\n", member.name, member.endpoint.as_deref().unwrap_or("-"), member.description)
}
