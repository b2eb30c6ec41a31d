//! A transfer as a picture: its phases below each other, each with its position and length in time.

use url::Url;

use crate::{
    model::{
        sample::{ConnectionKind, HttpVersion, Sample},
        units::{BitRate, Bytes, Micros},
    },
    term::{
        Look,
        ink::Ink,
        wrap::{flow, wrap},
    },
};

mod axis;
mod diagnosis;
mod evidence;
mod marks;
mod phases;
mod plot;
mod remarks;

/// Columns for pictures.
fn picture_width(look: Look) -> usize {
    usize::from(look.width.unwrap_or(UNKNOWN).clamp(MIN_WIDTH, MAX_WIDTH))
}

/// Whether pictures fit without wrapping.
fn has_room(look: Look) -> bool {
    look.width.is_none_or(|width| width >= MIN_WIDTH)
}

/// Lines for the bars of a plot; an even number.
fn plot_height(look: Look) -> usize {
    match picture_width(look) {
        ..60 => 4,
        60..110 => 6,
        _ => 8,
    }
}

/// Draws a sample, good or failed. With `verbose`, the evidence for its figures and flags follows.
pub(super) fn draw(url: &Url, sample: &Sample, look: Look, verbose: bool) -> String {
    let mut text = title(url, look);
    let mut words = headline(sample, look);
    let last = words.len() - 1;
    words[..last].iter_mut().for_each(|word| word.push(','));
    text += &flow(words.iter().map(String::as_str), " ", ("", "  "), look.width);
    text += "\n\n";
    text += &phases::phases(sample, look);
    if let Some(diagnosis) = diagnosis::diagnosis(sample) {
        text += &wrap(&format!("  {diagnosis}\n"), look.width);
    }
    text.push('\n');
    if let Some(body) = plot::Body::of(sample).filter(|_| has_room(look)) {
        let plot = plot::plot(&body, look);
        if !plot.is_empty() {
            text += &plot;
            text.push('\n');
        }
    }
    figures(&mut text, sample, look);
    text += &remarks::remarks(sample, look);
    if verbose {
        text.push('\n');
        text += &evidence::evidence(sample, look);
    }
    text.push('\n');
    text
}

/// The URL, as the line above a picture.
fn title(url: &Url, look: Look) -> String {
    Ink::Strong.on(&wrap(url.as_str(), look.width), look.colour) + "\n"
}

fn headline(sample: &Sample, look: Look) -> Vec<String> {
    let outcome = if sample.outcome.is_ok() { Ink::Good } else { Ink::Bad };
    let mut words = vec![outcome.on(sample.outcome.label(), look.colour)];
    words.extend(sample.status.map(|status| format!("status {status}")));
    words.extend(sample.labels.http.map(|http| match http {
        HttpVersion::Http1 => "HTTP/1.1".to_owned(),
        HttpVersion::Http2 => "HTTP/2".to_owned(),
    }));
    words.extend(sample.tls.version.map(|version| format!("TLS {version}")));
    words.extend(sample.trail.remote_addr.map(|address| address.to_string()));
    words.extend(sample.labels.conn.map(|conn| match conn {
        ConnectionKind::Cold => "new connection".to_owned(),
        ConnectionKind::Warm => "reused connection".to_owned(),
    }));
    words.extend(sample.labels.cache.is_hit().map(|_| format!("cache {}", sample.labels.cache.label())));
    words
}

fn figures(text: &mut String, sample: &Sample, look: Look) {
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
            sample.bytes.map(|bytes| received(bytes, sample.expected_bytes)),
            rate("effective", rates.effective),
            rate("goodput", rates.goodput),
            rate("steady", rates.steady),
            rate("slowest 250 ms", rates.min_interval),
        ],
        vec![
            time("ramp", rates.ramp.filter(|ramp| ramp.0 > 0)),
            time("longest gap", rates.longest_gap),
            rates.stalls.filter(|&count| count > 0).map(|count| Ink::Bad.on(&stalls(count), look.colour)),
            time("stalled", rates.stalled.filter(|stalled| stalled.0 > 0)),
        ],
    ] {
        let row: Vec<String> = row.into_iter().flatten().collect();
        if !row.is_empty() {
            *text += &flow(row.iter().map(String::as_str), "   ", ("  ", "    "), look.width);
            text.push('\n');
        }
    }
}

/// A narrower picture would show too little, and a wider one would show nothing more.
const MIN_WIDTH: u16 = 40;
const MAX_WIDTH: u16 = 160;

/// The width that is assumed without a terminal.
const UNKNOWN: u16 = 80;

/// How much was received, and how much was expected if that differs.
fn received(bytes: u64, expected: Option<u64>) -> String {
    let wanted = expected.filter(|expected| *expected != bytes).map(|expected| format!(" of {}", Bytes(expected)));
    format!("received {}{}", Bytes(bytes), wanted.unwrap_or_default())
}

#[cfg(test)]
pub(super) mod fixture;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            curve::Curve,
            flag::Flag,
            outcome::Outcome,
            phase::Phase,
            sample::{CacheState, Rates, TlsInfo},
        },
        term::width::columns,
    };

    fn drawn(sample: &Sample, width: Option<u16>) -> String {
        let url = "https://node.example.net/552149.mp4".parse().expect("a URL");
        draw(&url, sample, Look { width, colour: false }, false)
    }

    #[test]
    fn phases_are_drawn_in_columns() {
        let sample = fixture::sample();
        for (width, expected) in [
            (Some(40), include_str!("../../tests/data/plot/phases-40.txt")),
            (Some(60), include_str!("../../tests/data/plot/phases-60.txt")),
            (Some(100), include_str!("../../tests/data/plot/phases-100.txt")),
            (None, include_str!("../../tests/data/plot/phases.txt")),
        ] {
            let drawn = drawn(&sample, width);
            assert_eq!(drawn, expected, "{width:?}\n{drawn}");
        }
    }

    #[test]
    fn a_failed_transfer_is_marked_where_it_failed() {
        let mut sample = fixture::sample();
        sample.phases = fixture::phases([Some(1), Some(20), Some(5_000), None, None, None]);
        (sample.outcome, sample.failed_phase) = (Outcome::TlsUntrusted, Some(Phase::Tls));
        (sample.rates, sample.status, sample.bytes) = (Rates::default(), None, None);
        (sample.tls, sample.labels.cache) = (TlsInfo::default(), CacheState::Unknown);
        sample.error = Some("the issuer is unknown".to_owned());
        let drawn = drawn(&sample, Some(80));
        assert_eq!(drawn, include_str!("../../tests/data/plot/phases-failed.txt"), "\n{drawn}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut sample = fixture::sample();
        sample.flags = Flag::ALL.iter().copied().collect();
        sample.tls.cert_expires = Some(0);
        let (width, bytes) = (Micros(10_000), vec![60_000; 183]);
        sample.curve = Some(Curve {
            begin: Micros(70_000),
            span: Micros(1_830_000),
            width,
            reads: 183,
            bytes,
            ..Curve::default()
        });
        for outcome in [Outcome::Ok, Outcome::Truncated] {
            (sample.outcome, sample.failed_phase) = (outcome, (!outcome.is_ok()).then_some(Phase::Receive));
            for width in 1..=200 {
                let look = Look { width: Some(width), colour: false };
                let drawn = draw(&"https://node.example.net/".parse().expect("a URL"), &sample, look, true);
                let widest = drawn.lines().map(columns).max().unwrap_or(0);
                assert!(widest <= usize::from(width), "{width}: {widest}\n{drawn}");
            }
        }
    }
}
