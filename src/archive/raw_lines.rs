//! Reads lines of arbitrary bytes in bounded memory.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read},
    ops::Range,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::SystemTime,
};

use super::{damage::DamageKind, format};
use crate::record::line::MAX_LINE;

/// A reader for the lines of one file. It holds the line that was read last.
#[derive(Debug)]
pub(super) struct RawLines {
    reader: BufReader<File>,
    /// Without its newline. Of a line that is too long, only the beginning.
    pub(super) line: Vec<u8>,
    pub(super) too_long: bool,
    /// CRC32C of the whole line, without its newline.
    pub(super) crc: u32,
    /// The byte range in the file, with the newline.
    pub(super) span: Range<u64>,
    /// The number of the line, counted from 1.
    pub(super) number: u64,
}

impl RawLines {
    pub(super) fn new(file: File) -> Self {
        let (reader, line) = (BufReader::new(file), Vec::new());
        Self { reader, line, too_long: false, crc: 0, span: 0..0, number: 0 }
    }

    /// When the file was last written. `None` when the system does not report it.
    pub(super) fn written(&self) -> Option<SystemTime> {
        self.reader.get_ref().metadata().and_then(|metadata| metadata.modified()).ok()
    }

    /// Reads up to the next newline. False when the file ends without one.
    pub(super) fn read(&mut self) -> io::Result<bool> {
        (self.span.start, self.crc, self.too_long) = (self.span.end, 0, false);
        self.line.clear();
        let mut rest = Vec::new();
        let ended = loop {
            let piece = if self.too_long { &mut rest } else { &mut self.line };
            piece.clear();
            let read = Read::take(&mut self.reader, MAX_LINE as u64).read_until(b'\n', piece)?;
            self.span.end += read as u64;
            let ended = piece.pop_if(|byte| *byte == b'\n').is_some();
            self.crc = crc32c::crc32c_append(self.crc, piece);
            if ended || read < MAX_LINE {
                break ended;
            }
            self.too_long = true;
        };
        self.number += u64::from(ended);
        Ok(ended)
    }
}

/// Opens a regular file. Never blocks, even if the name now refers to something else.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other(DamageKind::NotAFile.to_string())) }
}

/// The format number in the first line of a file, if a newer version wrote it.
pub(super) fn newer(path: &Path) -> io::Result<Option<u64>> {
    let mut start = Vec::new();
    open(path)?.take(MAX_HEADER_BYTES).read_to_end(&mut start)?;
    Ok(start.split(|byte| *byte == b'\n').next().and_then(format::newer))
}

/// The number of bytes that are read to find the format number.
const MAX_HEADER_BYTES: u64 = 64;
