//! What a query has to answer, computed from the points themselves.

use std::collections::BTreeMap;

use super::{file::Choice, points::Point};

/// What one query is to answer.
pub(super) struct Expectation {
    /// As [`super::file::Query`] has it.
    pub(super) of: &'static str,
    pub(super) measurement: &'static str,
    pub(super) keep: fn(&Point) -> bool,
    pub(super) by: &'static [&'static str],
    /// What the time of a row is.
    pub(super) time: Time,
    /// From so many minutes before the end of the time chosen on: that is now for the queries that say so.
    pub(super) since: Option<i64>,
    /// With `since`: to whatever comes after that end, too.
    pub(super) is_open: bool,
    pub(super) columns: &'static [(&'static str, Figure)],
    /// What is asked of the rows, in turn.
    pub(super) outer: Option<Outer>,
    /// Whose values [`Figure::At`] takes.
    pub(super) chosen: Chosen,
}

/// One point of a group.
#[derive(Clone, Copy)]
pub(super) enum Chosen {
    Last,
    /// The one with the largest value of a field, of several the first.
    Largest(&'static str),
}

/// What the time of a row is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// Nothing that is looked at.
    Nothing,
    /// The start of its interval.
    Interval,
    /// That of its last point.
    Last,
}

/// A figure over the points of a group; of those that have the field.
#[derive(Clone, Copy)]
pub(super) enum Figure {
    Mean(&'static str),
    Count(&'static str),
    Sum(&'static str),
    Max(&'static str),
    Last(&'static str),
    /// The last value, of seconds.
    Days(&'static str),
    Percentile(&'static str, f64),
    /// The sum of one field over the count of another.
    Each(&'static str, &'static str),
    /// The sum of two fields.
    Both(&'static str, &'static str),
    /// By how much a second the maximum rose since the interval before, in millionths; absent when it fell.
    Rise(&'static str),
    /// The figure of an equally long time before.
    Before(&'static Figure),
    /// By which share the figure is more than that of an equally long time before.
    Change(&'static Figure),
    /// By how much the figure is more than that of an equally long time before.
    Difference(&'static Figure),
    /// 1 when the last point is older than this many minutes, else 0.
    Silent(i64),
    /// The last value of one field over that of another.
    Ratio(&'static str, &'static str),
    /// What the chosen point has: a number, a text or a tag.
    At(&'static str),
}

/// One value for the rows of each group: the extreme one, or their sum.
pub(super) struct Outer {
    pub(super) column: &'static str,
    pub(super) pick: fn(f64, f64) -> f64,
    pub(super) by: &'static [&'static str],
    /// The tag that tells the row.
    pub(super) named: Option<&'static str>,
}

/// Tags with their values, in the order of their names, and the start of the interval in ms.
pub(super) type Key = (Vec<(String, String)>, Option<i64>);

/// Rows by key, each with its columns.
pub(super) type Rows = BTreeMap<Key, BTreeMap<String, Cell>>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Number(f64),
    /// One of these, when several are as good.
    Text(Vec<String>),
}

impl Expectation {
    /// The rows for what a person has chosen.
    pub(super) fn rows(&self, points: &[Point], choice: &Choice) -> Rows {
        let mut groups: BTreeMap<Key, Vec<&Point>> = BTreeMap::new();
        let rise = matches!(self.columns, [(_, Figure::Rise(_))]);
        let back = self.columns.iter().any(|(_, figure)| matches!(figure, Figure::Before(_)));
        let from = match self.since {
            Some(minutes) => choice.to - minutes * MS_PER_MINUTE + 1,
            None if back => choice.from - (choice.to - choice.from),
            None => choice.from,
        };
        let to = if self.since.is_some() && self.is_open { i64::MAX / NS_PER_MS } else { choice.to };
        let asked = Choice { from, to, ..choice.clone() };
        let chosen = |point: &&Point| point.measurement == self.measurement && asked.takes(point) && (self.keep)(point);
        for point in points.iter().filter(chosen) {
            let mut tags: Vec<_> = self.by.iter().map(|tag| ((*tag).to_owned(), point.tag(tag).to_owned())).collect();
            tags.sort();
            let interval = (self.time == Time::Interval).then(|| choice.bucket(point.time));
            groups.entry((tags, interval)).or_default().push(point);
        }
        let mut rows = Rows::new();
        for ((tags, interval), group) in &mut groups {
            group.sort_by_key(|point| point.time);
            let last = group.last().map(|point| point.time.div_euclid(NS_PER_MS));
            let key = (tags.clone(), if self.time == Time::Last { last } else { *interval });
            let split = if back { group.partition_point(|point| point.time < choice.from * NS_PER_MS) } else { 0 };
            for (column, figure) in self.columns {
                let cell = match figure {
                    Figure::At(name) => self.chosen.of(group).cell(name),
                    figure => figure.of(group.split_at(split), choice.to).map(Cell::Number),
                };
                if let Some(cell) = cell {
                    rows.entry(key.clone()).or_default().insert((*column).to_owned(), cell);
                }
            }
        }
        if rise {
            rows = rises(rows, self.columns[0].0);
        }
        self.outer.as_ref().map_or(rows.clone(), |outer| outer.rows(&rows, self.columns[0].0))
    }
}

impl Chosen {
    /// Of points in the order of their times.
    fn of<'a>(self, points: &[&'a Point]) -> &'a Point {
        match self {
            Self::Last => points[points.len() - 1],
            // Of several that are as large `max_by` takes the last.
            Self::Largest(field) => {
                points.iter().rev().max_by(|a, b| a.number(field).total_cmp(&b.number(field))).unwrap()
            }
        }
    }
}

impl Point {
    fn cell(&self, name: &str) -> Option<Cell> {
        self.field(name).map(Cell::Number).or_else(|| Some(Cell::Text(vec![self.text(name)?.to_owned()])))
    }
}

impl Choice {
    pub(super) fn takes(&self, point: &Point) -> bool {
        let named = |chosen: &Option<Vec<String>>, tag: &str| {
            chosen.as_ref().is_none_or(|chosen| chosen.iter().any(|value| value == point.tag(tag)))
        };
        // A worker's points have neither node nor probe, those of a node's state have no probe.
        let (worker, state) = (point.tag("node").is_empty(), point.tag("probe").is_empty());
        let (from, to) = (self.from * NS_PER_MS, self.to * NS_PER_MS);
        (from..=to).contains(&point.time)
            && named(&self.vantage, "vantage")
            && (worker || named(&self.node, "node") && (state || named(&self.probe, "probe")))
    }

    /// The start of a point's interval, in ms: intervals count from 1970 on.
    fn bucket(&self, time: i64) -> i64 {
        time.div_euclid(NS_PER_MS * self.length()) * self.length()
    }

    /// Of an interval, in ms.
    fn length(&self) -> i64 {
        let (number, unit) = self.interval.split_at(self.interval.len() - 1);
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "w" => 7 * 86_400,
            _ => panic!("{unit}"),
        };
        number.parse::<i64>().unwrap() * seconds * 1_000
    }
}

impl Figure {
    /// Of the points before the time chosen and of those in it, which ends at `to`, in ms.
    fn of(self, (before, points): (&[&Point], &[&Point]), to: i64) -> Option<f64> {
        let all = |field: &str| points.iter().filter_map(|point| point.field(field)).collect::<Vec<f64>>();
        let some = |field: &str| Some(all(field)).filter(|values| !values.is_empty());
        let sum = |field: &str| some(field).map(|values| values.iter().sum::<f64>());
        match self {
            Self::Mean(field) => Some(sum(field)? / all(field).len() as f64),
            Self::Count(field) => Some(some(field)?.len() as f64),
            Self::Sum(field) => sum(field),
            Self::Max(field) | Self::Rise(field) => some(field)?.into_iter().reduce(f64::max),
            Self::Last(field) => some(field)?.last().copied(),
            Self::Days(field) => Some(some(field)?.last()? / 86_400.0),
            Self::Percentile(field, percent) => {
                let mut values = some(field)?;
                values.sort_by(f64::total_cmp);
                influx_percentile(&values, percent)
            }
            Self::Each(field, over) => Some(sum(field)? / all(over).len() as f64),
            Self::Both(one, other) => Some(sum(one)? + sum(other)?),
            Self::Before(figure) => figure.of((&[], before), to),
            Self::Change(figure) => Some(figure.of((&[], points), to)? / figure.of((&[], before), to)? - 1.0),
            Self::Difference(figure) => Some(figure.of((&[], points), to)? - figure.of((&[], before), to)?),
            Self::Ratio(one, other) => Some(some(one)?.last()? / some(other)?.last()?),
            Self::At(_) => None,
            Self::Silent(minutes) => {
                let last = points.last()?.time;
                Some(f64::from(last <= (to - minutes * MS_PER_MINUTE) * NS_PER_MS))
            }
        }
    }
}

/// InfluxQL's `percentile()`: rank ⌊n·p/100 + 0.5⌋ of sorted values, nothing when there is no such rank. `rank.rs` holds it
/// against the server.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ranks are small")]
pub(super) fn influx_percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * percent / 100.0 + 0.5).floor() as usize;
    sorted.get(rank.checked_sub(1)?).copied()
}

fn rises(rows: Rows, column: &str) -> Rows {
    let number = |row: &BTreeMap<String, Cell>| match row.get(column) {
        Some(Cell::Number(number)) => *number,
        other => panic!("{other:?}"),
    };
    let mut rises = Rows::new();
    let mut before: Option<(Key, f64)> = None;
    for (key, row) in rows {
        let now = number(&row);
        if let Some(((tags, Some(then)), value)) = before.take()
            && tags == key.0
            && now >= value
        {
            let seconds = (key.1.unwrap() - then) as f64 / 1_000.0;
            let rise = Cell::Number((now - value) / seconds / 1_000_000.0);
            rises.insert(key.clone(), BTreeMap::from([(column.to_owned(), rise)]));
        }
        before = Some((key, now));
    }
    rises
}

impl Outer {
    fn rows(&self, inner: &Rows, column: &str) -> Rows {
        let mut groups: BTreeMap<Key, Vec<(f64, String)>> = BTreeMap::new();
        for ((tags, _), row) in inner {
            let Cell::Number(value) = row[column] else { panic!("{row:?}") };
            let tag = |wanted: &str| tags.iter().find(|(tag, _)| tag == wanted).unwrap().1.clone();
            let key = self.by.iter().map(|name| ((*name).to_owned(), tag(name))).collect();
            groups.entry((key, None)).or_default().push((value, self.named.map(tag).unwrap_or_default()));
        }
        let row = |group: Vec<(f64, String)>| {
            let best = group.iter().map(|(value, _)| *value).reduce(self.pick).unwrap();
            let mut row = BTreeMap::from([(self.column.to_owned(), Cell::Number(best))]);
            if let Some(named) = self.named {
                let names = group.into_iter().filter(|(value, _)| *value == best).map(|(_, name)| name);
                row.insert(named.to_owned(), Cell::Text(names.collect()));
            }
            row
        };
        groups.into_iter().map(|(key, group)| (key, row(group))).collect()
    }
}

const NS_PER_MS: i64 = 1_000_000;
const MS_PER_MINUTE: i64 = 60_000;
