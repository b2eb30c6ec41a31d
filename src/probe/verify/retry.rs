//! How long a node that rate-limits us wants no requests.

use std::time::Duration;

use http::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::text;

/// `retry-after`: seconds, or a date (RFC 9110 §10.2.3). A date is compared with the node's own `date`, so its clock
/// need not agree with ours. Without that header it is compared with `now`. `None` when absent or malformed.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let said = text(headers, &RETRY_AFTER)?.trim();
    if !said.is_empty() && said.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that overflows still means a very long time.
        return Some(Duration::from_secs(said.parse().unwrap_or(u64::MAX)));
    }
    let now = text(headers, &DATE).and_then(date).unwrap_or(now);
    // A date in the past means zero.
    Some(date(said)?.duration_since(now).try_into().unwrap_or_default())
}

/// An HTTP-date, in the current form or in one of the two old forms that recipients must accept (RFC 9110 §5.6.7).
fn date(text: &str) -> Option<Timestamp> {
    const FORMS: [&str; 3] = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let civil = FORMS.iter().find_map(|form| DateTime::strptime(form, text.trim()).ok())?;
    TimeZone::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood() {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        for (said, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("18446744073709551615", Some(u64::MAX)),
            ("99999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37)),
            ("Sun Nov  6 08:49:37 1994", Some(37)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Mon, 31 Feb 1994 08:49:37 GMT", None),
            ("-5", None),
            ("+5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::from_iter([(RETRY_AFTER, said.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{said}");
            // A node whose clock is an hour ahead means the same time.
            if said.starts_with("Sun,") && seconds == Some(37) {
                headers.insert(RETRY_AFTER, "Sun, 06 Nov 1994 09:49:37 GMT".parse().unwrap());
                headers.insert(DATE, "Sun, 06 Nov 1994 09:49:00 GMT".parse().unwrap());
                assert_eq!(retry_after(&headers, now), Some(Duration::from_secs(37)));
            }
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
