//! Keeps the data directory within its limits.
//!
//! Undelivered points that are deleted are counted. Order: first the delivered files past their retention time; then,
//! while the directory is too large, the oldest delivered, the oldest rejected and the oldest undelivered files. The
//! file being written is kept. A file of a newer version is deleted only for size, never for age. A file that cannot be
//! deleted does not stop the others.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::model::units::Bytes;

use super::{
    DELIVERED, Error, OPEN, REJECTED, SPOOL, atomic_file, format, list, on, raw_lines, reader::set_aside, spool::Spool,
};

/// What was deleted to keep within the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// The number of delivered files that were deleted.
    pub delivered_files: u64,
    /// The number of deleted files with refused or damaged lines. The lines were counted when they were set aside.
    pub rejected_files: u64,
    /// The number of undelivered files that were deleted.
    pub dropped_files: u64,
    /// The number of points in the undelivered files.
    pub dropped_points: u64,
}

/// Deletes what exceeds the age or the size. Returns what was deleted and the first error, if any.
#[must_use]
pub fn enforce(spool: &Spool, max_size: Bytes, keep: Duration, now: Timestamp) -> (Removed, Option<Error>) {
    let dir = spool.dir();
    // In the order of deletion.
    let folders = [
        (FileState::Delivered, DELIVERED, list(&dir.join(DELIVERED))),
        (FileState::Rejected, REJECTED, set_aside(dir)),
        (FileState::Rejected, REJECTED, list(&dir.join(REJECTED))),
        (FileState::Waiting, SPOOL, list(&dir.join(SPOOL))),
        (FileState::Growing, OPEN, list(&dir.join(OPEN))),
    ];
    let (mut files, mut problem) = (Vec::new(), None);
    for (state, folder, names) in folders {
        match names {
            Ok(names) => files.extend(names.iter().map(|name| StoredFile::new(state, dir.join(folder).join(name)))),
            Err(refused) => problem = problem.or(Some(refused)),
        }
    }
    let (past, rest) = files.into_iter().partition(|file| file.is_past(keep, now));
    let (removed, refused) = clear(past, rest, max_size.0, |path| fs::remove_file(path));
    (removed, problem.or(refused))
}

/// A file that takes up room.
#[derive(Clone, Debug)]
struct StoredFile {
    state: FileState,
    path: PathBuf,
    /// The room that it takes on disk, in bytes.
    size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileState {
    Delivered,
    Rejected,
    Waiting,
    Growing,
}

impl StoredFile {
    fn new(state: FileState, path: PathBuf) -> Self {
        // A small file takes a whole block.
        let size = fs::metadata(&path).map_or(0, |metadata| metadata.len().max(metadata.blocks() * 512));
        Self { state, path, size }
    }

    /// Whether it is a delivered file whose day ended at least `keep` ago.
    fn is_past(&self, keep: Duration, now: Timestamp) -> bool {
        let day = self.path.file_name().and_then(|name| format::day(name.to_str()?));
        let ended = day.and_then(|day| day.tomorrow().ok()).and_then(midnight);
        self.state == FileState::Delivered
            && ended.is_some_and(|ended| ended.checked_add(keep).is_ok_and(|until| until <= now))
            && !matches!(raw_lines::newer(&self.path), Ok(Some(_)))
    }
}

/// Deletes the files in `past`, then those in `rest` one by one until everything that remains takes at most `max_size`.
fn clear(
    past: Vec<StoredFile>,
    rest: Vec<StoredFile>,
    max_size: u64,
    delete: impl Fn(&Path) -> io::Result<()>,
) -> (Removed, Option<Error>) {
    let mut size: u64 = past.iter().chain(&rest).map(|file| file.size).sum();
    let (mut removed, mut problem) = (Removed::default(), None);
    let count = past.len();
    for (number, file) in past.into_iter().chain(rest).enumerate() {
        if file.state == FileState::Growing || (number >= count && size <= max_size) {
            break;
        }
        let points = if file.state == FileState::Waiting { atomic_file::points(&file.path).unwrap_or(0) } else { 0 };
        match delete(&file.path) {
            Ok(()) => {
                removed.delivered_files += u64::from(file.state == FileState::Delivered);
                removed.rejected_files += u64::from(file.state == FileState::Rejected);
                removed.dropped_files += u64::from(file.state == FileState::Waiting);
                removed.dropped_points += points;
            }
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
            Err(refused) => {
                problem.get_or_insert_with(|| on("delete", &file.path)(refused));
                continue;
            }
        }
        size -= file.size;
    }
    (removed, problem)
}

fn midnight(day: Date) -> Option<Timestamp> {
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_deleted_stops_no_other() {
        let stored = |state, name: &str| StoredFile { state, path: name.into(), size: 10 };
        let past = vec![stored(FileState::Delivered, "stuck"), stored(FileState::Delivered, "old")];
        let rest = ["gone", "stuck too", "delivered"].map(|name| stored(FileState::Delivered, name));
        let rest = [&rest[..], &[stored(FileState::Rejected, "bad"), stored(FileState::Waiting, "waiting")]].concat();
        let rest = [rest, vec![stored(FileState::Growing, "growing")]].concat();
        let check = |max_size, expected: [u64; 3]| {
            let (removed, problem) = clear(past.clone(), rest.clone(), max_size, |path| match path.to_str() {
                Some("gone") => Err(io::ErrorKind::NotFound.into()),
                Some(name) if name.starts_with("stuck") => Err(io::Error::other("cannot")),
                _ => Ok(()),
            });
            assert_eq!(
                [removed.delivered_files, removed.rejected_files, removed.dropped_files],
                expected,
                "{max_size}"
            );
            assert_eq!(problem.map(|problem| problem.to_string()).as_deref(), Some("cannot delete stuck: cannot"));
        };
        check(70, [1, 0, 0]);
        check(60, [1, 0, 0]);
        check(50, [2, 0, 0]);
        check(49, [2, 1, 0]);
        check(39, [2, 1, 1]);
        check(0, [2, 1, 1]);
    }
}
