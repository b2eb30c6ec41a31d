//! Columns of text that fit a terminal. Several layouts are tried, the widest first.

use comfy_table::{Attribute, CellAlignment, Color, ContentArrangement, Table, presets};

use super::{Look, ink::Ink};

/// The content of one cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    ink: Option<Ink>,
}

/// One way to lay out rows.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Spaces to the left of each cell. There is always one space to the right.
    pub padding: u16,
    /// The columns that are shown, from left to right.
    pub columns: &'static [Column],
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    header: &'static str,
    /// Index of the cell in a row.
    cell: usize,
    right: bool,
}

impl Cell {
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
    /// A column of words, aligned to the left. `cell` is the index in a row.
    #[must_use]
    pub const fn words(header: &'static str, cell: usize) -> Self {
        Self { header, cell, right: false }
    }

    /// A column of figures, aligned to the right. `cell` is the index in a row.
    #[must_use]
    pub const fn figures(header: &'static str, cell: usize) -> Self {
        Self { header, cell, right: true }
    }
}

/// The first layout in which the rows fit the terminal. Without a width it is the first one. `None` when none fits.
#[must_use]
pub fn choose(rows: &[Vec<Cell>], layouts: &[Layout], look: Look) -> Option<Layout> {
    let width = look.width.map_or(usize::MAX, usize::from);
    let fits = |layout: &&Layout| {
        // The last column's right padding is trimmed.
        needed(&lay_out(rows, **layout, look), layout.padding) <= width.saturating_add(1)
    };
    layouts.iter().find(fits).copied()
}

/// The rows in a layout, without a final newline.
#[must_use]
pub fn draw(rows: &[Vec<Cell>], layout: Layout, look: Look) -> String {
    lay_out(rows, layout, look).trim_fmt()
}

fn needed(table: &Table, padding: u16) -> usize {
    table.column_max_content_widths().iter().map(|column| usize::from(*column) + usize::from(padding) + 1).sum()
}

fn lay_out(rows: &[Vec<Cell>], layout: Layout, look: Look) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(layout.columns.iter().map(|column| styled(column.header, Some(Ink::Strong), look)));
    for row in rows {
        table.add_row(layout.columns.iter().map(|column| {
            let Cell { text, ink } = &row[column.cell];
            styled(text, *ink, look)
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

fn styled(text: &str, ink: Option<Ink>, look: Look) -> comfy_table::Cell {
    let cell = comfy_table::Cell::new(text);
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

#[cfg(test)]
mod tests {
    use super::{super::width::columns, *};

    const LAYOUTS: [Layout; 2] = [
        Layout {
            padding: 1,
            columns: &[Column::words("region", 0), Column::figures("n", 1), Column::words("operator", 2)],
        },
        Layout { padding: 0, columns: &[Column::words("region", 0), Column::figures("n", 1)] },
    ];
    const NAMES: [&str; 6] = ["eu-west-1", "東京", "서울", "São Paulo", "Zu\u{308}rich", "🚀 Bodø"];

    fn rows() -> Vec<Vec<Cell>> {
        let row = |name: &&str| vec![Cell::new(name, None), Cell::new(7, None), Cell::new("op", Some(Ink::Good))];
        NAMES.iter().map(row).collect()
    }

    /// The column at which a text begins in each line.
    fn starts(drawn: &str, text: &str) -> Vec<usize> {
        drawn.lines().skip(1).map(|line| columns(&line[..line.find(text).expect("a cell")])).collect()
    }

    #[test]
    fn columns_align_below_wide_names() {
        for colour in [false, true] {
            let look = Look { width: Some(40), colour };
            let layout = choose(&rows(), &LAYOUTS, look).expect("a layout that fits");
            assert_eq!(layout.columns.len(), 3);
            let drawn = draw(&rows(), layout, look);
            assert_eq!(starts(&drawn, " 7 "), [11; NAMES.len()], "{drawn}");
            assert_eq!(starts(&drawn, "op"), [15; NAMES.len()], "{drawn}");
        }
    }

    #[test]
    fn a_layout_is_chosen_by_the_width_of_the_names() {
        let names = ["東京東京東京東京東京"; 2];
        let rows: Vec<_> =
            names.iter().map(|name| vec![Cell::new(name, None), Cell::new(7, None), Cell::new("op", None)]).collect();
        let chosen =
            |width| choose(&rows, &LAYOUTS, Look { width: Some(width), colour: false }).map(|it| it.columns.len());
        assert_eq!([chosen(21), chosen(22), chosen(33), chosen(34)], [None, Some(2), Some(2), Some(3)]);
    }
}
