//! The states of nodes as plain text: for each vantage a table with the worst state first, and the number of nodes in
//! each state.

use super::{HealthHistory, NodeHealth};
use crate::{
    measure::health::NOTHING_WRONG,
    model::{health::HealthState, units::format_age},
    term::{
        Look,
        figure::{ABSENT, percent},
        ink::Ink,
        table::{Cell, Column, Layout, choose, draw},
        wrap::{flow, wrap},
    },
};

/// The whole text with a final newline. Empty when no node was asked.
#[must_use]
pub fn render(health: &HealthHistory, look: Look) -> String {
    let nodes = health.nodes();
    // A share makes no sense when every node has one round.
    let many = nodes.iter().any(|one| one.rounds.all > 1);
    let layouts: &[Layout] = if many { &OF_MANY } else { &OF_ONE };
    let layout = choose(&nodes.iter().map(|one| cells(one)).collect::<Vec<_>>(), layouts, look);
    let mut text = String::new();
    for group in nodes.chunk_by(|a, b| a.last.vantage == b.last.vantage) {
        text += &format!("nodes from {}\n", group[0].last.vantage);
        table(&mut text, group, layout, many, look);
        text += &closing(group, look);
        text.push('\n');
    }
    if health.dropped() > 0 {
        text += &format!("{} rounds left out: too many nodes\n", health.dropped());
    }
    text
}

/// A line for each node. A reason without a column is on a line below it, wrapped.
fn table(text: &mut String, group: &[&NodeHealth], layout: Option<Layout>, many: bool, look: Look) {
    let drawn = layout.map(|layout| draw(&group.iter().map(|one| cells(one)).collect::<Vec<_>>(), layout, look));
    let mut lines = drawn.iter().flat_map(|drawn| drawn.lines());
    if let Some(header) = lines.next() {
        *text += &format!("{}\n", header.trim_end());
    }
    let has_column = layout.is_some_and(|layout| layout.columns.contains(&REASON));
    for one in group {
        *text += &lines.next().map_or_else(|| paragraph(one, many, look), |line| line.trim_end().to_owned());
        text.push('\n');
        if !has_column && *one.last.reason != *NOTHING_WRONG && !one.last.reason.is_empty() {
            *text += &flow(one.last.reason.split(' '), " ", ("  ", "  "), look.width);
            text.push('\n');
        }
    }
}

fn cells(one: &NodeHealth) -> Vec<Cell> {
    let plain = |text: String| Cell::new(text, None);
    let (last, rounds) = (&one.last, one.rounds);
    let share = rounds.up_share();
    vec![
        plain(last.node.to_string()),
        plain(last.role.to_string()),
        Cell::new(last.state.label(), ink(last.state)),
        Cell::new(percent(share), (rounds.up < rounds.judged).then_some(Ink::Doubtful)),
        plain(rounds.judged.to_string()),
        Cell::new(one.worst.label(), ink(one.worst)),
        plain(last.blocks_behind.map_or_else(|| ABSENT.to_owned(), |blocks| blocks.to_string())),
        plain(last.version.as_deref().unwrap_or(ABSENT).to_owned()),
        plain(last.latency.map_or_else(|| ABSENT.to_owned(), |latency| latency.to_string())),
        plain(last.uptime.map_or_else(|| ABSENT.to_owned(), format_age)),
        plain(last.reason.to_string()),
    ]
}

/// A node as text, for a terminal that is too narrow for columns.
fn paragraph(one: &NodeHealth, many: bool, look: Look) -> String {
    let state = ink(one.last.state)
        .map_or_else(|| one.last.state.label().to_owned(), |ink| ink.on(one.last.state.label(), look.colour));
    let mut pieces = vec![one.last.node.to_string(), state];
    if many {
        pieces.push(format!("up {} of {} rounds", percent(one.rounds.up_share()), one.rounds.judged));
    }
    flow(pieces.iter().map(String::as_str), " ", ("", "  "), look.width)
}

