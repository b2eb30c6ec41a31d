//! Probing: one run of one probe against one node is a row of transfers, and each transfer becomes a sample.
//!
//! ```text
//! run         which asset, which parts, in order           (the algorithm; reads as a list of steps)
//! candidates  in which order assets are tried              pure
//! errand      what a transfer is sent out for              plain data
//! transfer    one request and its response → one sample    (the instrument: permit, then `exchange`, which fills `facts`)
//! wanted      which bytes a part means, given the size     pure
//! verify      is the answer what was asked for?            pure
//! classify    what a failure means                         pure
//! gate        who may use the uplink now, or no more       permits
//! status      how a node fares                             no transfer: it leaves an answer, not a sample
//! suspicion   is it rather our own vantage?                shared by those two
//! ```

mod candidates;
pub mod classify;
pub mod errand;
mod exchange;
mod facts;
pub mod gate;
pub use crate::net::identity;
pub mod run;
pub mod status;
pub mod suspicion;
pub mod transfer;
pub mod verify;
pub mod wanted;

use std::sync::Arc;

use crate::{model::target::Vantage, net::dial::Dialer};

/// What every run needs: how to connect, whose turn it is, who we are.
#[derive(Clone)]
pub struct Prober {
    /// Opens connections.
    pub dialer: Dialer,
    /// Hands out permits to transfer.
    pub gate: gate::Gate,
    /// What the last status round found of this vantage.
    pub suspicion: suspicion::Suspicion,
    /// Which plain servers are asked by GET whether they are there.
    pub head_refusals: status::plain::HeadRefusals,
    /// Where we stand.
    pub vantage: Arc<Vantage>,
    /// The `user-agent` of every request.
    pub agent: Arc<str>,
}
