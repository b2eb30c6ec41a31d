//! Whether this vantage itself seems to be down.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::sync::Notify;

/// The result of the last status round: when no node answers, a failed transfer is not the fault of its node. Clones
/// share the state.
///
/// Between two rounds the transfers show when another round is needed: when several nodes in a row are silent, or when
/// one answers although the vantage is suspect.
#[derive(Clone, Debug, Default)]
pub struct VantageHealth(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_suspect: AtomicBool,
    /// Nodes that gave no answer since the last answer of any node. Has at most [`SILENT_NODES`] entries.
    silent: Mutex<BTreeSet<Arc<str>>>,
    doubt: Notify,
}

impl VantageHealth {
    /// Records the result of a round.
    pub fn set_suspect(&self, is_suspect: bool) {
        self.0.is_suspect.store(is_suspect, Relaxed);
    }

    /// Is the vantage suspect now?
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.0.is_suspect.load(Relaxed)
    }

    /// Records whether a transfer got any answer from its node.
    pub fn note_transfer(&self, node: &Arc<str>, was_answered: bool) {
        let mut silent = self.0.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if was_answered {
            silent.clear();
        } else if silent.len() < SILENT_NODES {
            silent.insert(node.clone());
        } else {
            return; // already notified
        }
        if was_answered == self.is_suspect() && (was_answered || silent.len() == SILENT_NODES) {
            self.0.doubt.notify_one();
        }
    }

    /// Waits until the transfers contradict the last round.
    pub async fn doubted(&self) {
        self.0.doubt.notified().await;
    }
}

/// The number of silent nodes from which a round can distinguish a dead vantage from dead nodes.
const SILENT_NODES: usize = 3;

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Poll};

    use super::*;

    /// Is a round wanted?
    async fn is_doubted(vantage_health: &VantageHealth) -> bool {
        let mut doubted = pin!(vantage_health.doubted());
        std::future::poll_fn(|cx| Poll::Ready(doubted.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn contradicting_transfers_request_a_round() {
        let vantage_health = VantageHealth::default();
        for (node, was_answered, is_asked) in [
            ("a", false, false),
            ("a", false, false),
            ("b", false, false),
            ("c", true, false),
            ("a", false, false),
            ("b", false, false),
            ("c", false, true),
            ("d", false, false),
            ("a", true, false),
        ] {
            vantage_health.note_transfer(&node.into(), was_answered);
            assert_eq!(is_doubted(&vantage_health).await, is_asked, "{node} {was_answered}");
        }
        vantage_health.set_suspect(true);
        for (was_answered, is_asked) in [(false, false), (true, true), (false, false)] {
            vantage_health.note_transfer(&"a".into(), was_answered);
            assert_eq!(is_doubted(&vantage_health).await, is_asked, "{was_answered}");
        }
    }
}
