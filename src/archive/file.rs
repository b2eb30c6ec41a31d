//! Reading one file line by line.
//!
//! Memory is bounded by the longest line. Damage is a value among the lines, never an end: every line that is whole
//! and readable is handed out.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
    time::SystemTime,
};

use super::format;

/// Something in a file that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where.
    pub file: PathBuf,
    /// What.
    pub what: What,
}

/// What can be wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It does not start with the header of a format that we know.
    Header,
    /// It is not sealed although its place says so: its end is missing.
    Trailer,
    /// Some byte changed since it was written; which one is not known.
    Checksum,
    /// It holds fewer or more points than it was sealed with.
    Count {
        /// Points by the trailer.
        sealed: u64,
        /// Points found.
        found: u64,
    },
    /// Bytes follow the trailer.
    AfterTrailer,
    /// This line (counted from 1) is longer than [`format::MAX_LINE`], not UTF-8, or holds control characters.
    Line(u64),
    /// It was deleted while we read the directory.
    Vanished,
    /// The disk refused to read on.
    Read(String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match &self.what {
            What::Header => write!(f, "{file}: no header of a known format"),
            What::Trailer => write!(f, "{file}: its end is missing"),
            What::Checksum => write!(f, "{file}: its checksum does not fit, some value in it is not what was written"),
            What::Count { sealed, found } => write!(f, "{file}: sealed with {sealed} points, {found} found"),
            What::AfterTrailer => write!(f, "{file}: something follows its end"),
            What::Line(number) => write!(f, "{file}: line {number} cannot be read"),
            What::Vanished => write!(f, "{file}: deleted while it was to be read"),
            What::Read(problem) => write!(f, "{file}: {problem}"),
        }
    }
}

/// The point lines of one file, without newlines. Iteration goes on after damage.
#[derive(Debug)]
pub struct FileLines {
    path: PathBuf,
    reader: BufReader<File>,
    /// Whether the end must be sealed; the half line at the end of a growing file is no damage.
    sealed: bool,
    line: Vec<u8>,
    number: u64,
    crc: u32,
    points: u64,
    trailer: Option<format::Trailer>,
    after_trailer: bool,
    parts: Vec<String>,
    /// The first line turned out to be no header, and is still to be judged as what it is instead.
    headless: bool,
    done: bool,
}

impl FileLines {
    pub(super) fn open(path: PathBuf, sealed: bool) -> io::Result<Self> {
        let reader = BufReader::new(File::open(&path)?);
        let (line, parts) = (Vec::new(), Vec::new());
        Ok(Self {
            path,
            reader,
            sealed,
            line,
            number: 0,
            crc: 0,
            points: 0,
            trailer: None,
            after_trailer: false,
            parts,
            headless: false,
            done: false,
        })
    }

    /// The files that a merged one says it holds; complete once the first line came out.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// Points seen so far, unreadable ones included.
    #[must_use]
    pub fn points(&self) -> u64 {
        self.points
    }

    /// When the file was last written, where the system tells.
    pub(super) fn written(&self) -> Option<SystemTime> {
        self.reader.get_ref().metadata().and_then(|metadata| metadata.modified()).ok()
    }

    /// Reads the next whole line into `self.line`; false at the end. Of a line that is too long, only the beginning.
    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        let limit = format::MAX_LINE as u64;
        Read::take(&mut self.reader, limit).read_until(b'\n', &mut self.line)?;
        let mut crc = crc32c::crc32c(&self.line);
        let mut len = self.line.len();
        let mut whole = self.line.ends_with(b"\n");
        let mut rest = Vec::new();
        while !whole && len >= format::MAX_LINE {
            rest.clear();
            if Read::take(&mut self.reader, limit).read_until(b'\n', &mut rest)? == 0 {
                break;
            }
            crc = crc32c::crc32c_combine(crc, crc32c::crc32c(&rest), rest.len());
            len += rest.len();
            whole = rest.ends_with(b"\n");
        }
        if !whole {
            self.after_trailer |= self.trailer.is_some() && len > 0;
            return Ok(false);
        }
        self.number += 1;
        self.after_trailer |= self.trailer.is_some();
        self.trailer =
            str::from_utf8(&self.line).ok().and_then(|line| format::Trailer::parse(line.strip_suffix('\n')?));
        if self.trailer.is_none() {
            self.crc = crc32c::crc32c_combine(self.crc, crc, len);
        }
        if len > format::MAX_LINE {
            self.line = vec![TOO_LONG];
        } else {
            self.line.pop();
        }
        Ok(true)
    }

    /// What the line just read is to the caller, if anything.
    fn judge(&mut self, again: bool) -> Option<Result<String, What>> {
        let is_header = self.line == format::HEADER.trim_end().as_bytes();
        if self.number == 1 && !is_header && !again {
            self.headless = true;
            return Some(Err(What::Header));
        }
        if !format::is_point(&self.line) {
            self.parts.extend(str::from_utf8(&self.line).ok().and_then(format::parse_part).map(str::to_owned));
            return None;
        }
        self.points += 1;
        let line = String::from_utf8(std::mem::take(&mut self.line)).ok();
        let line = line.filter(|line| !line.chars().any(char::is_control));
        Some(line.ok_or(What::Line(self.number)))
    }

    /// What is wrong with the file as a whole, once its end is reached.
    fn verdict(&self) -> Option<What> {
        match self.trailer {
            _ if self.after_trailer => Some(What::AfterTrailer),
            None => self.sealed.then_some(What::Trailer),
            Some(trailer) if trailer.crc != self.crc => Some(What::Checksum),
            Some(trailer) if trailer.points != self.points => {
                Some(What::Count { sealed: trailer.points, found: self.points })
            }
            Some(_) => None,
        }
    }
}

impl Iterator for FileLines {
    type Item = Result<String, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            let again = std::mem::take(&mut self.headless);
            let found = match if again { Ok(true) } else { self.read_line() } {
                Ok(true) => self.judge(again),
                Ok(false) => {
                    self.done = true;
                    self.verdict().map(Err)
                }
                Err(problem) => {
                    self.done = true;
                    Some(Err(What::Read(problem.to_string())))
                }
            };
            if let Some(found) = found {
                return Some(found.map_err(|what| Damage { file: self.path.clone(), what }));
            }
        }
        None
    }
}

/// Stands for a line that was too long to keep: a control character, so the line is damage.
const TOO_LONG: u8 = 0x07;
