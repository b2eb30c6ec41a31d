//! The format of a line file, version 1:
//!
//! ```text
//! # bandprobe lines format=1
//! # part 2026-11-21T100000.000000000Z-17.lp        (only in merged files: the name of a file it contains)
//! # sums 5e1cf6a0                                  (checksums of the lines that follow: see `checksums`)
//! bandprobe_transfer,vantage=fra … 1763719200000000000
//! …
//! # end points=1 crc32c=1a2b3c4d
//! ```
//!
//! Points are the lines that are not empty and do not start with `#`. The checksum of the trailer (CRC32C, RFC 3720
//! appendix B.4) covers every byte before the trailer, including the header. A file in `open/` has no trailer yet.
//!
//! The header of a later format starts with the same words and has a greater number. Anything may follow the number.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// The first line of a file, with its newline.
pub const HEADER: &str = "# bandprobe lines format=1\n";

/// The format that this version writes. It reads no other.
pub const FORMAT: u64 = 1;

/// The last line of a sealed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// The number of points in the file.
    pub points: u64,
    /// CRC32C of every byte before the trailer.
    pub crc: u32,
}

impl Trailer {
    /// The trailer as a line, with its newline.
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{TRAILER}{} crc32c={:08x}\n", self.points, self.crc)
    }

    /// Parses a line without its newline. `None` when it is not a trailer.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (points, crc) = line.strip_prefix(TRAILER)?.split_once(" crc32c=")?;
        let trailer = Self { points: points.parse().ok()?, crc: u32::from_str_radix(crc, 16).ok()? };
        // Accept only the exact spelling that `encode` writes, so that a damaged trailer cannot pass as valid.
        (trailer.encode().trim_end() == line).then_some(trailer)
    }
}

/// The format number in the first line of a file, if it is greater than [`FORMAT`].
#[must_use]
pub fn newer(line: &[u8]) -> Option<u64> {
    let number = str::from_utf8(line).ok()?.strip_prefix(VERSION)?.split(' ').next()?;
    number.parse().ok().filter(|format| *format > FORMAT && number.bytes().all(|digit| digit.is_ascii_digit()))
}

/// The name of a file whose first append is at `now`. Names sort by time, whatever the clock says: times before the
/// year 0, which cannot be written in this form, become the start of the year 0.
#[must_use]
pub fn name(now: Timestamp, pid: u32) -> String {
    let year_0 = Timestamp::from_second(YEAR_0).unwrap_or(Timestamp::UNIX_EPOCH);
    // Before 1970, the subsecond part of a `Timestamp` is negative; that of a zoned time is not.
    let time = now.max(year_0).to_zoned(TimeZone::UTC);
    format!("{}.{:09}Z-{pid}{SUFFIX}", time.strftime("%Y-%m-%dT%H%M%S"), time.subsec_nanosecond())
}

/// The name of the merged file whose oldest part is `first`. It sorts before `first`: its process id is 0, which no
/// process has.
#[must_use]
pub fn merged_name(first: &str) -> Option<String> {
    let (time, _) = first.split_once("Z-")?;
    Some(format!("{time}Z-0{SUFFIX}")).filter(|name| name.as_str() <= first)
}

/// The UTC day at the start of a file name.
#[must_use]
pub fn day(name: &str) -> Option<Date> {
    name.get(..10)?.parse().ok()
}

/// Another name derived from this one, for when this one is taken. It has the same place in time order.
#[must_use]
pub fn sibling(name: &str, number: u64) -> String {
    format!("{}-{number}{SUFFIX}", name.strip_suffix(SUFFIX).unwrap_or(name))
}

/// The time of the first append, parsed from the file name.
#[must_use]
pub fn opened(name: &str) -> Option<Timestamp> {
    let midnight = day(name)?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let (clock, _) = name.get(10..)?.strip_prefix('T')?.split_once('Z')?;
    let (clock, nanos) = clock.split_once('.')?;
    let number = |from: usize, to: usize| clock.get(from..to)?.parse::<i64>().ok();
    let seconds = number(0, 2)? * 3600 + number(2, 4)? * 60 + number(4, 6)?;
    let nanos = nanos.parse::<i32>().ok().filter(|nanos| (0..1_000_000_000).contains(nanos))?;
    Timestamp::new(midnight.as_second() + seconds, nanos).ok()
}

/// Whether this is the name of a line file, and not of a temporary file or a lock.
#[must_use]
pub fn is_line_file(name: &str) -> bool {
    name.ends_with(SUFFIX) && !name.starts_with('.')
}

/// The comment with which a merged file names one of its parts, with its newline.
#[must_use]
pub fn part(name: &str) -> String {
    format!("{PART}{name}\n")
}

