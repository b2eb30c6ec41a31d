//! stdout, whose reader may be slow: a write waits for the reader, until a signal asks the command to end.

use std::{
    io::{self, ErrorKind, Write},
    sync::OnceLock,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use tokio::time::Instant;

use super::signals::Signals;

/// Writes all bytes.
///
/// # Errors
/// When the reader has closed the pipe, or does not read after a signal has asked the command to end.
pub(super) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for piece in bytes.chunks(PIECE_BYTES) {
        wait_for_room(&stdout)?;
        stdout.write_all(piece)?;
        stdout.flush()?;
    }
    Ok(())
}

/// Waits for the next signal. From then on, each write waits for the reader for at most [`READER_TIMEOUT`].
pub(super) async fn give_up_after(mut signals: Signals) {
    signals.next().await;
    SIGNALLED.get_or_init(Instant::now);
}

fn wait_for_room(stdout: &io::StdoutLock<'_>) -> io::Result<()> {
    let began = Instant::now();
    loop {
        let mut polled = [PollFd::new(stdout, PollFlags::OUT)];
        match poll(&mut polled, Some(&POLL_INTERVAL)) {
            Ok(0) | Err(Errno::INTR) => {}
            // If stdout has an error, the next write reports it.
            Ok(_) | Err(_) => return Ok(()),
        }
        if SIGNALLED.get().is_some_and(|signalled| began.max(*signalled).elapsed() >= READER_TIMEOUT) {
            return Err(io::Error::new(ErrorKind::TimedOut, "stdout is not being read, and a signal asked to stop"));
        }
    }
}

static SIGNALLED: OnceLock<Instant> = OnceLock::new();

/// What every pipe accepts at once if it accepts anything (the least `PIPE_BUF` of POSIX), in bytes.
const PIECE_BYTES: usize = 512;
/// A terminal or pager that is being read accepts a piece in less time.
const READER_TIMEOUT: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
