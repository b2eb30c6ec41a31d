//! The content of `rejected/`: lines that the database refused, grouped by its message, and damaged files.
//!
//! A file of refused lines is `# message`, line, `# message`, line, … between header and trailer. Its modification time
//! is when the lines were refused; the time in its name is when its first point was appended.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use jiff::Timestamp;

use super::{Error, REJECTED, checksums::Announced, format, list, on, reader::set_aside};
use crate::{model::text::made_printable, record::line::MAX_LINE};

/// Lines that were refused for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The server's message, made printable. `…` replaces the line where the message repeats it.
    pub message: String,
    /// The number of lines.
    pub points: u64,
    /// The number of files that contain them.
    pub files: u64,
    /// The name of the newest of these files, in `rejected/`.
    pub file: String,
    /// When the newest lines were refused. `None` when the system does not report the file's time.
    pub at: Option<Timestamp>,
    /// Up to [`MAX_LINES`] of the lines, those of the newest file first, made printable.
    pub lines: Vec<String>,
}

/// All lines that were refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// One entry per message, the newest file's first.
    pub by_message: Vec<Refusal>,
    /// The number of lines with other messages, beyond the first [`MAX_MESSAGES`].
    pub others: u64,
}

/// A damaged file that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Its name in `rejected/`.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// The most messages that are listed separately. It bounds memory when a server never repeats a message.
pub const MAX_MESSAGES: usize = 100;

/// The most lines that are kept of each message.
pub const MAX_LINES: usize = 3;

/// Reads every refused line. May run in parallel with the drain.
///
/// # Errors
/// When the folder or a file cannot be read.
pub fn refusals(dir: &Path) -> Result<Refusals, Error> {
    let mut groups = Groups::default();
    for (name, at) in newest_first(dir)? {
        groups.read(dir, &name, at)?;
    }
    Ok(groups.found)
}

/// The group of the line that was refused last; `None` when `rejected/` has no refused line.
///
/// # Errors
/// When the folder or a file cannot be read.
pub fn newest(dir: &Path) -> Result<Option<Refusal>, Error> {
    for (name, at) in newest_first(dir)? {
        let mut groups = Groups::default();
        groups.read(dir, &name, at)?;
        // The lines of a file are in the order of the answers.
        if let Some(last) = groups.found.by_message.pop() {
            return Ok(Some(last));
        }
    }
    Ok(None)
}

/// The damaged files, sorted by name.
///
/// # Errors
/// When the folder cannot be listed.
pub fn damaged(dir: &Path) -> Result<Vec<Damaged>, Error> {
    let size = |name: String| {
        let bytes = fs::metadata(dir.join(REJECTED).join(&name)).ok()?.len();
        Some(Damaged { name, bytes })
    };
    Ok(set_aside(dir)?.into_iter().filter_map(size).collect())
}

/// The files of refused lines and when they were written, newest first.
fn newest_first(dir: &Path) -> Result<Vec<(String, Option<Timestamp>)>, Error> {
    let folder = dir.join(REJECTED);
    let written = |name: &str| fs::metadata(folder.join(name)).and_then(|metadata| metadata.modified()).ok();
    let time = |name: String| {
        let at = written(&name).and_then(|time| Timestamp::try_from(time).ok());
        (name, at)
    };
    let mut files: Vec<_> = list(&folder)?.into_iter().map(time).collect();
    files.sort_by(|(a, written), (b, later)| later.cmp(written).then_with(|| b.cmp(a)));
    Ok(files)
}

#[derive(Default)]
struct Groups {
    found: Refusals,
    /// Position of each message in `found`, by its cause.
    positions: HashMap<String, GroupPosition>,
    /// The number of files read.
    files: u64,
}

struct GroupPosition {
    index: usize,
    /// The number of the file in which it was last seen.
    file: u64,
}

