//! Quantities as text.

use super::*;

#[test]
fn sizes_read_as_people_write_them() {
    for (text, bytes) in
        [("6 MiB", 6 << 20), ("2 GB", 2_000_000_000), ("256KiB", 256 << 10), ("1.5 kB", 1_500), ("0 B", 0)]
    {
        assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
    }
    for text in ["", "6", "MiB", "-1 MB", "6 mib", "1 Mbit/s", "99999999999999999 TB", "1..2 MB"] {
        assert!(text.parse::<Bytes>().is_err(), "{text}");
    }
}

#[test]
fn rates_and_durations_read_as_people_write_them() {
    assert_eq!("20 Mbit/s".parse(), Ok(BitRate(20_000_000)));
    assert_eq!("1.5Gbit/s".parse(), Ok(BitRate(1_500_000_000)));
    assert!("20 MB/s".parse::<BitRate>().is_err());
    for (text, seconds) in [("5m", 300), ("100s", 100), ("30d", 2_592_000), ("1h 30m", 5_400), ("1h30m", 5_400)] {
        assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
    for (text, days) in [
        ("7d", 7.0),
        ("2w", 14.0),
        ("1y", 365.0),
        ("1.5d", 1.5),
        ("2 weeks", 14.0),
        ("1 year", 365.0),
        ("1w 2d 12h", 9.5),
        ("12h 1d", 1.5),
        ("1y2w", 379.0),
        ("90m", 0.0625),
        ("100y", 36_500.0),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_secs_f64(days * 86_400.0)), "{text}");
    }
    for text in [
        "",
        "5",
        "-5m",
        "soon",
        "999999d",
        "-2w",
        "2w ago",
        "w",
        "1 w 5",
        "101y",
        "2mo",
        "1..5d",
        "7D",
        "1d -2h",
        "99999999999999999999999999999999999999999y",
    ] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    for (text, is_too_long) in
        [("101y", true), ("1200000h", true), ("9999999999999999999999y", true), ("w", false), ("1..5d", false)]
    {
        let error = parse_duration(text).unwrap_err().to_string();
        assert_eq!(error.ends_with("is not a duration of at most 100 years"), is_too_long, "{error}");
    }
}

#[test]
fn figures_print_with_three_digits() {
    for (bytes, text) in
        [(999, "999 B"), (21_136, "21.1 kB"), (6_291_456, "6.29 MB"), (999_499, "999 kB"), (999_500, "1.00 MB")]
    {
        assert_eq!(Bytes(bytes).to_string(), text);
    }
    assert_eq!(BitRate(19_800_000).to_string(), "19.8 Mbit/s");
    assert_eq!(Micros(80_123).to_string(), "80.1 ms");
    assert_eq!(Micros(4_560_000).to_string(), "4.56 s");
    assert_eq!((Micros(999_499).to_string(), Micros(999_500).to_string()), ("999 ms".into(), "1.00 s".into()));
}

#[test]
fn ages_print_their_two_largest_units() {
    for (seconds, text) in [
        (0, "0s"),
        (59, "59s"),
        (302, "5m 2s"),
        (7_500, "2h 5m"),
        (86_399, "23h 59m"),
        (86_400, "1d"),
        (400 * 86_400 + 3_600, "400d 1h"),
    ] {
        assert_eq!(format_age(Duration::from_secs(seconds)), text);
    }
}

#[test]
fn a_printed_duration_reads_back() {
    for (millis, text) in [
        (0, "0s"),
        (250, "250ms"),
        (1_500, "1s 500ms"),
        (5_400_000, "1h 30m"),
        (86_400_000, "1d"),
        (90_061_000, "1d 1h 1m 1s"),
    ] {
        let duration = Duration::from_millis(millis);
        assert_eq!(format_duration(duration), text);
        assert_eq!(parse_duration(text), Ok(duration));
    }
}

#[test]
fn digits_are_grouped_by_three() {
    for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(grouped(number), text);
    }
}

#[test]
fn a_mean_rate_needs_time() {
    assert_eq!(BitRate::mean(1_000_000, Micros(1_000_000)), Some(BitRate(8_000_000)));
    assert_eq!(BitRate::mean(1, Micros(0)), None);
    assert_eq!(BitRate::mean(u64::MAX, Micros(1)), Some(BitRate(u64::MAX)));
}
