//! Asking the registries of a config in front of a person, who is told what they do not give.

use crate::worker::discovery::{Asked, Discovery};

use super::{complain, screen};

/// Asks every registry, tells on stderr what was missing or odd, and says how many gave no list.
pub(super) async fn ask(discovery: &mut Discovery) -> usize {
    if screen::size_of_stderr().is_some() {
        // It may take a while, and a person wonders.
        discovery.lists().for_each(|(registry, _)| complain(&format!("querying {}", registry.url)));
    }
    let asked = discovery.ask_all().await;
    for complaint in asked.iter().flat_map(Asked::complaints) {
        complain(&complaint);
    }
    asked.iter().filter(|asked| asked.answer.is_err()).count()
}
