//! Words for figures: shares, counts with their noun, and quantities without useless digits.

/// A whole percentage. Shares just below 100 % or just above 0 % get one decimal, so they are never shown as 100 or 0.
/// [`ABSENT`] without a share.
#[must_use]
pub fn percent(share: Option<f64>) -> String {
    let Some(share) = share else { return ABSENT.to_owned() };
    let percent = share * 100.0;
    if (percent > 0.0 && percent < 1.0) || (percent > 99.0 && percent < 100.0) {
        // Rounded away from 0 and 100.
        let tenths = if percent < 50.0 { (percent * 10.0).ceil() } else { (percent * 10.0).floor() };
        return format!("{:.1} %", tenths / 10.0);
    }
    format!("{percent:.0} %")
}

/// A percentage to compare with a limit: below 10 % it has one decimal.
#[must_use]
pub fn small_percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 10.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// A number with its noun: `1 point`, `7 files`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A quantity without zeros at the end of its decimal places: `2.50 s` becomes `2.5 s`.
#[must_use]
pub fn trimmed(quantity: &str) -> String {
    let (figure, unit) = quantity.split_once(' ').unwrap_or((quantity, ""));
    let figure = if figure.contains('.') { figure.trim_end_matches('0').trim_end_matches('.') } else { figure };
    format!("{figure} {unit}")
}

/// Shown for a value that was not measured or is not known.
pub const ABSENT: &str = "–";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_never_round_to_all_or_nothing() {
        for (share, expected) in [
            (None, "–"),
            (Some(0.0), "0 %"),
            (Some(0.0001), "0.1 %"),
            (Some(0.5), "50 %"),
            (Some(0.9999), "99.9 %"),
            (Some(1.0), "100 %"),
        ] {
            assert_eq!(percent(share), expected);
        }
        for (share, expected) in [(0.0, "0 %"), (0.021, "2.1 %"), (0.8, "80 %")] {
            assert_eq!(small_percent(share), expected);
        }
    }

    #[test]
    fn counts_agree_with_their_noun() {
        assert_eq!(
            (count(0, "file"), count(1, "file"), count(2, "file")),
            ("0 files".into(), "1 file".into(), "2 files".into())
        );
    }

    #[test]
    fn quantities_lose_useless_digits() {
        for (quantity, expected) in [("2.50 s", "2.5 s"), ("20.0 Mbit/s", "20 Mbit/s"), ("100 ms", "100 ms")] {
            assert_eq!(trimmed(quantity), expected);
        }
    }
}
