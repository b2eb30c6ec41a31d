//! Sizes, rates and durations, as bandprobe stores them and as users write them.
//!
//! A duration is an integer number of microseconds, a rate of bits per second, and a size of bytes, as stored in
//! InfluxDB. Users write `"5 GB"`, `"6 MiB"`, `"20 Mbit/s"`, `"1h 30m"`.

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

/// A duration in whole microseconds, rounded down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub u64);

/// A size in bytes. Decimal (`kB`, `MB`, `GB`, `TB`) and binary (`KiB`, `MiB`, `GiB`, `TiB`) units are distinguished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// A rate in bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitRate(pub u64);

/// Why a quantity could not be read, for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{given}` is not {wanted}")]
pub struct QuantityError {
    given: String,
    wanted: &'static str,
}

impl QuantityError {
    pub(super) fn new(given: &str, wanted: &'static str) -> Self {
        Self { given: given.into(), wanted }
    }
}

impl Micros {
    /// A duration of zero.
    pub const ZERO: Self = Self(0);

    /// The time between two boundaries. Zero when they are in the wrong order.
    #[must_use]
    pub const fn saturating_sub(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// The duration in seconds, for arithmetic with rates.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The duration as the standard library's type.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_micros(self.0)
    }
}

impl From<Duration> for Micros {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

impl BitRate {
    /// The mean rate of `bytes` over `time`, rounded down; `None` when `time` is zero.
    #[must_use]
    pub fn mean(bytes: u64, time: Micros) -> Option<Self> {
        if time.0 == 0 {
            return None;
        }
        let bits_per_second = u128::from(bytes) * 8 * 1_000_000 / u128::from(time.0);
        Some(Self(u64::try_from(bits_per_second).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Micros {
    /// Three significant figures: `850 µs`, `12.3 ms`, `4.56 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0 as f64;
        let text = match self.0 {
            0..1_000 => format!("{} µs", self.0),
            // From 999,500 on, three figures would print as 1000 ms.
            1_000..999_500 => format!("{} ms", three_figures(micros / 1e3)),
            _ => format!("{} s", three_figures(micros / 1e6)),
        };
        f.pad(&text)
    }
}

impl fmt::Display for Bytes {
    /// Decimal units, three significant figures: `21.1 kB`, `6.29 MB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&decimal(self.0, "B"))
    }
}

impl fmt::Display for BitRate {
    /// Decimal units, three significant figures: `19.8 Mbit/s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&decimal(self.0, "bit/s"))
    }
}

impl FromStr for Bytes {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        quantity(text, &BYTE_UNITS)
            .map(Self)
            .ok_or_else(|| QuantityError::new(text, "a size such as `6 MiB` or `2 GB`"))
    }
}

impl FromStr for BitRate {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const UNITS: [(&str, u64); 4] =
            [("bit/s", 1), ("kbit/s", 1_000), ("Mbit/s", 1_000_000), ("Gbit/s", 1_000_000_000)];
        quantity(text, &UNITS)
            .map(Self)
            .ok_or_else(|| QuantityError::new(text, "a rate such as `20 Mbit/s` or `1 Gbit/s`"))
    }
}

/// Parses a duration as users write it: `"5m"`, `"100s"`, `"1h 30m"`, `"30d"`, `"2w"`, `"1y"`. A day is 24 hours, a
/// week 7 days, and a year 365 days.
///
/// # Errors
/// When the text is not a duration, is negative, or is longer than a hundred years.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    const HUNDRED_YEARS: Duration = Duration::from_secs(100 * 366 * 86_400);
    let wrong = || QuantityError::new(text, "a duration such as `100s`, `90m`, `12h`, `7d`, `2w` or `1y`");
    let too_long = || QuantityError::new(text, "a duration of at most 100 years");
    let (days, rest) = split_days(text).ok_or_else(wrong)?;
    let rest = match rest.trim() {
        "" if days.is_some() => Duration::ZERO,
        rest => {
            let signed: jiff::SignedDuration = rest.parse().map_err(|_| wrong())?;
            Duration::try_from(signed).map_err(|_| wrong())?
        }
    };
    let duration = rest.saturating_add(days.unwrap_or_default());
    if duration > HUNDRED_YEARS { Err(too_long()) } else { Ok(duration) }
}

