//! The states of nodes over rounds of the status probe: the last state, the worst one, and how often each node was up.
//!
//! A round in which the vantage itself seemed to be down says nothing about a node. It is not judged, but counted.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use crate::{
    model::health::HealthState,
    record::{node_point::NodePoint, schema::node as schema},
};

pub mod table;

pub use self::table::render;

/// Collects rounds. Memory is bounded by [`MAX_NODES`].
#[derive(Clone, Debug, Default)]
pub struct HealthHistory {
    nodes: BTreeMap<(Arc<str>, Arc<str>), NodeHealth>,
    dropped: u64,
}

/// The state of a node, seen from one vantage.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeHealth {
    /// Its last round.
    pub last: NodePoint,
    /// The worst state of all rounds.
    pub worst: HealthState,
    /// How many rounds there were.
    pub rounds: Rounds,
}

/// Numbers of rounds of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rounds {
    /// All rounds.
    pub all: u64,
    /// Rounds that say something about the node.
    pub judged: u64,
    /// Judged rounds in which the node was up.
    pub up: u64,
}

/// The most pairs of vantage and node. Rounds of further pairs are dropped and counted.
pub const MAX_NODES: usize = 100_000;

impl HealthHistory {
    /// Adds one round of one node.
    pub fn add(&mut self, point: &NodePoint) {
        let Some(node_health) = self.add_last(point) else { return };
        node_health.worst = worse(node_health.worst, point.state);
        node_health.rounds.all += 1;
        node_health.rounds.judged += u64::from(point.up.is_some());
        node_health.rounds.up += u64::from(point.up == Some(true));
    }

    /// Sets the last round of a node without counting it. `None` when there are too many nodes.
    pub fn add_last(&mut self, point: &NodePoint) -> Option<&mut NodeHealth> {
        let key = (point.vantage.clone(), point.node.clone());
        if self.nodes.len() >= MAX_NODES && !self.nodes.contains_key(&key) {
            self.dropped += 1;
            return None;
        }
        let fresh = || NodeHealth { last: point.clone(), worst: point.state, rounds: Rounds::default() };
        let node_health = self.nodes.entry(key).or_insert_with(fresh);
        if node_health.last.at <= point.at {
            node_health.last = point.clone();
        }
        Some(node_health)
    }

    /// Adds numbers of rounds that were counted elsewhere. `None` when the node has no last round here.
    pub fn add_rounds(&mut self, vantage: &Arc<str>, node: &Arc<str>, rounds: Rounds) -> Option<()> {
        let sum = &mut self.nodes.get_mut(&(vantage.clone(), node.clone()))?.rounds;
        *sum = Rounds { all: sum.all + rounds.all, judged: sum.judged + rounds.judged, up: sum.up + rounds.up };
        Some(())
    }

    /// Adds a state that a node had at some time. `None` when the node has no last round here.
    pub fn add_worst(&mut self, vantage: &Arc<str>, node: &Arc<str>, state: HealthState) -> Option<()> {
        let node_health = self.nodes.get_mut(&(vantage.clone(), node.clone()))?;
        node_health.worst = worse(node_health.worst, state);
        Some(())
    }

    /// The last round of a node. `None` when there is none.
    #[must_use]
    pub fn last(&self, vantage: &Arc<str>, node: &Arc<str>) -> Option<&NodePoint> {
        self.nodes.get(&(vantage.clone(), node.clone())).map(|node_health| &node_health.last)
    }

    /// All nodes, sorted by vantage, then by state with the worst first, then by name.
    #[must_use]
    pub fn nodes(&self) -> Vec<&NodeHealth> {
        let mut all: Vec<_> = self.nodes.values().collect();
        all.sort_by_key(|one| (&*one.last.vantage, std::cmp::Reverse(severity(one.last.state)), &*one.last.node));
        all
    }

    /// Rounds left out because there were too many nodes.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The same as JSON objects, in the units of the schema. Values that were not measured are absent.
    #[must_use]
    pub fn json(&self) -> Vec<Value> {
        self.nodes().into_iter().map(NodeHealth::json).collect()
    }
}

impl Rounds {
    /// Share of the judged rounds in which the node was up, from 0 to 1. `None` without judged rounds.
    #[must_use]
    pub fn up_share(self) -> Option<f64> {
        (self.judged > 0).then(|| self.up as f64 / self.judged as f64)
    }

    /// Rounds that say nothing about the node.
    #[must_use]
    pub const fn unknown(self) -> u64 {
        self.all.saturating_sub(self.judged)
    }
}

impl NodeHealth {
    fn json(&self) -> Value {
        let NodePoint { at, vantage, node, role, state, reason, up, latency, blocks_behind, uptime, version } =
            &self.last;
        let mut object = Map::new();
        let mut put = |name: &str, value: Option<Value>| drop(value.map(|value| object.insert(name.to_owned(), value)));
        put("time", Some(at.to_string().into()));
        for (tag, text) in [(schema::VANTAGE, vantage), (schema::NODE, node), (schema::ROLE, role)] {
            put(tag.0, Some((**text).into()));
        }
        put(schema::STATE.name, Some(state.label().into()));
        put(schema::REASON.name, Some((**reason).into()));
        put(schema::UP.name, up.map(|up| u8::from(up).into()));
        put(schema::LATENCY.name, latency.map(|latency| latency.0.into()));
        put(schema::BLOCKS_BEHIND.name, blocks_behind.map(Value::from));
        put(schema::UPTIME.name, uptime.map(|uptime| uptime.as_secs().into()));
        put(schema::VERSION.name, version.as_deref().map(Value::from));
        put("worst_state", Some(self.worst.label().into()));
        put("rounds", Some(self.rounds.judged.into()));
        put("rounds_unknown", Some(self.rounds.unknown().into()));
        put("up_share", self.rounds.up_share().map(Value::from));
        Value::Object(object)
    }
}

/// The severity of a state. It gives the order of display and the worst state: first nodes that are down, then those
/// that their operator or the network has to fix, then unknown ones.
const fn severity(state: HealthState) -> u64 {
    match state {
        HealthState::Dead => 5,
        HealthState::Misconfigured => 4,
        HealthState::Degraded => 3,
        HealthState::Blocked => 2,
        HealthState::Unknown => 1,
        HealthState::Ok => 0,
    }
}

/// The worse of two states. An unknown state is never the worse one.
fn worse(one: HealthState, other: HealthState) -> HealthState {
    std::cmp::max_by_key(one, other, |state| (*state != HealthState::Unknown).then(|| severity(*state)))
}
