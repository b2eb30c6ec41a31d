//! The progress of a flush on stderr: a line with a bar on a terminal, otherwise a sentence from time to time.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar};
use tokio::time::Instant;

use super::super::{
    eprint,
    progress::{REDRAWS, ROOM_FOR_BAR, drawing, show, style},
    terminal,
};
use crate::{model::units::format_age, telemetry::set_progress_bars, term::figure::count};

/// Shows how many of the waiting points are finished.
pub(super) struct FlushProgress {
    all: u64,
    drawn: Option<ProgressBar>,
    printed: Instant,
}

/// How far a flush is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FlushCounts {
    /// Points that are in the database or in `rejected/`.
    pub(super) points: u64,
    /// Those of them that are in `rejected/`.
    pub(super) rejected: u64,
    /// Finished files.
    pub(super) files: u64,
}

impl FlushProgress {
    /// Starts the progress over this number of points.
    pub(super) fn over(points: u64) -> Self {
        let drawn = terminal::size_of_stderr().map(|(width, _)| {
            let lines = MultiProgress::with_draw_target(drawing::target());
            let template = if width < ROOM_FOR_BAR { "{prefix}  {wide_msg}" } else { "{prefix}  {bar:24}  {wide_msg}" };
            let bar = lines.add(ProgressBar::new(points).with_style(style(template)));
            set_progress_bars(Some(lines));
            bar.set_prefix(format!("0/{points} points"));
            bar.enable_steady_tick(Duration::from_millis(1_000 / u64::from(REDRAWS)));
            bar
        });
        Self { all: points, drawn, printed: Instant::now() }
    }

    /// Shows the progress. `trouble` is why nothing can be delivered at the moment.
    pub(super) fn show(&mut self, counts: FlushCounts, trouble: Option<&str>) {
        // Files that other processes seal meanwhile are delivered too.
        self.all = self.all.max(counts.points);
        let points = format!("{}/{} points", counts.points, self.all);
        if let Some(bar) = &self.drawn {
            bar.set_length(self.all);
            bar.set_position(counts.points);
            bar.set_prefix(points);
            let left = (counts.points > 0 && counts.points < self.all).then(|| bar.eta());
            bar.set_message(show(&words(counts, left, trouble)));
        } else if self.is_due() {
            eprint(&format!("{points}, {}", words(counts, None, trouble)));
        }
    }

    /// Without a terminal: whether it is time for the next sentence.
    fn is_due(&mut self) -> bool {
        let is_due = self.printed.elapsed() >= PRINT_INTERVAL;
        if is_due {
            self.printed = Instant::now();
        }
        is_due
    }

    /// Removes the line.
    pub(super) fn end(&mut self) {
        if let Some(bar) = self.drawn.take() {
            set_progress_bars(None);
            bar.finish_and_clear();
        }
    }
}

/// Removes the line when a command fails, too.
impl Drop for FlushProgress {
    fn drop(&mut self) {
        self.end();
    }
}

fn words(counts: FlushCounts, left: Option<Duration>, trouble: Option<&str>) -> String {
    let mut text = count(counts.files, "file");
    if counts.rejected > 0 {
        text += &format!(", {} rejected", counts.rejected);
    }
    match (trouble, left) {
        (Some(trouble), _) => text += &format!(", retrying: {trouble}"),
        (None, Some(left)) => {
            text += &format!(", {} left", format_age(left));
        }
        (None, None) => {}
    }
    text
}

/// How often progress is printed without a terminal.
const PRINT_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_names_rejected_points_and_time_left() {
        let counts = |rejected, files| FlushCounts { points: 50, rejected, files };
        for (counts, left, trouble, expected) in [
            (counts(0, 0), None, None, "0 files"),
            (counts(2, 1), Some(Duration::from_millis(64_500)), None, "1 file, 2 rejected, 1m 4s left"),
            (counts(0, 2), Some(Duration::from_secs(1)), Some("away"), "2 files, retrying: away"),
        ] {
            assert_eq!(words(counts, left, trouble), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_terminal_progress_is_printed_every_10_s() {
        let mut progress = FlushProgress { all: 1, drawn: None, printed: Instant::now() };
        for (pause, expected) in [(0, false), (9_999, false), (1, true), (1, false), (10_000, true)] {
            tokio::time::advance(Duration::from_millis(pause)).await;
            assert_eq!(progress.is_due(), expected, "{pause}");
        }
    }
}
