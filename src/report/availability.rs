//! The states of nodes over rounds of the status probe: the last one, the worst one, and how often each was up.
//!
//! A round in which the vantage itself seemed to be down says nothing of a node: it is left out, and counted.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::node_point::NodePoint;
use crate::{model::availability::State, record::schema::node as schema};

pub mod table;

pub use self::table::render;

/// Gathers rounds, in memory for each node.
#[derive(Clone, Debug, Default)]
pub struct Availability {
    nodes: BTreeMap<(Arc<str>, Arc<str>), Standing>,
    dropped: u64,
}

/// How a node stands, seen from one vantage.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its last round.
    pub last: NodePoint,
    /// The worst state of all rounds.
    pub worst: State,
    /// How many there were.
    pub rounds: Rounds,
}

/// Rounds of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rounds {
    /// All of them.
    pub all: u64,
    /// Those that say something of the node.
    pub judged: u64,
    /// Those of them in which it was up.
    pub up: u64,
}

/// Pairs of vantage and node, at the most.
pub const MAX_NODES: usize = 100_000;

impl Availability {
    /// Takes one round of one node.
    pub fn add(&mut self, point: &NodePoint) {
        let Some(standing) = self.add_last(point) else { return };
        standing.worst = worse(standing.worst, point.state);
        standing.rounds.all += 1;
        standing.rounds.judged += u64::from(point.up.is_some());
        standing.rounds.up += u64::from(point.up == Some(true));
    }

    /// Takes the last round of a node, which is counted otherwise.
    pub fn add_last(&mut self, point: &NodePoint) -> Option<&mut Standing> {
        let key = (point.vantage.clone(), point.node.clone());
        if self.nodes.len() >= MAX_NODES && !self.nodes.contains_key(&key) {
            self.dropped += 1;
            return None;
        }
        let fresh = || Standing { last: point.clone(), worst: point.state, rounds: Rounds::default() };
        let standing = self.nodes.entry(key).or_insert_with(fresh);
        if standing.last.at <= point.at {
            standing.last = point.clone();
        }
        Some(standing)
    }

    /// Takes rounds of a node that were counted elsewhere; `None` when its last one was not taken.
    pub fn add_rounds(&mut self, vantage: &Arc<str>, node: &Arc<str>, rounds: Rounds) -> Option<()> {
        let sum = &mut self.nodes.get_mut(&(vantage.clone(), node.clone()))?.rounds;
        *sum = Rounds { all: sum.all + rounds.all, judged: sum.judged + rounds.judged, up: sum.up + rounds.up };
        Some(())
    }

    /// Takes a state that a node had at some time; `None` when its last one was not taken.
    pub fn add_worst(&mut self, vantage: &Arc<str>, node: &Arc<str>, state: State) -> Option<()> {
        let standing = self.nodes.get_mut(&(vantage.clone(), node.clone()))?;
        standing.worst = worse(standing.worst, state);
        Some(())
    }

    /// The last round of a node.
    #[must_use]
    pub fn last(&self, vantage: &Arc<str>, node: &Arc<str>) -> Option<&NodePoint> {
        self.nodes.get(&(vantage.clone(), node.clone())).map(|standing| &standing.last)
    }

    /// By vantage; from each the worst state first, then by name.
    #[must_use]
    pub fn standings(&self) -> Vec<&Standing> {
        let mut all: Vec<_> = self.nodes.values().collect();
        all.sort_by_key(|one| (&*one.last.vantage, std::cmp::Reverse(urgency(one.last.state)), &*one.last.node));
        all
    }

    /// Rounds left out because there were too many nodes.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The same as objects, in the units of the schema. What was not measured is absent.
    #[must_use]
    pub fn json(&self) -> Vec<Value> {
        self.standings().into_iter().map(Standing::json).collect()
    }
}

impl Rounds {
    /// Share of the rounds that say something of the node in which it was up.
    #[must_use]
    pub fn up_share(self) -> Option<f64> {
        (self.judged > 0).then(|| self.up as f64 / self.judged as f64)
    }

    /// Those that say nothing of the node.
    #[must_use]
    pub const fn unknown(self) -> u64 {
        self.all.saturating_sub(self.judged)
    }
}

impl Standing {
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

/// The one order of states, in which they are shown and the worst is found: what is down, then what its operator or the network has to mend, then what nobody can tell.
const fn urgency(state: State) -> u64 {
    match state {
        State::Dead => 5,
        State::Misconfigured => 4,
        State::Degraded => 3,
        State::Blocked => 2,
        State::Unknown => 1,
        State::Ok => 0,
    }
}

/// The worse one of two rounds; one that says nothing of the node is none.
fn worse(one: State, other: State) -> State {
    std::cmp::max_by_key(one, other, |state| (*state != State::Unknown).then(|| urgency(*state)))
}
