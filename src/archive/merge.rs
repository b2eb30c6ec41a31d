//! Delivered files become few: those of a day that are alike in size become one, and a finished day becomes one.
//!
//! # Constraints
//!
//! - A point is written anew a few times, not each minute: 20 files of a day become one when they lie within a
//!   factor of ten in size, as in a log-structured merge tree (O'Neil et al., 1996), and all of a day once more when
//!   nothing of it is on its way any more.
//! - A call writes 64 MB and reads 2000 files at the most. A file of so much, or of a 16th of what may lie here, is
//!   merged no more: so little goes at once when the directory is too large, and so little room does a merge need.
//! - What is not as it was written stays as it is: a fresh checksum over it would hide the damage. It is read once while
//!   the spool is held, and stops no other file.
//! - A merged file sorts before its parts and names them, so whoever reads it first need not read them too.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs, io,
    path::Path,
    sync::PoisonError,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::model::units::Bytes;

use super::{
    DELIVERED, Error, Locked, OPEN, SPOOL, file::FileLines, format, list, on, reader::MERGE_LOCK, spool::Spool,
    sync_folder, whole::WholeFile,
};

/// What a call did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Files that went into others.
    pub files: u64,
    /// Bytes that were written.
    pub bytes: u64,
}

/// Merges delivered files, for about a second at the most; the rest is for the next call. Nothing while someone reads the
/// directory. With `max_size`, that of the directory, files do not grow beyond a 16th of it.
///
/// # Errors
/// When the disk refuses; the parts are kept then.
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
    let passed = &mut *spool.unmergeable.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut bytes, mut count) = (0, 0);
    loop {
        let files = sizes(&folder, passed)?;
        let Some(group) = due(&files, grows, (max_size.0 / SHARE).min(MOST)) else { return Ok(merged) };
        let names: BTreeSet<_> = files.keys().filter(|name| format::day(name) == format::day(&group[0])).collect();
        if sweep(&folder, &names, passed)? {
            continue;
        }
        // What turns out damaged was read as well.
        bytes += group.iter().map(|name| files[name]).sum::<u64>();
        count += group.len();
        if bytes > MOST || count > FILES {
            return Ok(merged);
        }
        let one = join(&folder, &group, passed)?;
        merged = Merged { files: merged.files + one.files, bytes: merged.bytes + one.bytes };
    }
}

/// The size of each file that may be merged.
fn sizes(folder: &Path, passed: &HashSet<String>) -> Result<BTreeMap<String, u64>, Error> {
    let mut sizes = BTreeMap::new();
    for name in list(folder)?.into_iter().filter(|name| !passed.contains(name)) {
        // One that is gone meanwhile was deleted by a person.
        if let Ok(metadata) = fs::symlink_metadata(folder.join(&name)) {
            sizes.insert(name, metadata.len());
        }
    }
    Ok(sizes)
}

/// Two or more files of one day that are to become one of `largest` bytes at the most, oldest first.
fn due(files: &BTreeMap<String, u64>, grows: impl Fn(Date) -> bool, largest: u64) -> Option<Vec<String>> {
    let mut groups: BTreeMap<(Date, u32), Vec<(&String, u64)>> = BTreeMap::new();
    for (name, size) in files.iter().filter(|(_, size)| **size < largest) {
        let Some(day) = format::day(name) else { continue };
        let tier = if grows(day) { tier(*size) } else { FINISHED };
        groups.entry((day, tier)).or_default().push((name, *size));
    }
    let is_due = |(_, tier): &(Date, u32), files: &Vec<_>| *tier == FINISHED || files.len() >= MANY;
    let due = groups.into_iter().filter(|(group, files)| is_due(group, files));
    due.flat_map(|(_, files)| portions(files, largest)).find(|portion| portion.len() > 1)
}

/// Files one after the other, together as many as make up so many bytes, or [`FILES`].
fn portions(files: Vec<(&String, u64)>, largest: u64) -> Vec<Vec<String>> {
    let (mut portions, mut room) = (vec![Vec::new()], largest);
    for (name, size) in files {
        if size > room || portions.last().is_some_and(|portion| portion.len() == FILES) {
            portions.push(Vec::new());
            room = largest;
        }
        room -= size;
        portions.last_mut().expect("invariant: starts with one").push(name.clone());
    }
    portions
}

/// Below 10 kB, 100 kB, 1 MB and so on.
fn tier(size: u64) -> u32 {
    (size / 1000).checked_ilog10().unwrap_or(0)
}

/// Deletes parts that a crash left beside the file that already holds them, in one day; whether anything has changed.
/// They stay while that file is damaged, and it is passed together with them: it may be they that hold the good lines.
fn sweep(folder: &Path, names: &BTreeSet<&String>, passed: &mut HashSet<String>) -> Result<bool, Error> {
    for name in names {
        let (is_whole, parts) = look(&folder.join(name), names);
        if !is_whole {
            passed.insert((*name).clone());
            passed.extend(parts);
            return Ok(true);
        }
        if !parts.is_empty() {
            return delete(folder, &parts, name, passed).map(|()| true);
        }
    }
    Ok(false)
}

