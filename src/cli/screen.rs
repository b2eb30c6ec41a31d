//! What the terminal can show: its size, its colours, its characters.

use std::{
    borrow::Cow,
    io::{self, IsTerminal},
};

use crate::{report::table::Look, telemetry::may_colour};

/// How tables on stdout may look.
pub(super) fn look() -> Look {
    Look { width: width(), colour: may_colour(&io::stdout()) }
}

/// Columns of stdout, when that is a terminal.
pub(super) fn width() -> Option<u16> {
    known(terminal_size::terminal_size_of(io::stdout())?.0.0)
}

/// Columns and rows of stderr, when that is a terminal.
pub(super) fn size_of_stderr() -> Option<(u16, u16)> {
    let (width, height) = terminal_size::terminal_size_of(io::stderr())?;
    Some((known(width.0)?, height.0))
}

/// A terminal that has not been told its size says 0.
fn known(width: u16) -> Option<u16> {
    (width > 0).then_some(width)
}

/// The text as this stream can show it: ASCII alone on a terminal whose locale knows no more. What goes into a file or pipe
/// stays as it is.
pub(super) fn fit<'a>(text: &'a str, stream: &impl IsTerminal) -> Cow<'a, str> {
    if stream.is_terminal() && !is_unicode() { ascii(text) } else { Cow::Borrowed(text) }
}

/// The text in ASCII, each of our characters by one that looks like it.
pub(super) fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_ascii() => plain.push(c),
            'µ' | 'μ' => plain.push('u'),
            '–' | '—' | '─' | '┄' | '−' => plain.push('-'),
            '·' | '│' | '╵' => plain.push('|'),
            '✗' | '×' => plain.push('x'),
            '…' => plain.push_str("..."),
            '≤' => plain.push_str("<="),
            '≥' => plain.push_str(">="),
            '→' => plain.push_str("->"),
            '±' => plain.push_str("+-"),
            '█' | '▇' | '▆' => plain.push('#'),
            '▅' | '▄' => plain.push(':'),
            '▃' | '▂' | '▁' => plain.push('.'),
            '░' => plain.push(' '),
            '━' => plain.push('='),
            '┬' | '└' | '┘' => plain.push('+'),
            '‘' | '’' => plain.push('\''),
            '“' | '”' => plain.push('"'),
            _ => plain.push('?'),
        }
    }
    Cow::Owned(plain)
}

/// Does the locale know more than ASCII? In the order of setlocale(3).
fn is_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_has_a_likeness() {
        for (text, expected) in [
            ("850 µs · < 5 –", "850 us | < 5 -"),
            ("█▇▆▅▄▃▂▁ ┄┄ ✗", "###::... -- x"),
            ("└── ramp ──┘", "+-- ramp --+"),
            ("of ≤ 2 … нода", "of <= 2 ... ????"),
        ] {
            assert_eq!(ascii(text), expected);
        }
        assert!(matches!(ascii("plain"), Cow::Borrowed(_)), "no copy for nothing");
    }
}
