//! The axes of the plot: rates upwards, time to the right.

use super::picture_width;
use crate::{
    model::units::{BitRate, Micros},
    term::{Look, figure::trimmed, ink::Ink, width},
};

/// Columns left of the bars: indentation, the label of a rate, the axis.
pub(super) const LABELS: usize = 14;

/// The next round rate whose half is round as well: the top of the axis.
pub(super) fn round_up(rate: BitRate) -> BitRate {
    let step = 10_u64.pow(rate.0.max(1).ilog10());
    let nice = [10, 12, 16, 20, 24, 30, 40, 50, 60, 80, 100].into_iter().map(|tenths| u128::from(step) * tenths / 10);
    let top = nice.into_iter().find(|nice| *nice >= u128::from(rate.0)).unwrap_or(u128::MAX);
    BitRate(u64::try_from(top).unwrap_or(u64::MAX).max(1))
}

/// A rate without useless digits: `20 Mbit/s`, `2.5 Gbit/s`.
pub(super) fn rate(rate: BitRate) -> String {
    let text = rate.to_string();
    trimmed(&text)
}

/// The time axis with its labels, in two lines. `stalled` says for each column whether it is part of a stall.
pub(super) fn under(end: Micros, stalled: &[bool], look: Look) -> String {
    let columns = stalled.len();
    let step = step(end, columns);
    let mut line: Vec<char> = stalled.iter().map(|stalled| if *stalled { '━' } else { '─' }).collect();
    let mut labels = String::new();
    let mut time = 0;
    while time < end.0 {
        let column = usize::try_from(u128::from(time) * columns as u128 / u128::from(end.0)).unwrap_or(columns);
        let label = label(Micros(time), end);
        if column >= columns || LABELS + column + width::columns(&label) > picture_width(look) {
            break;
        }
        if !stalled[column] {
            line[column] = '┬';
        }
        labels += &" ".repeat((LABELS + column).saturating_sub(width::columns(&labels)));
        labels += &label;
        time += step.0;
    }
    let mut painted = String::new();
    for run in line.chunk_by(|a, b| (*a == '━') == (*b == '━')) {
        let text: String = run.iter().collect();
        painted += &if run[0] == '━' { Ink::Bad.on(&text, look.colour) } else { text };
    }
    format!("{:>12} └{painted}\n{labels}\n", "0")
}

/// The smallest round step that leaves enough room for a label.
fn step(end: Micros, columns: usize) -> Micros {
    let least = u128::from(end.0) * LABEL_COLUMNS / columns.max(1) as u128;
    let decades = (0..19).map(|exponent| 10_u64.pow(exponent));
    let steps = decades.flat_map(|decade| [1, 2, 5].map(|figure| decade.saturating_mul(figure)));
    Micros(steps.into_iter().find(|step| u128::from(*step) >= least).unwrap_or(u64::MAX))
}

/// `0`, or a time in the unit that suits `end`.
fn label(time: Micros, end: Micros) -> String {
    let text = match (time.0, end.0) {
        (0, _) => return "0".to_owned(),
        (_, ..10_000) => format!("{} µs", time.0),
        (_, ..1_000_000) => format!("{} ms", time.0 / 1_000),
        _ => format!("{:.2} s", time.as_secs_f64()),
    };
    trimmed(&text)
}

/// Columns for the label of a time, with some space.
const LABEL_COLUMNS: u128 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_rates() {
        for (peak, top) in [
            (19_800_000, "20 Mbit/s"),
            (20_400_000, "24 Mbit/s"),
            (999, "1 kbit/s"),
            (101_000_000, "120 Mbit/s"),
            (2_400_000_000, "2.4 Gbit/s"),
            (0, "1 bit/s"),
        ] {
            assert_eq!(rate(round_up(BitRate(peak))), top, "{peak}");
        }
        assert_eq!(round_up(BitRate(u64::MAX)), BitRate(u64::MAX));
    }

    #[test]
    fn times_are_labelled_at_round_steps() {
        let look = Look { width: Some(40), colour: false };
        for (end, stalled, expected) in [
            (300_000, 0..0, "           0 └┬───────┬────────┬────────\n              0       100 ms   200 ms\n"),
            (4_000_000, 8..12, "           0 └┬───────━━━━─┬────────────\n              0            2 s\n"),
        ] {
            let mut columns = vec![false; 26];
            columns[stalled].fill(true);
            assert_eq!(under(Micros(end), &columns, look), expected, "{}", under(Micros(end), &columns, look));
        }
    }
}
