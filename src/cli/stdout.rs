//! stdout, whose reader may be slow: a write waits for it, until a signal asks the command to end.

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

/// Writes all of it.
///
/// # Errors
/// When the reader has gone, or does not read and a signal asked the command to end.
pub(super) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for piece in bytes.chunks(PIECE) {
        wait_for_room(&stdout)?;
        stdout.write_all(piece)?;
        stdout.flush()?;
    }
    Ok(())
}

/// From the next signal on, no write waits for long.
pub(super) async fn give_up_after(mut signals: Signals) {
    signals.next().await;
    SIGNALLED.get_or_init(Instant::now);
}

fn wait_for_room(stdout: &io::StdoutLock<'_>) -> io::Result<()> {
    let began = Instant::now();
    loop {
        let mut polled = [PollFd::new(stdout, PollFlags::OUT)];
        match poll(&mut polled, Some(&LOOK)) {
            Ok(0) | Err(Errno::INTR) => {}
            // An error of stdout is the next write's.
            Ok(_) | Err(_) => return Ok(()),
        }
        if SIGNALLED.get().is_some_and(|signalled| began.max(*signalled).elapsed() >= PATIENCE) {
            return Err(io::Error::new(ErrorKind::TimedOut, "nobody reads stdout, and a signal asked to end"));
        }
    }
}

static SIGNALLED: OnceLock<Instant> = OnceLock::new();

/// No more than what a pipe takes at once when it takes anything (`PIPE_BUF` of POSIX).
const PIECE: usize = 512;
/// A terminal or pager that is being read takes a piece in less time.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
