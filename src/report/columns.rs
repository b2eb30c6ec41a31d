//! Columns of text that fit a terminal. Several layouts are tried, the widest first.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use super::{ink::Ink, table::Look};

/// The content of one cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    text: String,
    ink: Option<Ink>,
}

/// One way to lay out rows.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Spaces to the left of each entry. There is always one space to the right.
    pub padding: u16,
    /// The columns that are shown, from left to right.
    pub columns: &'static [Column],
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    header: &'static str,
    /// Index of the entry in a row.
    entry: usize,
    right: bool,
}

impl Entry {
    /// A text. `ink` gives it a colour when the colour has a meaning.
    pub fn new(text: impl ToString, ink: Option<Ink>) -> Self {
        Self { text: text.to_string(), ink }
    }

    /// The text without colour.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Column {
    /// A column of words, aligned to the left. `entry` is the index in a row.
    #[must_use]
    pub const fn words(header: &'static str, entry: usize) -> Self {
        Self { header, entry, right: false }
    }

    /// A column of figures, aligned to the right. `entry` is the index in a row.
    #[must_use]
    pub const fn figures(header: &'static str, entry: usize) -> Self {
        Self { header, entry, right: true }
    }
}

/// The first layout in which the rows fit the terminal. Without a width it is the first one. `None` when none fits.
#[must_use]
pub fn choose(rows: &[Vec<Entry>], layouts: &[Layout], look: Look) -> Option<Layout> {
    let width = look.width.map_or(usize::MAX, usize::from);
    let fits = |layout: &&Layout| {
        // The last column's right padding is trimmed.
        needed(&lay_out(rows, **layout, look), layout.padding) <= width.saturating_add(1)
    };
    layouts.iter().find(fits).copied()
}

/// The rows in a layout, without a final newline.
#[must_use]
pub fn draw(rows: &[Vec<Entry>], layout: Layout, look: Look) -> String {
    lay_out(rows, layout, look).trim_fmt()
}

fn needed(table: &Table, padding: u16) -> usize {
    table.column_max_content_widths().iter().map(|column| usize::from(*column) + usize::from(padding) + 1).sum()
}

fn lay_out(rows: &[Vec<Entry>], layout: Layout, look: Look) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(layout.columns.iter().map(|column| cell(column.header, Some(Ink::Strong), look)));
    for row in rows {
        table.add_row(layout.columns.iter().map(|column| {
            let Entry { text, ink } = &row[column.entry];
            cell(text, *ink, look)
        }));
    }
    for (column, meant) in table.column_iter_mut().zip(layout.columns) {
        column.set_padding((layout.padding, 1));
        if meant.right {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if look.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table
}

fn cell(text: &str, ink: Option<Ink>, look: Look) -> Cell {
    let cell = Cell::new(text);
    match ink.filter(|_| look.colour) {
        None => cell,
        Some(Ink::Strong) => cell.add_attribute(Attribute::Bold),
        Some(Ink::Faint) => cell.add_attribute(Attribute::Dim),
        Some(Ink::Good) => cell.fg(Color::DarkGreen),
        Some(Ink::Doubtful) => cell.fg(Color::DarkYellow),
        Some(Ink::Bad) => cell.fg(Color::DarkRed),
        Some(Ink::Path) => cell.fg(Color::DarkCyan),
        Some(Ink::Node) => cell.fg(Color::DarkMagenta),
    }
}
