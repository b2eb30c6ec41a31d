//! Many transfers of one URL: one line for each, and a summary.
//!
//! New and reused connections, and hits and misses, are never mixed in one number. Times are from transfers that ended
//! ok, rates from valid ones; a transfer cut off by a deadline has no total. Each table says how many transfers ended
//! ok and how many rates were left out, because otherwise the worst results would be missing from the percentiles
//! without a trace.

use std::collections::BTreeMap;

use crate::{
    model::{
        flag::{Flag, Flags},
        outcome::Outcome,
        phase::Phase,
        sample::{CacheState, ConnectionKind, Sample},
        units::{BitRate, Bytes, Micros},
    },
    record::histogram::Counts,
    term::{
        Look,
        ink::Ink,
        table::{Cell, Column, Layout, choose, draw},
        wrap::{flow, wrap},
    },
};

/// With more transfers than this, the output is lines and a summary instead of waterfalls.
pub(super) const MAX_PICTURES: u64 = 3;

/// The transfers so far, in bounded memory: values are counted by bucket.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    all: Attempts,
    /// Separate from `groups`, because the cache state of a failed transfer may be unknown while its connection is
    /// known.
    conns: BTreeMap<Option<ConnectionKind>, Attempts>,
    groups: BTreeMap<(Option<ConnectionKind>, CacheState), Group>,
    failed: BTreeMap<Outcome, u64>,
    flags: BTreeMap<Flag, u64>,
}

impl Repeated {
    /// Counts a transfer, and returns its numbered line.
    pub(super) fn add(&mut self, sample: &Sample, look: Look) -> String {
        let ok = sample.outcome.is_ok();
        self.all.add(ok);
        self.conns.entry(sample.labels.conn).or_default().add(ok);
        for flag in sample.flags.iter() {
            *self.flags.entry(flag).or_default() += 1;
        }
        if ok {
            self.groups.entry((sample.labels.conn, sample.labels.cache)).or_default().add(sample);
        } else {
            *self.failed.entry(sample.outcome).or_default() += 1;
        }
        let pieces = line(self.all.count, sample, look);
        flow(pieces.iter().map(String::as_str), "  ", ("", "    "), look.width) + "\n"
    }

    /// The summary of all transfers.
    pub(super) fn summary(&self, look: Look) -> String {
        let Attempts { count, ok } = self.all;
        let all = format!("{count} transfers, {ok} ok ({})", self.all.share(look));
        let mut text = format!("\n{}\n", wrap(&all, look.width));
        let tables: Vec<_> = self.groups.values().map(Group::rows).collect();
        // One layout for all groups, so that they can be compared.
        let layout = choose(&tables.concat(), &LAYOUTS, look);
        for (&conn, attempts) in &self.conns {
            let groups: Vec<_> = self.groups.iter().filter(|((other, _), _)| *other == conn).collect();
            if groups.is_empty() {
                text += &heading(conn, CacheState::Unknown, attempts, 0, look);
            }
            for (&(_, cache), group) in groups {
                text += &heading(conn, cache, attempts, group.left_out, look);
                let rows = group.rows();
                text += layout.map_or_else(|| paragraphs(&rows, look), |layout| draw(&rows, layout, look)).trim_end();
                text.push('\n');
            }
        }
        let mut remarks = String::new();
        for (outcome, count) in &self.failed {
            let remedy = outcome.remedy().map(|remedy| format!("\n  → {remedy}")).unwrap_or_default();
            let label = Ink::Bad.on(outcome.label(), look.colour);
            remarks += &format!("{count} {label}: {}{remedy}\n", outcome.meaning());
        }
        for (flag, count) in &self.flags {
            let ink = if flag.invalidates() { Ink::Bad } else { Ink::Doubtful };
            let label = ink.on(flag.label(), look.colour);
            remarks += &format!("{count} {label}: {}\n  → {}\n", flag.meaning(), flag.remedy());
        }
        if !remarks.is_empty() {
            text.push('\n');
        }
        text + &wrap(&remarks, look.width)
    }
}

/// How many transfers there were, and how many of them ended ok.
#[derive(Clone, Copy, Debug, Default)]
struct Attempts {
    count: u64,
    ok: u64,
}

impl Attempts {
    fn add(&mut self, ok: bool) {
        self.count += 1;
        self.ok += u64::from(ok);
    }

    /// The share of transfers that ended ok, rounded down: 100 % means all of them.
    fn share(self, look: Look) -> String {
        let ink = if self.ok == self.count { Ink::Good } else { Ink::Bad };
        ink.on(&format!("{} %", (self.ok * 100).checked_div(self.count).unwrap_or(0)), look.colour)
    }
}

/// Good transfers that can be compared with each other.
#[derive(Debug, Default)]
struct Group {
    ttfb: Values,
    phases: [Values; Phase::ALL.len()],
    total: Values,
    effective: Values,
    goodput: Values,
    /// How many goodputs were left out because they are not valid.
    left_out: u64,
}