impl Groups {
    fn read(&mut self, dir: &Path, name: &str, at: Option<Timestamp>) -> Result<(), Error> {
        let path = dir.join(REJECTED).join(name);
        let file = match File::open(&path) {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file.map_err(on("open", &path))?,
        };
        self.files += 1;
        let mut reader = BufReader::new(file);
        let (mut piece, mut message, mut is_rest) = (Vec::new(), String::new(), false);
        loop {
            piece.clear();
            let limit = MAX_LINE as u64;
            let read = Read::take(&mut reader, limit).read_until(b'\n', &mut piece).map_err(on("read", &path))?;
            if read == 0 {
                return Ok(());
            }
            // A line that is too long is read in pieces. Only the first piece is kept.
            if std::mem::replace(&mut is_rest, !piece.ends_with(b"\n")) {
                continue;
            }
            let text = String::from_utf8_lossy(&piece);
            let text = text.trim_end_matches('\n');
            if format::is_point(text.as_bytes()) {
                self.add(&message, text, name, at);
            } else if !is_of_the_format(text) {
                text.trim_start_matches('#').trim().clone_into(&mut message);
            }
        }
    }

    fn add(&mut self, message: &str, line: &str, file: &str, at: Option<Timestamp>) {
        let message = made_printable(&without_line(message, line));
        let refusals = &mut self.found.by_message;
        let cause = cause(&message);
        if !self.positions.contains_key(&cause) {
            if refusals.len() == MAX_MESSAGES {
                self.found.others += 1;
                return;
            }
            self.positions.insert(cause.clone(), GroupPosition { index: refusals.len(), file: 0 });
            let file = made_printable(file);
            refusals.push(Refusal { message, points: 0, files: 0, file, at, lines: Vec::new() });
        }
        let place = self.positions.get_mut(&cause).expect("invariant: it was put there");
        let refusal = &mut refusals[place.index];
        refusal.files += u64::from(std::mem::replace(&mut place.file, self.files) != self.files);
        refusal.points += 1;
        if refusal.lines.len() < MAX_LINES {
            refusal.lines.push(made_printable(line));
        }
    }
}

