//! What a killed process left in `open/` goes to the spool.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::MetadataExt,
    path::Path,
};

use super::{Error, OPEN, SPOOL, format, list, on, sync_folder};

/// What recovery found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Files that went to the spool.
    pub files: u64,
    /// Points in them.
    pub points: u64,
    /// Bytes of half a last line, cut off.
    pub cut_bytes: u64,
}

/// Seals every open file whose process is gone: cut at its last newline, counted, trailer, sync, rename. Files of living
/// processes are left alone. May run at any time, beside writers and other recoveries.
///
/// # Errors
/// When the disk refuses; what was not sealed yet is found again next time.
pub fn recover(dir: &Path) -> Result<Recovered, Error> {
    let mut recovered = Recovered::default();
    sweep_unnamed(&dir.join(OPEN))?;
    for name in list(&dir.join(OPEN))? {
        recover_file(dir, &name, &mut recovered)?;
    }
    if recovered.files > 0 {
        sync_folder(&dir.join(SPOOL))?;
        sync_folder(&dir.join(OPEN))?;
    }
    Ok(recovered)
}

fn recover_file(dir: &Path, name: &str, recovered: &mut Recovered) -> Result<(), Error> {
    let path = dir.join(OPEN).join(name);
    let Some(mut file) = lock_orphan(&path)? else { return Ok(()) };
    let found = scan(&file).map_err(on("read", &path))?;
    let len = file.metadata().map_err(on("read", &path))?.len();
    if found.points == 0 && found.trailer.is_none() {
        recovered.cut_bytes += len.saturating_sub(found.whole_lines);
        return fs::remove_file(&path).map_err(on("remove the empty", &path));
    }
    if len > found.whole_lines {
        recovered.cut_bytes += len - found.whole_lines;
        file.set_len(found.whole_lines).map_err(on("cut", &path))?;
    }
    // A trailer that is already there stays, right or wrong: a new one would hide the damage.
    if found.trailer.is_none() {
        let trailer = format::Trailer { points: found.points, crc: found.crc }.encode();
        file.write_all(trailer.as_bytes()).map_err(on("seal", &path))?;
    }
    file.sync_all().map_err(on("seal", &path))?;
    fs::rename(&path, dir.join(SPOOL).join(name)).map_err(on("seal", &path))?;
    recovered.files += 1;
    recovered.points += found.points;
    Ok(())
}

/// Opens and locks a file whose writer is gone; nothing when it lives, or when the file moved on meanwhile.
fn lock_orphan(path: &Path) -> Result<Option<File>, Error> {
    let file = match OpenOptions::new().read(true).append(true).open(path) {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(on("open", path))?,
    };
    if !super::lock(&file, path)? {
        return Ok(None);
    }
    // Its writer may have sealed it between our open and our lock: the name must still mean this file.
    let ours = file.metadata().map_err(on("open", path))?;
    let named = fs::metadata(path);
    Ok(named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())).then_some(file))
}

/// Deletes files that got no name because their process died in creating them: nothing was ever in them.
fn sweep_unnamed(open: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(open).map_err(on("list", open))?;
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        if path.extension().is_some_and(|extension| extension == "new") && lock_orphan(&path)?.is_some() {
            // Whoever else deletes it first did our work.
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}

/// What an open file holds.
struct Found {
    /// Bytes up to the last newline.
    whole_lines: u64,
    points: u64,
    /// Checksum of the whole lines.
    crc: u32,
    trailer: Option<format::Trailer>,
}

fn scan(file: &File) -> io::Result<Found> {
    let mut reader = BufReader::new(file);
    let mut found = Found { whole_lines: 0, points: 0, crc: 0, trailer: None };
    // A line longer than the buffer comes in pieces: `start` is its beginning, as much as tells what it is.
    let (mut piece, mut start, mut line_crc, mut line_len) = (Vec::new(), Vec::new(), 0, 0);
    loop {
        piece.clear();
        let read = io::Read::take(&mut reader, format::MAX_LINE as u64).read_until(b'\n', &mut piece)?;
        if read == 0 {
            return Ok(found);
        }
        if line_len == 0 {
            start.clear();
            start.extend_from_slice(&piece[..piece.len().min(LONGEST_TRAILER)]);
            line_crc = found.crc;
        }
        line_crc = crc32c::crc32c_append(line_crc, &piece);
        line_len += read as u64;
        if piece.ends_with(b"\n") {
            found.whole_lines += line_len;
            found.crc = line_crc;
            line_len = 0;
            let line = start.strip_suffix(b"\n").unwrap_or(&start);
            found.points += u64::from(format::is_point(line));
            found.trailer = str::from_utf8(line).ok().and_then(format::Trailer::parse);
        }
    }
}

/// No trailer is longer.
const LONGEST_TRAILER: usize = 80;
