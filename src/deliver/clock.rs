//! Whether our clock agrees with the database's. Points with a wrong time do not appear on a dashboard that shows the
//! last hour.

use jiff::{Timestamp, fmt::rfc2822};

/// The largest difference of the clocks that needs no warning, in ms.
pub const TOLERANCE_MS: i64 = 5_000;

/// How far the database's clock is ahead of ours, in ms. The error is at most half a second plus half the round trip.
/// The `Date` header (RFC 9110, section 6.6.1) has whole seconds; their middle is compared with the middle between
/// request and answer, like theta of RFC 5905. `None` when the header is not a date.
#[must_use]
pub fn offset_ms(date: &str, sent: Timestamp, received: Timestamp) -> Option<i64> {
    let date = rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    let middle = i64::midpoint(sent.as_millisecond(), received.as_millisecond());
    Some(date.as_millisecond() + HALF_A_SECOND_MS - middle)
}

const HALF_A_SECOND_MS: i64 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_their_clock_minus_ours() {
        let ours = |text: &str| text.parse::<Timestamp>().unwrap();
        for (date, sent, received, expected) in [
            ("Mon, 23 Nov 2026 10:00:00 GMT", "2026-11-23T10:00:00.4Z", "2026-11-23T10:00:00.6Z", Some(0)),
            ("Mon, 23 Nov 2026 10:00:00 GMT", "2026-11-23T09:59:52Z", "2026-11-23T09:59:53Z", Some(8_000)),
            ("Mon, 23 Nov 2026 10:00:00 GMT", "2026-11-23T11:00:00.5Z", "2026-11-23T11:00:00.5Z", Some(-3_600_000)),
            ("yesterday", "2026-11-23T11:00:00Z", "2026-11-23T11:00:00Z", None),
            ("", "2026-11-23T11:00:00Z", "2026-11-23T11:00:00Z", None),
        ] {
            assert_eq!(offset_ms(date, ours(sent), ours(received)), expected, "{date} {sent}");
        }
    }
}
