//! What the terminal can show: its size, colours and characters.

use std::{
    borrow::Cow,
    io::{self, IsTerminal},
};

use crate::{
    telemetry::may_colour,
    term::{Look, ascii::ascii},
};

/// How tables on stdout are formatted.
pub(super) fn look() -> Look {
    Look { width: width(), colour: may_colour(&io::stdout()) }
}

/// Columns of stdout; `None` when it is not a terminal.
pub(super) fn width() -> Option<u16> {
    known(terminal_size::terminal_size_of(io::stdout())?.0.0)
}

/// Columns and rows of stderr; `None` when it is not a terminal.
pub(super) fn size_of_stderr() -> Option<(u16, u16)> {
    let (width, height) = terminal_size::terminal_size_of(io::stderr())?;
    Some((known(width.0)?, height.0))
}

/// A terminal whose size was never set reports 0.
fn known(width: u16) -> Option<u16> {
    (width > 0).then_some(width)
}

/// The text in characters that this stream can show: only ASCII on a terminal whose locale is not UTF-8. For a file or
/// pipe, the text is unchanged.
pub(super) fn fit<'a>(text: &'a str, stream: &impl IsTerminal) -> Cow<'a, str> {
    if stream.is_terminal() && !is_unicode() { ascii(text) } else { Cow::Borrowed(text) }
}

/// Whether the locale is UTF-8. The variables are read in the order of setlocale(3).
fn is_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
