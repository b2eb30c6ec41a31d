//! The summary as plain text: a table for each vantage, what was left out and why, and the best nodes.

use std::fmt::{self, Write};

use super::{
    best::{Best, Measure},
    standard::{GOODPUT_TARGET, HIT_TARGET_PERCENT, NodeFigures, Summary, TTFB_TARGET},
};
use crate::{
    model::flag::{Flag, Flags},
    term::{
        Look, SEPARATOR,
        figure::{ABSENT, percent},
        ink::Ink,
        table::{Cell, Column, Layout, choose, draw},
        wrap::{flow, wrap},
    },
};

/// The whole text with a final newline.
#[must_use]
pub fn render(summary: &Summary, look: Look) -> String {
    let mut text = String::new();
    // All vantages have the same layout, so that their tables can be compared.
    let layout = choose(&summary.rows.iter().map(cells).collect::<Vec<_>>(), &LAYOUTS, look);
    for rows in summary.rows.chunk_by(|a, b| a.vantage == b.vantage) {
        line(&mut text, format_args!("from {}", rows[0].vantage));
        line(&mut text, format_args!("{}", table(rows, layout, look).trim_end()));
        rows.iter().for_each(|row| notes(&mut text, row, look));
        verdicts(&mut text, rows, look);
        text.push('\n');
    }
    if summary.rows.is_empty() {
        line(&mut text, format_args!("no transfers were recorded in this period"));
    } else {
        let is_shown = |column| layout.is_none_or(|layout| layout.columns.contains(column));
        let words = LEGEND.iter().filter(|(column, _)| is_shown(column)).map(|(_, words)| *words);
        line(&mut text, format_args!("{}", flow(words, SEPARATOR, ("", ""), look.width)));
    }
    remedies(&mut text, &summary.rows, look);
    if summary.dropped > 0 {
        line(&mut text, format_args!("{} transfers left out: too many nodes", summary.dropped));
    }
    text
}

/// A table, or a paragraph for each node when no layout fits.
fn table(rows: &[NodeFigures], layout: Option<Layout>, look: Look) -> String {
    match layout {
        Some(layout) => draw(&rows.iter().map(cells).collect::<Vec<_>>(), layout, look),
        None => rows.iter().map(|row| paragraph(row, look)).collect(),
    }
}

fn cells(row: &NodeFigures) -> Vec<Cell> {
    let plain = |text: String| Cell::new(text, None);
    let count = |count: u64| Cell::new(count, None);
    vec![
        plain(row.node.to_string()),
        count(row.runs),
        Cell::new(percent(row.success_share()), success_ink(row)),
        Cell::new(figure(row.ttfb.p50), ttfb_ink(row)),
        plain(figure(row.ttfb.bad_end)),
        count(row.ttfb.count),
        Cell::new(figure(row.goodput.p50), goodput_ink(row)),
        plain(figure(row.goodput.bad_end)),
        count(row.goodput.count),
        Cell::new(percent(row.hit_ratio()), hits_ink(row)),
        count(row.checks),
        count(row.invalid),
    ]
}

/// The figures of a node below each other, for a terminal that is too narrow for columns.
fn paragraph(row: &NodeFigures, look: Look) -> String {
    let ink = |text: String, ink: Option<Ink>| ink.map_or(text.clone(), |ink| ink.on(&text, look.colour));
    let ok = ink(percent(row.success_share()), success_ink(row));
    let ttfb = ink(figure(row.ttfb.p50), ttfb_ink(row));
    let goodput = ink(figure(row.goodput.p50), goodput_ink(row));
    let hits = ink(percent(row.hit_ratio()), hits_ink(row));
    let lines = [
        vec![format!("ok {ok} of {} runs,", row.runs), format!("{} invalid", row.invalid)],
        vec![format!("TTFB p50 {ttfb},"), format!("p90 {} (n={})", figure(row.ttfb.bad_end), row.ttfb.count)],
        vec![
            format!("goodput p50 {goodput},"),
            format!("p10 {} (n={})", figure(row.goodput.bad_end), row.goodput.count),
        ],
        vec![format!("hits {hits} (n={})", row.checks)],
    ];
    let mut text = format!("{}\n", Ink::Strong.on(&wrap(&row.node, look.width), look.colour));
    lines.iter().for_each(|pieces| line(&mut text, format_args!("{}", indented(pieces, look))));
    text
}

/// Keeps each piece on one line if it fits.
fn indented(pieces: &[String], look: Look) -> String {
    flow(pieces.iter().map(String::as_str), " ", ("  ", "    "), look.width)
}

fn success_ink(row: &NodeFigures) -> Option<Ink> {
    let mostly_good = row.runs_ok * 100 >= row.runs * MOSTLY_GOOD_PERCENT;
    (row.runs_ok < row.runs).then_some(if mostly_good { Ink::Doubtful } else { Ink::Bad })
}

fn ttfb_ink(row: &NodeFigures) -> Option<Ink> {
    row.ttfb.p50.filter(|median| *median >= TTFB_TARGET).map(|_| Ink::Doubtful)
}

fn goodput_ink(row: &NodeFigures) -> Option<Ink> {
    row.goodput.p50.filter(|median| *median <= GOODPUT_TARGET).map(|_| Ink::Doubtful)
}

fn hits_ink(row: &NodeFigures) -> Option<Ink> {
    (row.checks > 0 && !Measure::Hits.is_met(row)).then_some(Ink::Doubtful)
}

