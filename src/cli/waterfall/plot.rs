//! Goodput over time as a picture: bars over the time since the response head, with the ramp and the stalls marked.

use std::fmt::Write;

use crate::{
    measure::timeline::stall_threshold,
    model::{
        curve::Curve,
        flag::Flag,
        outcome::Outcome,
        sample::Sample,
        units::{BitRate, Micros},
    },
    term::{Look, ink::Ink, wrap::flow},
};

use super::{
    axis,
    marks::{self, Mark},
    picture_width, plot_height,
};

/// A body, and what the analysis found out about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'a> {
    pub(super) curve: &'a Curve,
    /// When the transfer ended or was given up, as an offset from t0.
    pub(super) end: Micros,
    /// Length of the ramp from the first body byte.
    pub(super) ramp: Option<Micros>,
    pub(super) steady: Option<BitRate>,
    /// A pause longer than this is a stall.
    pub(super) threshold: Micros,
    /// What cut the body off; `None` if it was not cut off.
    pub(super) cut: Option<&'static str>,
}

/// A column of the picture.
#[derive(Clone, Copy, Debug)]
struct Bar {
    rate: BitRate,
    ink: Ink,
    stalled: bool,
}

impl<'a> Body<'a> {
    pub(super) fn of(sample: &'a Sample) -> Option<Self> {
        let curve = sample.curve.as_ref()?;
        Some(Self {
            curve,
            end: sample.phases.total().max(curve.last()),
            ramp: sample.rates.ramp,
            steady: sample.rates.steady,
            threshold: stall_threshold(sample.path.rtt),
            cut: match sample.outcome {
                Outcome::Ok => sample.flags.contains(Flag::Partial).then_some(DEADLINE),
                outcome => Some(outcome.label()),
            },
        })
    }

    /// The time span of the picture.
    fn length(&self) -> Micros {
        self.end.saturating_sub(self.curve.head)
    }

    /// The begin and end of each stall, as offsets from t0.
    fn stalls(&self) -> Vec<(Micros, Micros)> {
        self.curve.stalls(self.threshold, self.end)
    }

    /// When the ramp ended, as an offset from t0; `None` without a ramp.
    fn ramped(&self) -> Option<Micros> {
        let ramp = self.ramp.filter(|ramp| ramp.0 > 0)?;
        Some(Micros(self.curve.begin.0.saturating_add(ramp.0)))
    }

    /// The rate in each of `columns` equal time spans.
    fn bars(&self, columns: usize) -> Vec<Bar> {
        let edge = |column: usize| Micros(self.curve.head.0 + at(self.length().0, column, columns));
        let stalls = self.stalls();
        let bar = |column: usize| {
            let (from, until) = (edge(column), edge(column + 1));
            let middle = Micros(u64::midpoint(from.0, until.0));
            let ramping = self.ramped().is_some_and(|ramped| middle < ramped);
            Bar {
                rate: self.curve.rate(from, until),
                ink: if ramping { Ink::Doubtful } else { Ink::Good },
                stalled: stalls.iter().any(|(from, until)| (*from..*until).contains(&middle)),
            }
        };
        (0..columns).map(bar).collect()
    }
}

/// Draws a body. Empty if it arrived too fast for a picture.
pub(super) fn plot(body: &Body<'_>, look: Look) -> String {
    let room = picture_width(look).saturating_sub(axis::LABELS);
    let bins = usize::try_from(body.length().0 / body.curve.width.0.max(1)).unwrap_or(usize::MAX);
    let filled = body.curve.bytes.iter().filter(|bytes| **bytes > 0).count();
    if bins.min(filled) < FEWEST {
        return String::new();
    }
    // No column is narrower than a bin. If there are fewer bins than columns, each bin takes several columns.
    let different = bins.min(room);
    let wide = room / different;
    let bars: Vec<Bar> = body.bars(different).into_iter().flat_map(|bar| std::iter::repeat_n(bar, wide)).collect();
    let peak = bars.iter().map(|bar| bar.rate).max().unwrap_or_default();
    let top = axis::round_up(peak.max(body.steady.unwrap_or_default()));
    let mut text = heading(body, peak, look);
    rows(&mut text, &bars, body.steady, top, look);
    text += &axis::under(body.length(), &bars.iter().map(|bar| bar.stalled).collect::<Vec<_>>(), look);
    text += &marks::line(&found(body, bars.len()), bars.len(), look);
    text
}

fn heading(body: &Body<'_>, peak: BitRate, look: Look) -> String {
    let words = [Some("goodput over time".to_owned()), Some(format!("peak {peak}"))];
    let words = words.into_iter().chain([body.steady.map(|steady| format!("steady {steady} ┄┄"))]).flatten();
    let words: Vec<_> = words.collect();
    flow(words.iter().map(String::as_str), "   ", ("  ", "    "), look.width) + "\n"
}