impl Group {
    fn add(&mut self, sample: &Sample) {
        if sample.flags.contains(Flag::Frozen) {
            return; // bandprobe caused its times, not the node
        }
        self.ttfb.add_time(sample.phases.ttfb());
        let cut_off = sample.flags.contains(Flag::Partial);
        for (phase, values) in Phase::ALL.into_iter().zip(&mut self.phases) {
            values.add_time(sample.phases.took(phase).filter(|_| phase != Phase::Receive || !cut_off));
        }
        self.total.add_time(Some(sample.phases.total()).filter(|_| !cut_off));
        self.effective.add_rate(sample.rates.effective);
        self.goodput.add_rate(sample.rates.goodput.filter(|_| sample.is_valid()));
        self.left_out += u64::from(sample.rates.goodput.is_some() && !sample.is_valid());
    }

    fn rows(&self) -> Vec<Vec<Cell>> {
        let time = |value| Micros(value).to_string();
        let phases = Phase::ALL.into_iter().zip(&self.phases);
        let mut rows: Vec<_> = phases.filter_map(|(phase, values)| values.row(phase.label(), time)).collect();
        rows.extend(self.ttfb.row("ttfb", time));
        rows.extend(self.total.row("total", time));
        rows.extend(self.effective.row("effective", |value| BitRate(value).to_string()));
        rows.extend(self.goodput.row("goodput", |value| BitRate(value).to_string()));
        rows
    }
}

/// Values of one kind: counts by bucket, and the exact minimum and maximum.
#[derive(Debug, Default)]
struct Values {
    counts: Counts,
    ends: Option<(u64, u64)>,
}

impl Values {
    fn add_time(&mut self, time: Option<Micros>) {
        if let Some(time) = time {
            self.counts.add_time(time);
            self.stretch(time.0);
        }
    }

    fn add_rate(&mut self, rate: Option<BitRate>) {
        if let Some(rate) = rate {
            self.counts.add_rate(rate);
            self.stretch(rate.0);
        }
    }

    fn stretch(&mut self, value: u64) {
        let (min, max) = self.ends.unwrap_or((value, value));
        self.ends = Some((min.min(value), max.max(value)));
    }

    /// Name, n, min, p50, p90, max; `None` without values.
    fn row(&self, name: &str, words: impl Fn(u64) -> String) -> Option<Vec<Cell>> {
        let (min, max) = self.ends?;
        let percentile = |percent| self.counts.percentile(percent).unwrap_or(min).clamp(min, max);
        let figures = [min, percentile(50), percentile(90), max].map(words);
        let cells = [name.to_owned(), self.counts.count().to_string()].into_iter().chain(figures);
        Some(cells.map(|cell| Cell::new(cell, None)).collect())
    }
}

fn line(number: u64, sample: &Sample, look: Look) -> Vec<String> {
    let good = sample.outcome.is_ok();
    let outcome = if good { Ink::Good } else { Ink::Bad };
    let mut pieces = vec![format!("{number:>3}"), outcome.on(sample.outcome.label(), look.colour)];
    pieces.extend(sample.labels.conn.map(|conn| conn.label().to_owned()));
    pieces.extend(sample.labels.cache.is_hit().map(|_| sample.labels.cache.label().to_owned()));
    pieces.extend(sample.phases.ttfb().map(|ttfb| format!("ttfb {ttfb}")));
    pieces.push(format!("total {}", sample.phases.total()));
    pieces.extend(sample.bytes.map(|bytes| Bytes(bytes).to_string()));
    pieces.extend(sample.rates.goodput.map(|goodput| format!("goodput {goodput}")));
    pieces.extend(sample.failed_phase.filter(|_| !good).map(|phase| format!("in {}", phase.label())));
    if sample.flags != Flags::NONE {
        pieces.push(Ink::Doubtful.on(&sample.flags.to_string(), look.colour));
    }
    pieces.extend(sample.error.clone().filter(|_| !good));
    pieces
}

/// The line above a table: connection and cache state, how many transfers on such connections ended ok, and how many
/// rates are missing.
fn heading(conn: Option<ConnectionKind>, cache: CacheState, attempts: &Attempts, left_out: u64, look: Look) -> String {
    let conn = conn.map_or("no connection", ConnectionKind::label);
    let (name, of) = match cache.is_hit() {
        Some(_) => (format!("{conn}, cache {}", cache.label()), format!("{conn} ")),
        None => (conn.to_owned(), String::new()),
    };
    let Attempts { count, ok } = attempts;
    let mut pieces = vec![Ink::Strong.on(&name, look.colour)];
    pieces.push(format!("{ok} of {count} {of}ok ({})", attempts.share(look)));
    if left_out > 0 {
        let rates = if left_out == 1 { "1 goodput".to_owned() } else { format!("{left_out} goodputs") };
        pieces.push(Ink::Bad.on(&format!("{rates} left out as invalid"), look.colour));
    }
    format!("\n{}\n", flow(pieces.iter().map(String::as_str), "   ", ("", "  "), look.width))
}