/// Splits off the days, weeks and years of a text, because the calendar library gives them no fixed length. Returns
/// their sum, if there are any, and the rest of the text. `None` when a number is malformed.
fn split_days(text: &str) -> Option<(Option<Duration>, String)> {
    let (mut days, mut rest_of_text) = (None, String::new());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        let (number, after) =
            number.split_at(number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len()));
        let spaced = after.trim_start();
        let (unit, next) = spaced.split_at(spaced.find(|c: char| !c.is_alphabetic()).unwrap_or(spaced.len()));
        rest_of_text.push_str(before);
        match DAYS.iter().find(|(names, _)| names.contains(&unit)) {
            Some((_, factor)) => {
                let seconds = number.parse::<f64>().ok()? * factor * 86_400.0;
                let duration = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
                days = Some(days.unwrap_or(Duration::ZERO).saturating_add(duration));
            }
            None => rest_of_text.push_str(&rest[start..rest.len() - next.len()]),
        }
        rest = next;
    }
    rest_of_text.push_str(rest);
    Some((days, rest_of_text))
}

/// A duration as users write it, to the millisecond: `1d 2h`, `1h 30m`, `1s 500ms`. [`parse_duration`] reads it back.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let largest = largest_unit(duration);
    in_units(duration, &UNITS[largest..])
}

/// A duration in its two largest units, from days to seconds: `3d 4h`, `2h 5m`, `5m 2s`, `2s`. A second unit of zero is
/// left out: `1d`.
#[must_use]
pub fn format_age(duration: Duration) -> String {
    let largest = largest_unit(duration).min(SECONDS);
    in_units(duration, &UNITS[largest..=(largest + 1).min(SECONDS)])
}

fn largest_unit(duration: Duration) -> usize {
    UNITS.iter().position(|(unit, _)| duration >= *unit).unwrap_or(SECONDS)
}

/// The duration as a sum of these units, rounded down. Units of which there are none are left out, except that nothing
/// is printed as zero of the first one.
fn in_units(duration: Duration, units: &[(Duration, &str)]) -> String {
    let mut rest = duration.as_millis();
    let mut parts = Vec::new();
    for (unit, label) in units {
        let unit = unit.as_millis();
        if rest >= unit {
            parts.push(format!("{}{label}", rest / unit));
            rest %= unit;
        }
    }
    if parts.is_empty() { format!("0{}", units[0].1) } else { parts.join(" ") }
}

/// A whole number with commas between groups of three digits: `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Parses `number [space] unit` and rounds the product to a whole number. `None` for anything else, negative numbers
/// and overflow included.
fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(split);
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let product = number.parse::<f64>().ok()? * factor as f64;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be within u64, and rounded")]
    (product.is_finite() && product < u64::MAX as f64).then_some(product.round() as u64)
}

fn decimal(value: u64, unit: &str) -> String {
    let scaled = value as f64;
    match value {
        0..1_000 => format!("{value} {unit}"),
        1_000..999_500 => format!("{} k{unit}", three_figures(scaled / 1e3)),
        999_500..999_500_000 => format!("{} M{unit}", three_figures(scaled / 1e6)),
        999_500_000..999_500_000_000 => format!("{} G{unit}", three_figures(scaled / 1e9)),
        _ => format!("{} T{unit}", three_figures(scaled / 1e12)),
    }
}

/// Units that are a number of whole days: their names and that number.
const DAYS: [(&[&str], f64); 3] = [
    (&["d", "day", "days"], 1.0),
    (&["w", "wk", "wks", "week", "weeks"], 7.0),
    (&["y", "yr", "yrs", "year", "years"], 365.0),
];

fn three_figures(value: f64) -> String {
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.decimals$}")
}

/// The units of sizes and their number of bytes.
pub(super) const BYTE_UNITS: [(&str, u64); 10] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// The units in which durations are printed, the largest first.
const UNITS: [(Duration, &str); 5] = [
    (Duration::from_secs(86_400), "d"),
    (Duration::from_secs(3_600), "h"),
    (Duration::from_secs(60), "m"),
    (Duration::from_secs(1), "s"),
    (Duration::from_millis(1), "ms"),
];
/// The index of seconds in [`UNITS`].
const SECONDS: usize = 3;

#[cfg(test)]
mod tests;
