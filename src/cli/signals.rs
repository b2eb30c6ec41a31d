//! SIGTERM, SIGINT and SIGHUP.

use std::{process, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

/// The signals that end a command; listening starts with this value.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// A terminal that was closed; nothing is reloaded.
    hang_up: Signal,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }

    /// The second one: a supervisor may signal a process and its group at once, which is one wish told twice.
    pub(super) async fn again(&mut self) {
        let mut pause = std::pin::pin!(sleep(SAME_WISH));
        loop {
            tokio::select! {
                () = &mut pause => break,
                () = self.next() => {}
            }
        }
        self.next().await;
    }

    /// Ends the process at a second one, whatever is under way: a write that nobody reads cannot be told to end.
    pub(super) async fn end_at_another(mut self) {
        self.again().await;
        process::exit(AT_ONCE);
    }
}

/// Signals within this time mean the same.
const SAME_WISH: Duration = Duration::from_secs(1);

/// As after the first one, where that is the end of it.
const AT_ONCE: i32 = 1;