fn rows(text: &mut String, bars: &[Bar], steady: Option<BitRate>, top: BitRate, look: Look) {
    let height = plot_height(look);
    let level = |rate: BitRate| -> u64 {
        let scaled = u128::from(rate.0) * height as u128 * EIGHTHS as u128 / u128::from(top.0.max(1));
        u64::try_from(scaled).unwrap_or(u64::MAX).max(u64::from(rate.0 > 0))
    };
    let steady = steady.map(|rate| level(rate).saturating_sub(1) / EIGHTHS);
    for row in (0..height as u64).rev() {
        let label = match row + 1 {
            top_row if top_row == height as u64 => axis::rate(top),
            half if half * 2 == height as u64 => axis::rate(BitRate(top.0 / 2)),
            _ => String::new(),
        };
        let _ = write!(text, "  {label:>10} │");
        let mut cells = Cells::default();
        for bar in bars {
            let filled = level(bar.rate).saturating_sub(row * EIGHTHS).min(EIGHTHS);
            match usize::try_from(filled).unwrap_or(0) {
                0 if steady == Some(row) => cells.push('┄', Some(Ink::Faint), look.colour),
                0 => cells.push(' ', None, look.colour),
                eighths => cells.push(BLOCKS[eighths - 1], Some(bar.ink), look.colour),
            }
        }
        let _ = writeln!(text, "{}", cells.end(look.colour).trim_end());
    }
}

/// The ramp, the stalls and an early end, as ranges of columns.
fn found(body: &Body<'_>, columns: usize) -> Vec<Mark> {
    let column = |time: Micros| {
        let since = time.saturating_sub(body.curve.head);
        let column = u128::from(since.0) * columns as u128 / u128::from(body.length().0.max(1));
        usize::try_from(column).unwrap_or(columns).min(columns)
    };
    let ramp = body.ramped().map(|ramped| (body.curve.begin, ramped, "ramp", Ink::Doubtful));
    let stalls = body.stalls().into_iter().map(|(from, until)| (from, until, "stall", Ink::Bad));
    let mark = |(from, until, word, ink)| {
        let from = column(from).min(columns - 1);
        Mark { from, until: column(until).max(from + 1), word, ink }
    };
    let mut marks: Vec<Mark> = ramp.into_iter().chain(stalls).map(mark).collect();
    marks.sort_by_key(|mark| (mark.from, mark.until));
    // A stall up to the end already shows the end.
    if let Some(word) = body.cut.filter(|_| marks.last().is_none_or(|last| last.until < columns)) {
        let ink = if word == DEADLINE { Ink::Doubtful } else { Ink::Bad };
        marks.push(Mark { from: columns - 1, until: columns, word, ink });
    }
    marks
}

/// Neighbouring cells of one colour, painted together.
#[derive(Default)]
struct Cells {
    text: String,
    run: String,
    ink: Option<Ink>,
}

impl Cells {
    fn push(&mut self, c: char, ink: Option<Ink>, colour: bool) {
        if ink != self.ink {
            self.flush(colour);
            self.ink = ink;
        }
        self.run.push(c);
    }

    fn flush(&mut self, colour: bool) {
        let run = std::mem::take(&mut self.run);
        self.text += &self.ink.map_or(run.clone(), |ink| ink.on(&run, colour));
    }

    fn end(mut self, colour: bool) -> String {
        self.flush(colour);
        self.text
    }
}

/// `all × part / of`, without overflow.
fn at(all: u64, part: usize, of: usize) -> u64 {
    u64::try_from(u128::from(all) * part as u128 / of.max(1) as u128).unwrap_or(all)
}

