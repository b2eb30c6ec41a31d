//! The summary as plain text: a table for each vantage, what was left out and why, and the verdicts.

use std::fmt::{self, Write};

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use super::standard::{GOODPUT_TARGET, HIT_TARGET_PERCENT, Row, Summary, TTFB_TARGET};

/// How the text may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal; `None` when nobody looks at one: nothing is wrapped.
    pub width: Option<u16>,
    /// Whether colours may be used.
    pub colour: bool,
}

/// The whole text, its last newline included.
#[must_use]
pub fn render(summary: &Summary, look: Look) -> String {
    let mut text = String::new();
    for rows in summary.rows.chunk_by(|a, b| a.vantage == b.vantage) {
        line(&mut text, format_args!("from {}", rows[0].vantage));
        line(&mut text, format_args!("{}", table(rows, look)));
        rows.iter().for_each(|row| notes(&mut text, row));
        verdicts(&mut text, rows, look);
        text.push('\n');
    }
    if summary.rows.is_empty() {
        line(&mut text, format_args!("no transfer was recorded in this time"));
    } else {
        legend(&mut text, look);
    }
    if summary.dropped > 0 {
        line(&mut text, format_args!("{} transfers left out: too many nodes", summary.dropped));
    }
    text
}

/// The roomiest table that fits the width; the last one is wrapped where even it does not fit.
fn table(rows: &[Row], look: Look) -> String {
    let layouts = LAYOUTS.map(|(padding, columns)| lay_out(rows, look, padding, columns));
    let Some(width) = look.width else { return layouts[0].trim_fmt() };
    let needed = |table: &Table, padding: u16| -> u16 {
        let columns = table.column_max_content_widths();
        columns.iter().fold(0, |sum: u16, column| sum.saturating_add(column.saturating_add(padding + 1)))
    };
    let fits = layouts.iter().zip(LAYOUTS).find(|(table, (padding, _))| needed(table, *padding) <= width);
    match fits.map(|(table, _)| table) {
        Some(table) => table.trim_fmt(),
        None => {
            let mut last = layouts.into_iter().next_back().expect("invariant: there are layouts");
            last.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            last.trim_fmt()
        }
    }
}

