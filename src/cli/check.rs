//! `bandprobe check`: prints every problem of a config, or what the config will cost.

use jiff::{SignedDuration, Timestamp};

use crate::{
    config::{Config, Registry},
    discover::known::KnownList,
    plan::{Plan, check_text},
    worker::discovery::Discovery,
};

use self::findings::findings;
use super::{Exit, args::Check, config_error, input, print_wrapped, registries, spool::ago};

mod findings;

pub(super) async fn check(args: &Check) -> anyhow::Result<Exit> {
    let config = match input::config(&args.config) {
        Ok(config) => config,
        Err(problems) => return Ok(config_error(&problems)),
    };
    let mut discovery = Discovery::load(&config)?;
    if discovery.lists().any(|(_, known)| known.age(Timestamp::now()).is_none()) {
        // Without nodes there is no plan. A list that is already known is used as it is.
        registries::ask(&mut discovery).await;
    }
    let (text, fits) = plan(args, &config, &discovery);
    let (mut text, found) = (text + &sources(&discovery), findings(&config));
    if !found.is_empty() {
        text.push_str("\nTo fix:\n");
        text.extend(found.iter().map(|finding| format!("- {finding}\n")));
    }
    print_wrapped(&text)?;
    let is_whole = discovery.lists().all(|(_, known)| known.age(Timestamp::now()).is_some());
    let is_good = fits && is_whole && found.is_empty();
    Ok(if args.strict && !is_good { Exit::ProbeFailed } else { Exit::Done })
}

/// The plan as text, and whether it fits its limits. An empty plan counts as not fitting, so that it does not look
/// fine.
fn plan(args: &Check, config: &Config, discovery: &Discovery) -> (String, bool) {
    let targets = discovery.targets();
    if targets.nodes.is_empty() {
        let name = args.config.display();
        return (format!("{name} is valid.\n\nNothing would be probed, because there are no nodes.\n"), false);
    }
    let config = config.with_nodes(&targets);
    (check_text(&args.config, &config), Plan::of(&config).fits())
}

/// Where the nodes of the plan are from. Empty when the config lists them all.
fn sources(discovery: &Discovery) -> String {
    let line = |(registry, known): (&Registry, &KnownList)| match known.age(Timestamp::now()) {
        None => format!("{} has not answered yet, so this plan does not include its nodes\n", registry.url),
        Some(age) => {
            let (nodes, blocked) = (known.nodes().len(), known.blocked().len());
            let blocked = if blocked == 0 { String::new() } else { format!(" and {blocked} blocked ones") };
            let ago = ago(SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX));
            format!("{} lists {nodes} nodes{blocked} ({ago}); the plan is valid until that changes\n", registry.url)
        }
    };
    let lines: String = discovery.lists().map(line).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}
