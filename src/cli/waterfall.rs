//! A transfer as a picture: its phases below each other, each where and as long as it was.

use url::Url;

use crate::{
    model::{
        phase::Phase,
        sample::{Conn, HttpVersion, Sample},
        units::{BitRate, Bytes, Micros},
    },
    report::{
        ink::Ink,
        wrap::{flow, wrap},
    },
};

mod axis;
mod marks;
mod plot;

/// What the picture is drawn on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Canvas {
    /// Columns of the terminal; `None` when it is none: no line of words is broken then.
    pub(super) width: Option<u16>,
    /// Whether colours may be used.
    pub(super) colour: bool,
}

impl Canvas {
    /// Columns for pictures.
    fn columns(self) -> usize {
        usize::from(self.width.unwrap_or(UNKNOWN).clamp(NARROWEST, WIDEST))
    }

    /// A picture that is broken into lines is none.
    fn has_room(self) -> bool {
        self.width.is_none_or(|width| width >= NARROWEST)
    }

    /// Lines for the bars of a plot; an even number.
    fn height(self) -> usize {
        match self.columns() {
            ..60 => 4,
            60..110 => 6,
            _ => 8,
        }
    }
}

/// Draws a sample, good or failed.
pub(super) fn draw(url: &Url, sample: &Sample, canvas: Canvas) -> String {
    let mut text = Ink::Strong.on(&wrap(url.as_str(), canvas.width), canvas.colour);
    text.push('\n');
    let mut words = headline(sample, canvas);
    let last = words.len() - 1;
    words[..last].iter_mut().for_each(|word| word.push(','));
    text += &flow(words.iter().map(String::as_str), " ", ("", "  "), canvas.width);
    text += "\n\n";
    phases(&mut text, sample, canvas);
    text.push('\n');
    if let Some(body) = plot::Body::of(sample).filter(|_| canvas.has_room()) {
        let plot = plot::plot(&body, canvas);
        if !plot.is_empty() {
            text += &plot;
            text.push('\n');
        }
    }
    figures(&mut text, sample, canvas);
    text += &wrap(&remarks(sample, canvas), canvas.width);
    text.push('\n');
    text
}

/// What to beware of, and what went wrong.
fn remarks(sample: &Sample, canvas: Canvas) -> String {
    let mut text = String::new();
    for flag in sample.flags.iter() {
        text += &format!("  {}: {}\n", Ink::Doubtful.on(flag.label(), canvas.colour), flag.meaning());
    }
    if !sample.outcome.is_ok() {
        let outcome = &sample.outcome;
        text += &format!("  {}: {}\n", Ink::Bad.on(outcome.label(), canvas.colour), outcome.meaning());
        if let Some(error) = &sample.error {
            text += &format!("  {error}\n");
        }
    }
    text
}

/// The phases below each other. The way to the node, the node itself and the body have a colour each.
fn phases(text: &mut String, sample: &Sample, canvas: Canvas) {
    let columns = canvas.columns() - LABELS;
    let total = sample.phases.total();
    let mut begun = Micros::ZERO;
    for phase in Phase::ALL {
        let Some(took) = sample.phases.took(phase) else { continue };
        let failed = sample.failed_phase == Some(phase);
        let ink = match phase {
            _ if failed => Ink::Bad,
            Phase::Dns | Phase::Connect | Phase::Tls | Phase::Send => Ink::Path,
            Phase::Wait => Ink::Node,
            Phase::Receive => Ink::Good,
        };
        let (from, until) = place(begun, took, total, columns);
        let (room, blocks) = if canvas.has_room() { (from, until - from) } else { (0, 0) };
        let bar = format!("{}{}", "█".repeat(blocks), if failed { " ✗" } else { "" });
        let line = format!("  {:<9}{took:>9}  {}{}", phase.label(), " ".repeat(room), ink.on(&bar, canvas.colour));
        *text += line.trim_end();
        text.push('\n');
        begun = Micros(begun.0 + took.0);
    }
    *text += &format!("  {:<9}{total:>9}\n", "total");
}

fn headline(sample: &Sample, canvas: Canvas) -> Vec<String> {
    let outcome = if sample.outcome.is_ok() { Ink::Good } else { Ink::Bad };
    let mut words = vec![outcome.on(sample.outcome.label(), canvas.colour)];
    words.extend(sample.status.map(|status| format!("status {status}")));
    words.extend(sample.labels.http.map(|http| match http {
        HttpVersion::Http1 => "HTTP/1.1".to_owned(),
        HttpVersion::Http2 => "HTTP/2".to_owned(),
    }));
    words.extend(sample.tls.version.map(|version| format!("TLS {version}")));
    words.extend(sample.trail.remote_addr.map(|address| address.to_string()));
    words.extend(sample.labels.conn.map(|conn| match conn {
        Conn::Cold => "new connection".to_owned(),
        Conn::Warm => "kept connection".to_owned(),
    }));
    words.extend(sample.labels.cache.is_hit().map(|_| format!("cache {}", sample.labels.cache.label())));
    words
}

fn figures(text: &mut String, sample: &Sample, canvas: Canvas) {
    let time = |name: &str, time: Option<Micros>| time.map(|time| format!("{name} {time}"));
    let rate = |name: &str, rate: Option<BitRate>| rate.map(|rate| format!("{name} {rate}"));
    let rates = &sample.rates;
    let stalls = |count: u64| if count == 1 { "1 stall".to_owned() } else { format!("{count} stalls") };
    for row in [
        vec![
            time("ttfb", sample.phases.ttfb()),
            time("server", sample.server_time()),
            time("path rtt", sample.path.rtt),
        ],
        vec![
            sample.bytes.map(|bytes| format!("received {}", Bytes(bytes))),
            rate("effective", rates.effective),
            rate("goodput", rates.goodput),
            rate("steady", rates.steady),
            rate("slowest 250 ms", rates.min_interval),
        ],
        vec![
            time("ramp", rates.ramp.filter(|ramp| ramp.0 > 0)),
            time("longest gap", rates.longest_gap),
            rates.stalls.filter(|&count| count > 0).map(|count| Ink::Bad.on(&stalls(count), canvas.colour)),
            time("stalled", rates.stalled.filter(|stalled| stalled.0 > 0)),
        ],
    ] {
        let row: Vec<String> = row.into_iter().flatten().collect();
        if !row.is_empty() {
            *text += &flow(row.iter().map(String::as_str), "   ", ("  ", "    "), canvas.width);
            text.push('\n');
        }
    }
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

/// Columns of the words beside the bars, and of the mark of a failure.
const LABELS: usize = 24;

/// Pictures in fewer or more columns say nothing, or nothing more.
const NARROWEST: u16 = 40;
const WIDEST: u16 = 160;

/// What stands for the width where there is no terminal.
const UNKNOWN: u16 = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_lie_where_the_phase_was() {
        let place = |begun, took| place(Micros(begun), Micros(took), Micros(100), 10);
        assert_eq!(place(0, 50), (0, 5));
        assert_eq!(place(50, 50), (5, 10));
        assert_eq!(place(0, 0), (0, 1), "no phase is hidden");
        assert_eq!(place(100, 0), (9, 10));
        assert_eq!(place(33, 34), (3, 6));
    }
}