fn notes(text: &mut String, row: &NodeFigures, look: Look) {
    let mut note = |what: &str, mut counts: Vec<String>| {
        let Some(last) = counts.len().checked_sub(1) else { return };
        counts[..last].iter_mut().for_each(|count| count.push(','));
        counts.splice(..0, [format!("{}:", row.node), format!("{what}:")]);
        line(text, format_args!("{}", indented(&counts, look)));
    };
    note("failed", row.failed.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect());
    note(
        "stalled, then continued",
        (row.stalled > 0).then(|| format!("{} of {} good", row.stalled, row.ok)).into_iter().collect(),
    );
    note(
        "too slow for a viewer",
        (row.too_slow > 0).then(|| format!("{} of {} good", row.too_slow, row.ok)).into_iter().collect(),
    );
    let counts =
        |flags: &[(Flag, u64)]| flags.iter().map(|(flag, count)| format!("{count} {}", flag.label())).collect();
    note("rates left out", counts(&row.invalid_for));
    note("rates that are lower bounds", counts(&row.lower_bounds));
    note("not charged to the node", row.not_charged.iter().map(|(why, count)| format!("{count} {why}")).collect());
}

/// Why rates were left out or are lower bounds, and what to do about it. Each flag appears once, however many nodes
/// have it.
fn remedies(text: &mut String, rows: &[NodeFigures], look: Look) {
    let seen = rows.iter().flat_map(|row| row.invalid_for.iter().chain(&row.lower_bounds)).map(|(flag, _)| *flag);
    for flag in seen.collect::<Flags>().iter() {
        let words = format!("{}: {}\n  → {}", flag.label(), flag.meaning(), flag.remedy());
        line(text, format_args!("{}", wrap(&words, look.width)));
    }
}

fn verdicts(text: &mut String, rows: &[NodeFigures], look: Look) {
    for measure in Measure::ALL {
        let (what, target) = match measure {
            Measure::Ttfb => ("best median TTFB", format!("< {TTFB_TARGET}")),
            Measure::Goodput => ("best median goodput", format!("> {GOODPUT_TARGET}")),
            Measure::Hits => ("lowest hit ratio", format!("> {HIT_TARGET_PERCENT} %")),
        };
        let pieces = match measure.best(rows) {
            Best::NotMeasured => vec![format!("{what}:"), format!("not measured (target {target})")],
            Best::NotEnough => vec![format!("{what}:"), format!("not enough data (target {target})")],
            Best::Node { row, met } => {
                let value = match measure {
                    Measure::Ttfb => figure(row.ttfb.p50),
                    Measure::Goodput => figure(row.goodput.p50),
                    Measure::Hits => percent(row.hit_ratio()),
                };
                let (word, ink) = if met { ("met", Ink::Good) } else { ("missed", Ink::Bad) };
                vec![
                    format!("{what}:"),
                    format!("{value} ({}, n={}):", row.node, measure.count(row)),
                    format!("{} (target {target})", ink.on(word, look.colour)),
                ]
            }
        };
        line(text, format_args!("{}", indented(&pieces, look)));
    }
}

fn figure(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), |value| value.to_string())
}

fn line(text: &mut String, content: fmt::Arguments<'_>) {
    text.write_fmt(content).expect("invariant: writing to a String does not fail");
    text.push('\n');
}

/// A success share below this is bad. From here up to just below 100 it needs attention.
const MOSTLY_GOOD_PERCENT: u64 = 90;

const NODE: Column = Column::words("node", 0);
const RUNS: Column = Column::figures("runs", 1);
const OK: Column = Column::figures("ok", 2);
const TTFB: Column = Column::figures("TTFB p50", 3);
const TTFB_P90: Column = Column::figures("p90", 4);
const TTFB_N: Column = Column::figures("n", 5);
const GOODPUT: Column = Column::figures("goodput p50", 6);
const GOODPUT_P10: Column = Column::figures("p10", 7);
const GOODPUT_N: Column = Column::figures("n", 8);
const HITS: Column = Column::figures("hits", 9);
const CHECKS: Column = Column::figures("n", 10);
const INVALID: Column = Column::figures("invalid", 11);
const ALL: &[Column] =
    &[NODE, RUNS, OK, TTFB, TTFB_P90, TTFB_N, GOODPUT, GOODPUT_P10, GOODPUT_N, HITS, CHECKS, INVALID];

/// The widest layout first.
const LAYOUTS: [Layout; 7] = [
    Layout { padding: 1, columns: ALL },
    Layout { padding: 0, columns: ALL },
    Layout {
        padding: 0,
        columns: &[NODE, RUNS, OK, TTFB, TTFB_P90, TTFB_N, GOODPUT, GOODPUT_P10, GOODPUT_N, HITS, CHECKS],
    },
    Layout { padding: 0, columns: &[NODE, RUNS, OK, TTFB, TTFB_P90, GOODPUT, GOODPUT_P10, HITS] },
    Layout { padding: 0, columns: &[NODE, OK, TTFB, TTFB_P90, GOODPUT, GOODPUT_P10, HITS] },
    Layout { padding: 0, columns: &[NODE, OK, TTFB, GOODPUT, HITS] },
    Layout { padding: 0, columns: &[NODE, OK, TTFB, GOODPUT] },
];

/// What the columns mean. `n` also occurs in the lines about the best nodes, so it is always explained.
const LEGEND: [(Column, &str); 7] = [
    (OK, "ok: share of runs in which nothing failed"),
    (TTFB, "TTFB: images on new connections, including DNS, TCP and TLS"),
    (GOODPUT, "goodput: the start of videos, valid rates only; p10 is the slow end"),
    (HITS, "hits: share of checks that found the object cached"),
    (NODE, "n: number of values"),
    (INVALID, "invalid: good downloads whose rate was left out"),
    (NODE, "best: only distributors that are not dead and have at least 3 values, the last 3 within a day"),
];
