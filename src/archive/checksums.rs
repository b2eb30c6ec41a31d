//! Checksums of single lines: they show which lines are as they were written.
//!
//! ```text
//! # sums 1a2b3c4d 9e8f7a6b
//! ```
//!
//! A comment like this precedes the lines whose CRC32C it announces. The checksums are those of the lines without their
//! newlines, in their order. A line is intact when its own checksum is announced and no other line has claimed that
//! checksum. All code here works on data that may be damaged. Each checksum has a fixed place, so an unreadable one
//! costs its own line and no other.

use std::collections::VecDeque;

/// The most checksums in one comment.
pub(super) const GROUP: usize = 1000;

/// The comment that announces these lines, with its newline. The lines have no newlines, and there are at most
/// [`GROUP`].
pub(super) fn announce<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut comment = String::from(PREFIX);
    for line in lines {
        comment.push_str(&format!(" {:08x}", crc32c::crc32c(line)));
    }
    comment.push('\n');
    comment
}

/// Writes whole lines, each ending in a newline, after the comments that announce them.
pub(super) fn write(lines: &[u8], to: &mut Vec<u8>) {
    let lines: Vec<_> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    for group in lines.chunks(GROUP) {
        let bare = group.iter().map(|line| line.strip_suffix(b"\n").unwrap_or(line));
        to.extend_from_slice(announce(bare).as_bytes());
        group.iter().for_each(|line| to.extend_from_slice(line));
    }
}

/// The checksums that no line has claimed yet.
#[derive(Debug, Default)]
pub(super) struct Announced {
    checksums: VecDeque<u32>,
    total: u64,
}

impl Announced {
    /// The number of lines announced so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Reads the checksums in a line that is not an intact point. Returns whether the line is an intact checksum
    /// comment.
    pub(super) fn read(&mut self, line: &[u8]) -> bool {
        let Some(start) = start(line) else { return false };
        let checksums = &line[start..];
        let before = self.checksums.len();
        self.checksums.extend(checksums.chunks(CHECKSUM_LEN).take(GROUP).filter_map(sum));
        self.total += (self.checksums.len() - before) as u64;
        // Keep two groups: a damaged line may look like the next comment while lines of the last group are still to
        // come.
        let forgotten = self.checksums.len().saturating_sub(2 * GROUP);
        self.checksums.drain(..forgotten);
        line.starts_with(PREFIX.as_bytes())
            && (1..=GROUP * CHECKSUM_LEN).contains(&checksums.len())
            && checksums.chunks(CHECKSUM_LEN).all(|place| place[0] == b' ' && sum(place).is_some())
    }

    /// Whether the line with this checksum is intact. Each checksum is valid for one line.
    pub(super) fn claim(&mut self, sum: u32) -> bool {
        // In an undamaged file this is always the first one.
        let place = self.checksums.iter().position(|announced| *announced == sum);
        place.is_some_and(|place| self.checksums.remove(place).is_some())
    }
}

/// The position of the first checksum: after the word, wherever it is in a damaged line; or where it should be, if the
/// word itself is damaged.
fn start(line: &[u8]) -> Option<usize> {
    let word = line.windows(PREFIX.len() + 1).position(|part| part.strip_suffix(b" ") == Some(PREFIX.as_bytes()));
    let looks_alike = || line.get(PREFIX.len()..PREFIX.len() + CHECKSUM_LEN).and_then(sum).map(|_| 0);
    Some(word.or_else(looks_alike)? + PREFIX.len())
}

/// Parses a space and eight lower-case hex digits.
fn sum(place: &[u8]) -> Option<u32> {
    let digits = str::from_utf8(place.get(1..CHECKSUM_LEN)?).ok()?;
    let ours = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    u32::from_str_radix(digits, 16).ok().filter(|_| ours)
}

const PREFIX: &str = "# sums";
const CHECKSUM_LEN: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_valid_for_one_line() {
        // CRC-32C of "123456789" is the check value of the Catalogue of parametrised CRC algorithms (CRC-32/ISCSI).
        let comment = announce([&b"123456789"[..], b"a", b"a"]);
        assert_eq!(comment, "# sums e3069283 c1d04330 c1d04330\n");
        let mut announced = Announced::default();
        assert!(!announced.claim(crc32c::crc32c(b"a")));
        assert!(announced.read(comment.trim_end().as_bytes()));
        let claimed =
            [&b"a"[..], b"b", b"a", b"a", b"123456789", b"123456789"].map(|line| announced.claim(crc32c::crc32c(line)));
        assert_eq!(claimed, [true, false, true, false, true, false]);
    }

    #[test]
    fn a_damaged_comment_loses_only_its_unreadable_checksums() {
        let check = |comment: &str, is_intact: bool, left: [bool; 2]| {
            let mut announced = Announced::default();
            assert_eq!(announced.read(comment.as_bytes()), is_intact, "{comment}");
            let claimed = [&b"123456789"[..], b"a"].map(|line| announced.claim(crc32c::crc32c(line)));
            assert_eq!(claimed, left, "{comment}");
        };
        check("# sums e3069283 c1d04330", true, [true, true]);
        check("# sums e3069283 c1d0433", false, [true, false]);
        check("# sums e3069283 C1D04330", false, [true, false]);
        check("# sums e30\u{7f}9283 c1d04330", false, [false, true]);
        check("# sums e3069283xc1d04330", false, [true, true]);
        check("# sums e3069283 c1d04330Ja v=1i 1", false, [true, true]);
        check("# bandprobe lines format=1J# sums e3069283 c1d04330", false, [true, true]);
        check("# sumq e3069283 c1d04330", false, [true, true]);
        check("\" sums e3069283 c1d04330", false, [true, true]);
        check("a v=1i 1", false, [false, false]);
        check("# sums", false, [false, false]);
        check("", false, [false, false]);
    }

    #[test]
    fn memory_for_checksums_is_limited() {
        let mut announced = Announced::default();
        for _ in 0..10 {
            announced.read(("# sums".to_owned() + &" 00000000".repeat(5 * GROUP)).as_bytes());
        }
        assert_eq!(announced.checksums.len(), 2 * GROUP);
        let mut text = Vec::new();
        write(&b"a\n".repeat(2 * GROUP + 1), &mut text);
        let comments = text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"#"));
        let lengths: Vec<_> = comments.map(<[u8]>::len).collect();
        assert_eq!(lengths, [6 + 9 * GROUP, 6 + 9 * GROUP, 6 + 9]);
    }
}
