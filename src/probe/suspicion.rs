//! Whether this vantage itself seems to be down.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// What the last status round found: while no node answers anybody here, a failed transfer is no node's fault. Clones share
/// it.
#[derive(Clone, Debug, Default)]
pub struct Suspicion(Arc<AtomicBool>);

impl Suspicion {
    /// Notes what a round found.
    pub fn note(&self, is_suspect: bool) {
        self.0.store(is_suspect, Relaxed);
    }

    /// Is the vantage under suspicion now?
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Relaxed)
    }
}
