//! A file that is written in one go and then gets its name, so that the name means all of it or nothing: merged files,
//! refused lines, and both halves of a damaged file.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use super::{Error, checksums, file_lines::FileLines, format, on, raw_lines, sync_folder};

/// A file that has no final name yet.
#[derive(Debug)]
pub(super) struct AtomicFile {
    folder: PathBuf,
    temporary: PathBuf,
    out: BufWriter<File>,
    /// Lines whose checksums are not written yet.
    group: Vec<u8>,
    group_lines: usize,
    points: u64,
    bytes: u64,
    crc: u32,
}

impl AtomicFile {
    /// Creates the temporary file for `name` and writes its first line, which includes its newline.
    pub(super) fn create(folder: &Path, name: &str, header: &str) -> Result<Self, Error> {
        let temporary = folder.join(format!(".{name}{TEMPORARY_SUFFIX}"));
        let file = super::private().truncate(true).open(&temporary).map_err(on("create", &temporary))?;
        let (folder, out) = (folder.to_owned(), BufWriter::new(file));
        let mut file = Self { folder, temporary, out, group: Vec::new(), group_lines: 0, points: 0, bytes: 0, crc: 0 };
        file.comment(header)?;
        Ok(file)
    }

    /// Adds a comment, which includes its newline.
    pub(super) fn comment(&mut self, text: &str) -> Result<(), Error> {
        self.announce()?;
        self.put(text.as_bytes())
    }

    /// Adds a point, without its newline.
    pub(super) fn line(&mut self, line: &str) -> Result<(), Error> {
        self.group.extend_from_slice(line.as_bytes());
        self.group.push(b'\n');
        self.group_lines += 1;
        self.points += 1;
        if self.group_lines == checksums::GROUP || self.group.len() >= GROUP_BYTES { self.announce() } else { Ok(()) }
    }

    /// Adds a line of arbitrary bytes without a checksum, with or without a newline at its end.
    pub(super) fn raw_line(&mut self, from: &mut impl Read, is_point: bool) -> Result<(), Error> {
        let (mut piece, mut last) = (vec![0; PIECE], b'\n');
        loop {
            let read = from.read(&mut piece).map_err(on("read for", &self.temporary))?;
            let Some(end) = read.checked_sub(1) else { break };
            last = piece[end];
            self.put(&piece[..read])?;
        }
        self.points += u64::from(is_point);
        if last == b'\n' { Ok(()) } else { self.put(b"\n") }
    }

    /// The number of points added so far.
    pub(super) fn points(&self) -> u64 {
        self.points
    }

    /// The number of bytes written so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the trailer and syncs the file. It still has no final name.
    pub(super) fn seal(&mut self) -> Result<format::Trailer, Error> {
        self.announce()?;
        let trailer = format::Trailer { points: self.points, crc: self.crc };
        self.put(trailer.encode().as_bytes())?;
        let synced = self.out.flush().and_then(|()| self.out.get_ref().sync_all());
        synced.map_err(on("write", &self.temporary))?;
        Ok(trailer)
    }

    /// Gives the file its final name durably and replaces any file of that name.
    pub(super) fn publish(self, name: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        fs::rename(&self.temporary, &path).map_err(on("rename into place", &path))?;
        sync_folder(&self.folder)
    }

    fn announce(&mut self) -> Result<(), Error> {
        let mut announced = Vec::with_capacity(self.group.len() + 9 * self.group_lines + 8);
        checksums::write(&self.group, &mut announced);
        self.group.clear();
        self.group_lines = 0;
        self.put(&announced)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(on("write", &self.temporary))
    }
}

impl Drop for AtomicFile {
    /// Without its final name the file only takes up room.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.temporary);
    }
}

/// The most bytes of lines that wait for one checksum comment. It bounds memory.
const GROUP_BYTES: usize = 256 * 1024;
const PIECE: usize = 64 * 1024;

/// Deletes the temporary files of writers that died.
pub(super) fn sweep(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let left = |name: &str| name.starts_with('.') && name.ends_with(TEMPORARY_SUFFIX);
    for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(left)) {
        // A leftover only costs room, and the next call tries again.
        let _ = fs::remove_file(entry.path());
    }
}

const TEMPORARY_SUFFIX: &str = ".tmp";

/// The trailer at the end of a file; `None` when it has none.
pub(super) fn trailer(path: &Path) -> io::Result<Option<format::Trailer>> {
    let mut file = raw_lines::open(path)?;
    let len = file.metadata()?.len();
    io::Seek::seek(&mut file, io::SeekFrom::Start(len.saturating_sub(MAX_TRAILER_BYTES)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let last = end.strip_suffix(b"\n").and_then(|end| end.rsplit(|byte| *byte == b'\n').next());
    Ok(last.and_then(|line| format::Trailer::parse(str::from_utf8(line).ok()?)))
}

/// The number of points by the trailer. Without a trailer, or when a newer version wrote the file, the lines are
/// counted.
pub(super) fn points(path: &Path) -> io::Result<u64> {
    if raw_lines::newer(path)?.is_none()
        && let Some(trailer) = trailer(path)?
    {
        return Ok(trailer.points);
    }
    let mut lines = FileLines::open(path.to_owned(), false)?;
    while lines.next_line()?.is_some() {}
    Ok(lines.points())
}

const MAX_TRAILER_BYTES: u64 = 80;
