//! What the data directory contains: for a person who asks, and for the worker's own points.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
};

use jiff::Timestamp;
use serde::Serialize;

use crate::model::units::Bytes;

use super::{
    DELIVERED, Error, Locked, OPEN, REJECTED, SPOOL, atomic_file,
    damage::{Damage, DamageKind},
    format, list, on, raw_lines,
    reader::set_aside,
    spool,
};

/// Files, points and bytes in each folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Files that processes append to.
    pub open: Totals,
    /// Sealed files that wait for delivery.
    pub spool: Totals,
    /// When the oldest waiting file, sealed or open, got its first point. `None` when nothing waits.
    pub oldest: Option<Timestamp>,
    /// Delivered files that are still kept.
    pub archived: Totals,
    /// Files of lines that the database refused.
    pub rejected: Totals,
    /// Files of damaged lines that were set aside.
    pub bad: Totals,
}

/// Totals over some files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The number of files.
    pub files: u64,
    /// The number of points, as the trailers say; counted where there is no trailer.
    pub points: u64,
    /// The size in bytes.
    pub bytes: u64,
}

/// A file that waits for delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingFile {
    /// Its name in the spool.
    pub name: String,
    /// When it got its first point, if its name says so.
    pub opened: Option<Timestamp>,
    /// The number of points, as its trailer says.
    pub points: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its format number, if only a newer version can deliver it.
    pub newer: Option<u64>,
}

/// How many bytes wait, sealed or open, and since when. Cheaper than [`status`]: it lists two folders and reads no
/// file.
///
/// # Errors
/// When a folder cannot be listed.
pub fn backlog(dir: &Path) -> Result<(Bytes, Option<Timestamp>), Error> {
    let (mut bytes, mut oldest) = (0, None);
    for folder in [OPEN, SPOOL].map(|folder| dir.join(folder)) {
        let names = list(&folder)?;
        bytes += names.iter().filter_map(|name| Some(fs::metadata(folder.join(name)).ok()?.len())).sum::<u64>();
        let first = names.first().and_then(|name| format::opened(name));
        oldest = [oldest, first].into_iter().flatten().min();
    }
    Ok((Bytes(bytes), oldest))
}

/// Counts everything in the data directory. May run while others write and deliver.
///
/// # Errors
/// When a folder cannot be listed.
pub fn status(dir: &Path) -> Result<Status, Error> {
    let (open, spooled) = (list(&dir.join(OPEN))?, waiting(dir)?);
    let oldest_open = open.first().and_then(|name| format::opened(name));
    let oldest_spooled = spooled.first().and_then(|file| file.opened);
    Ok(Status {
        open: totals(&dir.join(OPEN), &open),
        spool: spooled.iter().fold(Totals::default(), |sum, file| Totals {
            files: sum.files + 1,
            points: sum.points + file.points,
            bytes: sum.bytes + file.bytes,
        }),
        oldest: [oldest_open, oldest_spooled].into_iter().flatten().min(),
        archived: totals(&dir.join(DELIVERED), &list(&dir.join(DELIVERED))?),
        rejected: totals(&dir.join(REJECTED), &list(&dir.join(REJECTED))?),
        bad: totals(&dir.join(REJECTED), &set_aside(dir)?),
    })
}

/// The files that wait for delivery, oldest first.
///
/// # Errors
/// When the spool cannot be listed.
pub fn waiting(dir: &Path) -> Result<Vec<WaitingFile>, Error> {
    let folder = dir.join(SPOOL);
    let found = list(&folder)?.into_iter().filter_map(|name| {
        let Totals { points, bytes, .. } = totals_of(&folder, &name)?;
        let newer = raw_lines::newer(&folder.join(&name)).ok().flatten();
        Some(WaitingFile { opened: format::opened(&name), name, points, bytes, newer })
    });
    Ok(found.collect())
}

/// The process id of the delivering process, as it wrote it into the lock file; `None` when no process delivers.
///
/// Takes the lock as a reader and releases it at once. A process that tries to start delivering in that very moment
/// finds the lock taken.
///
/// # Errors
/// When the lock file cannot be opened or locked.
pub fn delivering_process(dir: &Path) -> Result<Option<String>, Error> {
    let path = dir.join(SPOOL).join(spool::LOCK);
    let lock = match File::open(&path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        lock => lock.map_err(on("open", &path))?,
    };
    match lock.try_lock_shared() {
        Ok(()) => {
            drop(Locked(lock));
            Ok(None)
        }
        Err(TryLockError::WouldBlock) => Ok(Some(spool::pid(&lock))),
        Err(TryLockError::Error(source)) => Err(on("lock", &path)(source)),
    }
}

/// Entries with the name of a line file that bandprobe leaves alone: files of a newer version, and what is not a
/// regular file.
///
/// # Errors
/// When a folder cannot be listed.
pub fn skipped_files(dir: &Path) -> Result<Vec<Damage>, Error> {
    let mut skipped = Vec::new();
    for folder in [OPEN, SPOOL, DELIVERED].map(|folder| dir.join(folder)) {
        let entries = match fs::read_dir(&folder) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(on("list", &folder))?,
        };
        for entry in entries.filter_map(Result::ok) {
            if !entry.file_name().to_str().is_some_and(format::is_line_file) {
                continue;
            }
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let newer = || raw_lines::newer(&entry.path()).ok().flatten().map(DamageKind::Newer);
            if let Some(kind) = if is_file { newer() } else { Some(DamageKind::NotAFile) } {
                skipped.push(Damage { file: entry.path(), kind });
            }
        }
    }
    skipped.sort_unstable_by(|a, b| a.file.cmp(&b.file));
    Ok(skipped)
}

fn totals(folder: &Path, names: &[String]) -> Totals {
    let found = names.iter().filter_map(|name| totals_of(folder, name));
    found.fold(Totals::default(), |sum, file| Totals {
        files: sum.files + 1,
        points: sum.points + file.points,
        bytes: sum.bytes + file.bytes,
    })
}

/// One file; `None` when it was moved or deleted since it was listed.
fn totals_of(folder: &Path, name: &str) -> Option<Totals> {
    let path = folder.join(name);
    let bytes = fs::metadata(&path).ok()?.len();
    Some(Totals { files: 1, points: atomic_file::points(&path).ok()?, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_who_delivers_takes_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(delivering_process(dir.path()).unwrap(), None);
        let held = spool::Spool::lock(dir.path()).unwrap();
        let us = std::process::id().to_string();
        for _ in 0..3 {
            assert_eq!(delivering_process(dir.path()).unwrap(), Some(us.clone()));
        }
        drop(held);
        assert_eq!(delivering_process(dir.path()).unwrap(), None);
        spool::Spool::lock(dir.path()).unwrap();
    }
}
