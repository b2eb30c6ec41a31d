//! Text for terminals and for people: colours, wrapping, tables, and the words for figures and errors.
//!
//! Everything here is pure. Width and colour arrive as a [`Look`], so every text can be tested without a terminal.
//! Widths are columns of the terminal and not characters: `節` takes two, a combining mark none.

pub mod ascii;
pub mod causes;
pub mod figure;
pub mod ink;
pub mod table;
pub mod width;
pub mod wrap;

/// The format of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Width of the terminal in columns. `None` when the output is not a terminal: then nothing is wrapped.
    pub width: Option<u16>,
    /// Whether colours may be used.
    pub colour: bool,
}

/// Separates clauses on a line.
pub const SEPARATOR: &str = " · ";
