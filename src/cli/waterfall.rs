//! A transfer as a picture: its phases below each other, each where and as long as it was.

use std::fmt::Write;

use url::Url;

use crate::model::{
    phase::Phase,
    sample::{Conn, HttpVersion, Sample},
    units::{BitRate, Bytes, Micros},
};

/// What the picture is drawn on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Canvas {
    /// Columns.
    pub(super) width: u16,
    /// Are block characters possible?
    pub(super) unicode: bool,
}

/// Draws a sample, good or failed.
pub(super) fn draw(url: &Url, sample: &Sample, canvas: Canvas) -> String {
    let mut text = format!("{url}\n{}\n\n", headline(sample));
    let columns = usize::from(canvas.width.clamp(NARROWEST, WIDEST)) - LABELS;
    let total = sample.phases.total();
    let mut begun = Micros::ZERO;
    for phase in Phase::ALL {
        let Some(took) = sample.phases.took(phase) else { continue };
        let bar = bar(begun, took, total, columns, if canvas.unicode { '█' } else { '#' });
        let failed = if sample.failed_phase == Some(phase) { " ✗" } else { "" };
        let failed = if canvas.unicode { failed } else { &failed.replace('✗', "x") };
        let line = format!("  {:<9}{took:>9}  {bar}{failed}", phase.label());
        line_of(&mut text, &line);
        begun = Micros(begun.0 + took.0);
    }
    line_of(&mut text, &format!("  {:<9}{total:>9}", "total"));
    text.push('\n');
    figures(&mut text, sample);
    for flag in sample.flags.iter() {
        line_of(&mut text, &format!("  {}: {}", flag.label(), flag.meaning()));
    }
    if !sample.outcome.is_ok() {
        line_of(&mut text, &format!("  {}: {}", sample.outcome.label(), sample.outcome.meaning()));
        if let Some(error) = &sample.error {
            line_of(&mut text, &format!("  {error}"));
        }
    }
    text.push('\n');
    text
}

fn headline(sample: &Sample) -> String {
    let mut words = vec![sample.outcome.label().to_owned()];
    words.extend(sample.status.map(|status| format!("status {status}")));
    words.extend(sample.labels.http.map(|http| match http {
        HttpVersion::Http1 => "HTTP/1.1".to_owned(),
        HttpVersion::Http2 => "HTTP/2".to_owned(),
    }));
    words.extend(sample.trail.tls_version.map(|version| format!("TLS {version}")));
    words.extend(sample.trail.remote_addr.map(|address| address.to_string()));
    words.extend(sample.labels.conn.map(|conn| match conn {
        Conn::Cold => "new connection".to_owned(),
        Conn::Warm => "kept connection".to_owned(),
    }));
    words.extend(sample.labels.cache.is_hit().map(|_| format!("cache {}", sample.labels.cache.label())));
    words.join(", ")
}

fn figures(text: &mut String, sample: &Sample) {
    let time = |name: &str, time: Option<Micros>| time.map(|time| format!("{name} {time}"));
    let rate = |name: &str, rate: Option<BitRate>| rate.map(|rate| format!("{name} {rate}"));
    let rates = &sample.rates;
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
            rates.stalls.filter(|&stalls| stalls > 0).map(|stalls| format!("{stalls} stalls")),
            time("stalled", rates.stalled.filter(|stalled| stalled.0 > 0)),
        ],
    ] {
        let row: Vec<String> = row.into_iter().flatten().collect();
        if !row.is_empty() {
            line_of(text, &format!("  {}", row.join("   ")));
        }
    }
}

/// A bar from `begun` for `took` on a scale of `total` over `columns`; at least one column, so that no phase is hidden.
fn bar(begun: Micros, took: Micros, total: Micros, columns: usize, block: char) -> String {
    let scale = |time: u64| {
        let column = u128::from(time) * columns as u128 / u128::from(total.0.max(1));
        usize::try_from(column).unwrap_or(columns).min(columns)
    };
    let from = scale(begun.0).min(columns.saturating_sub(1));
    let until = scale(begun.0 + took.0).max(from + 1);
    format!("{}{}", " ".repeat(from), String::from(block).repeat(until - from))
}

fn line_of(text: &mut String, line: &str) {
    let _ = writeln!(text, "{}", line.trim_end());
}

/// Columns of the words beside the bars.
const LABELS: usize = 24;
const NARROWEST: u16 = 40;
const WIDEST: u16 = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_lie_where_the_phase_was() {
        let bar = |begun, took| bar(Micros(begun), Micros(took), Micros(100), 10, '#');
        assert_eq!(bar(0, 50), "#####");
        assert_eq!(bar(50, 50), "     #####");
        assert_eq!(bar(0, 0), "#", "no phase is hidden");
        assert_eq!(bar(100, 0), "         #");
        assert_eq!(bar(33, 34), "   ###");
    }
}
