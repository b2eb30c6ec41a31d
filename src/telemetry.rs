//! Logs: to stderr, since stdout is data.

use std::{
    env,
    ffi::OsStr,
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
};

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;

/// The environment variable that filters logs, in the syntax of `tracing`: `info`, `bandprobe=debug`.
pub const FILTER: &str = "BANDPROBE_LOG";

/// Starts logging at `level` unless the environment says otherwise. Once a process; a second call changes nothing.
pub fn start(level: &str) {
    let fallback = format!("warn,bandprobe={level}");
    let filter = env::var_os(FILTER).map(|text| filter(&text)).transpose().unwrap_or_else(|problem| {
        // Not a log event: a filter may keep those back.
        let _ = writeln!(io::stderr(), "bandprobe: {FILTER} is ignored: {problem}; the filter is `{fallback}`");
        None
    });
    let filter = filter.unwrap_or_else(|| EnvFilter::new(&fallback));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Beside)
        .with_ansi(may_colour(&io::stderr()))
        .with_target(false)
        // It would tell stderr that stderr is gone, and panic: a worker outlives the reader of its logs.
        .log_internal_errors(false)
        .try_init();
}

/// From now on logs keep clear of what is drawn on stderr; `None` when nothing is any more.
pub fn keep_clear_of(lines: Option<MultiProgress>) {
    *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = lines;
}

/// May text to this stream be coloured? Only on a terminal, and not when `NO_COLOR` is set (no-color.org).
#[must_use]
pub fn may_colour(stream: &impl IsTerminal) -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !refused && !dumb
}

/// What is drawn on stderr: a log line in the midst of it would be drawn over.
static DRAWN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// stderr, with what is drawn there out of the way. A log line is one write.
struct Beside;

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match drawn {
            Some(lines) => lines.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The filter that somebody wrote, or what is wrong with it.
fn filter(text: &OsStr) -> Result<EnvFilter, String> {
    let text = text.to_str().ok_or_else(|| "it is not UTF-8".to_owned())?;
    EnvFilter::builder().parse(text).map_err(|problem| format!("`{text}`: {problem}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_bad_filter_is_told_with_its_reason() {
        for (text, expected) in [
            (&b"bandprobe=debug"[..], Ok("bandprobe=debug")),
            (b"info", Ok("info")),
            (b"bandprobe=loud", Err("`bandprobe=loud`: error parsing level filter: expected one of")),
            (b"\xff", Err("it is not UTF-8")),
        ] {
            match (filter(OsStr::from_bytes(text)), expected) {
                (Ok(filter), Ok(expected)) => assert_eq!(filter.to_string(), expected),
                (Err(problem), Err(expected)) => assert!(problem.starts_with(expected), "{problem}"),
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        }
    }
}