/// Whether a file is as it was written, as far as its first line or, if parts of it are here, to its end; and those parts.
fn look(path: &Path, names: &BTreeSet<&String>) -> (bool, Vec<String>) {
    let Ok(mut lines) = FileLines::open(path.to_owned(), true) else { return (false, Vec::new()) };
    let mut is_whole = true;
    // Its parts are known once a line came out.
    while lines.next().is_some_and(|line| line.is_err()) {
        is_whole = false;
    }
    let parts: Vec<_> = lines.parts().iter().filter(|part| names.contains(part)).cloned().collect();
    is_whole &= parts.is_empty() || lines.all(|line| line.is_ok());
    (is_whole, parts)
}

/// Writes files into one, which then takes the place of them all; nothing when one of them is not as it was written, and
/// that one is passed from now on.
fn join(folder: &Path, group: &[String], passed: &mut HashSet<String>) -> Result<Merged, Error> {
    // The next merged file does not name the parts of earlier ones any more: they must be gone for good.
    sync_folder(folder)?;
    let name = match format::merged_name(&group[0]) {
        // Never over a file that is no part of this.
        Some(name) if name == group[0] || folder.join(&name).symlink_metadata().is_err() => name,
        _ => group[0].clone(),
    };
    let parts: Vec<_> = group.iter().filter(|part| **part != name).cloned().collect();
    let mut one = WholeFile::create(folder, &name, format::HEADER)?;
    for part in &parts {
        one.comment(&format::part(part))?;
    }
    for part in group {
        if !copy(&folder.join(part), &mut one)? {
            passed.insert(part.clone());
            return Ok(Merged::default());
        }
    }
    one.seal()?;
    let merged = Merged { files: group.len() as u64, bytes: one.bytes() };
    one.publish(&name)?;
    delete(folder, &parts, &name, passed)?;
    Ok(merged)
}

/// Copies the lines of a file; whether all of it is as it was written.
fn copy(path: &Path, to: &mut WholeFile) -> Result<bool, Error> {
    let Ok(lines) = FileLines::open(path.to_owned(), true) else { return Ok(false) };
    for line in lines {
        let Ok(line) = line else { return Ok(false) };
        to.line(&line)?;
    }
    Ok(true)
}

/// Deletes what a merged file holds. Should a part stay, readers skip it as long as the merged file names it, so that one
/// is passed from then on.
fn delete(folder: &Path, parts: &[String], merged: &str, passed: &mut HashSet<String>) -> Result<(), Error> {
    for path in parts.iter().map(|part| folder.join(part)) {
        match fs::remove_file(&path) {
            Err(refused) if refused.kind() != io::ErrorKind::NotFound => {
                passed.insert(merged.to_owned());
                passed.extend(parts.iter().cloned());
                return Err(on("delete", &path)(refused));
            }
            _ => {}
        }
    }
    Ok(())
}

/// So many files of a size make one larger one. A day that grows has fewer than that of each size between two calls.
const MANY: usize = 20;
/// What a call writes at the most, in bytes, and the size of the largest file that is still merged.
const MOST: u64 = 64_000_000;
/// As small as they may be.
const FILES: usize = 2000;
/// Of the size that the directory may have, so much may be one merged file.
const SHARE: u64 = 16;
/// The tier of all files of a day of which nothing is on its way.
const FINISHED: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_size_are_merged_and_those_of_a_finished_day_whatever_their_size() {
        let name = |day: u32, number: usize| format!("2026-11-{day:02}T100000.{number:09}Z-17.lp");
        let check = |day: u32, sizes: &[u64], largest: u64, expected: &[usize]| {
            let files = sizes.iter().enumerate().map(|(number, size)| (name(day, number), *size)).collect();
            let grows = |day: Date| day.day() == 21;
            let expected: Vec<_> = expected.iter().map(|number| name(day, *number)).collect();
            let due = due(&files, grows, largest).unwrap_or_default();
            assert_eq!(due, expected, "{day} {sizes:?} {largest}");
        };
        let first = |count: usize| (0..count).collect::<Vec<_>>();
        check(21, &[9_999; 19], MOST, &[]);
        check(21, &[9_999; 20], MOST, &first(20));
        check(21, &[&[9_999; 19][..], &[10_000; 19], &[100_000; 19], &[1_000_000; 19]].concat(), MOST, &[]);
        check(21, &[&[100_000; 1][..], &[300; 15], &[9_000; 10]].concat(), MOST, &(1..26).collect::<Vec<_>>());
        check(21, &[9_000_000; 20], MOST, &first(7));
        check(21, &[300; FILES + 1], MOST, &first(FILES));
        check(21, &[&[40_000_000; 30][..], &[20_000_000; 2]].concat(), MOST, &[29, 30]);
        check(21, &[MOST; 100], MOST, &[]);
        check(20, &[5], MOST, &[]);
        check(20, &[5, 50_000_000], MOST, &[0, 1]);
        check(20, &[MOST, 5, MOST, 5_000_000, MOST], MOST, &[1, 3]);
        check(20, &[40_000_000, 40_000_000, 20_000_000, 5_000_000], MOST, &[1, 2]);
        check(20, &[500; 10], 1_600, &[0, 1, 2]);
        check(20, &[500; 10], 500, &[]);
    }
}
