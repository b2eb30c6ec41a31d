//! The one resolver of a process, and its threads.

use std::thread;

use crate::{
    config::{Config, Resolver as Choice},
    net::resolve::{Resolver, threads::Threads},
};

/// The resolver for everything that a process with this config connects to.
#[must_use]
pub fn for_config(config: &Config) -> Resolver {
    for_transfers(&config.network.resolver, config.limits.transfers())
}

/// A resolver for this many transfers at the same time. It starts its threads as they are needed.
#[must_use]
pub fn for_transfers(choice: &Choice, transfers: usize) -> Resolver {
    let start = |work| thread::Builder::new().name("resolver".to_owned()).spawn(work).map(drop);
    Resolver::new(choice, Threads::new(transfers, Box::new(start)))
}