/// With fewer bins, or fewer bins that contain a byte, a picture shows nothing.
const FEWEST: usize = 4;
const EIGHTHS: u64 = 8;
/// What ended a partial transfer.
const DEADLINE: &str = "deadline";
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        measure::timeline::Timeline,
        term::{ascii::ascii, width::columns},
    };

    /// A body of bins 100 ms wide, each with its rate in Mbit/s. A rate of 0 is a pause.
    fn curve(rates: &[u64]) -> Curve {
        let bytes: Vec<u64> = rates.iter().map(|rate| rate * 1_000_000 / 80).collect();
        let (begin, width) = (Micros(7), Micros(100_000));
        let at = |bin: usize| Micros(begin.0 + width.0 * bin as u64);
        let (mut pauses, mut bin) = (Vec::new(), 0);
        for run in rates.chunk_by(|a, b| (*a == 0) == (*b == 0)) {
            if run[0] == 0 {
                pauses.push((at(bin), at(bin + run.len())));
            }
            bin += run.len();
        }
        let span = Micros(width.0 * bytes.len() as u64);
        Curve { head: begin, begin, span, width, reads: 9, bytes, pauses }
    }

    fn body(curve: &Curve) -> Body<'_> {
        Body { curve, end: curve.last(), ramp: None, steady: None, threshold: Micros(200_000), cut: None }
    }

    const SIXTY: Look = Look { width: Some(60), colour: false };

    #[test]
    fn ramp_and_stalls_are_drawn_and_marked() {
        let mut rates = vec![2, 4, 8, 12, 16];
        rates.extend([19; 20]);
        rates.extend([0; 9]);
        rates.extend([19; 10]);
        let curve = curve(&rates);
        let body = Body { ramp: Some(Micros(500_000)), steady: Some(BitRate(18_900_000)), ..body(&curve) };
        let drawn = plot(&body, SIXTY);
        assert_eq!(drawn, include_str!("../../../tests/data/plot/stalled.txt"), "\n{drawn}");
        assert_eq!(ascii(&drawn), include_str!("../../../tests/data/plot/stalled.ascii.txt"), "\n{}", ascii(&drawn));
        let narrow = plot(&body, Look { width: Some(40), colour: false });
        assert_eq!(narrow, include_str!("../../../tests/data/plot/narrow.txt"), "\n{narrow}");
    }

    #[test]
    fn a_transfer_that_was_given_up_ends_in_a_stall() {
        let curve = curve(&[30, 40, 38, 41, 39]);
        let drawn = plot(&Body { end: Micros(5_500_007), ..body(&curve) }, SIXTY);
        assert_eq!(drawn, include_str!("../../../tests/data/plot/given-up.txt"), "\n{drawn}");
    }

    #[test]
    fn a_cut_off_body_names_the_cause() {
        let curve = curve(&[30, 40, 38, 41, 39, 40, 41, 40]);
        for (cut, expected) in [("deadline", " deadline ╵"), ("truncated", " truncated ╵")] {
            let drawn = plot(&Body { cut: Some(cut), ..body(&curve) }, SIXTY);
            assert!(drawn.trim_end().ends_with(expected), "\n{drawn}");
        }
        let stalled = Body { end: Micros(5_500_007), cut: Some("stalled"), ..body(&curve) };
        assert!(!plot(&stalled, SIXTY).contains("stalled"), "the silence says it");
    }

    #[test]
    fn the_plot_shows_exactly_the_stalls_that_are_counted() {
        let paused = curve(&[30, 0, 0, 0, 0, 30, 30, 30]);
        assert!(plot(&body(&paused), SIXTY).contains("stall"));
        // A TLS record that arrived slowly: no body byte for a long time, and yet the socket was not silent.
        assert!(!plot(&body(&Curve { pauses: vec![], ..paused }), SIXTY).contains("stall"));
    }

    #[test]
    fn only_pauses_over_the_threshold_are_stalls() {
        let mut timeline = Timeline::new(Micros(40_000));
        let ends = (0..30).map(|n| 540_000 + n * 10_000).chain((0..50).map(|n| 995_000 + n * 10_000));
        ends.zip(1..).for_each(|(at, n)| timeline.record(Micros(at), n * 20_000));
        let (last, stalls) = (timeline.last().unwrap().at, timeline.stalls(Micros(1_485_000), None).unwrap());
        assert_eq!((stalls.count, stalls.stalled), (1, Micros(500_000)));
        let curve = timeline.into_curve().unwrap();
        let ramp = Some(Micros(100_000));
        let drawn = plot(&Body { end: last, ramp, threshold: stall_threshold(None), ..body(&curve) }, SIXTY);
        assert_eq!(drawn, include_str!("../../../tests/data/plot/late.txt"), "\n{drawn}");
    }

    #[test]
    fn too_little_is_not_drawn() {
        for rates in [&[][..], &[5, 5, 5], &[5, 0, 0, 0, 0, 0, 0, 0, 0, 5]] {
            assert_eq!(plot(&body(&curve(rates)), SIXTY), "");
        }
    }

    #[test]
    fn no_plot_is_wider_than_the_terminal() {
        let curve = curve(&(0..230).map(|n| n % 50).collect::<Vec<_>>());
        for width in 40..=200 {
            let drawn =
                plot(&Body { ramp: Some(Micros(1)), ..body(&curve) }, Look { width: Some(width), colour: false });
            let widest = drawn.lines().map(columns).max();
            assert!(widest <= Some(usize::from(width)), "{width}: {widest:?}\n{drawn}");
        }
    }

    #[test]
    fn each_part_of_the_plot_has_its_colour() {
        let curve = curve(&[5, 9, 9, 0, 0, 0, 9, 9]);
        let body = Body { ramp: Some(Micros(100_000)), ..body(&curve) };
        let drawn = plot(&body, Look { width: Some(60), colour: true });
        for painted in ["\u{1b}[33m█████", "\u{1b}[32m█████", "\u{1b}[31m━━━━━", "\u{1b}[31m└", "\u{1b}[33m└"]
        {
            assert!(drawn.contains(painted), "{painted:?}\n{drawn}");
        }
    }
}
