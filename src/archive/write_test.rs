//! Tests whether the data directory is writable, and leaves nothing behind.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process,
};

use super::{DELIVERED, Error, OPEN, REJECTED, SPOOL, STATE, on, private, reader::MERGE_LOCK, spool::LOCK};

/// Does what a worker would do: creates a file in each folder and opens the locks. If there is no data directory yet,
/// creates a folder in the nearest parent that exists.
///
/// # Errors
/// The first step that fails.
pub fn try_write(dir: &Path) -> Result<(), Error> {
    if !dir.exists() {
        // A folder cannot be created below a dangling link either.
        return if dir.is_symlink() {
            fs::read_dir(dir).map(drop).map_err(on("follow the link", dir))
        } else {
            try_folder_in(nearest(dir))
        };
    }
    try_file_in(dir)?;
    for folder in [OPEN, SPOOL, DELIVERED, REJECTED, STATE].map(|folder| dir.join(folder)) {
        if folder.exists() {
            try_file_in(&folder)?;
        }
    }
    for lock in [dir.join(SPOOL).join(LOCK), dir.join(DELIVERED).join(MERGE_LOCK)] {
        if lock.exists() {
            OpenOptions::new().write(true).open(&lock).map_err(on("open", &lock))?;
        }
    }
    Ok(())
}

fn try_file_in(folder: &Path) -> Result<(), Error> {
    let path = folder.join(name());
    let written = private().create_new(true).open(&path).and_then(|mut file: File| {
        let written = file.write_all(b"#");
        fs::remove_file(&path)?;
        written
    });
    written.map_err(on("write in", folder))
}

fn try_folder_in(folder: &Path) -> Result<(), Error> {
    let path = folder.join(name());
    fs::create_dir(&path).and_then(|()| fs::remove_dir(&path)).map_err(on("make a folder in", folder))
}

/// The nearest parent of a path that exists.
fn nearest(dir: &Path) -> &Path {
    let above = dir.ancestors().skip(1).map(|above| if above == Path::new("") { Path::new(".") } else { above });
    let mut existing = above.filter(|above| above.symlink_metadata().is_ok());
    existing.next().unwrap_or(Path::new("."))
}

/// A name that everything else ignores, because it starts with a dot.
fn name() -> PathBuf {
    format!(".check-{}", process::id()).into()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::archive::create;

    fn entries(dir: &Path) -> Vec<PathBuf> {
        let mut found: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.sort();
        let below: Vec<_> = found.iter().filter(|path| path.is_dir()).flat_map(|path| entries(path)).collect();
        [found, below].concat()
    }

    #[test]
    fn the_test_leaves_nothing_behind() {
        let temporary = TempDir::new().unwrap();
        for dir in ["data", "not/there/yet"].map(|dir| temporary.path().join(dir)) {
            try_write(&dir).unwrap();
            assert!(entries(temporary.path()).is_empty());
        }
        let dir = temporary.path().join("data");
        create(&dir).unwrap();
        let before = entries(temporary.path());
        try_write(&dir).unwrap();
        assert_eq!(entries(temporary.path()), before);
    }

    #[test]
    fn an_unwritable_path_is_named() {
        let temporary = TempDir::new().unwrap();
        fs::write(temporary.path().join("file"), "").unwrap();
        for (dir, named) in [
            (temporary.path().join("file"), "file"),
            (temporary.path().join("file/below"), "file"),
            // Not even root can create files in /proc.
            (PathBuf::from("/proc/bandprobe/data"), "/proc"),
            (PathBuf::from("/proc"), "/proc"),
        ] {
            let error = try_write(&dir).unwrap_err().to_string();
            assert!(error.contains(named) && error.starts_with("cannot "), "{error}");
        }
        let link = temporary.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(try_write(&link).unwrap_err().to_string().contains("follow the link"));
        let dir = temporary.path().join("data");
        create(&dir).unwrap();
        fs::remove_dir(dir.join(OPEN)).unwrap();
        fs::write(dir.join(OPEN), "").unwrap();
        let error = try_write(&dir).unwrap_err().to_string();
        assert!(error.contains("data/open"), "{error}");
    }
}
