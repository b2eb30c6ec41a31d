//! The phases of a transfer below each other: how long each took, when it ended, its share, and its position.

use crate::{
    model::{phase::Phase, sample::Sample, units::Micros},
    term::{Look, ink::Ink, wrap::wrap},
};

use super::{has_room, picture_width};

/// Draws the phases and their sum. The path to the node, the node itself, and the body have different colours.
pub(super) fn phases(sample: &Sample, look: Look) -> String {
    let layout = PhaseColumns::on(look);
    let total = sample.phases.total();
    let mut text = String::new();
    if layout.until {
        let heading = layout.row(["phase", "took", "until", "share"]);
        text += &format!("{}\n", Ink::Faint.on(heading.trim_end(), look.colour));
    }
    let mut begun = Micros::ZERO;
    for phase in Phase::ALL {
        let Some(took) = sample.phases.took(phase) else { continue };
        let until = Micros(begun.0 + took.0);
        let failed = sample.failed_phase == Some(phase);
        let (from, end) = place(begun, took, total, layout.bars);
        let (room, blocks) = if has_room(look) { (from, end - from) } else { (0, 0) };
        let bar = format!("{}{}", "█".repeat(blocks), if failed { " ✗" } else { "" });
        let figures = layout.row([phase.label(), &took.to_string(), &until.to_string(), &share(took, total)]);
        let line = format!("{figures}{}{}", " ".repeat(room), ink(phase, failed).on(&bar, look.colour));
        text += &format!("{}\n", line.trim_end());
        begun = until;
    }
    text += layout.row(["total", &total.to_string(), "", ""]).trim_end();
    text.push('\n');
    if has_room(look) { text } else { wrap(&text, look.width) }
}

const fn ink(phase: Phase, failed: bool) -> Ink {
    match phase {
        _ if failed => Ink::Bad,
        Phase::Dns | Phase::Connect | Phase::Tls | Phase::Send => Ink::Path,
        Phase::Wait => Ink::Node,
        Phase::Receive => Ink::Good,
    }
}

/// The columns for which there is room.
#[derive(Clone, Copy, Debug)]
struct PhaseColumns {
    until: bool,
    share: bool,
    /// What is left for the bars, without the mark of a failure.
    bars: usize,
}

impl PhaseColumns {
    fn on(look: Look) -> Self {
        let columns = picture_width(look);
        let (until, share) = (columns >= WITH_UNTIL, columns >= WITH_SHARE);
        let mut layout = Self { until, share, bars: 0 };
        layout.bars = columns - layout.row([""; 4]).len() - MARK;
        layout
    }

    fn row(self, [name, took, until, share]: [&str; 4]) -> String {
        let mut row = format!("  {name:<7}  {took:>7}");
        if self.until {
            row += &format!("  {until:>7}");
        }
        if self.share {
            row += &format!("  {share:>5}");
        }
        row + "  "
    }
}

/// Whole percents, but never 0 % for a phase that took some time.
fn share(took: Micros, total: Micros) -> String {
    let percent = took.as_secs_f64() * 100.0 / total.as_secs_f64().max(f64::MIN_POSITIVE);
    if took.0 > 0 && percent < 1.0 { "< 1 %".to_owned() } else { format!("{percent:.0} %") }
}

/// The columns from `begun` for `took` on a scale of `total`; at least one, so that no phase is hidden.
fn place(begun: Micros, took: Micros, total: Micros, columns: usize) -> (usize, usize) {
    let scale = |time: u64| {
        let column = u128::from(time) * columns as u128 / u128::from(total.0.max(1));
        usize::try_from(column).unwrap_or(columns).min(columns)
    };
    let from = scale(begun.0).min(columns.saturating_sub(1));
    (from, scale(begun.0 + took.0).max(from + 1))
}

/// From this number of columns on, there is room for the ends of the phases next to the bars, and for their shares.
const WITH_UNTIL: usize = 54;
const WITH_SHARE: usize = 72;
/// Columns for the mark of a failure.
const MARK: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_start_and_end_with_their_phase() {
        let place = |begun, took| place(Micros(begun), Micros(took), Micros(100), 10);
        assert_eq!(place(0, 50), (0, 5));
        assert_eq!(place(50, 50), (5, 10));
        assert_eq!(place(0, 0), (0, 1), "no phase is hidden");
        assert_eq!(place(100, 0), (9, 10));
        assert_eq!(place(33, 34), (3, 6));
    }

    #[test]
    fn shares_are_whole_percents_but_never_hide_a_phase() {
        for (took, expected) in [(0, "0 %"), (9, "< 1 %"), (10, "1 %"), (256, "26 %"), (1_000, "100 %")] {
            assert_eq!(share(Micros(took), Micros(1_000)), expected);
        }
        assert_eq!(share(Micros(0), Micros(0)), "0 %");
    }
}