fn lay_out(rows: &[Row], look: Look, padding: u16, columns: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let pick = |cells: [Cell; 12]| -> Vec<Cell> { columns.iter().map(|column| cells[*column].clone()).collect() };
    table.set_header(pick(HEADERS.map(|header| heading(header, look))));
    for row in rows {
        table.add_row(pick(cells(row, look)));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((padding, 1));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if look.colour {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    table
}

fn cells(row: &Row, look: Look) -> [Cell; 12] {
    let success = Cell::new(percent(row.success_share()));
    let troubled = look.colour && row.ok < row.attempts;
    [
        Cell::new(&row.node),
        Cell::new(row.downloads),
        if troubled { success.fg(Color::Red) } else { success },
        Cell::new(figure(row.ttfb.p50)),
        Cell::new(figure(row.ttfb.bad_end)),
        Cell::new(row.ttfb.count),
        Cell::new(figure(row.goodput.p50)),
        Cell::new(figure(row.goodput.bad_end)),
        Cell::new(row.goodput.count),
        Cell::new(percent(row.hit_ratio())),
        Cell::new(row.checks),
        Cell::new(row.invalid),
    ]
}

fn notes(text: &mut String, row: &Row) {
    let mut note = |what: &str, counts: Vec<String>| {
        if !counts.is_empty() {
            line(text, format_args!("  {}: {what}: {}", row.node, counts.join(", ")));
        }
    };
    note("failed", row.failed.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect());
    note(
        "stalled and went on",
        (row.stalled > 0).then(|| format!("{} of {} good", row.stalled, row.ok)).into_iter().collect(),
    );
    note("rates left out", row.invalid_for.iter().map(|(flag, count)| format!("{count} {}", flag.label())).collect());
    note("not charged to the node", row.not_charged.iter().map(|(why, count)| format!("{count} {why}")).collect());
}

fn verdicts(text: &mut String, rows: &[Row], look: Look) {
    let ttfb = rows
        .iter()
        .filter_map(|row| Some((row.ttfb.p50?, row)))
        .min_by_key(|(median, row)| (row.ttfb.count < FEW, *median));
    let figure =
        ttfb.map(|(median, row)| (median < TTFB_TARGET, format!("{median} ({}, n={})", row.node, row.ttfb.count)));
    verdict(text, look, "best median TTFB", &format!("< {TTFB_TARGET}"), figure);

    let goodput = rows
        .iter()
        .filter_map(|row| Some((row.goodput.p50?, row)))
        .max_by_key(|(median, row)| (row.goodput.count >= FEW, *median));
    let figure = goodput
        .map(|(median, row)| (median > GOODPUT_TARGET, format!("{median} ({}, n={})", row.node, row.goodput.count)));
    verdict(text, look, "best median goodput", &format!("> {GOODPUT_TARGET}"), figure);

    let hits = rows.iter().filter_map(|row| Some((row.hit_ratio()?, row))).min_by(|(a, _), (b, _)| a.total_cmp(b));
    let figure = hits.map(|(ratio, row)| {
        let met = row.hits * 100 > row.checks * HIT_TARGET_PERCENT;
        (met, format!("{} ({}, n={})", percent(Some(ratio)), row.node, row.checks))
    });
    verdict(text, look, "lowest hit ratio", &format!("> {HIT_TARGET_PERCENT} %"), figure);
}

/// The legend, in one line where there is room for it.
fn legend(text: &mut String, look: Look) {
    let width = look.width.map_or(usize::MAX, usize::from);
    let mut used = 0;
    for (index, entry) in LEGEND.iter().enumerate() {
        let length = entry.chars().count() + SEPARATOR.chars().count();
        if index > 0 {
            text.push_str(if used + length > width { "\n" } else { SEPARATOR });
        }
        used = if used + length > width { length } else { used + length };
        text.push_str(entry);
    }
    text.push('\n');
}

fn verdict(text: &mut String, look: Look, what: &str, target: &str, figure: Option<(bool, String)>) {
    match figure {
        None => line(text, format_args!("  {what}: not measured (target {target})")),
        Some((met, figure)) => {
            let word = if met { "met" } else { "missed" };
            let word = match (look.colour, met) {
                (false, _) => word.to_owned(),
                (true, true) => format!("{GREEN}{word}{RESET}"),
                (true, false) => format!("{RED}{word}{RESET}"),
            };
            line(text, format_args!("  {what}: {figure}: {word} (target {target})"));
        }
    }
}

fn heading(header: &str, look: Look) -> Cell {
    let cell = Cell::new(header);
    if look.colour { cell.add_attribute(Attribute::Bold) } else { cell }
}

fn figure(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), |value| value.to_string())
}

/// Whole percents, but never 100 for what is a little less, nor 0 for what is a little more.
fn percent(share: Option<f64>) -> String {
    let Some(share) = share else { return ABSENT.to_owned() };
    let percent = share * 100.0;
    if (percent > 0.0 && percent < 1.0) || (percent > 99.0 && percent < 100.0) {
        // Rounded towards the middle.
        let tenths = if percent < 50.0 { (percent * 10.0).ceil() } else { (percent * 10.0).floor() };
        return format!("{:.1} %", tenths / 10.0);
    }
    format!("{percent:.0} %")
}

fn line(text: &mut String, content: fmt::Arguments<'_>) {
    text.write_fmt(content).expect("invariant: writing to a String does not fail");
    text.push('\n');
}

/// With fewer values than this a median is best only when nobody has more: the one good answer of a failing node is none.
const FEW: u64 = 3;
const HEADERS: [&str; 12] =
    ["node", "downloads", "ok", "TTFB p50", "p90", "n", "goodput p50", "p10", "n", "hits", "n", "invalid"];

/// Left padding, and the columns that are shown.
const LAYOUTS: [(u16, &[usize]); 4] = [
    (1, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    (0, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    (0, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    (0, &[0, 1, 2, 3, 4, 6, 7, 9]),
];

const LEGEND: [&str; 6] = [
    "ok: share of downloads, failed checks count against",
    "TTFB: cold images, with DNS, TCP and TLS",
    "goodput: video starts with a valid rate, p10 is the slow end",
    "hits: share of the checks that told",
    "n: how many values",
    "invalid: good downloads whose rate is left out",
];

const SEPARATOR: &str = " · ";

/// For what was not measured.
const ABSENT: &str = "–";

const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const RESET: &str = "\u{1b}[0m";
