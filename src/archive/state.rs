//! Small values that survive a restart, such as the budgets spent today and the last answer of the database. Each is a
//! JSON file that is replaced as a whole. They are hints: the worker does its job without them.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Error, Locked, STATE, on};

/// A value from the last run, or the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded<T> {
    /// The stored value, or the default.
    pub value: T,
    /// Why the stored value could not be read. `None` when it was read, or none was stored.
    pub problem: Option<String>,
}

/// How many points were lost over the lifetime of this directory; stored under [`LOSSES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Points that were recorded, or about to be, and are neither in a file nor in the database.
    pub points: u64,
    /// When the number last grew.
    pub last: Option<Timestamp>,
}

/// Identifies a version of a stored value: it changes whenever the value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl FileVersion {
    /// The size of the file in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }
}

/// A lock on a value that several processes change. It is released on drop.
#[derive(Debug)]
#[must_use]
pub struct StateLock {
    _lock: Locked,
}

/// The state under which [`Losses`] are kept.
pub const LOSSES: &str = "losses";

/// Reads a value. Returns the default when none was stored, and the default with a problem when it cannot be read.
#[must_use]
pub fn load<T: DeserializeOwned + Default>(dir: &Path, name: &'static str) -> Loaded<T> {
    read(dir, name).unwrap_or_else(|problem| unusable(problem.to_string()))
}

/// Reads a value like [`load`], but fails when the disk does, because the value may be readable later.
///
/// # Errors
/// When the file exists and cannot be read.
pub fn read<T: DeserializeOwned + Default>(dir: &Path, name: &'static str) -> Result<Loaded<T>, Error> {
    let path = path(dir, name);
    let text = match fs::read(&path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            return Ok(Loaded { value: T::default(), problem: None });
        }
        text => text.map_err(on("read", &path))?,
    };
    Ok(match serde_json::from_slice(&text) {
        Ok(value) => Loaded { value, problem: None },
        Err(problem) => unusable(format!("{}: {problem}", path.display())),
    })
}

fn unusable<T: Default>(problem: String) -> Loaded<T> {
    Loaded { value: T::default(), problem: Some(problem + "; starting without it") }
}

/// The stored version of a value; `None` when none is stored.
#[must_use]
pub fn version(dir: &Path, name: &'static str) -> Option<FileVersion> {
    let metadata = fs::metadata(path(dir, name)).ok()?;
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    Some(FileVersion { inode: metadata.ino(), size: metadata.len(), modified })
}

/// Stores a value. It survives a power cut.
///
/// # Errors
/// When the value cannot be encoded or the disk refuses. The old value is then kept.
pub fn store<T: Serialize>(dir: &Path, name: &'static str, value: &T) -> Result<(), Error> {
    store_json(dir, name, &json(name, value)?)
}

/// Stores a value that [`json`] has encoded. It survives a power cut.
///
/// # Errors
/// When the disk refuses. The old value is then kept.
pub fn store_json(dir: &Path, name: &'static str, json: &[u8]) -> Result<(), Error> {
    super::create(dir)?;
    super::replace(&dir.join(STATE), &file(name), json)
}

/// Encodes a value, for [`store_json`] on another thread.
///
/// # Errors
/// When the value cannot be encoded.
pub fn json<T: Serialize>(name: &'static str, value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec_pretty(value).map_err(|source| Error::State { name, source })
}

/// Stores a value that will soon be stored again. It is cheaper: after a power cut the previous value may be back. The
/// JSON is compact, because the value can be large.
///
/// # Errors
/// When the value cannot be encoded or the disk refuses. The old value is then kept.
pub fn store_often<T: Serialize>(dir: &Path, name: &'static str, value: &T) -> Result<(), Error> {
    let json = serde_json::to_vec(value).map_err(|source| Error::State { name, source })?;
    super::create(dir)?;
    super::replace_content(&dir.join(STATE), &file(name), &json)
}

/// Waits until no other process or thread holds a value, and locks it. The lock is advisory: [`load`] and [`store`]
/// ignore it.
///
/// # Errors
/// When the lock file cannot be opened or locked.
pub fn lock(dir: &Path, name: &'static str) -> Result<StateLock, Error> {
    super::create(dir)?;
    let path = dir.join(STATE).join(format!(".{}.lock", file(name)));
    let lock = super::private().open(&path).map_err(on("open", &path))?;
    lock.lock().map_err(on("lock", &path))?;
    Ok(StateLock { _lock: Locked(lock) })
}

fn path(dir: &Path, name: &str) -> PathBuf {
    dir.join(STATE).join(file(name))
}

fn file(name: &str) -> String {
    format!("{name}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corrupt_value_is_a_problem_and_the_default() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load::<Vec<u8>>(dir.path(), "spent"), Loaded { value: vec![], problem: None });
        store(dir.path(), "spent", &vec![1, 2]).unwrap();
        store(dir.path(), "spent", &vec![3]).unwrap();
        assert_eq!(load::<Vec<u8>>(dir.path(), "spent"), Loaded { value: vec![3], problem: None });
        fs::write(dir.path().join("state/spent.json"), "[3").unwrap();
        let loaded = load::<Vec<u8>>(dir.path(), "spent");
        assert_eq!(loaded.value, Vec::<u8>::new());
        assert!(loaded.problem.unwrap().contains("state/spent.json: "));
    }

    #[test]
    fn a_locked_value_is_changed_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let add = || {
            for _ in 0..50 {
                let _held = lock(dir.path(), "sum").unwrap();
                store(dir.path(), "sum", &(load::<u64>(dir.path(), "sum").value + 1)).unwrap();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(add);
            scope.spawn(add);
            scope.spawn(add);
        });
        assert_eq!(load::<u64>(dir.path(), "sum").value, 150);
    }
}
