//! Everything that goes to stderr: logs, messages, progress, panics. stdout is data.
//!
//! All of it goes through one bounded `queue` and one thread, so that nothing here ever waits for the reader of stderr. A
//! line has at most 2,000 bytes, and no control characters from outside, whatever wrote it.

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

/// When dropped, it writes what still waits, unless stderr is not read.
#[derive(Debug)]
#[must_use]
pub struct Telemetry(());

/// Starts logging at `level` unless the environment says otherwise. Once a process; a second call changes nothing.
///
/// # Errors
/// When the system refuses a thread.
pub fn start(level: &str) -> io::Result<Telemetry> {
    if QUEUE.get().is_none() {
        let _ = QUEUE.set(Queue::start(io::stderr())?);
        panic::set_hook(Box::new(on_panic));
    }
    let fallback = format!("warn,bandprobe={level}");
    let filter = env::var_os(FILTER).map(|text| filter(&text)).transpose().unwrap_or_else(|problem| {
        // Not a log event: a filter may keep those back.
        print(&format!("bandprobe: {FILTER} is ignored: {problem}; the filter is `{fallback}`\n"));
        None
    });
    let filter = filter.unwrap_or_else(|| EnvFilter::new(&fallback));
    let in_colour = may_colour(&io::stderr());
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || Event { in_colour })
        .with_ansi(in_colour)
        .with_target(false)
        // They would go to stderr past the queue.
        .log_internal_errors(false)
        .try_init();
    Ok(Telemetry(()))
}

/// Writes text to stderr, never waiting for its reader: what finds no room is dropped and counted.
pub fn print(text: &str) {
    put(fit(text));
}

/// Writes text to stderr and waits for its reader, however slow. For what a command was called for, while nothing else runs.
pub fn print_and_wait(text: &str) {
    print(text);
    if let Some(queue) = QUEUE.get() {
        queue.flush_all();
    }
}

/// Writes what draws a picture on the terminal.
pub fn draw(picture: String) {
    if let Some(queue) = QUEUE.get() {
        queue.draw(picture);
    }
}

/// Waits a moment for what was printed and drawn so far, so that stdout on the same terminal does not come before it.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(MOMENT, MOMENT);
    }
}

/// How many lines were dropped since the start, because stderr was not read.
#[must_use]
pub fn dropped() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.dropped())
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(queue) = QUEUE.get() {
            queue.flush(STUCK_AT_EXIT, MOST_AT_EXIT);
        }
    }
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

/// Adds lines to the queue, clear of what is drawn.
fn put(text: String) {
    let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match (QUEUE.get(), drawn) {
        (Some(queue), Some(lines)) => lines.suspend(|| queue.put(text)),
        (Some(queue), None) => queue.put(text),
        // Nothing runs yet, or it is a test.
        (None, _) => drop(io::stderr().write_all(text.as_bytes())),
    }
}

/// Each line of a text as it may go to stderr.
fn fit(text: &str) -> String {
    text.split_inclusive('\n').fold(String::with_capacity(text.len()), |mut fitted, line| {
        let bare = line.strip_suffix('\n');
        fitted += &one_line(bare.unwrap_or(line), MOST_LINE_BYTES, false);
        fitted.extend(bare.map(|_| '\n'));
        fitted
    })
}

/// What panicked and where, as the standard library prints it, without waiting for a reader.
fn on_panic(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let trace = Backtrace::capture();
    let trace = if trace.status() == BacktraceStatus::Captured { format!("{trace}") } else { String::new() };
    let text = fit(&format!("thread '{}' {panic}\n{trace}", thread.name().unwrap_or("unnamed")));
    // Not clear of what is drawn: it may be the drawing that panicked.
    if let Some(queue) = QUEUE.get() {
        queue.put(text);
    }
}

/// A log event, which is one write: it becomes one line, whatever is in it.
struct Event {
    in_colour: bool,
}

impl Write for Event {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        put(one_line(text.trim_end(), MOST_LINE_BYTES, self.in_colour) + "\n");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The filter that somebody wrote, or what is wrong with it.
fn filter(text: &OsStr) -> Result<EnvFilter, String> {
    let text = text.to_str().ok_or_else(|| "it is not UTF-8".to_owned())?;
    EnvFilter::builder().parse(text).map_err(|problem| format!("`{text}`: {problem}"))
}

static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// What is drawn on stderr: a log line in the midst of it would be drawn over.
static DRAWN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// No line is longer, colours and the note of what is left out aside.
const MOST_LINE_BYTES: usize = 2_000;
/// A terminal shows what it is sent in less.
const MOMENT: Duration = Duration::from_millis(250);
/// A write that takes this long is not being read: a worker that is to end does so.
const STUCK_AT_EXIT: Duration = Duration::from_secs(1);
/// Somebody reads slowly.
const MOST_AT_EXIT: Duration = Duration::from_secs(5);

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
