//! All output to stderr: logs, messages, progress and panics. stdout is for data.
//!
//! All output goes through one bounded `queue` and one thread, so no caller waits for the reader of stderr unless it
//! asks to. A line has at most 2,000 bytes and no control characters from outside, whichever part of the program wrote it.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    env,
    ffi::OsStr,
    io::{self, IsTerminal, Write},
    panic::{self, PanicHookInfo},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;

use crate::model::text::one_line;

use self::queue::Queue;

mod queue;

/// The environment variable that filters logs, in the syntax of `tracing`: `info`, `bandprobe=debug`.
pub const FILTER: &str = "BANDPROBE_LOG";

/// Guard for the output. When dropped, it writes the output that is still waiting, unless stderr is not read.
#[derive(Debug)]
#[must_use]
pub struct Telemetry(());

/// Starts logging at `level` unless the environment sets another filter. A second call in the same process changes
/// nothing.
///
/// # Errors
/// When the system cannot start a thread.
pub fn start(level: &str) -> io::Result<Telemetry> {
    if QUEUE.get().is_none() {
        let _ = QUEUE.set(Queue::start(io::stderr())?);
        panic::set_hook(Box::new(on_panic));
    }
    let fallback = format!("warn,bandprobe={level}");
    let filter = env::var_os(FILTER).map(|text| filter(&text)).transpose().unwrap_or_else(|problem| {
        // Not a log event, because a filter may suppress those.
        print(&format!("bandprobe: {FILTER} is ignored: {problem}; the filter is `{fallback}`\n"));
        None
    });
    let filter = filter.unwrap_or_else(|| EnvFilter::new(&fallback));
    let in_colour = may_colour(&io::stderr());
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || LogEvent { in_colour })
        .with_ansi(in_colour)
        .with_target(false)
        // Internal errors would bypass the queue on their way to stderr.
        .log_internal_errors(false)
        .try_init();
    Ok(Telemetry(()))
}

/// Writes text to stderr without waiting for its reader. Text that does not fit into the queue is dropped and counted.
pub fn print(text: &str) {
    put(safe(text));
}

/// Writes text to stderr and waits for its reader, however slow it is. For the main output of a command, while nothing
/// else runs.
pub fn print_and_wait(text: &str) {
    print(text);
    if let Some(queue) = QUEUE.get() {
        queue.flush_all();
    }
}

/// Writes a progress display to the terminal. It is skipped when the reader is slow.
pub fn draw(frame: String) {
    if let Some(queue) = QUEUE.get() {
        queue.draw(frame);
    }
}

/// Waits briefly for the output so far, so that output to stdout does not overtake it on the same terminal.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(FLUSH_TIMEOUT, FLUSH_TIMEOUT);
    }
}

/// Number of lines dropped since the start because stderr was not read.
#[must_use]
pub fn dropped() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.dropped())
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(queue) = QUEUE.get() {
            queue.flush(EXIT_WRITE_TIMEOUT, EXIT_TIMEOUT);
        }
    }
}

/// Makes logs avoid the progress bars that are drawn on stderr. `None` when there are none any more.
pub fn set_progress_bars(lines: Option<MultiProgress>) {
    *PROGRESS_BARS.lock().unwrap_or_else(PoisonError::into_inner) = lines;
}

/// Whether text to this stream may be coloured: only on a terminal, and not when `NO_COLOR` is set (no-color.org).
#[must_use]
pub fn may_colour(stream: &impl IsTerminal) -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !refused && !dumb
}

/// Adds lines to the queue without disturbing the progress bars.
fn put(text: String) {
    let drawn = PROGRESS_BARS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match (QUEUE.get(), drawn) {
        (Some(queue), Some(lines)) => lines.suspend(|| queue.put(text)),
        (Some(queue), None) => queue.put(text),
        // The queue is not started yet, or this is a test.
        (None, _) => drop(io::stderr().write_all(text.as_bytes())),
    }
}

/// Makes each line of a text safe for stderr.
fn safe(text: &str) -> String {
    text.split_inclusive('\n').fold(String::with_capacity(text.len()), |mut fitted, line| {
        let bare = line.strip_suffix('\n');
        fitted += &one_line(bare.unwrap_or(line), MAX_LINE_BYTES, false);
        fitted.extend(bare.map(|_| '\n'));
        fitted
    })
}

/// Prints what panicked and where, like the standard library, but without waiting for a reader.
fn on_panic(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let trace = Backtrace::capture();
    let trace = if trace.status() == BacktraceStatus::Captured { format!("{trace}") } else { String::new() };
    let text = safe(&format!("thread '{}' {panic}\n{trace}", thread.name().unwrap_or("unnamed")));
    // The progress bars are not suspended here, because the drawing itself may have panicked.
    if let Some(queue) = QUEUE.get() {
        queue.put(text);
    }
}

/// A log event. It is written in one call and becomes one line, whatever it contains.
struct LogEvent {
    in_colour: bool,
}

impl Write for LogEvent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        put(one_line(text.trim_end(), MAX_LINE_BYTES, self.in_colour) + "\n");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Parses a filter. Returns what is wrong with it as the error.
fn filter(text: &OsStr) -> Result<EnvFilter, String> {
    let text = text.to_str().ok_or_else(|| "it is not UTF-8".to_owned())?;
    EnvFilter::builder().parse(text).map_err(|problem| format!("`{text}`: {problem}"))
}

static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// The progress bars on stderr, which would overwrite a log line between them.
static PROGRESS_BARS: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// The longest line, not counting colours and the note of what is left out.
const MAX_LINE_BYTES: usize = 2_000;
/// A terminal shows its output in less time than this.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(250);
/// At exit, give up when a single write takes this long, because stderr is not being read.
const EXIT_WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// At exit, wait at most this long for a slow reader.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_bad_filter_is_reported_with_its_reason() {
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
