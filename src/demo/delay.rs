//! A delay that is precise below the millisecond.

use std::{thread, time::Duration};

use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

/// Tokio's timer fires 1 to 2 ms late: it counts whole milliseconds and rounds up. So much before the end the rest of
/// the delay is left to the system's own sleep, which is late by some 60 µs.
const TIMER_ERROR: Duration = Duration::from_millis(3);

/// Waits until `end`, at most about 0.2 ms longer on an idle machine.
pub(super) async fn until(end: Instant) {
    sleep_until(end.checked_sub(TIMER_ERROR).unwrap_or(end)).await;
    let rest = end.saturating_duration_since(Instant::now());
    // A sleep does not panic, and a runtime that is shutting down needs no precision any more.
    let _ = spawn_blocking(move || thread::sleep(rest)).await;
}