/// A message with its numbers normalized, so that messages that differ only in counts or times are grouped.
#[must_use]
pub fn cause(message: &str) -> String {
    let mut before = ' ';
    let kept = message.chars().filter(|&c| {
        let again = c.is_ascii_digit() && before.is_ascii_digit();
        before = c;
        !again
    });
    kept.map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

/// Whether a comment belongs to the file format, and is not a message.
fn is_of_the_format(comment: &str) -> bool {
    comment == format::HEADER.trim_end()
        || format::Trailer::parse(comment).is_some()
        || Announced::default().read(comment.as_bytes())
}

/// Replaces the line that a message quotes, in full or shortened, by `…`. Messages about different lines are then
/// equal.
fn without_line(message: &str, line: &str) -> String {
    let Some((end, _)) = line.char_indices().nth(MIN_QUOTE) else { return message.to_owned() };
    let Some(at) = message.find(&line[..end]) else { return message.to_owned() };
    let same = message[at..].chars().zip(line.chars()).take_while(|(a, b)| a == b);
    let length: usize = same.map(|(c, _)| c.len_utf8()).sum();
    let rest = &message[at + length..];
    // A long message is shortened in the middle, so it may continue with the end of the line.
    let end = rest.strip_prefix('…').and_then(|rest| {
        let tails = line.char_indices().skip(MIN_QUOTE).map(|(start, _)| &line[start..]);
        tails.filter_map(|tail| rest.strip_prefix(tail)).next()
    });
    format!("{}…{}", &message[..at], end.unwrap_or(rest))
}

/// A quote of at least this many characters is neither a coincidence nor just the measurement name.
const MIN_QUOTE: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::spool::{RejectedLine, Spool};

    fn quarantine(spool: &Spool, name: &str, lines: &[(&str, &str)]) {
        let rejected =
            |(line, message): &(&str, &str)| RejectedLine { line: (*line).into(), message: (*message).into() };
        spool.quarantine(name, &lines.iter().map(rejected).collect::<Vec<_>>()).unwrap();
    }

    #[test]
    fn refused_lines_are_grouped_by_message_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!((refusals(dir.path()).unwrap(), newest(dir.path()).unwrap()), (Refusals::default(), None));
        let spool = Spool::lock(dir.path()).unwrap();
        assert_eq!((refusals(dir.path()).unwrap(), newest(dir.path()).unwrap()), (Refusals::default(), None));
        quarantine(&spool, "a.lp", &[("m v=1 1", "too old"), ("m v=2 2", "wrong type")]);
        quarantine(
            &spool,
            "b.lp",
            &[("m v=3 3", "wrong type"), ("m v=4 4", "sums up to nothing"), ("m v=5 5", "wrong type")],
        );
        quarantine(&spool, "c.lp", &[("m v=6 6", "wrong type")]);
        // The order is that of the modification times, not of the names: the last one was delivered first.
        for (name, second) in [("a.lp", 1), ("c.lp", 2), ("b.lp", 3)] {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(second);
            File::options()
                .append(true)
                .open(dir.path().join(REJECTED).join(name))
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
        let groups_found: Vec<_> = refusals(dir.path()).unwrap().by_message;
        let groups_found: Vec<_> = groups_found
            .iter()
            .map(|r| (&*r.message, r.points, r.files, &*r.file, r.at.unwrap().as_second(), r.lines.join("; ")))
            .collect();
        assert_eq!(
            groups_found,
            [
                ("wrong type", 4, 3, "b.lp", 3, "m v=3 3; m v=5 5; m v=6 6".to_owned()),
                ("sums up to nothing", 1, 1, "b.lp", 3, "m v=4 4".to_owned()),
                ("too old", 1, 1, "a.lp", 1, "m v=1 1".to_owned()),
            ]
        );
        assert_eq!(newest(dir.path()).unwrap().unwrap().message, "sums up to nothing");
    }

    #[test]
    fn foreign_text_is_made_printable_and_limited() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(REJECTED);
        fs::create_dir(&folder).unwrap();
        let long = "x".repeat(MAX_LINE);
        let text =
            format!("#\u{1b}[2J no\nm s=\"\u{9b}\" 1\n# sums 1a2b3c4d 00000000\n{long}{long}\nm\n# end points=1\n");
        fs::write(folder.join("a.lp"), text).unwrap();
        let found = refusals(dir.path()).unwrap().by_message;
        assert_eq!((found.len(), &*found[0].message, found[0].points), (1, "\u{fffd}[2J no", 3));
        assert_eq!((&*found[0].lines[0], &*found[0].lines[1]), ("m s=\"\u{fffd}\" 1", &*long));

        let many = (0..=MAX_MESSAGES).map(|n| format!("# {}\nm v=1 1\n", "y".repeat(n + 1))).collect::<String>();
        fs::write(folder.join("a.lp"), many).unwrap();
        let found = refusals(dir.path()).unwrap();
        assert_eq!((found.by_message.len(), found.others), (MAX_MESSAGES, 1));
    }

    #[test]
    fn messages_that_quote_their_lines_are_grouped() {
        let line = "bandprobe_transfer,node=fra1 ok= 1763719200000000000";
        for (message, expected) in [
            (&*format!("unable to parse '{line}': missing field value"), "unable to parse '…': missing field value"),
            ("unable to parse 'bandprobe_transfer,node=fra1 ok", "unable to parse '…"),
            ("unable to parse 'bandprobe_transfer,node=fra1 …9200000000000': why", "unable to parse '…': why"),
            ("unable to parse 'bandprobe_transfer", "unable to parse 'bandprobe_transfer"),
            ("field type conflict on bandprobe_transfer", "field type conflict on bandprobe_transfer"),
        ] {
            assert_eq!(without_line(message, line), expected);
        }
    }

    #[test]
    fn messages_that_differ_in_numbers_have_one_cause() {
        for (a, b, same) in [
            ("type conflict dropped=1", "type conflict dropped=23", true),
            ("older than 2026-11-23T04:00:00Z", "older than 2026-11-22T15:10:59Z", true),
            ("field \"a\"", "field \"b\"", false),
        ] {
            assert_eq!(cause(a) == cause(b), same, "{a}, {b}");
        }
    }

    #[test]
    fn damaged_files_are_found_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(damaged(dir.path()).unwrap(), []);
        fs::create_dir(dir.path().join(REJECTED)).unwrap();
        for name in ["b.lp.bad", "a.lp.bad", "a.lp"] {
            fs::write(dir.path().join(REJECTED).join(name), name).unwrap();
        }
        let names: Vec<_> = damaged(dir.path()).unwrap().into_iter().map(|file| (file.name, file.bytes)).collect();
        assert_eq!(names, [("a.lp.bad".to_owned(), 8), ("b.lp.bad".to_owned(), 8)]);
    }
}
