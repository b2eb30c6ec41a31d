//! Merges delivered files: within a day, files of similar size become one; all files of a finished day become one.
//!
//! # Constraints
//!
//! - A point is rewritten only a few times, not every minute. 20 files of a day become one when their sizes are within
//!   a factor of ten, as in a log-structured merge tree (O'Neil et al., 1996). When no file of a day is still in
//!   `open/` or `spool/`, all files of that day are merged once more.
//! - A call writes at most 64 MB and reads at most 2000 files. Files of 64 MB, or of a 16th of the maximum size of the
//!   directory, are not merged further. This bounds what is deleted at once when the directory is too large, and the
//!   room that a merge needs.
//! - A damaged file is never merged: a fresh checksum over it would hide the damage. It is read once per lock of the
//!   spool and does not stop the merging of other files.
//! - A merged file sorts before its parts and names them, so a reader that reads it first can skip them.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs, io,
    path::Path,
    sync::PoisonError,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::model::units::Bytes;

use super::{
    DELIVERED, Error, Locked, OPEN, SPOOL, atomic_file::AtomicFile, file_lines::FileLines, format, list, on,
    reader::MERGE_LOCK, spool::Spool, sync_folder,
};

/// What one call of [`merge`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// The number of files that were merged into others.
    pub files: u64,
    /// The number of bytes written.
    pub bytes: u64,
}

/// Merges delivered files for about a second at most; the next call continues. Does nothing while a reader has the
/// directory open. `max_size` is the maximum size of the directory; merged files stay below a 16th of it.
///
/// # Errors
/// When the disk refuses. The parts are then kept.
pub fn merge(spool: &Spool, max_size: Bytes, now: Timestamp) -> Result<Merged, Error> {
    let folder = spool.dir().join(DELIVERED);
    let path = folder.join(MERGE_LOCK);
    let lock = match super::private().open(&path) {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(Merged::default()),
        lock => lock.map_err(on("open", &path))?,
    };
    let mut merged = Merged::default();
    if !super::lock(&lock, &path)? {
        return Ok(merged);
    }
    let _lock = Locked(lock);
    let on_their_way = [list(&spool.dir().join(OPEN))?, list(&spool.dir().join(SPOOL))?].concat();
    let on_their_way: BTreeSet<Date> = on_their_way.iter().filter_map(|name| format::day(name)).collect();
    let today = now.to_zoned(TimeZone::UTC).date();
    let grows = |day: Date| day >= today || on_their_way.contains(&day);
    let unmergeable = &mut *spool.unmergeable.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut bytes, mut count) = (0, 0);
    loop {
        let files = sizes(&folder, unmergeable)?;
        let Some(group) = due(&files, grows, (max_size.0 / MAX_SHARE).min(MAX_BYTES)) else { return Ok(merged) };
        let names: BTreeSet<_> = files.keys().filter(|name| format::day(name) == format::day(&group[0])).collect();
        if delete_leftovers(&folder, &names, unmergeable)? {
            continue;
        }
        // Damaged files count too: they were read.
        bytes += group.iter().map(|name| files[name]).sum::<u64>();
        count += group.len();
        if bytes > MAX_BYTES || count > MAX_FILES {
            return Ok(merged);
        }
        let one = merge_group(&folder, &group, unmergeable)?;
        merged = Merged { files: merged.files + one.files, bytes: merged.bytes + one.bytes };
    }
}

/// The size of each file that may be merged.
fn sizes(folder: &Path, unmergeable: &HashSet<String>) -> Result<BTreeMap<String, u64>, Error> {
    let mut sizes = BTreeMap::new();
    for name in list(folder)?.into_iter().filter(|name| !unmergeable.contains(name)) {
        // A file that is gone was deleted by a person in the meantime.
        if let Ok(metadata) = fs::symlink_metadata(folder.join(&name)) {
            sizes.insert(name, metadata.len());
        }
    }
    Ok(sizes)
}

