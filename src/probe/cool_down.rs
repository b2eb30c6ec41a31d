//! Nodes that limit the rate of our requests (429, or 503 with `retry-after`), and until when nothing is downloaded
//! from them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The cool-downs of all nodes. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct CoolDowns(Arc<Mutex<HashMap<Arc<str>, Instant>>>);

impl CoolDowns {
    /// Starts a cool-down of at most [`MAX_COOL_DOWN`]. One that ends later stays as it is.
    pub fn extend(&self, node: &str, wait: Duration) {
        let now = Instant::now();
        let end = now + wait.min(MAX_COOL_DOWN);
        let mut ends = self.lock();
        ends.retain(|_, end| *end > now);
        let known = ends.entry(node.into()).or_insert(end);
        *known = end.max(*known);
    }

    /// Returns whether a cool-down of this node is not over yet.
    #[must_use]
    pub fn is_active(&self, node: &str) -> bool {
        self.lock().get(node).is_some_and(|end| *end > Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The longest cool-down, whatever the node asks for: a node cannot exclude itself forever.
pub const MAX_COOL_DOWN: Duration = Duration::from_secs(86_400);
