//! What lies in a data directory, for a person who asks and for the worker's own points.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
};

use jiff::Timestamp;
use serde::Serialize;

use crate::model::units::Bytes;

use super::{
    DELIVERED, Error, Locked, OPEN, REJECTED, SPOOL,
    damage::{Damage, What},
    format, list, on, raw,
    reader::set_aside,
    spool, whole,
};

/// How much there is of what. Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Files being written.
    pub open: Amount,
    /// Sealed files that wait for delivery.
    pub spool: Amount,
    /// When the oldest waiting file, sealed or open, got its first point.
    pub oldest: Option<Timestamp>,
    /// Delivered files that are kept.
    pub archived: Amount,
    /// Lines that the database refused.
    pub rejected: Amount,
    /// Lines that were set aside because they are not what was written.
    pub bad: Amount,
}

/// Some files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many.
    pub files: u64,
    /// Points in them, by their own word.
    pub points: u64,
    /// Their size.
    pub bytes: u64,
}

/// A file that waits for delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its name in the spool.
    pub name: String,
    /// When it got its first point, where its name tells.
    pub opened: Option<Timestamp>,
    /// Points in it, by its own word.
    pub points: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// The format that it is in, when only a newer version can deliver it.
    pub newer: Option<u64>,
}

/// How much waits and since when, sealed or open, at the cost of two lists of names.
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

/// Looks at everything; may run beside writers and the drain.
///
/// # Errors
/// When a folder cannot be listed.
pub fn status(dir: &Path) -> Result<Status, Error> {
    let (open, spooled) = (list(&dir.join(OPEN))?, waiting(dir)?);
    let oldest_open = open.first().and_then(|name| format::opened(name));
    let oldest_spooled = spooled.first().and_then(|file| file.opened);
    Ok(Status {
        open: amount(&dir.join(OPEN), &open),
        spool: spooled.iter().fold(Amount::default(), |sum, file| Amount {
            files: sum.files + 1,
            points: sum.points + file.points,
            bytes: sum.bytes + file.bytes,
        }),
        oldest: [oldest_open, oldest_spooled].into_iter().flatten().min(),
        archived: amount(&dir.join(DELIVERED), &list(&dir.join(DELIVERED))?),
        rejected: amount(&dir.join(REJECTED), &list(&dir.join(REJECTED))?),
        bad: amount(&dir.join(REJECTED), &set_aside(dir)?),
    })
}

/// The files that wait for delivery, oldest first.
///
/// # Errors
/// When the spool cannot be listed.
pub fn waiting(dir: &Path) -> Result<Vec<Waiting>, Error> {
    let folder = dir.join(SPOOL);
    let found = list(&folder)?.into_iter().filter_map(|name| {
        let Amount { points, bytes, .. } = look(&folder, &name)?;
        let newer = raw::newer(&folder.join(&name)).ok().flatten();
        Some(Waiting { opened: format::opened(&name), name, points, bytes, newer })
    });
    Ok(found.collect())
}

/// Who delivers from this directory now: its process id, by its own word; nothing when nobody does.
///
/// The lock is asked for as a reader and given back at once. A process that asks for it as the one who delivers in that very
/// moment is told that it is taken, as it would be by any other.
///
/// # Errors
/// When the lock cannot be asked for.
pub fn drainer(dir: &Path) -> Result<Option<String>, Error> {
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

/// What lies where files of lines should be, and is left alone: files of a newer version, and what is no file. For a
/// person, in words, once.
///
/// # Errors
/// When a folder cannot be listed.
pub fn passed_over(dir: &Path) -> Result<Vec<Damage>, Error> {
    let mut passed = Vec::new();
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
            let newer = || raw::newer(&entry.path()).ok().flatten().map(What::Newer);
            if let Some(what) = if is_file { newer() } else { Some(What::NoFile) } {
                passed.push(Damage { file: entry.path(), what });
            }
        }
    }
    passed.sort_unstable_by(|a, b| a.file.cmp(&b.file));
    Ok(passed)
}

fn amount(folder: &Path, names: &[String]) -> Amount {
    let found = names.iter().filter_map(|name| look(folder, name));
    found.fold(Amount::default(), |sum, file| Amount {
        files: sum.files + 1,
        points: sum.points + file.points,
        bytes: sum.bytes + file.bytes,
    })
}

/// One file; nothing when it moved on since it was listed.
fn look(folder: &Path, name: &str) -> Option<Amount> {
    let path = folder.join(name);
    let bytes = fs::metadata(&path).ok()?.len();
    Some(Amount { files: 1, points: whole::points(&path).ok()?, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_who_delivers_takes_nothing_away() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(drainer(dir.path()).unwrap(), None);
        let held = spool::Spool::lock(dir.path()).unwrap();
        let us = std::process::id().to_string();
        for _ in 0..3 {
            assert_eq!(drainer(dir.path()).unwrap(), Some(us.clone()));
        }
        drop(held);
        assert_eq!(drainer(dir.path()).unwrap(), None);
        spool::Spool::lock(dir.path()).unwrap();
    }
}
