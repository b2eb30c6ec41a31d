//! Keeping the data directory within its limits, and its delivered files few: one a finished day.
//!
//! What is deleted undelivered is counted. Order: delivered files that are past their time; then, while the directory
//! is too large, the oldest delivered, the oldest rejected, the oldest undelivered. The file being written stays, and so
//! does what a newer version wrote, unless its size is needed.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, time::Duration};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::model::units::Bytes;

use super::{
    DELIVERED, Error, OPEN, REJECTED, SPOOL,
    file::FileLines,
    format, list, on, raw,
    reader::{MERGE_LOCK, set_aside},
    spool::Spool,
    sync_folder,
    whole::{self, WholeFile},
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
        let path = dir.join(DELIVERED).join(&name);
        let is_past = ended.is_some_and(|ended| ended.checked_add(keep).is_ok_and(|until| until <= now));
        if is_past && !matches!(raw::newer(&path), Ok(Some(_))) {
            removed.delivered_files += 1;
            remove(&path)?;
        }
    }
    let mut size = 0;
    for (folder, names) in [
        (OPEN, list(&dir.join(OPEN))?),
        (SPOOL, list(&dir.join(SPOOL))?),
        (DELIVERED, list(&dir.join(DELIVERED))?),
        (REJECTED, [list(&dir.join(REJECTED))?, set_aside(dir)?].concat()),
    ] {
        size += names.iter().map(|name| on_disk(&dir.join(folder).join(name))).sum::<u64>();
    }
    for (folder, names) in [
        (DELIVERED, list(&dir.join(DELIVERED))?),
        (REJECTED, [set_aside(dir)?, list(&dir.join(REJECTED))?].concat()),
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
                removed.dropped_points += whole::points(&path).unwrap_or(0);
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
    let lock = match super::private().open(&path) {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(0),
        lock => lock.map_err(on("open", &path))?,
    };
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

fn merge_day(folder: &Path, merged: &str, names: Vec<String>) -> Result<u64, Error> {
    let (mut whole, mut held) = (Vec::new(), Vec::new());
    for name in names {
        // A crash may have left parts beside the day that already holds them, which is the first of them.
        if held.contains(&name) {
            remove(&folder.join(name))?;
            continue;
        }
        let mut lines = open(&folder.join(&name))?;
        // A damaged file stays as it is: a fresh checksum over it would hide the damage.
        let is_whole = lines.all(|line| line.is_ok());
        if name == merged {
            if !is_whole {
                return Ok(0);
            }
            held = lines.parts().to_vec();
        }
        if is_whole {
            whole.push(name);
        }
    }
    if whole.len() < 2 {
        return Ok(0);
    }
    // The next merged file does not name these any more.
    sync_folder(folder)?;
    let mut day = WholeFile::create(folder, merged, format::HEADER)?;
    for name in whole.iter().filter(|name| *name != merged) {
        day.comment(&format::part(name))?;
    }
    for name in &whole {
        for line in open(&folder.join(name))? {
            let Ok(line) = line else {
                // It was whole a moment ago; what it is now will be seen next time.
                return Ok(0);
            };
            day.line(&line)?;
        }
    }
    day.seal()?;
    day.publish(merged)?;
    for part in whole.iter().filter(|name| *name != merged) {
        remove(&folder.join(part))?;
    }
    Ok(whole.len() as u64)
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
