//! The terminal on which progress is drawn: stderr, through the queue for all output there, so that a stopped or slow
//! terminal delays nothing.

use std::{
    fmt::Write,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use indicatif::{ProgressDrawTarget, TermLike};

use super::{super::terminal, REDRAWS};
use crate::telemetry;

/// The target on which bars are drawn.
pub(in super::super) fn target() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like_with_hz(Box::new(StderrTerminal::default()), REDRAWS)
}

/// One frame, which is collected until it is complete. Control sequences are those of ECMA-48 § 8.3.
#[derive(Debug, Default)]
struct StderrTerminal(Mutex<String>);

impl StderrTerminal {
    fn frame(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn move_cursor(&self, n: usize, to: char) -> io::Result<()> {
        if n > 0 {
            // Writing to a string does not fail.
            let _ = write!(self.frame(), "\u{1b}[{n}{to}");
        }
        Ok(())
    }
}

impl TermLike for StderrTerminal {
    fn width(&self) -> u16 {
        terminal::size_of_stderr().map_or(WIDTH, |(width, _)| width)
    }

    fn height(&self) -> u16 {
        terminal::size_of_stderr().map_or(HEIGHT, |(_, height)| height)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        let mut frame = self.frame();
        frame.push_str(text);
        frame.push('\n');
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.frame().push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.write_str("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        telemetry::draw(std::mem::take(&mut *self.frame()));
        Ok(())
    }
}

/// The size of a terminal that no longer reports its size.
const WIDTH: u16 = 80;
const HEIGHT: u16 = 24;