/// The file name in such a comment.
#[must_use]
pub fn parse_part(line: &str) -> Option<&str> {
    line.strip_prefix(PART)
}

/// Whether a line, without its newline, is a point: neither empty nor a comment.
#[must_use]
pub fn is_point(line: &[u8]) -> bool {
    !line.is_empty() && line[0] != b'#'
}

const SUFFIX: &str = ".lp";
/// 0000-01-01T00:00:00Z as a Unix time in seconds.
const YEAR_0: i64 = -62_167_219_200;
const VERSION: &str = "# bandprobe lines format=";
const TRAILER: &str = "# end points=";
const PART: &str = "# part ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_trailers_are_accepted() {
        let trailer = Trailer { points: 1234, crc: 0xab };
        assert_eq!(trailer.encode(), "# end points=1234 crc32c=000000ab\n");
        assert_eq!(Trailer::parse(trailer.encode().trim_end()), Some(trailer));
        for wrong in [
            "",
            "# end",
            "# end points=1",
            "# end points=x crc32c=00000000",
            "# end points=1 crc32c=0",
            "# end points=+1 crc32c=0000000A",
        ] {
            assert_eq!(Trailer::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_a_greater_number_is_a_newer_format() {
        assert_eq!(HEADER, format!("{VERSION}{FORMAT}\n"));
        for (line, expected) in [
            ("# bandprobe lines format=2", Some(2)),
            ("# bandprobe lines format=12 zipped", Some(12)),
            ("# bandprobe lines format=1", None),
            ("# bandprobe lines format=0", None),
            ("# bandprobe lines format=+2", None),
            ("# bandprobe lines format=2x", None),
            ("# bandprobe lines format=", None),
            ("m v=2 2", None),
        ] {
            assert_eq!(newer(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn name_order_is_time_order() {
        let early: Timestamp = "2026-11-21T09:59:59.999999999Z".parse().unwrap();
        let late: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        assert_eq!(name(late, 17), "2026-11-21T100000.000000000Z-17.lp");
        assert_eq!(opened(&sibling(&name(early, 900), 2)), Some(early));
        let merged = merged_name(&name(early, 900)).unwrap();
        let names = [&merged, &name(early, 1), &name(early, 900), &name(late, 1)];
        assert!(names.is_sorted(), "{names:?}");
        assert_eq!(merged_name(&merged).as_ref(), Some(&merged));
        assert_eq!((opened(&name(early, 900)), opened(&merged)), (Some(early), Some(early)));
        assert_eq!((merged_name("x.lp"), merged_name("xZ-.lp")), (None, None));
        for wrong in [
            "",
            "x.lp",
            "1969-12-31T235959.-00000001Z-7.lp",
            "2026-13-01.lp",
            "2026-11-21.lp",
            "2026-11-21T1000.0Z-1.lp",
            "2026-11-21Tüüü.0Z.lp",
        ] {
            assert_eq!(opened(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_keep_their_order_under_any_clock() {
        let mut previous = String::new();
        for (time, expected) in [
            ("-009999-01-02T01:59:59Z", "0000-01-01T000000.000000000Z-7.lp"),
            ("0000-01-01T00:00:00.000000001Z", "0000-01-01T000000.000000001Z-7.lp"),
            ("1901-12-13T20:45:52.5Z", "1901-12-13T204552.500000000Z-7.lp"),
            ("1969-12-31T23:59:58.25Z", "1969-12-31T235958.250000000Z-7.lp"),
            ("1969-12-31T23:59:59.999999999Z", "1969-12-31T235959.999999999Z-7.lp"),
            ("1970-01-01T00:00:00Z", "1970-01-01T000000.000000000Z-7.lp"),
            ("2038-01-19T03:14:08.000000001Z", "2038-01-19T031408.000000001Z-7.lp"),
            ("2262-04-12T00:00:00Z", "2262-04-12T000000.000000000Z-7.lp"),
            ("9999-12-30T22:00:00.5Z", "9999-12-30T220000.500000000Z-7.lp"),
        ] {
            let at: Timestamp = time.parse().unwrap();
            let name = name(at, 7);
            assert_eq!(name, expected);
            assert!(previous < name, "{previous} {name}");
            assert_eq!(opened(&name), Some(at.max(Timestamp::from_second(YEAR_0).unwrap())), "{name}");
            assert_eq!(day(&name).map(|day| day.to_string()).as_deref(), name.get(..10), "{name}");
            let merged = merged_name(&name).unwrap();
            assert!(merged < name && opened(&merged) == opened(&name), "{merged}");
            previous = name;
        }
    }
}
