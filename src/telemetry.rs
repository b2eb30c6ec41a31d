//! Logs: to stderr, since stdout is data.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// The environment variable that filters logs, in the syntax of `tracing`: `info`, `bandprobe=debug`.
pub const FILTER: &str = "BANDPROBE_LOG";

/// Starts logging at `level` unless the environment says otherwise. Once a process; a second call changes nothing.
pub fn start(level: &str) {
    let fallback = format!("warn,bandprobe={level}");
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new(fallback));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(may_colour(&io::stderr()))
        .with_target(false)
        // It would tell stderr that stderr is gone, and panic: a worker outlives the reader of its logs.
        .log_internal_errors(false)
        .try_init();
}

/// May text to this stream be coloured? Only on a terminal, and not when `NO_COLOR` is set (no-color.org).
#[must_use]
pub fn may_colour(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !refused && !dumb
}
