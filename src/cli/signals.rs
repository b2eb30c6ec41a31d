//! SIGTERM, SIGINT and SIGHUP.
//!
//! If SIGHUP was ignored when the process started, it stays ignored: that is what `nohup` asks for. SIGINT is handled
//! even then. Shells without job control start every background process with SIGINT ignored, but a user who runs
//! `kill -INT` means it.

use std::{fs, process, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

/// The signals that end a command. Listening starts when this value is created.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// The terminal was closed; nothing is reloaded. `None` when the signal is ignored.
    hang_up: Option<Signal>,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: if is_ignored(SignalKind::hangup()) { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            Some(_) = hung_up(self.hang_up.as_mut()) => {}
        }
    }

    /// Waits for a second signal. Signals within a second count as one, because a supervisor may signal a process and
    /// its group at once.
    pub(super) async fn again(&mut self) {
        let mut pause = std::pin::pin!(sleep(SAME_SIGNAL));
        loop {
            tokio::select! {
                () = &mut pause => break,
                () = self.next() => {}
            }
        }
        self.next().await;
    }

    /// Ends the process at a second signal, whatever is running: a blocked write cannot be cancelled.
    pub(super) async fn end_at_another(mut self) {
        self.again().await;
        process::exit(EXIT_CODE);
    }
}

/// Waits for the next signal; never returns when there is none.
async fn hung_up(signal: Option<&mut Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Whether the process was started with this signal ignored. Only Linux shows this without unsafe code; elsewhere it is
/// false.
fn is_ignored(signal: SignalKind) -> bool {
    fs::read_to_string(STATUS).is_ok_and(|status| ignores(&status, signal.as_raw_value()))
}

/// Whether the signal is in the mask `SigIgn` (proc_pid_status(5)), whose lowest bit is signal 1.
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    u32::try_from(signal - 1).ok().and_then(|bit| mask.checked_shr(bit)).is_some_and(|mask| mask & 1 == 1)
}

const STATUS: &str = "/proc/self/status";

/// Signals within this time count as one.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// The exit code after a second signal, which is also that of a command that ends at the first one.
const EXIT_CODE: i32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_mask() {
        let status = |mask: &str| format!("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        for (mask, signal, expected) in [
            ("0000000000000001", 1, true),
            ("0000000000000001", 2, false),
            ("0000000000001006", 1, false),
            ("0000000000001006", 2, true),
            ("0000000000001007", 1, true),
            ("8000000000000000", 64, true),
            ("0000000000000000", 1, false),
            ("x", 1, false),
        ] {
            assert_eq!(ignores(&status(mask), signal), expected, "{mask} {signal}");
        }
        assert!(!ignores("", 1) && !ignores(&status("1"), 0) && !ignores(&status("1"), 66));
    }
}