/// Two or more files of one day to merge into one of at most `largest` bytes, oldest first.
fn due(files: &BTreeMap<String, u64>, grows: impl Fn(Date) -> bool, largest: u64) -> Option<Vec<String>> {
    let mut groups: BTreeMap<(Date, u32), Vec<(&String, u64)>> = BTreeMap::new();
    for (name, size) in files.iter().filter(|(_, size)| **size < largest) {
        let Some(day) = format::day(name) else { continue };
        let tier = if grows(day) { tier(*size) } else { FINISHED };
        groups.entry((day, tier)).or_default().push((name, *size));
    }
    let is_due = |(_, tier): &(Date, u32), files: &Vec<_>| *tier == FINISHED || files.len() >= MIN_GROUP;
    let due = groups.into_iter().filter(|(group, files)| is_due(group, files));
    due.flat_map(|(_, files)| portions(files, largest)).find(|portion| portion.len() > 1)
}

/// Splits files, in their order, into groups of at most `largest` bytes and [`MAX_FILES`] files.
fn portions(files: Vec<(&String, u64)>, largest: u64) -> Vec<Vec<String>> {
    let (mut portions, mut room) = (vec![Vec::new()], largest);
    for (name, size) in files {
        if size > room || portions.last().is_some_and(|portion| portion.len() == MAX_FILES) {
            portions.push(Vec::new());
            room = largest;
        }
        room -= size;
        portions.last_mut().expect("invariant: starts with one").push(name.clone());
    }
    portions
}

/// Size classes: below 10 kB, 100 kB, 1 MB and so on.
fn tier(size: u64) -> u32 {
    (size / 1000).checked_ilog10().unwrap_or(0)
}

/// Deletes parts that a crash left next to the file that contains them, within one day. Returns whether anything
/// changed. If the merged file is damaged, its parts are kept and all of them are skipped from now on: the parts may
/// hold the only intact lines.
fn delete_leftovers(
    folder: &Path,
    names: &BTreeSet<&String>,
    unmergeable: &mut HashSet<String>,
) -> Result<bool, Error> {
    for name in names {
        let (is_whole, parts) = inspect(&folder.join(name), names);
        if !is_whole {
            unmergeable.insert((*name).clone());
            unmergeable.extend(parts);
            return Ok(true);
        }
        if !parts.is_empty() {
            return delete(folder, &parts, name, unmergeable).map(|()| true);
        }
    }
    Ok(false)
}

/// Whether a file is intact, and which of its parts are here. Reads to the end only if there are such parts, otherwise
/// to the first line.
fn inspect(path: &Path, names: &BTreeSet<&String>) -> (bool, Vec<String>) {
    let Ok(mut lines) = FileLines::open(path.to_owned(), true) else { return (false, Vec::new()) };
    let mut is_whole = true;
    // The parts are known once the first point has been read.
    while lines.next().is_some_and(|line| line.is_err()) {
        is_whole = false;
    }
    let parts: Vec<_> = lines.parts().iter().filter(|part| names.contains(part)).cloned().collect();
    is_whole &= parts.is_empty() || lines.all(|line| line.is_ok());
    (is_whole, parts)
}

/// Merges files into one, which replaces them all. Does nothing when one of them is damaged; that one is skipped from
/// now on.
fn merge_group(folder: &Path, group: &[String], unmergeable: &mut HashSet<String>) -> Result<Merged, Error> {
    // The new merged file does not name the parts of earlier ones, so their deletion must be durable first.
    sync_folder(folder)?;
    let name = match format::merged_name(&group[0]) {
        // Never overwrite a file that is not part of this merge.
        Some(name) if name == group[0] || folder.join(&name).symlink_metadata().is_err() => name,
        _ => group[0].clone(),
    };
    let parts: Vec<_> = group.iter().filter(|part| **part != name).cloned().collect();
    let mut one = AtomicFile::create(folder, &name, format::HEADER)?;
    for part in &parts {
        one.comment(&format::part(part))?;
    }
    for part in group {
        if !copy(&folder.join(part), &mut one)? {
            unmergeable.insert(part.clone());
            return Ok(Merged::default());
        }
    }
    one.seal()?;
    let merged = Merged { files: group.len() as u64, bytes: one.bytes() };
    one.publish(&name)?;
    delete(folder, &parts, &name, unmergeable)?;
    Ok(merged)
}

