//! How far a flush is, on stderr: a line with a bar on a terminal, a sentence now and then elsewhere.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar};
use tokio::time::Instant;

use super::{
    super::{
        complain,
        progress::{REDRAWS, ROOM_FOR_BAR, drawing, show, style},
        screen,
    },
    count,
};
use crate::{model::units::age, telemetry::keep_clear_of};

/// Tells how many of the points that wait are done with.
pub(super) struct Meter {
    all: u64,
    drawn: Option<ProgressBar>,
    told: Instant,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Points that the database has, or that are in `rejected/`.
    pub(super) points: u64,
    /// Of them, those in `rejected/`.
    pub(super) rejected: u64,
    /// Files that are done with.
    pub(super) files: u64,
}

impl Meter {
    /// Over so many points.
    pub(super) fn over(points: u64) -> Self {
        let drawn = screen::size_of_stderr().map(|(width, _)| {
            let lines = MultiProgress::with_draw_target(drawing::target());
            let template = if width < ROOM_FOR_BAR { "{prefix}  {wide_msg}" } else { "{prefix}  {bar:24}  {wide_msg}" };
            let bar = lines.add(ProgressBar::new(points).with_style(style(template)));
            keep_clear_of(Some(lines));
            bar.set_prefix(format!("0/{points} points"));
            bar.enable_steady_tick(Duration::from_millis(1_000 / u64::from(REDRAWS)));
            bar
        });
        Self { all: points, drawn, told: Instant::now() }
    }

    /// It is so far. `trouble` is why nothing goes through at the moment.
    pub(super) fn show(&mut self, standing: Standing, trouble: Option<&str>) {
        // What other processes seal meanwhile goes along.
        self.all = self.all.max(standing.points);
        let points = format!("{}/{} points", standing.points, self.all);
        if let Some(bar) = &self.drawn {
            bar.set_length(self.all);
            bar.set_position(standing.points);
            bar.set_prefix(points);
            let left = (standing.points > 0 && standing.points < self.all).then(|| bar.eta());
            bar.set_message(show(&words(standing, left, trouble)));
        } else if self.is_due() {
            complain(&format!("{points}, {}", words(standing, None, trouble)));
        }
    }

    /// Where there is no terminal: is it time to tell again?
    fn is_due(&mut self) -> bool {
        let is_due = self.told.elapsed() >= NOW_AND_THEN;
        if is_due {
            self.told = Instant::now();
        }
        is_due
    }

    /// Takes the line away.
    pub(super) fn end(&mut self) {
        if let Some(bar) = self.drawn.take() {
            keep_clear_of(None);
            bar.finish_and_clear();
        }
    }
}

/// A command that fails midway leaves nothing behind either.
impl Drop for Meter {
    fn drop(&mut self) {
        self.end();
    }
}

fn words(standing: Standing, left: Option<Duration>, trouble: Option<&str>) -> String {
    let mut text = count(standing.files, "file");
    if standing.rejected > 0 {
        text += &format!(", {} rejected", standing.rejected);
    }
    match (trouble, left) {
        (Some(trouble), _) => text += &format!(", retrying: {trouble}"),
        (None, Some(left)) => {
            text += &format!(", {} left", age(left));
        }
        (None, None) => {}
    }
    text
}

/// How often it is told where there is no terminal.
const NOW_AND_THEN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_is_known() {
        let standing = |rejected, files| Standing { points: 50, rejected, files };
        for (standing, left, trouble, expected) in [
            (standing(0, 0), None, None, "0 files"),
            (standing(2, 1), Some(Duration::from_millis(64_500)), None, "1 file, 2 rejected, 1m 4s left"),
            (standing(0, 2), Some(Duration::from_secs(1)), Some("away"), "2 files, retrying: away"),
        ] {
            assert_eq!(words(standing, left, trouble), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_terminal_it_is_told_now_and_then() {
        let mut meter = Meter { all: 1, drawn: None, told: Instant::now() };
        for (pause, expected) in [(0, false), (9_999, false), (1, true), (1, false), (10_000, true)] {
            tokio::time::advance(Duration::from_millis(pause)).await;
            assert_eq!(meter.is_due(), expected, "{pause}");
        }
    }
}
