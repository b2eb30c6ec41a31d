//! Reading a whole data directory, as a stream, beside writers and the drain.

use std::{
    collections::{BTreeMap, HashSet, btree_map},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use jiff::Timestamp;

use super::{
    DELIVERED, Error, OPEN, REJECTED, SPOOL,
    file::{Damage, FileLines, What},
    list, on,
};

/// The point lines of a whole data directory.
#[derive(Debug)]
pub struct Lines {
    dir: PathBuf,
    files: btree_map::IntoIter<String, &'static str>,
    since: Option<SystemTime>,
    /// Parts of merged days that were read, and so are not read again.
    merged: HashSet<String>,
    current: Option<FileLines>,
    /// Keeps days from being merged while we read.
    _unmerged: Option<File>,
}

/// All points of a data directory, oldest file first, each once: delivered, waiting, and being written; damaged files
/// that were set aside, too. With `since`, files that were last written before it are left out; a file that reaches
/// over it is read as a whole.
///
/// # Errors
/// When there is no such directory, or it cannot be listed.
pub fn lines(dir: &Path, since: Option<Timestamp>) -> Result<Lines, Error> {
    fs::read_dir(dir).map_err(on("list", dir))?;
    let unmerged = File::open(dir.join(DELIVERED).join(MERGE_LOCK)).ok();
    if let Some(lock) = &unmerged {
        // A merge takes well below a second a day; where locks do not work, a merge would only repeat lines.
        let _ = lock.lock_shared();
    }
    let mut files = BTreeMap::new();
    // In the order of a file's road: one that moves on while we list is seen at least once.
    for folder in ROAD {
        for name in list(&dir.join(folder))? {
            files.entry(name).or_insert(folder);
        }
    }
    for name in set_aside(dir)? {
        files.entry(name).or_insert(REJECTED);
    }
    let since = since.map(SystemTime::from);
    Ok(Lines {
        dir: dir.to_owned(),
        files: files.into_iter(),
        since,
        merged: HashSet::new(),
        current: None,
        _unmerged: unmerged,
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
            if self.merged.contains(&name) {
                continue;
            }
            match find(&self.dir, &name, folder) {
                Ok(file) if self.is_too_old(&file) => {}
                Ok(file) => self.current = Some(file),
                Err(what) => return Some(Err(Damage { file: self.dir.join(folder).join(name), what })),
            }
        }
    }
}

impl Lines {
    fn is_too_old(&self, file: &FileLines) -> bool {
        self.since.is_some_and(|since| file.written().is_some_and(|written| written < since))
    }
}

/// Opens a file where it was listed, or where it has moved since.
fn find(dir: &Path, name: &str, listed: &str) -> Result<FileLines, What> {
    for folder in ROAD.into_iter().skip_while(|folder| *folder != listed) {
        match FileLines::open(dir.join(folder).join(name), folder != OPEN) {
            Err(moved) if moved.kind() == io::ErrorKind::NotFound => {}
            file => return file.map_err(|problem| What::Read(problem.to_string())),
        }
    }
    FileLines::open(dir.join(REJECTED).join(format!("{name}{BAD}")), true).map_err(|_| What::Vanished)
}

/// The names, as they were in the spool, of damaged files that were set aside.
pub(super) fn set_aside(dir: &Path) -> Result<Vec<String>, Error> {
    let folder = dir.join(REJECTED);
    let entries = match fs::read_dir(&folder) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(on("list", &folder))?,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.strip_suffix(BAD).map(str::to_owned)).collect())
}

/// What a damaged file's name ends with in `rejected/`.
pub(super) const BAD: &str = ".bad";

/// Shared by readers, exclusive to a merge, in `archive/`.
pub(super) const MERGE_LOCK: &str = ".merge";

const ROAD: [&str; 3] = [OPEN, SPOOL, DELIVERED];
