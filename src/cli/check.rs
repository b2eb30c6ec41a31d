//! `bandprobe check`: every problem at once, or what the config will cost.

use jiff::{SignedDuration, Timestamp};

use crate::{
    config::Registry,
    discover::known::Known,
    worker::{discovery::Discovery, plan::check_text},
};

use super::{Exit, args::WithConfig, input, refuse, registries, spool::ago, tell};

pub(super) async fn check(args: &WithConfig) -> anyhow::Result<Exit> {
    let config = match input::config(&args.config) {
        Ok(config) => config,
        Err(problems) => return Ok(refuse(&problems)),
    };
    let mut discovery = Discovery::load(&config)?;
    if discovery.lists().any(|(_, known)| known.age(Timestamp::now()).is_none()) {
        // Without its nodes there is no plan; what is known already is planned with as it is.
        registries::ask(&mut discovery).await;
    }
    let targets = discovery.targets();
    if targets.nodes.is_empty() {
        // A plan of nothing would look like one that fits.
        let text =
            format!("{} has no problems.\n\nNothing would be probed: no node is left to ask.\n", args.config.display());
        tell(&(text + &sources(&discovery)))?;
        return Ok(Exit::Done);
    }
    tell(&(check_text(&args.config, &config.with_nodes(&targets)) + &sources(&discovery)))?;
    Ok(Exit::Done)
}

/// Where the nodes of the plan come from, unless the config names them all.
fn sources(discovery: &Discovery) -> String {
    let line = |(registry, known): (&Registry, &Known)| match known.age(Timestamp::now()) {
        None => format!("{} has given no list yet: its nodes are not in this plan\n", registry.url),
        Some(age) => {
            let (nodes, blocked) = (known.nodes().len(), known.blocked().len());
            let blocked = if blocked == 0 { String::new() } else { format!(", and {blocked} that are blocked") };
            let ago = ago(SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX));
            format!("{} lists {nodes} nodes{blocked}, as of {ago}; the plan holds until that changes\n", registry.url)
        }
    };
    let lines: String = discovery.lists().map(line).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}