/// Copies the lines of a file. Returns whether the whole file was intact.
fn copy(path: &Path, to: &mut AtomicFile) -> Result<bool, Error> {
    let Ok(lines) = FileLines::open(path.to_owned(), true) else { return Ok(false) };
    for line in lines {
        let Ok(line) = line else { return Ok(false) };
        to.line(&line)?;
    }
    Ok(true)
}

/// Deletes the parts of a merged file. If one cannot be deleted, the merged file must keep naming it, because that is
/// why readers skip it. So the merged file is not merged again.
fn delete(folder: &Path, parts: &[String], merged: &str, unmergeable: &mut HashSet<String>) -> Result<(), Error> {
    for path in parts.iter().map(|part| folder.join(part)) {
        match fs::remove_file(&path) {
            Err(refused) if refused.kind() != io::ErrorKind::NotFound => {
                unmergeable.insert(merged.to_owned());
                unmergeable.extend(parts.iter().cloned());
                return Err(on("delete", &path)(refused));
            }
            _ => {}
        }
    }
    Ok(())
}

/// This many files of one size class are merged. Between two calls, a day gains fewer files of each class than that.
const MIN_GROUP: usize = 20;
/// The most bytes that one call writes. Files of this size are not merged further.
const MAX_BYTES: u64 = 64_000_000;
/// The most files that one call reads, however small they are.
const MAX_FILES: usize = 2000;
/// The largest merged file is this fraction of the maximum size of the directory.
const MAX_SHARE: u64 = 16;
/// The size class of all files of a day that is finished.
const FINISHED: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_similar_size_or_a_finished_day_are_merged() {
        let name = |day: u32, number: usize| format!("2026-11-{day:02}T100000.{number:09}Z-17.lp");
        let check = |day: u32, sizes: &[u64], largest: u64, expected: &[usize]| {
            let files = sizes.iter().enumerate().map(|(number, size)| (name(day, number), *size)).collect();
            let grows = |day: Date| day.day() == 21;
            let expected: Vec<_> = expected.iter().map(|number| name(day, *number)).collect();
            let due = due(&files, grows, largest).unwrap_or_default();
            assert_eq!(due, expected, "{day} {sizes:?} {largest}");
        };
        let first = |count: usize| (0..count).collect::<Vec<_>>();
        check(21, &[9_999; 19], MAX_BYTES, &[]);
        check(21, &[9_999; 20], MAX_BYTES, &first(20));
        check(21, &[&[9_999; 19][..], &[10_000; 19], &[100_000; 19], &[1_000_000; 19]].concat(), MAX_BYTES, &[]);
        check(21, &[&[100_000; 1][..], &[300; 15], &[9_000; 10]].concat(), MAX_BYTES, &(1..26).collect::<Vec<_>>());
        check(21, &[9_000_000; 20], MAX_BYTES, &first(7));
        check(21, &[300; MAX_FILES + 1], MAX_BYTES, &first(MAX_FILES));
        check(21, &[&[40_000_000; 30][..], &[20_000_000; 2]].concat(), MAX_BYTES, &[29, 30]);
        check(21, &[MAX_BYTES; 100], MAX_BYTES, &[]);
        check(20, &[5], MAX_BYTES, &[]);
        check(20, &[5, 50_000_000], MAX_BYTES, &[0, 1]);
        check(20, &[MAX_BYTES, 5, MAX_BYTES, 5_000_000, MAX_BYTES], MAX_BYTES, &[1, 3]);
        check(20, &[40_000_000, 40_000_000, 20_000_000, 5_000_000], MAX_BYTES, &[1, 2]);
        check(20, &[500; 10], 1_600, &[0, 1, 2]);
        check(20, &[500; 10], 500, &[]);
    }
}
