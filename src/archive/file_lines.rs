//! Reads one file line by line.
//!
//! Memory is bounded by the longest line. Damage is an item among the lines and does not end the iteration: exactly the
//! intact lines are returned. The checksum of each line decides.

use std::{fs::File, io, ops::Range, path::PathBuf, time::SystemTime};

use super::{
    checksums::Announced,
    damage::{Damage, DamageKind},
    format,
    raw_lines::{self, RawLines},
};

/// The point lines of one file, without newlines. Iteration continues after damage.
#[derive(Debug)]
pub struct FileLines {
    path: PathBuf,
    raw: RawLines,
    /// Whether the file must have a trailer. Half a line at the end of a file that is still growing is not damage.
    sealed: bool,
    announced: Announced,
    claimed: u64,
    points: u64,
    /// CRC32C of everything before the trailer.
    crc: u32,
    trailer: Option<format::Trailer>,
    after_trailer: bool,
    parts: Vec<String>,
    has_our_header: bool,
    /// The second problem of a line that has two.
    queued: Option<DamageKind>,
    has_damage: bool,
    done: bool,
}

/// The kind of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LineKind {
    /// An intact point.
    Point(String),
    /// A line in the place of a point that cannot be returned.
    Damaged(DamageKind),
    /// A comment of the file format, or an empty line.
    Format,
    /// An unknown comment.
    UnknownComment,
}

impl FileLines {
    pub(super) fn open(path: PathBuf, sealed: bool) -> io::Result<Self> {
        let file = raw_lines::open(&path)?;
        Ok(Self::over(path, file, sealed))
    }

    pub(super) fn over(path: PathBuf, file: File, sealed: bool) -> Self {
        Self {
            path,
            raw: RawLines::new(file),
            sealed,
            announced: Announced::default(),
            claimed: 0,
            points: 0,
            crc: 0,
            trailer: None,
            after_trailer: false,
            parts: Vec::new(),
            has_our_header: false,
            queued: None,
            has_damage: false,
            done: false,
        }
    }

    /// The names of the files that this merged file contains. Complete once the first line was returned.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// The number of lines seen so far in the place of points, as the trailer counts them: damaged ones included.
    #[must_use]
    pub fn points(&self) -> u64 {
        self.points
    }

    /// The number of points that the checksums or the trailer promise but that are missing. Final once the end is
    /// reached.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let changed = self.points - self.claimed;
        let announced = self.announced.total().saturating_sub(self.claimed + changed);
        let sealed = self.trailer.map_or(0, |trailer| trailer.points.saturating_sub(self.points));
        announced.max(sealed)
    }

    /// When the file was last written. `None` when the system does not report it.
    pub(super) fn written(&self) -> Option<SystemTime> {
        self.raw.written()
    }

    /// Whether the first line is the header of this format.
    pub(super) fn has_our_header(&self) -> bool {
        self.has_our_header
    }

    /// The trailer, if the line just read is one.
    pub(super) fn trailer(&self) -> Option<format::Trailer> {
        self.trailer
    }

    /// The bytes of the line just read, without its newline; empty if it was returned as a point. At the end, the half
    /// line that ends the file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.raw.line
    }

    /// The trailer that would seal what was read so far.
    pub(super) fn seal(&self) -> format::Trailer {
        format::Trailer { points: self.points, crc: self.crc }
    }

    /// The byte range of the line just read, with its newline. At the end, the range of the half line that ends the
    /// file.
    pub(super) fn span(&self) -> Range<u64> {
        self.raw.span.clone()
    }

    /// Reads the next whole line. `None` at the end.
    pub(super) fn next_line(&mut self) -> io::Result<Option<LineKind>> {
        let more = self.raw.read()?;
        self.after_trailer |= self.trailer.is_some() && !self.raw.span.is_empty();
        if !more {
            return Ok(None);
        }
        let line = &self.raw.line;
        self.trailer = str::from_utf8(line).ok().and_then(format::Trailer::parse);
        if self.trailer.is_none() {
            let len = usize::try_from(self.raw.span.end - self.raw.span.start - 1).map_err(io::Error::other)?;
            self.crc = crc32c::crc32c_append(crc32c::crc32c_combine(self.crc, self.raw.crc, len), b"\n");
        }
        Ok(Some(self.classify()))
    }

    fn classify(&mut self) -> LineKind {
        let line = &self.raw.line;
        if self.raw.number == 1 {
            self.has_our_header = line == format::HEADER.trim_end().as_bytes();
        }
        if !format::is_point(line) {
            let part = str::from_utf8(line).ok().and_then(format::parse_part);
            self.parts.extend(part.map(str::to_owned));
            let header = self.raw.number == 1 && self.has_our_header;
            let known = header || line.is_empty() || self.trailer.is_some() || part.is_some();
            // The checksums may be in a damaged comment of any kind.
            return if self.announced.read(line) || known { LineKind::Format } else { LineKind::UnknownComment };
        }
        self.points += 1;
        if !self.announced.claim(self.raw.crc) {
            self.announced.read(line);
            return LineKind::Damaged(DamageKind::Line(self.raw.number));
        }
        self.claimed += 1;
        if self.raw.too_long {
            return LineKind::Damaged(DamageKind::NotText(self.raw.number));
        }
        let text = String::from_utf8(std::mem::take(&mut self.raw.line)).ok();
        match text.filter(|text| !text.chars().any(char::is_control)) {
            Some(text) => LineKind::Point(text),
            None => LineKind::Damaged(DamageKind::NotText(self.raw.number)),
        }
    }

    /// What is wrong with the file as a whole. Call it at the end.
    fn damage_of_whole_file(&self) -> Option<DamageKind> {
        let (found, is_intact) = (self.points, !self.has_damage);
        match self.trailer {
            _ if self.after_trailer => Some(DamageKind::AfterTrailer),
            None => self.sealed.then_some(DamageKind::Trailer),
            // A changed line that was already reported may add or remove a line. A lost line shows only in this count.
            Some(trailer) if trailer.points > found || (trailer.points != found && is_intact) => {
                Some(DamageKind::Count { sealed: trailer.points, found })
            }
            Some(trailer) => (trailer.crc != self.crc && is_intact).then_some(DamageKind::Checksum),
        }
    }

    fn next_item(&mut self) -> Option<Result<String, DamageKind>> {
        let found = match self.next_line() {
            Ok(Some(found)) => found,
            ended => {
                self.done = true;
                return match ended {
                    Ok(_) => self.damage_of_whole_file().map(Err),
                    Err(problem) => Some(Err(DamageKind::Read(problem.to_string()))),
                };
            }
        };
        if self.raw.number == 1 && !self.has_our_header {
            if let Some(format) = format::newer(&self.raw.line) {
                self.done = true;
                return Some(Err(DamageKind::Newer(format)));
            }
            // Nothing was announced yet, so this is not an intact point.
            self.queued = if let LineKind::Damaged(what) = found { Some(what) } else { None };
            return Some(Err(DamageKind::Header));
        }
        match found {
            LineKind::Point(line) => Some(Ok(line)),
            LineKind::Damaged(what) => Some(Err(what)),
            LineKind::Format | LineKind::UnknownComment => None,
        }
    }
}

impl Iterator for FileLines {
    type Item = Result<String, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let found = match self.queued.take() {
                Some(what) => Some(Err(what)),
                None if self.done => return None,
                None => self.next_item(),
            };
            if let Some(found) = found {
                self.has_damage |= found.is_err();
                return Some(found.map_err(|kind| Damage { file: self.path.clone(), kind }));
            }
        }
    }
}
