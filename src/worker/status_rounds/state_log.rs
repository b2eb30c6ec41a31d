//! Logs the changes between status rounds.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    measure::standstill::STANDSTILL,
    model::{
        health::{CheckedNode, HealthState, StatusAnswer},
        units::Micros,
    },
};

/// The state that was last logged.
#[derive(Default)]
pub(super) struct StateLog {
    pub(super) states: HashMap<Arc<str>, HealthState>,
    /// Did the last round hear no node? Then this vantage itself is most likely at fault.
    pub(super) is_silent: bool,
    /// Has the chain of the whole fleet stopped?
    is_chain_still: bool,
}

impl StateLog {
    /// Logs once when the chain of the whole fleet stops, and once when it moves again. `still` is how long the chain
    /// head has been the same.
    pub(super) fn log_chain(&mut self, head: Option<u64>, still: Option<Duration>) {
        let (Some(head), Some(still)) = (head, still) else { return };
        let is_still = still >= STANDSTILL;
        match (self.is_chain_still, is_still) {
            (false, true) => tracing::warn!(
                "the chain head of the whole fleet has been {head} for {}: the chain produces no blocks, or no node receives them",
                Micros::from(still)
            ),
            (true, false) => tracing::info!("the chain head of the fleet moves again: {head}"),
            _ => {}
        }
        self.is_chain_still = is_still;
    }

    /// Logs each node whose state has changed since the previous round. If no node answers, one line about this vantage
    /// is logged instead.
    pub(super) fn log_changes(&mut self, all: &[CheckedNode]) {
        let round = || all.iter().filter(|checked| !was_frozen(checked));
        let mut contacted = round().filter(|checked| checked.answer.is_some()).peekable();
        if contacted.peek().is_none() && all.iter().any(was_frozen) {
            return;
        }
        let number = contacted.clone().count();
        let is_silent =
            contacted.peek().is_some() && contacted.all(|checked| checked.health.state == HealthState::Unknown);
        match (self.is_silent, is_silent) {
            (false, true) => {
                tracing::warn!("none of {number} nodes answers: this vantage itself is most likely at fault")
            }
            (true, false) => tracing::info!("nodes answer this vantage again"),
            _ => {}
        }
        self.is_silent = is_silent;
        if is_silent {
            return;
        }
        for CheckedNode { node, health, .. } in round() {
            let state = health.state;
            let before = self.states.get(node).copied().unwrap_or(HealthState::Ok);
            match state {
                _ if state == before => {}
                HealthState::Ok => tracing::info!(%node, "ok again; it was {}", before.label()),
                _ => tracing::info!(%node, "{}: {}", state.label(), health.reason),
            }
        }
        let heard: HashSet<_> = all.iter().map(|checked| &checked.node).collect();
        self.states.retain(|node, _| heard.contains(node));
        self.states.extend(round().map(|checked| (checked.node.clone(), checked.health.state)));
    }
}

/// Was this process frozen during the check? Then nothing is known about the node, and its previous state is kept.
fn was_frozen(checked: &CheckedNode) -> bool {
    checked.answer.as_ref().is_some_and(StatusAnswer::is_frozen)
}
