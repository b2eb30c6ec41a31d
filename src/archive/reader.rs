//! Reads a whole data directory as a stream, in parallel with writers and the drain.

use std::{
    collections::{BTreeMap, HashSet, btree_map},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, date},
    tz::TimeZone,
};

use super::{
    DELIVERED, Error, Locked, OPEN, REJECTED, SPOOL, atomic_file,
    damage::{Damage, DamageKind},
    file_lines::FileLines,
    format, list, on,
};

/// The point lines of a data directory, as an iterator. Damage is an item, and iteration continues after it.
#[derive(Debug)]
pub struct Lines {
    dir: PathBuf,
    files: btree_map::IntoIter<String, &'static str>,
    since: Option<Timestamp>,
    /// The number of files read or being read.
    read: u64,
    /// Parts of merged files that were read, and so are skipped.
    merged: HashSet<String>,
    current: Option<FileLines>,
    /// A shared lock that keeps files from being merged during the read.
    _unmerged: Option<Locked>,
}

/// All points of a data directory, oldest file first, each once: delivered, waiting, and being written. Lines that were
/// set aside from damaged files are reported as damage, not returned. With `since`, files without points from that time
/// on are skipped, judged by the day in their names and by when they were last written. A file that may have such
/// points is read as a whole. Waits while delivered files are merged, about a second.
///
/// # Errors
/// When the directory does not exist or cannot be listed.
pub fn lines(dir: &Path, since: Option<Timestamp>) -> Result<Lines, Error> {
    fs::read_dir(dir).map_err(on("list", dir))?;
    let unmerged = File::open(dir.join(DELIVERED).join(MERGE_LOCK)).ok();
    if let Some(lock) = &unmerged {
        // The wait is bounded, because a merge is (`merge::MAX_BYTES`). Where locks do not work, nothing is merged.
        let _ = lock.lock_shared();
    }
    let mut files = BTreeMap::new();
    // List the folders in the order in which files move, so that a file that moves meanwhile is seen at least once.
    for folder in FOLDER_ORDER {
        for name in list(&dir.join(folder))? {
            files.entry(name).or_insert(folder);
        }
    }
    for name in set_aside(dir)? {
        files.entry(name).or_insert(REJECTED);
    }
    Ok(Lines {
        dir: dir.to_owned(),
        files: files.into_iter(),
        since,
        read: 0,
        merged: HashSet::new(),
        current: None,
        _unmerged: unmerged.map(Locked),
    })
}

impl Iterator for Lines {
    type Item = Result<String, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(file) = &mut self.current {
                if let Some(line) = file.next() {
                    return Some(line);
                }
                self.merged.extend(file.parts().iter().cloned());
                self.current = None;
            }
            let (name, folder) = self.files.next()?;
            if self.merged.contains(&name) || self.since.is_some_and(|since| is_of_days_before(&name, since)) {
                continue;
            }
            match find(&self.dir, &name, folder) {
                Ok(file) if self.is_too_old(file.written()) => {}
                Ok(file) => {
                    self.read += 1;
                    self.current = Some(file);
                }
                Err(Damage { kind: DamageKind::SetAside(_), file }) if self.is_too_old(modified(&file)) => {}
                Err(damage) => return Some(Err(damage)),
            }
        }
    }
}

impl Lines {
    /// How many files were read so far, including the current one.
    #[must_use]
    pub const fn files_read(&self) -> u64 {
        self.read
    }

    fn is_too_old(&self, written: Option<SystemTime>) -> bool {
        self.since.map(SystemTime::from).is_some_and(|since| written.is_some_and(|written| written < since))
    }
}

/// Whether the day in a file name excludes points from `since` on. The name has the day of the first append, and a
/// merged file contains only files of that day. A day before this program existed comes from a clock that was not set:
/// it excludes nothing.
fn is_of_days_before(name: &str, since: Timestamp) -> bool {
    let since = since.to_zoned(TimeZone::UTC).date();
    let last = |day: Date| day.checked_add(DAYS_AFTER.days()).unwrap_or(Date::MAX);
    format::day(name).is_some_and(|day| day >= FIRST_VALID_DAY && last(day) < since)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// Opens a file where it was listed, or where it was moved since.
fn find(dir: &Path, name: &str, listed: &str) -> Result<FileLines, Damage> {
    for folder in FOLDER_ORDER.into_iter().skip_while(|folder| *folder != listed) {
        let path = dir.join(folder).join(name);
        match FileLines::open(path.clone(), folder != OPEN) {
            Err(moved) if moved.kind() == io::ErrorKind::NotFound => {}
            file => return file.map_err(|problem| Damage { file: path, kind: DamageKind::Read(problem.to_string()) }),
        }
    }
    let bad = if listed == REJECTED { name.to_owned() } else { set_aside_name(name, 1) };
    let file = dir.join(REJECTED).join(bad);
    match atomic_file::points(&file) {
        Ok(lines) => Err(Damage { file, kind: DamageKind::SetAside(lines) }),
        Err(_) => Err(Damage { file: dir.join(listed).join(name), kind: DamageKind::Vanished }),
    }
}

/// The names of the files in `rejected/` that hold damaged lines.
pub(super) fn set_aside(dir: &Path) -> Result<Vec<String>, Error> {
    let folder = dir.join(REJECTED);
    let entries = match fs::read_dir(&folder) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(on("list", &folder))?,
    };
    let files =
        entries.filter_map(|entry| entry.ok().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())));
    let names = files.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(SET_ASIDE_SUFFIX) && !name.starts_with('.')).collect();
    names.sort_unstable();
    Ok(names)
}

/// The name in `rejected/` for the damaged lines of a file. `number` counts how often the file was damaged, from 1.
pub(super) fn set_aside_name(name: &str, number: u32) -> String {
    if number == 1 { format!("{name}{SET_ASIDE_SUFFIX}") } else { format!("{name}.{number}{SET_ASIDE_SUFFIX}") }
}

const SET_ASIDE_SUFFIX: &str = ".bad";

/// The lock file in `archive/`: shared by readers, exclusive for a merge.
pub(super) const MERGE_LOCK: &str = ".merge";

/// A file may hold points of this many days after the day in its name: it is sealed after ten minutes, which may be
/// after midnight, and clocks are slightly wrong.
const DAYS_AFTER: i32 = 1;

const FIRST_VALID_DAY: Date = date(2025, 1, 1);

const FOLDER_ORDER: [&str; 3] = [OPEN, SPOOL, DELIVERED];
