//! Converts a node of a status round to its point in `bandprobe_node`.

use crate::model::{
    health::{AnswerContent, CheckedNode},
    target::{Profile, Vantage},
};

use super::{
    point::Point,
    schema::{NONE, node as schema},
};

/// The point of a node. A value that the node did not report is absent.
#[must_use]
pub fn node_point(vantage: &Vantage, checked: &CheckedNode) -> Point {
    let CheckedNode { listing, answer, health, .. } = checked;
    let mut point = Point::new(&schema::MEASUREMENT, checked.at);
    point.tag(schema::VANTAGE, &vantage.id);
    point.tag(schema::NODE, &checked.node);
    point.tag(schema::REGION, listing.region.as_deref().unwrap_or(NONE));
    point.tag(schema::ROLE, role(listing.profile));
    point.integer(schema::STATE_CODE, Some(health.state.code()));
    point.text(schema::STATE, Some(health.state.label()));
    point.text(schema::REASON, Some(&health.reason));
    point.integer(schema::UP, health.up.map(u64::from));
    point.signed(schema::BLOCKS_BEHIND, health.blocks_behind);
    point.signed(schema::HEAD_BEHIND, health.head_behind);
    point.integer(schema::RESTARTED, checked.restarted.map(u64::from));
    point.integer(schema::DISTRIBUTING, listing.distributing.map(u64::from));
    point.text(schema::OPERATORS, Some(&listing.operators.join(",")));
    point.float(schema::DISTANCE, listing.distance_km(vantage.location));
    let Some(answer) = answer else { return point };
    point.integer(schema::LATENCY, answer.latency.map(|latency| latency.0));
    point.integer(schema::STATUS, answer.status.map(u64::from));
    match &answer.content {
        AnswerContent::Document(document) => {
            point.integer(schema::UPTIME, document.uptime_s);
            point.text(schema::VERSION, document.version.as_deref());
            point.text(schema::NODE_ENV, document.node_env.as_deref());
            point.integer(schema::STORAGE_USED, document.storage_used);
            point.integer(schema::STORAGE_LIMIT, document.storage_limit);
            point.integer(schema::CACHED_OBJECTS, document.cached_objects);
            point.integer(schema::DOWNLOADS_IN_PROGRESS, document.downloads_in_progress);
        }
        AnswerContent::Nothing { error, .. } => point.text(schema::ERROR, Some(error)),
        AnswerContent::Present | AnswerContent::Other(_) | AnswerContent::Frozen(_) => {}
    }
    point
}

/// The value of the `role` tag: what a node is for its users.
#[must_use]
pub const fn role(profile: Profile) -> &'static str {
    match profile {
        Profile::Argus => "distributor",
        Profile::Colossus => "storage",
        Profile::Http => "http",
    }
}
