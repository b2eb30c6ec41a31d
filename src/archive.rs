//! The data directory: what is written here survives a kill, and what is not in it was never sent.
//!
//! The directory is the state, there is no index to go wrong:
//!
//! ```text
//! open/      one growing file a process, locked while that process lives       (log)
//! spool/     sealed files that wait for delivery; `.lock`: who drains          (recover, spool)
//! archive/   delivered files: a rename from spool/ is what "delivered" means   (spool, retain)
//! rejected/  lines that the database refused, each after its message; damaged files as `.bad`   (rejected)
//! state/     small JSON values that outlive a restart                          (state)
//! ```
//!
//! Each file is line protocol that anyone can send to a database as it is: a header and a trailer, both comments, with
//! the points between them ([`mod@format`]). File names start with the UTC time of their first append, so name order is
//! time order in every folder.
//!
//! # Crash points
//!
//! | when the process or the power dies | what is found | what happens |
//! |---|---|---|
//! | in an append | an unlocked open file, maybe with half a line | [`recover`] cuts at the last newline and seals |
//! | after the trailer, before the rename | an open file with its trailer | it is moved as it is |
//! | after a delivery, before the rename to archive/ | a spool file | it is sent again: same tags and time, same point |
//! | in the middle of a file's batches | a spool file | the same |
//! | after lines were quarantined, before the rename | a spool file and its namesake in rejected/ | sent again, rejected/ replaced |
//! | while a day is merged | `.….tmp` beside whole files | the merge starts over, over that file |
//! | after the merged day got its name, before its parts are deleted | both | the merged file names its parts: readers skip them, the next merge deletes them |
//!
//! A process that is killed loses nothing that it appended; a power cut loses at most what was not synced.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use thiserror::Error;

pub mod file;
pub mod format;
pub mod log;
pub mod reader;
pub mod recover;
pub mod rejected;
pub mod retain;
pub mod spool;
pub mod state;
pub mod status;

/// Why the data directory could not be used.
#[derive(Debug, Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A batch was not made of as many whole lines as it claimed; nothing of it was written.
    #[error("a batch of {claimed} points has {lines} lines")]
    NotWholeLines {
        /// Points by the caller's count.
        claimed: u64,
        /// Lines that end in a newline.
        lines: u64,
    },
    /// Another process delivers from this directory.
    #[error("{} is being delivered by another process (pid {pid}); only one at a time can", dir.display())]
    Draining {
        /// The data directory.
        dir: PathBuf,
        /// Who, by its own word.
        pid: String,
    },
    /// A value could not be turned into JSON.
    #[error("cannot encode the state {name:?}: {source}")]
    State {
        /// Which value.
        name: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// Makes the data directory and its folders, for this user alone, where they are missing.
///
/// # Errors
/// When a folder cannot be made.
pub fn create(dir: &Path) -> Result<(), Error> {
    for folder in ["", OPEN, SPOOL, DELIVERED, REJECTED, STATE] {
        let path = dir.join(folder);
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(on("create the folder", &path))?;
    }
    let lock = dir.join(DELIVERED).join(reader::MERGE_LOCK);
    private().open(&lock).map_err(on("create", &lock))?;
    Ok(())
}

/// The names of the finished-name line files in a folder, oldest first; a missing folder is empty.
fn list(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(on("list", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(on("list", folder))?.file_name();
        if let Some(name) = name.to_str().filter(|name| format::is_line_file(name)) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(on("sync the folder", folder))
}

/// Writes a file so that its name holds either the old or the new content, whatever happens.
fn replace(folder: &Path, name: &str, content: &[u8]) -> Result<(), Error> {
    let (temporary, path) = (folder.join(format!(".{name}.tmp")), folder.join(name));
    let written = private().truncate(true).open(&temporary).and_then(|mut file| {
        io::Write::write_all(&mut file, content)?;
        file.sync_all()
    });
    written.map_err(on("write", &temporary))?;
    fs::rename(&temporary, &path).map_err(on("rename into place", &path))?;
    sync_folder(folder)
}

/// Takes a file's lock if nobody has it; whether we have it now.
fn lock(file: &File, path: &Path) -> Result<bool, Error> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(on("lock", path)(source)),
    }
}

/// Options for a file that this user alone may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

/// Names what was tried on which path when the system refuses.
fn on(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { doing, path, source }
}

const OPEN: &str = "open";
const SPOOL: &str = "spool";
const DELIVERED: &str = "archive";
const REJECTED: &str = "rejected";
const STATE: &str = "state";
/// Where a line file can be on its road.
const FOLDERS: [&str; 4] = [OPEN, SPOOL, DELIVERED, REJECTED];
