//! A delay that is more precise than tokio's timer, which counts whole milliseconds.

use std::{thread, time::Duration};

use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

/// Tokio's timer rounds up to whole milliseconds and fires 1 to 2 ms late. So it only runs until this long before the
/// end. The system's own sleep, which is about 60 µs late, does the rest.
const TIMER_ERROR: Duration = Duration::from_millis(3);

/// Waits until `end`, or at most about 0.2 ms longer on an idle machine.
pub(super) async fn until(end: Instant) {
    sleep_until(end.checked_sub(TIMER_ERROR).unwrap_or(end)).await;
    let rest = end.saturating_duration_since(Instant::now());
    // The sleep cannot panic, and a runtime that is shutting down needs no precision.
    let _ = spawn_blocking(move || thread::sleep(rest)).await;
}