/// Text for terminals on which no table fits.
fn paragraphs(rows: &[Vec<Cell>], look: Look) -> String {
    let words = |row: &Vec<Cell>| {
        let named = row.iter().zip(["", "n ", "min ", "p50 ", "p90 ", "max "]);
        let pieces: Vec<_> = named.map(|(cell, name)| format!("{name}{}", cell.text())).collect();
        flow(pieces.iter().map(String::as_str), " ", ("", "  "), look.width) + "\n"
    };
    rows.iter().map(words).collect()
}

const LAYOUTS: [Layout; 2] = [
    Layout { padding: 1, columns: &[NAME, COUNT, Column::figures("min", 2), P50, P90, Column::figures("max", 5)] },
    Layout { padding: 0, columns: &[NAME, COUNT, P50, P90] },
];
const NAME: Column = Column::words("", 0);
const COUNT: Column = Column::figures("n", 1);
const P50: Column = Column::figures("p50", 3);
const P90: Column = Column::figures("p90", 4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::waterfall::fixture::{phases, sample},
        term::width::columns,
    };

    fn seen() -> Repeated {
        let mut repeated = Repeated::default();
        for number in 1..=10 {
            let mut sample = sample();
            sample.phases = phases([Some(1), Some(20), Some(25), Some(0), Some(number), Some(100 * number)]);
            sample.rates.goodput = Some(BitRate(number * 1_000_000));
            match number {
                2 => sample.flags.raise(Flag::CpuBound),
                3 => sample.flags.raise(Flag::Partial),
                4 => (sample.outcome, sample.failed_phase) = (Outcome::Reset, Some(Phase::Receive)),
                5 => sample.labels.cache = CacheState::Miss,
                6 => {
                    sample.labels.conn = Some(ConnectionKind::Warm);
                    sample.phases = phases([None, None, None, Some(0), Some(6), Some(600)]);
                }
                _ => {}
            }
            repeated.add(&sample, Look::default());
        }
        repeated
    }

    #[test]
    fn the_summary_separates_groups_and_omits_invalid_rates() {
        let summary = seen().summary(Look::default());
        assert_eq!(summary, include_str!("../../tests/data/plot/repeated.txt"), "\n{summary}");
    }

    #[test]
    fn no_table_hides_how_many_failed() {
        let mut repeated = Repeated::default();
        for number in 1..=20 {
            let mut sample = sample();
            sample.labels.conn = Some(if number % 2 == 0 { ConnectionKind::Warm } else { ConnectionKind::Cold });
            if number % 2 == 0 && number > 2 {
                (sample.outcome, sample.labels.cache) = (Outcome::HeadersTimeout, CacheState::Unknown);
            }
            repeated.add(&sample, Look::default());
        }
        let holds = |repeated: &Repeated, words: &str| {
            let summary = repeated.summary(Look::default());
            assert!(summary.contains(words), "{words}\n{summary}");
        };
        holds(&repeated, "\ncold, cache hit   10 of 10 cold ok (100 %)\n");
        holds(&repeated, "\nwarm, cache hit   1 of 10 warm ok (10 %)\n");
        let mut failed = sample();
        failed.outcome = Outcome::ConnectRefused;
        let mut none = Repeated::default();
        none.add(&failed, Look::default());
        holds(&none, "\ncold   0 of 1 ok (0 %)\n");
    }

    #[test]
    fn each_transfer_is_one_line() {
        let (mut repeated, mut sample) = (Repeated::default(), sample());
        assert_eq!(
            repeated.add(&sample, Look::default()),
            "  1  ok  cold  hit  ttfb 70.0 ms  total 1.90 s  6.29 MB  goodput 27.5 Mbit/s\n"
        );
        (sample.outcome, sample.failed_phase) = (Outcome::ConnectTimeout, Some(Phase::Connect));
        sample.phases = phases([Some(1), Some(5_000), None, None, None, None]);
        (sample.rates.goodput, sample.bytes, sample.error) = (None, None, Some("no answer within 5 s".to_owned()));
        sample.labels.cache = CacheState::Unknown;
        assert_eq!(
            repeated.add(&sample, Look::default()),
            "  2  connect_timeout  cold  total 5.00 s  in connect  no answer within 5 s\n"
        );
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        for width in 1..=120 {
            let look = Look { width: Some(width), colour: false };
            let text = seen().summary(look) + &Repeated::default().add(&sample(), look);
            let widest = text.lines().map(columns).max().unwrap_or(0);
            assert!(widest <= usize::from(width), "{width}: {widest}\n{text}");
        }
    }
}
