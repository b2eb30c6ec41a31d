//! Limits repeated log lines, so that a lasting problem does not fill the log.

use std::time::Duration;

use tokio::time::Instant;

/// Allows one log line per [`LOG_EVERY`].
#[derive(Debug, Default)]
pub(super) struct LogThrottle(Option<Instant>);

impl LogThrottle {
    /// Returns whether a line may be logged now. After `true` the pause begins again.
    pub(super) fn allows(&mut self) -> bool {
        let allowed = self.0.is_none_or(|last| last.elapsed() >= LOG_EVERY);
        if allowed {
            self.0 = Some(Instant::now());
        }
        allowed
    }
}

const LOG_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_logged_at_once_and_then_once_a_minute() {
        let mut throttle = LogThrottle::default();
        let mut logged = Vec::new();
        for second in 0..150 {
            if throttle.allows() {
                logged.push(second);
            }
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(logged, [0, 60, 120]);
    }
}
