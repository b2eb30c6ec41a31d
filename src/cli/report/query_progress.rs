//! The progress of a report's queries: a line on stderr, only on a terminal.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar};
use jiff::SignedDuration;

use super::super::{
    progress::{REDRAWS, ROOM_FOR_BAR, drawing, show, style},
    terminal,
};
use crate::{model::units::format_age, telemetry::set_progress_bars};

/// A bar over the time span of the report.
pub(super) struct QueryProgress {
    drawn: Option<ProgressBar>,
    all: Duration,
}

impl QueryProgress {
    /// Starts a bar over this time span.
    pub(super) fn over(all: SignedDuration) -> Self {
        let all = all.unsigned_abs();
        let drawn = terminal::size_of_stderr().map(|(width, _)| {
            let lines = MultiProgress::with_draw_target(drawing::target());
            let template = if width < ROOM_FOR_BAR { "{prefix}  {wide_msg}" } else { "{prefix}  {bar:24}  {wide_msg}" };
            let bar = lines.add(ProgressBar::new(PARTS).with_style(style(template)));
            set_progress_bars(Some(lines));
            bar.set_prefix(format!("0s of {}", format_age(all)));
            bar.set_message("querying InfluxDB");
            bar.enable_steady_tick(Duration::from_millis(1_000 / u64::from(REDRAWS)));
            bar
        });
        Self { drawn, all }
    }

    /// Shows the share of the time span that is answered, and how many transfers the answers contained so far.
    pub(super) fn show(&mut self, share: f64, transfers: u64) {
        let Some(bar) = &self.drawn else { return };
        let share = share.clamp(0.0, 1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small number")]
        bar.set_position((share * PARTS as f64) as u64);
        bar.set_prefix(format!("{} of {}", format_age(self.all.mul_f64(share)), format_age(self.all)));
        bar.set_message(show(&format!("{transfers} transfers")));
    }
}

/// Removes the bar, also when the command fails.
impl Drop for QueryProgress {
    fn drop(&mut self) {
        if let Some(bar) = self.drawn.take() {
            set_progress_bars(None);
            bar.finish_and_clear();
        }
    }
}

const PARTS: u64 = 1_000;