/// `11 nodes: 6 ok, 2 degraded`, and how many rounds were left out.
fn closing(group: &[&NodeHealth], look: Look) -> String {
    let of = |state: HealthState| group.iter().filter(|one| one.last.state == state).count();
    let mut pieces: Vec<String> = HealthState::ALL
        .into_iter()
        .map(|state| (of(state), state))
        .filter(|(count, _)| *count > 0)
        .map(|(count, state)| format!("{count} {}", state.label()))
        .collect();
    let last = pieces.len().saturating_sub(1);
    pieces[..last].iter_mut().for_each(|piece| piece.push(','));
    pieces.insert(0, format!("{} {}:", group.len(), if group.len() == 1 { "node" } else { "nodes" }));
    let mut text = flow(pieces.iter().map(String::as_str), " ", ("  ", "    "), look.width) + "\n";
    let unknown: u64 = group.iter().map(|one| one.rounds.unknown()).max().unwrap_or(0);
    if group.iter().any(|one| one.rounds.all > 1) && unknown > 0 {
        let rounds = if unknown == 1 { "round" } else { "rounds" };
        text += &format!("  {unknown} {rounds} left out: this vantage itself seemed to be down\n");
    }
    wrap(&text, look.width)
}

const fn ink(state: HealthState) -> Option<Ink> {
    match state {
        HealthState::Ok => None,
        HealthState::Degraded | HealthState::Unknown => Some(Ink::Doubtful),
        HealthState::Misconfigured | HealthState::Dead => Some(Ink::Bad),
        HealthState::Blocked => Some(Ink::Faint),
    }
}

const NODE: Column = Column::words("node", 0);
const ROLE: Column = Column::words("role", 1);
const STATE: Column = Column::words("state", 2);
const UP: Column = Column::figures("up", 3);
const ROUNDS: Column = Column::figures("rounds", 4);
const WORST: Column = Column::words("worst", 5);
const BEHIND: Column = Column::figures("behind", 6);
const VERSION: Column = Column::words("version", 7);
const LATENCY: Column = Column::figures("latency", 8);
const UPTIME: Column = Column::figures("uptime", 9);
const REASON: Column = Column::words("reason", 10);

/// The widest layout first. The reason has its own column only if the table still fits the terminal.
const OF_ONE: [Layout; 6] = [
    Layout { padding: 1, columns: &[NODE, ROLE, STATE, BEHIND, VERSION, LATENCY, UPTIME, REASON] },
    Layout { padding: 1, columns: &[NODE, ROLE, STATE, BEHIND, VERSION, LATENCY, UPTIME] },
    Layout { padding: 0, columns: &[NODE, ROLE, STATE, BEHIND, VERSION, LATENCY, UPTIME] },
    Layout { padding: 0, columns: &[NODE, STATE, BEHIND, VERSION, LATENCY] },
    Layout { padding: 0, columns: &[NODE, STATE, BEHIND] },
    Layout { padding: 0, columns: &[NODE, STATE] },
];

const OF_MANY: [Layout; 7] = [
    Layout { padding: 1, columns: &[NODE, ROLE, STATE, UP, ROUNDS, WORST, BEHIND, VERSION, LATENCY, UPTIME, REASON] },
    Layout { padding: 1, columns: &[NODE, ROLE, STATE, UP, ROUNDS, WORST, BEHIND, VERSION, LATENCY, UPTIME] },
    Layout { padding: 0, columns: &[NODE, ROLE, STATE, UP, ROUNDS, WORST, BEHIND, VERSION, LATENCY, UPTIME] },
    Layout { padding: 0, columns: &[NODE, STATE, UP, ROUNDS, WORST, BEHIND, VERSION] },
    Layout { padding: 0, columns: &[NODE, STATE, UP, ROUNDS, WORST] },
    Layout { padding: 0, columns: &[NODE, STATE, UP] },
    Layout { padding: 0, columns: &[NODE, STATE] },
];
