//! Small values that outlive a restart: budgets spent today, the last answer of the database. One JSON file each,
//! replaced as a whole. They are hints: without them the worker still does its job.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Error, Locked, STATE, on};

/// A value from the last time, or the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded<T> {
    /// What is known.
    pub value: T,
    /// Why it is the default although a file is there.
    pub problem: Option<String>,
}

/// How many points were ever lost from here, in the state [`LOSSES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Points that were recorded, or about to be, and are in no file and no database.
    pub points: u64,
    /// When the last of them were counted.
    pub last: Option<Timestamp>,
}

/// Distinguishes versions of a stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// How many bytes it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }
}

/// The right to change a value that processes share: whoever holds it is alone with it until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Held {
    _lock: Locked,
}

/// The state under which [`Losses`] are kept.
pub const LOSSES: &str = "losses";

/// Reads a value; one that was never stored is the default, one that cannot be read is the default with a problem.
#[must_use]
pub fn load<T: DeserializeOwned + Default>(dir: &Path, name: &'static str) -> Loaded<T> {
    let path = path(dir, name);
    let read = match fs::read(&path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            return Loaded { value: T::default(), problem: None };
        }
        read => read.map_err(|problem| problem.to_string()),
    };
    match read.and_then(|text| serde_json::from_slice(&text).map_err(|problem| problem.to_string())) {
        Ok(value) => Loaded { value, problem: None },
        Err(problem) => {
            Loaded { value: T::default(), problem: Some(format!("{}: {problem}; starting without it", path.display())) }
        }
    }
}

/// Which version of a value is stored; nothing where there is none.
#[must_use]
pub fn stamp(dir: &Path, name: &'static str) -> Option<Stamp> {
    let metadata = fs::metadata(path(dir, name)).ok()?;
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    Some(Stamp { inode: metadata.ino(), size: metadata.len(), modified })
}

/// Stores a value for the next time.
///
/// # Errors
/// When it is not JSON, or the disk refuses; the old value is kept then.
pub fn store<T: Serialize>(dir: &Path, name: &'static str, value: &T) -> Result<(), Error> {
    store_json(dir, name, &json(name, value)?)
}

/// Stores a value that [`json`] encoded.
///
/// # Errors
/// When the disk refuses; the old value is kept then.
pub fn store_json(dir: &Path, name: &'static str, json: &[u8]) -> Result<(), Error> {
    super::create(dir)?;
    super::replace(&dir.join(STATE), &file(name), json)
}

/// Encodes a value, to be stored elsewhere.
///
/// # Errors
/// When it is not JSON.
pub fn json<T: Serialize>(name: &'static str, value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec_pretty(value).map_err(|source| Error::State { name, source })
}

/// Stores a value that is stored again soon: after a power cut the value before it may be there. The JSON is compact, because
/// it can be large.
///
/// # Errors
/// When it is not JSON, or the disk refuses; the old value is kept then.
pub fn store_often<T: Serialize>(dir: &Path, name: &'static str, value: &T) -> Result<(), Error> {
    let json = serde_json::to_vec(value).map_err(|source| Error::State { name, source })?;
    super::create(dir)?;
    super::replace_content(&dir.join(STATE), &file(name), &json)
}

/// Waits until nobody else holds a value. Those who only read it, or store it without holding it, do not see this.
///
/// # Errors
/// When the disk refuses.
pub fn hold(dir: &Path, name: &'static str) -> Result<Held, Error> {
    super::create(dir)?;
    let path = dir.join(STATE).join(format!(".{}.lock", file(name)));
    let lock = super::private().open(&path).map_err(on("open", &path))?;
    lock.lock().map_err(on("lock", &path))?;
    Ok(Held { _lock: Locked(lock) })
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
    fn values_come_back_and_a_corrupt_one_is_a_problem_and_the_default() {
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
    fn a_value_that_is_held_is_changed_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let add = || {
            for _ in 0..50 {
                let _held = hold(dir.path(), "sum").unwrap();
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
