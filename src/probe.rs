//! Probing: one run of one probe against one node is a sequence of transfers, and each transfer becomes a sample.
//!
//! ```text
//! run              which asset, which parts, in which order     the algorithm, written as a list of steps
//! candidates       the order in which assets are tried          pure
//! request          the description of one transfer              plain data
//! transfer         one request and its response → one sample    gets the permit, calls `exchange`, which fills `facts`
//! connection       from a URL to a started HTTP connection      shared by transfers and status checks
//! requested_bytes  the bytes of a part, given the asset's size  pure
//! verify           is the answer what was asked for?            pure
//! classify         the outcome of a failure                     pure
//! gate             permits to use the uplink                    shared by all transfers
//! cool_down        nodes that limit our requests                shared by the gate and the admission of runs
//! status           one status check of one node                 returns an answer; makes no sample
//! vantage_health   is our own vantage down?                     shared by `transfer` and the status rounds
//! ```

mod candidates;
pub mod classify;
mod connection;
pub mod cool_down;
mod exchange;
mod facts;
pub mod gate;
pub mod request;
pub use crate::net::identity;
pub mod requested_bytes;
pub mod run;
pub mod status;
pub mod transfer;
pub mod vantage_health;
pub mod verify;

use std::sync::Arc;

use crate::{model::target::Vantage, net::dial::Dialer};

/// What every run needs. Clones share the gate, the health of the vantage and the HEAD refusals.
#[derive(Clone)]
pub struct Prober {
    /// Opens connections.
    pub dialer: Dialer,
    /// Hands out permits to transfer.
    pub gate: gate::Gate,
    /// Whether the last status round found this vantage to be down.
    pub vantage_health: vantage_health::VantageHealth,
    /// The plain web servers that need GET instead of HEAD in status rounds.
    pub head_refusals: status::web_server::HeadRefusals,
    /// The place where this worker runs. Its id is the `vantage` of every sample.
    pub vantage: Arc<Vantage>,
    /// The `user-agent` header of every request.
    pub agent: Arc<str>,
}
