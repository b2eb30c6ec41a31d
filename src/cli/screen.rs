//! What the terminal can show.

use std::io::{self, IsTerminal};

use crate::{report::table::Look, telemetry::may_colour};

/// How tables on stdout may look.
pub(super) fn look() -> Look {
    Look { width: width(), colour: may_colour(&io::stdout()) }
}

/// Columns of stdout, when that is a terminal.
pub(super) fn width() -> Option<u16> {
    let size = io::stdout().is_terminal().then(terminal_size::terminal_size)?;
    size.map(|(width, _)| width.0)
}

/// Can block characters be shown? By the locale, in the order of setlocale(3).
pub(super) fn unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
