//! Queries the registries of a config for a command, and prints their problems.

use crate::worker::discovery::{Discovery, RegistryAnswer};

use super::{eprint, terminal};

/// Queries every registry, and prints on stderr what was missing or odd. Returns how many registries gave no list.
pub(super) async fn ask(discovery: &mut Discovery) -> usize {
    if terminal::size_of_stderr().is_some() {
        // A query may take a while.
        discovery.lists().for_each(|(registry, _)| eprint(&format!("querying {}", registry.url)));
    }
    let asked = discovery.ask_all().await;
    for message in asked.iter().flat_map(RegistryAnswer::messages) {
        eprint(&message);
    }
    asked.iter().filter(|asked| asked.answer.is_err()).count()
}
