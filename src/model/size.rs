//! The size of an asset as stated by a user or a registry, with the precision of the written number.

use std::{fmt, str::FromStr};

use super::units::{BYTE_UNITS, Bytes, QuantityError};

/// A stated size: the range of byte counts that it can mean.
///
/// A whole number of bytes means itself. `2.1 MB` is rounded and means everything that rounds to it: 2,050,000 to
/// 2,150,000 bytes, half a unit of the last digit either way, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    least: u64,
    most: u64,
}

impl Size {
    /// The smallest size that it can mean. The asset has at least this many bytes.
    #[must_use]
    pub const fn least(self) -> Bytes {
        Bytes(self.least)
    }

    /// The largest size that it can mean. No download is larger.
    #[must_use]
    pub const fn most(self) -> Bytes {
        Bytes(self.most)
    }

    /// The middle of the range: the number as it was written. Used for estimates.
    #[must_use]
    pub const fn stated(self) -> Bytes {
        Bytes(self.least + (self.most - self.least) / 2)
    }

    /// The exact size; `None` when it was rounded.
    #[must_use]
    pub fn exact(self) -> Option<Bytes> {
        (self.least == self.most).then_some(Bytes(self.least))
    }

    /// Whether it can mean this many bytes.
    #[must_use]
    pub fn admits(self, bytes: Bytes) -> bool {
        (self.least..=self.most).contains(&bytes.0)
    }
}

impl From<Bytes> for Size {
    fn from(Bytes(bytes): Bytes) -> Self {
        Self { least: bytes, most: bytes }
    }
}

impl fmt::Display for Size {
    /// In bytes: `2097152`, or `2050000 to 2150000` when rounded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exact() {
            Some(Bytes(bytes)) => write!(f, "{bytes}"),
            None => write!(f, "{} to {}", self.least, self.most),
        }
    }
}

impl FromStr for Size {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a size such as `2097152`, `2097152 B` or `2.1 MB`";
        read(text.trim()).ok_or_else(|| QuantityError::new(text, WANTED))
    }
}

/// Parses `digits[.digits][ unit]`. Without a unit or with `B`, the number must be whole. `None` for anything else,
/// overflow included.
fn read(text: &str) -> Option<Size> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.trim_start();
    if unit.is_empty() || unit == "B" {
        return number.parse().ok().map(|bytes| Bytes(bytes).into());
    }
    let factor = u128::from(BYTE_UNITS.iter().find(|(name, _)| *name == unit)?.1);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    // The stated value is digits × factor / 10^decimals, and half a unit of its last digit is factor / (2 ×
    // 10^decimals).
    let twice = 10_u128.checked_pow(fraction.len().try_into().ok()?)?.checked_mul(2)?;
    let least = (2 * digits).saturating_sub(1).checked_mul(factor)? / twice;
    let most = (2 * digits + 1).checked_mul(factor)?.div_ceil(twice);
    Some(Size { least: least.try_into().ok()?, most: most.try_into().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_means_what_rounds_to_it() {
        for (text, least, most) in [
            ("2097152", 2_097_152, 2_097_152),
            ("2097152 B", 2_097_152, 2_097_152),
            ("2.1 MB", 2_050_000, 2_150_000),
            ("2.10 MB", 2_095_000, 2_105_000),
            ("148 MB", 147_500_000, 148_500_000),
            ("2.097152 MB", 2_097_151, 2_097_153),
            ("21 kB", 20_500, 21_500),
            ("2 MiB", 1_572_864, 2_621_440),
            ("2.0MiB", 2_044_723, 2_149_581),
            ("1.40 GiB", 1_497_869_844, 1_508_607_263),
            ("0.1 MB", 50_000, 150_000),
            ("0 MB", 0, 500_000),
        ] {
            assert_eq!(text.parse(), Ok(Size { least, most }), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_size() {
        for text in
            ["", "MB", "-1 MB", "2,1 MB", "1..2 MB", "1.5 B", "1.5", "2 mb", "2 Mbit/s", "99999999999 TB", "1e3"]
        {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        let long = format!("0.{} MB", "1".repeat(60));
        assert!(long.parse::<Size>().is_err());
    }

    #[test]
    fn both_ends_belong_to_it() {
        let size: Size = "2.1 MB".parse().unwrap();
        for (bytes, admitted) in
            [(2_049_999, false), (2_050_000, true), (2_097_152, true), (2_150_000, true), (2_150_001, false)]
        {
            assert_eq!(size.admits(Bytes(bytes)), admitted, "{bytes}");
        }
        assert_eq!(
            (size.stated(), size.exact(), size.to_string()),
            (Bytes(2_100_000), None, "2050000 to 2150000".into())
        );
        let exact = Size::from(Bytes(7));
        assert_eq!((exact.stated(), exact.exact(), exact.to_string()), (Bytes(7), Some(Bytes(7)), "7".into()));
    }
}
