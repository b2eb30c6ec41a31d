//! Keeping the data directory within its limits, and its delivered files few: one a finished day.
//!
//! What is deleted undelivered is counted. Order: delivered files that are past their time; then, while the directory
//! is too large, the oldest delivered, the oldest rejected, the oldest undelivered. The file being written stays.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    time::Duration,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::model::units::Bytes;

use super::{
    DELIVERED, Error, OPEN, REJECTED, SPOOL,
    file::FileLines,
    format, list, on,
    reader::{BAD, MERGE_LOCK, set_aside},
    spool::{self, Spool},
    sync_folder,
};

/// What went to keep within the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Delivered files that were deleted.
    pub delivered_files: u64,
    /// Files of points that are in no database and were deleted.
    pub dropped_files: u64,
    /// Points in them.
    pub dropped_points: u64,
}

/// Deletes what is too old or too much.
///
/// # Errors
/// When the disk refuses.
pub fn enforce(spool: &Spool, max_size: Bytes, keep: Duration, now: Timestamp) -> Result<Removed, Error> {
    let dir = spool.dir();
    let mut removed = Removed::default();
    for name in list(&dir.join(DELIVERED))? {
        let ended = format::day(&name).and_then(|day| day.tomorrow().ok()).and_then(midnight);
        if ended.is_some_and(|ended| ended.checked_add(keep).is_ok_and(|until| until <= now)) {
            removed.delivered_files += 1;
            remove(&dir.join(DELIVERED).join(&name))?;
        }
    }
    let bad = || -> Result<Vec<String>, Error> { Ok(set_aside(dir)?.into_iter().map(|name| name + BAD).collect()) };
    let mut size = 0;
    for (folder, names) in [
        (OPEN, list(&dir.join(OPEN))?),
        (SPOOL, list(&dir.join(SPOOL))?),
        (DELIVERED, list(&dir.join(DELIVERED))?),
        (REJECTED, [list(&dir.join(REJECTED))?, bad()?].concat()),
    ] {
        size += names.iter().map(|name| on_disk(&dir.join(folder).join(name))).sum::<u64>();
    }
    for (folder, names) in [
        (DELIVERED, list(&dir.join(DELIVERED))?),
        (REJECTED, [bad()?, list(&dir.join(REJECTED))?].concat()),
        (SPOOL, list(&dir.join(SPOOL))?),
    ] {
        for name in names {
            if size <= max_size.0 {
                return Ok(removed);
            }
            let path = dir.join(folder).join(name);
            size = size.saturating_sub(on_disk(&path));
            if folder == DELIVERED {
                removed.delivered_files += 1;
            } else {
                removed.dropped_files += 1;
                removed.dropped_points += spool::points(&path).unwrap_or(0);
            }
            remove(&path)?;
        }
    }
    Ok(removed)
}

/// Merges the delivered files of each finished UTC day into one, and those of today whenever there are many; nothing
/// while someone reads the directory. Returns how many files went into others.
///
/// # Errors
/// When the disk refuses; the parts are kept then.
pub fn merge_days(spool: &Spool, now: Timestamp) -> Result<u64, Error> {
    let folder = spool.dir().join(DELIVERED);
    let path = folder.join(MERGE_LOCK);
    let lock = super::private().open(&path).map_err(on("open", &path))?;
    if !super::lock(&lock, &path)? {
        return Ok(0);
    }
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut days: Vec<(Date, Vec<String>)> = Vec::new();
    for name in list(&folder)? {
        match (format::day(&name), days.last_mut()) {
            (Some(day), Some((last, names))) if *last == day => names.push(name),
            (Some(day), _) => days.push((day, vec![name])),
            (None, _) => {}
        }
    }
    let mut merged = 0;
    for (day, names) in days.into_iter().filter(|(day, names)| names.len() > if *day < today { 1 } else { MANY }) {
        merged += merge_day(&folder, &format::day_name(day), names)?;
    }
    Ok(merged)
}

fn merge_day(folder: &Path, merged: &str, mut names: Vec<String>) -> Result<u64, Error> {
    // A crash may have left parts beside the day that already holds them.
    if names.first().is_some_and(|first| first == merged) {
        let held = parts(&folder.join(merged))?;
        for part in names.extract_if(.., |name| held.contains(name)) {
            remove(&folder.join(part))?;
        }
    }
    // A damaged file stays as it is: a fresh checksum over it would hide the damage.
    let mut whole = Vec::new();
    for name in names {
        if open(&folder.join(&name))?.all(|line| line.is_ok()) {
            whole.push(name);
        } else if name == merged {
            return Ok(0);
        }
    }
    if whole.len() < 2 {
        return Ok(0);
    }
    let (temporary, path) = (folder.join(format!(".{merged}.tmp")), folder.join(merged));
    let file = super::private().truncate(true).open(&temporary).map_err(on("write", &temporary))?;
    concatenate(folder, merged, &whole, &file)?.and_then(|()| file.sync_all()).map_err(on("write", &temporary))?;
    fs::rename(&temporary, &path).map_err(on("rename into place", &path))?;
    sync_folder(folder)?;
    for part in whole.iter().filter(|name| *name != merged) {
        remove(&folder.join(part))?;
    }
    Ok(whole.len() as u64)
}

fn concatenate(folder: &Path, merged: &str, names: &[String], file: &File) -> Result<io::Result<()>, Error> {
    let (mut out, mut points, mut crc) = (BufWriter::new(file), 0, 0);
    let mut put = |text: &str| {
        crc = crc32c::crc32c_append(crc, text.as_bytes());
        out.write_all(text.as_bytes())
    };
    let mut written = put(format::HEADER);
    for name in names.iter().filter(|name| *name != merged) {
        written = written.and_then(|()| put(&format::part(name)));
    }
    for name in names {
        for line in open(&folder.join(name))?.flatten() {
            points += 1;
            written = written.and_then(|()| put(&line)).and_then(|()| put("\n"));
        }
        if written.is_err() {
            break;
        }
    }
    let trailer = format::Trailer { points, crc }.encode();
    Ok(written.and_then(|()| out.write_all(trailer.as_bytes())).and_then(|()| out.flush()))
}

/// The parts that a merged file names.
fn parts(path: &Path) -> Result<Vec<String>, Error> {
    let mut lines = open(path)?;
    lines.next();
    Ok(lines.parts().to_vec())
}

fn open(path: &Path) -> Result<FileLines, Error> {
    FileLines::open(path.to_owned(), true).map_err(on("open", path))
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(on("delete", path)),
    }
}

/// The room that a file takes: small ones take a whole block.
fn on_disk(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len().max(metadata.blocks() * 512))
}

fn midnight(day: Date) -> Option<Timestamp> {
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// So many files of the current day may lie about: a month then has fewer than 200.
const MANY: usize = 100;
