//! `bandprobe targets`: lists the nodes from the sources of a config.

use std::{fmt::Write, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{
    config::Config,
    model::target::AssetKind,
    term::{
        Look,
        figure::ABSENT,
        table::{Cell, Column, Layout, choose, draw},
        wrap::wrap,
    },
    worker::discovery::Discovery,
};

use self::listing::ListedNode;
use super::{Exit, args::Targets, config_error, input, print, print_data, registries, spool::ago, terminal};

mod listing;

pub(super) async fn targets(args: &Targets) -> anyhow::Result<Exit> {
    let config = match input::config(&args.config) {
        Ok(config) => config,
        Err(problems) => return Ok(config_error(&problems)),
    };
    let mut discovery = Discovery::load(&config)?;
    let failures = registries::ask(&mut discovery).await;
    let targets = discovery.targets();
    let listed = listing::all(&config, &targets);
    if args.json {
        print_data(listing::json(&listed)?.as_bytes())?;
    } else {
        print(&table(&listed, &config, discovery.age(Timestamp::now()), terminal::look()))?;
    }
    Ok(if failures > 0 && listed.is_empty() { Exit::Failed } else { Exit::Done })
}

fn table(listed: &[ListedNode<'_>], config: &Config, age: Option<Duration>, look: Look) -> String {
    if listed.is_empty() {
        return wrap("no nodes are known\n", look.width);
    }
    let rows: Vec<_> = listed.iter().map(cells).collect();
    let table =
        choose(&rows, &LAYOUTS, look).map_or_else(|| paragraphs(listed, look), |layout| draw(&rows, layout, look));
    let blocked = listed.iter().filter(|one| one.reason.is_some()).count();
    let counted = match (listed.len(), blocked) {
        (1, 0) => "1 node".to_owned(),
        (number, 0) => format!("{number} nodes"),
        (number, blocked) => format!("{number} nodes, {blocked} of them blocked"),
    };
    let mut text = format!("{}\n\n", table.trim_end());
    for ListedNode { node, endpoint, reason, .. } in listed {
        if let Some(reason) = reason {
            let endpoint = if endpoint.is_empty() { String::new() } else { format!(" ({endpoint})") };
            text += &wrap(&format!("{node} is blocked and is never contacted: {reason}{endpoint}"), look.width);
            text.push('\n');
        }
    }
    // A list that was just fetched needs no age.
    let age = age.filter(|age| *age >= Duration::from_secs(60));
    let age = age.and_then(|age| SignedDuration::try_from(age).ok());
    let age = age.map_or_else(String::new, |age| format!("; listed {}", ago(age)));
    let vantage = &config.vantage.id;
    text + &format!("{}\n", wrap(&format!("{counted}, seen from vantage {vantage}{age}"), look.width))
}

fn cells(listed: &ListedNode<'_>) -> Vec<Cell> {
    let known = |text: Option<&str>| Cell::new(text.unwrap_or(ABSENT), None);
    let distance = listed.distance_km.map(|km| format!("{km:.0}"));
    vec![
        Cell::new(listed.node, None),
        Cell::new(listed.source, None),
        Cell::new(listed.profile, None),
        known(listed.region),
        known(listed.country),
        known(distance.as_deref()),
        Cell::new(counts(listed), None),
        Cell::new(listed.endpoint, None),
    ]
}

/// Text for terminals on which not even the narrowest table fits.
fn paragraphs(listed: &[ListedNode<'_>], look: Look) -> String {
    let mut text = String::new();
    for one in listed {
        let _ = writeln!(text, "{}\n  {}, {}\n  {}", one.node, one.profile, counts(one), one.endpoint);
        if let Some(km) = one.distance_km {
            let _ = writeln!(text, "  {km:.0} km away");
        }
    }
    wrap(&text, look.width)
}

/// `1 image, 2 videos`, or why there are none.
fn counts(listed: &ListedNode<'_>) -> String {
    let count = |kind: AssetKind| match listed.assets.iter().filter(|asset| asset.kind == kind.label()).count() {
        0 => None,
        1 => Some(format!("1 {}", kind.label())),
        more => Some(format!("{more} {}s", kind.label())),
    };
    let counts: Vec<_> = [AssetKind::Image, AssetKind::Video].into_iter().filter_map(count).collect();
    match (listed.reason, listed.distributing) {
        (Some(_), _) => "blocked".to_owned(),
        (None, Some(false)) => "switched off".to_owned(),
        _ if counts.is_empty() => "none".to_owned(),
        _ => counts.join(", "),
    }
}

const NODE: Column = Column::words("node", 0);
const SOURCE: Column = Column::words("source", 1);
const PROFILE: Column = Column::words("profile", 2);
const REGION: Column = Column::words("region", 3);
const COUNTRY: Column = Column::words("country", 4);
const DISTANCE: Column = Column::figures("km", 5);
const ASSETS: Column = Column::words("assets", 6);
const ENDPOINT: Column = Column::words("endpoint", 7);
const ALL: &[Column] = &[NODE, SOURCE, PROFILE, REGION, COUNTRY, DISTANCE, ASSETS, ENDPOINT];

/// From the widest to the narrowest.
const LAYOUTS: [Layout; 5] = [
    Layout { padding: 1, columns: ALL },
    Layout { padding: 0, columns: ALL },
    Layout { padding: 1, columns: &[NODE, SOURCE, PROFILE, REGION, COUNTRY, DISTANCE, ASSETS] },
    Layout { padding: 0, columns: &[NODE, PROFILE, REGION, COUNTRY, DISTANCE, ASSETS] },
    Layout { padding: 0, columns: &[NODE, DISTANCE, ASSETS] },
];
